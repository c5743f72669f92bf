"""What the resources mean: kinds, names, getters, conversion, validation, conditions. Pure: standard library and msgspec (ARCH-2)."""
