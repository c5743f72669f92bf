"""Observation in, plan out. Pure: no clock, no randomness, no I/O, no logging; `now` is an argument (ARCH-2)."""
