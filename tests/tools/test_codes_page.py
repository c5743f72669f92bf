"""docs/codes.md says what the code says."""

from tests.codes_page import PAGE, every, page


def test_the_page_is_that_of_the_code() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.codes_page"


def test_each_code_links_to_its_heading() -> None:
    for one in every():
        path, _, anchor = one.page.partition("#")
        assert path == "docs/codes.md"
        assert f"## {anchor.upper()}\n" in page()
