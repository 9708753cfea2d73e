"""Errors of libraries as text: one printable line of bounded length."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.errors import DataError, Terminated
from builders.untrusted import describe_error, error_text, first_line, single_line
from builders.untrusted.text import MAX_MESSAGE
from tests.support.untrusted_text import ESCAPED, PLANTED


def test_planted__has_the_properties_that_the_other_tests_need():
    assert len(ESCAPED) == MAX_MESSAGE == 300


@pytest.mark.parametrize(
    ("say", "error", "printed"),
    [
        (first_line, ValueError(PLANTED), ESCAPED),
        (describe_error, ValueError(PLANTED), f"ValueError: {ESCAPED}"),
        (error_text, OSError(PLANTED), f"OSError: {ESCAPED}"),
        (error_text, DataError("one of ours\nof two lines"), "one of ours\nof two lines"),
        (single_line, ValueError("a\x1b\n\tb\r\nc"), "a\\x1b b c"),
        (single_line, ValueError(PLANTED), ESCAPED),
        (first_line, SystemExit(PLANTED), f"it called sys.exit({PLANTED!r}"[:297] + "..."),
        (first_line, ValueError("x" * 300), "x" * 300),
        (first_line, ValueError("x" * 301), "x" * 297 + "..."),
        (first_line, ValueError("x" * 299 + "\x1b"), "x" * 297 + "..."),
        (first_line, ValueError("\n\n"), "ValueError"),
        (first_line, ValueError(r"Illegal header value b'Bearer hf_a\x00b'"), "Illegal header value b'Bearer ...'"),
        (first_line, ValueError("hf_hub_download with hf_" + "aB3" * 11), "hf_hub_download with ..."),
        (describe_error, OSError("https://me:secret@a.org/b"), "OSError: https://...@a.org/b"),
        (single_line, OSError("https://a.org/b?key=1&sig=2 is\ngone"), "https://a.org/b?... is gone"),
        (first_line, OSError("folder:photos?name=mine cannot"), "folder:photos?name=mine cannot"),
        (first_line, OSError("is it there? a=b"), "is it there? a=b"),
        (first_line, OSError("x" * 280 + " hf_" + "aB3" * 11), "x" * 280 + " ..."),
    ],
)
def test_error_functions__one_line_of_bounded_length(say, error, printed):
    assert say(error) == printed


class Silent(BaseException):
    """Its text cannot be read: code of others may do that."""

    def __str__(self):
        raise self.args[0]

    __repr__ = __str__


@pytest.mark.parametrize("raised", [RuntimeError("no text"), SystemExit(0), GeneratorExit()])
def test_error_functions__where_the_error_fails_to_give_its_text(raised):
    error = Silent(raised)
    assert [say(error) for say in (first_line, single_line)] == ["Silent"] * 2
    assert [say(error) for say in (describe_error, error_text)] == ["Silent: no message"] * 2
    assert describe_error(SystemExit(error)) == "SystemExit"


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), Terminated()])
def test_error_functions__signals_pass(raised):
    with pytest.raises(type(raised)):
        first_line(Silent(raised))


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=400), st.integers(4, 80))
def test_first_line__is_one_printable_line_of_limited_length(text, most):
    for say in (first_line, single_line):
        printed = say(KeyError(text), most)
        assert 0 < len(printed) <= most
        assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in printed)
