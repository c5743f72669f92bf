"""PEM blocks as Go 1.24.8 finds them; the table was made with encoding/pem."""

import pytest

from aioctl.pki.pem import first_block

BLOCK = b"-----BEGIN A-----\nQUJD\n-----END A-----\n"


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        BLOCK.replace(b"\n", b"\r\n"),
        BLOCK.rstrip(),
        b"subject=/O=x\n" + BLOCK,
        BLOCK.replace(b"QUJD", b"A-B: c\nKey : d\n\nQU\t JD"),
        b"-----BEGIN A-----\n" + BLOCK,
        b"-----BEGIN B-----\nQUJD\n-----END A-----\n" + BLOCK,
        BLOCK.replace(b"QUJD", b"Q_JD") + BLOCK,
        BLOCK.replace(b"END A-----", b"END A----- \t"),
    ],
)
def test_the_first_whole_block_counts(text: bytes) -> None:
    assert first_block(text) == b"ABC"


def test_a_block_may_be_empty() -> None:
    assert first_block(b"-----BEGIN A-----\n-----END A-----") == b""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"QUJD",
        BLOCK.removesuffix(b"-\n"),
        b" " + BLOCK,
        BLOCK.replace(b"END A", b"END B"),
        BLOCK.replace(b"QUJD", b"QUJ"),
        BLOCK.replace(b"QUJD\n", b"QUJD"),
        BLOCK.replace(b"END A-----", b"END A-----x"),
        BLOCK.replace(b"QUJD", b"a: b\n  continued"),
        b"-----BEGIN :-----\n-----END :-----\n" + BLOCK,
    ],
)
def test_what_go_finds_no_block_in(text: bytes) -> None:
    assert first_block(text) is None
