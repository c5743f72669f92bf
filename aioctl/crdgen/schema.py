"""What the generator's modules share: the shape of a schema, and the error for a source that does not fit."""

from typing import Any

Schema = dict[str, Any]
"""A node of an OpenAPI v3 schema as CRDs spell it: raw, in the order in which it was made."""


class SourceError(ValueError):
    """A source does not hold what is read from it; the text names what is missing and the cure."""
