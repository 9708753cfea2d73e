"""Untrusted names and errors as text: characters that would harm a terminal, a page or UTF-8 are escaped."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from builders.errors import CamtraceError, Terminated
from builders.untrusted.redaction import redacted

_ESCAPED = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters, among them the ESC of terminals
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u2028\u2029"  # line separators
    "\ud800-\udfff"  # no UTF-8: bytes of a file name, or half a pair in JSON
    "]"
)
"""Control characters, surrogates, and the default-ignorable characters of Unicode 16 (DerivedCoreProperties.txt), which
are invisible or reverse what follows."""

MAX_MESSAGE = 300
"""Of the text of an error of a library. The sentence of transformers 5.24 about an unknown architecture has 221 and the
name; longer ones list everything that a library knows, or contain parts of a file."""


def readable(name: str) -> str:
    r"""A name as text that can be printed, encoded and distinguished: other characters are written as their codes.

    Text without such characters is returned as it is, so that escaping twice changes nothing.

    >>> readable("a\x1b[31mb\u200bc"), readable(b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))
    ('a\\x1b[31mb\\u200bc', 'caf\\xe9.jpg')
    """
    if name.isascii() and name.isprintable():
        return name
    return _ESCAPED.sub(_code, name)


def is_readable(name: str) -> bool:
    """True if nothing of a name has to be escaped.

    >>> is_readable("naïve.jpg"), is_readable("soft\xadhyphen")
    (True, False)
    """
    return (name.isascii() and name.isprintable()) or _ESCAPED.search(name) is None


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV, with an apostrophe before text that a spreadsheet would run as a formula; numbers stay as they are.

    >>> print(csv_text([["system", "value"], ["=1+1", -0.5]]), end="")
    system,value
    '=1+1,-0.5
    """
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> object:
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    return f"'{value}" if is_formula else value


def _code(match: re.Match[str]) -> str:
    number = ord(match[0])
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is not UTF-8, as os.fsdecode stores it
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def public_text(text: str) -> str:
    """Text for a terminal or a file: ``readable``, and ``redacted``."""
    return redacted(readable(text))


def first_line(error: BaseException, most: int = MAX_MESSAGE) -> str:
    r"""The first line of an error's message, or its type if the message is empty; at most ``most`` characters.

    >>> first_line(ValueError("no\x1b\nat the end")), first_line(KeyError()), first_line(OSError("abcdef"), 5)
    ('no\\x1b', 'KeyError', 'ab...')

    Tokens, passwords and the query of an address are left out: reasons are stored in results, and published.

    >>> first_line(OSError("403 for url 'https://a.org/b?X-Amz-Signature=5f1'"))
    "403 for url 'https://a.org/b?...'"
    """
    text = _message(error, exits=True)
    return _short((text.splitlines() or [type(error).__name__])[0], most)


def single_line(error: BaseException, most: int = MAX_MESSAGE) -> str:
    r"""All lines of an error's message as one, else as ``first_line``: some libraries give the reason below the first.

    >>> single_line(RuntimeError("Error(s) in loading:\n\tMissing key(s): \"fc.bias\"")), single_line(KeyError())
    ('Error(s) in loading: Missing key(s): "fc.bias"', 'KeyError')
    """
    return _short(" ".join(_message(error).split()) or type(error).__name__, most)


class ForeignCodeError(Exception):
    """Code of others did what would harm the rest of a run; the message is a sentence that says what it did."""


def describe_error(error: BaseException) -> str:
    """Type and first line of an error of a library. Of ``SystemExit``: that the code called ``sys.exit``.

    >>> describe_error(ValueError("no luck\\nat all")), describe_error(KeyError()), describe_error(SystemExit(0))
    ('ValueError: no luck', 'KeyError: no message', 'it called sys.exit(0)')
    """
    if isinstance(error, SystemExit | ForeignCodeError):
        return first_line(error)
    message = first_line(error) if _message(error) else "no message"
    return f"{type(error).__name__}: {message}"


def error_text(error: BaseException) -> str:
    """An error in one line: the sentence of a ``CamtraceError``, type and first line of any other.

    >>> from builders.errors import DataError
    >>> error_text(DataError("no photo in it")), error_text(OSError())
    ('no photo in it', 'OSError: no message')
    """
    return redacted(str(error)) if isinstance(error, CamtraceError) else describe_error(error)


def _message(error: BaseException, *, exits: bool = False) -> str:
    """Its message, of ``SystemExit`` what was called if ``exits``; empty where the code of its class gives none."""
    try:
        return f"it called sys.exit({error.code!r})" if exits and isinstance(error, SystemExit) else str(error).strip()
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException:
        return ""


def _short(line: str, most: int) -> str:
    public = redacted(line[: 16 * most])
    text = readable(public[: most + 1])  # escaped it is longer
    return text if len(text) <= most else f"{text[: most - 3]}..."
