"""The options of a specification such as ``folder:PATH?label=...``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, unquote_plus

from builders.errors import UsageError

_QUOTED = re.compile(r"""(?P<name>[\w.-]+=)?(?P<quote>["'])(?P<text>.*?)(?P=quote)(?=&|\Z)""", re.DOTALL)
"""A quoted value, also that of a group with a name."""

_PATTERN = re.compile(r"([\w.-]+=)?re:")
"""The beginning of a value that is a regular expression."""


def parse_query(query: str, where: str, repeated: Iterable[str] = ()) -> list[tuple[str, str]]:
    """The options of a specification, in order: what follows its ``?``, as ``name=value&name=value``.

    A value may contain ``=`` and ``?``. ``&`` and ``%`` are written ``%26`` and ``%25``; or the value is quoted, and
    ends at the same quote before ``&`` or the end. ``+`` is a space, but not in quotes or in a regular expression
    (``re:``). A named group is quoted as a whole or after its name: ``group=site="re:a&b"``.

    Args:
        query: the text after the question mark.
        where: the beginning of an error message.
        repeated: names of options that may be given several times.

    Raises:
        UsageError: an option has no name or no value, a quote is not closed, or an option is given twice.

    >>> parse_query('label=re:(a|b)+x=y&group=site="re:p&q"&name=my+set', "data", ["group"])
    [('label', 're:(a|b)+x=y'), ('group', 'site=re:p&q'), ('name', 'my set')]
    """
    options: list[tuple[str, str]] = []
    at = 0
    while at <= len(query):
        name, equals, _ = query[at:].partition("&")[0].partition("=")
        if not equals or not name:
            raise UsageError(f"{where}: options are written ?name=value&name=value, and {name or query!r} is none")
        start = at + len(name) + 1
        if quoted := _QUOTED.match(query, start):
            value, end = (quoted["name"] or "") + quoted["text"], quoted.end()
        else:
            end = query.find("&", start) if "&" in query[start:] else len(query)
            value = _unquoted(query[start:end], f"{where}: {name}")
        if not value:
            raise UsageError(f"{where}: {name}= has no value")
        options.append((unquote(name), value))
        at = end + 1
    names = [name for name, _ in options if name not in repeated]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{where}: an option stands there twice: {twice}=")
    return options


def _unquoted(text: str, where: str) -> str:
    """A value without percent-escapes."""
    if re.match(r"""([\w.-]+=)?["']""", text):
        raise UsageError(f"{where}={text}: the quote is not closed before the next & or the end")
    try:
        return (unquote if _PATTERN.match(text) else unquote_plus)(text, errors="strict")
    except UnicodeDecodeError:
        raise UsageError(f"{where}={text}: its percent-escapes are not UTF-8 text") from None
