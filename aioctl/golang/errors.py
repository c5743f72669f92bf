"""What a value of a user can be wrong about."""


class FieldError(ValueError):
    """A field has a value that cannot be used; `path` names it as users write it, such as `spec.model.uri`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
