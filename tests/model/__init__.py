"""The model checker of the pool migration: `python -m tests.model` (see `explore.py` for what is explored)."""
