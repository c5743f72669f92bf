"""What Go and apimachinery do and KServe relies on: URLs, JSON, quantities, equality, typed round trip, templates.

Knows nothing of this project: it imports the standard library and msgspec alone and has its own errors (ARCH-1).
"""
