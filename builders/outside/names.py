"""Where a name from outside becomes text: what a terminal, a page or UTF-8 would not take as it stands is escaped."""

from __future__ import annotations

import re

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
