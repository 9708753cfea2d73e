"""Where a name from outside becomes text: what a terminal, a page or UTF-8 would not take as it stands is escaped."""

from __future__ import annotations

import re

from builders.errors import CamtraceError

_ESCAPED = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters, among them the ESC of terminals
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u2028\u2029"  # line separators
    "\ud800-\udfff"  # no UTF-8: bytes of a file name, or half a pair in JSON
    "]"
)
"""Beside controls and surrogates the default-ignorable characters of Unicode 16 (DerivedCoreProperties.txt): they show
as nothing, or turn what follows around."""


def readable(name: str) -> str:
    r"""A name as text that can be printed, encoded and told apart: what could not is written as its code.

    Text without such characters is returned as it is, so that escaping twice changes nothing.

    >>> readable("a\x1b[31mb\u200bc"), readable(b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))
    ('a\\x1b[31mb\\u200bc', 'caf\\xe9.jpg')
    """
    if name.isascii() and name.isprintable():
        return name
    return _ESCAPED.sub(_code, name)


def is_readable(name: str) -> bool:
    """Whether nothing of a name has to be escaped.

    >>> is_readable("naïve.jpg"), is_readable("soft\xadhyphen")
    (True, False)
    """
    return (name.isascii() and name.isprintable()) or _ESCAPED.search(name) is None


def _code(found: re.Match[str]) -> str:
    number = ord(found[0])
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is not UTF-8, as os.fsdecode keeps it
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


MOST = 300
"""Characters of what an error of others says. Of an architecture that it does not know transformers 5.24 says 221 and
its name in one sentence; what is longer lists what a library knows, or holds what stands in a file."""

_SECRET = re.compile(
    r"(?<=\bBearer )[^\s'\"]+"  # httpx and h11 repeat a header that they refuse
    r"|\bhf_[A-Za-z0-9]{20,}"
    r"|(?<=://)[^\s/@'\"]+(?=@)"  # name and password in an address
)

_QUERY = re.compile(r"(://[^\s'\"?]*\?)[^\s'\"<>)]+")
"""Of an address: signatures of a store, keys of an API."""


def first_line(error: BaseException, most: int = MOST) -> str:
    r"""The first line of what an error says, or its kind where it says nothing; at most so many characters.

    >>> first_line(ValueError("no\x1b\nat the end")), first_line(KeyError()), first_line(OSError("abcdef"), 5)
    ('no\\x1b', 'KeyError', 'ab...')

    Tokens, passwords and the query of an address are left out: reasons are kept in results, and published.

    >>> first_line(OSError("403 for url 'https://a.org/b?X-Amz-Signature=5f1'"))
    "403 for url 'https://a.org/b?...'"
    """
    text = f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else str(error).strip()
    return _short((text.splitlines() or [type(error).__name__])[0], most)


def joined_lines(error: BaseException, most: int = MOST) -> str:
    r"""All lines of what an error says as one, as ``first_line``: some libraries say below the first what is wrong.

    >>> joined_lines(RuntimeError("Error(s) in loading:\n\tMissing key(s): \"fc.bias\"")), joined_lines(KeyError())
    ('Error(s) in loading: Missing key(s): "fc.bias"', 'KeyError')
    """
    return _short(" ".join(str(error).split()) or type(error).__name__, most)


def describe_error(error: BaseException) -> str:
    """The kind of an error that is none of ours, and the first line of what it says. Code that calls ``sys.exit`` says
    that it does.

    >>> describe_error(ValueError("no luck\\nat all")), describe_error(KeyError()), describe_error(SystemExit(0))
    ('ValueError: no luck', 'KeyError: no message', 'it called sys.exit(0)')
    """
    if isinstance(error, SystemExit):
        return first_line(error)
    said = first_line(error) if str(error).strip() else "no message"
    return f"{type(error).__name__}: {said}"


def error_text(error: BaseException) -> str:
    """An error in one line: the sentence of one of ours, kind and first line of any other.

    >>> from builders.errors import DataError
    >>> error_text(DataError("no photo in it")), error_text(OSError())
    ('no photo in it', 'OSError: no message')
    """
    return str(error) if isinstance(error, CamtraceError) else describe_error(error)


def _short(line: str, most: int) -> str:
    public = _QUERY.sub(r"\1...", _SECRET.sub("...", line[: 16 * most]))
    text = readable(public[: most + 1])  # escaped it is longer
    return text if len(text) <= most else f"{text[: most - 3]}..."
