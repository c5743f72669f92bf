"""What can be wrong with an expression, or with what it is asked about."""


class SyntaxFault(ValueError):
    """The expression is none, or uses what is not known here."""


class EvaluationError(Exception):
    """The expression has no value for this input; the text is cel-go's."""
