"""Tables in documents that commands write: what stands between two lines is theirs."""


def between(document: str, begin: str, end: str, text: str) -> str:
    """The document with other text between its marks. Raises ValueError when it has no place for it."""
    head, found_begin, rest = document.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the document lacks the lines {begin!r} and {end!r}")
    return f"{head}{begin}\n{text}\n{end}{tail}"
