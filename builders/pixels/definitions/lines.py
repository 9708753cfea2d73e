"""Lines of values in a TOML file, for error messages. The standard parser returns values without their lines."""

from __future__ import annotations

import re
from collections.abc import Mapping

Place = tuple[str | int, ...]
"""Keys and positions from the top of a document to a value: ``("processing", 2, "steps", 0, "quality")``."""

_TOKEN = re.compile(
    r'(?P<comment>#[^\n]*)|(?P<string>"""(?:\\.|[^\\])*?"""+|\'\'\'.*?\'\'\'+|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\')'
    r"|(?P<newline>\n)|(?P<mark>[\[\]{}=,.])|(?P<bare>[^\s\[\]{}=,.#\"']+)|(?P<blank>[^\S\n]+)|(?P<other>.)",
    re.DOTALL,
)


def toml_lines(text: str) -> Mapping[Place, int]:
    """Line, from 1 on, of each table and each value of a text that the standard parser has accepted.

    >>> lines = toml_lines("a = 1\\n[[b]]\\nc = [\\n  {d = 2},\\n]")
    >>> lines[("a",)], lines[("b", 0)], lines[("b", 0, "c", 0, "d")]
    (1, 2, 4)
    """
    return _Lines(text).lines


class _Lines:
    """Reads a text token by token. A part of a document that it does not expect only lacks its lines."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._tokens: list[tuple[str, str, int]] = []
        line = 1
        for match in _TOKEN.finditer(text):
            kind, token = str(match.lastgroup), match[0]
            if kind not in ("comment", "blank"):
                self._tokens.append((kind, token, line))
            line += token.count("\n")
        self._at = 0
        self._counts: dict[Place, int] = {}
        self._table: Place = ()
        while self._at < len(self._tokens):
            self._statement()

    def _statement(self) -> None:
        kind, token, line = self._tokens[self._at]
        if kind == "newline":
            self._at += 1
        elif token == "[":
            array = self._peek(1) == "["
            self._at += 2 if array else 1
            keys = self._keys(("]",))
            self._at += 2 if array else 1
            self._table = self._resolved(keys, new=array)
            for length in range(1, len(self._table) + 1):
                self.lines.setdefault(self._table[:length], line)
        else:
            self._pair(self._table, ("\n",))

    def _resolved(self, keys: Place, *, new: bool) -> Place:
        """The path of a table, with the number of the latest element of each array of tables on its way."""
        path: Place = ()
        for i, key in enumerate(keys):
            path = (*path, key)
            if i == len(keys) - 1 and new:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _pair(self, table: Place, ends: tuple[str, ...]) -> None:
        line = self._tokens[self._at][2]
        path = (*table, *self._keys(("=", *ends)))
        for length in range(len(table) + 1, len(path) + 1):
            self.lines.setdefault(path[:length], line)
        if self._peek() == "=":
            self._at += 1
            self._value(path)

    def _value(self, path: Place) -> None:
        token = self._peek()
        if token == "[":
            self._at += 1
            self._items(path, "]")
        elif token == "{":
            self._at += 1
            self._items(path, "}")
        else:
            while self._at < len(self._tokens) and self._peek() not in (",", "]", "}", "\n"):
                self._at += 1

    def _items(self, path: Place, end: str) -> None:
        position = 0
        while self._at < len(self._tokens) and self._peek() != end:
            if self._peek() in (",", "\n"):
                self._at += 1
            elif end == "}":
                self._pair(path, ("}", ","))
            else:
                self.lines.setdefault((*path, position), self._tokens[self._at][2])
                before = self._at
                self._value((*path, position))
                self._at += self._at == before
                position += 1
        self._at += 1

    def _keys(self, ends: tuple[str, ...]) -> Place:
        keys: list[str | int] = []
        while self._at < len(self._tokens) and self._peek() not in ends:
            kind, token, _ = self._tokens[self._at]
            if kind in ("string", "bare"):
                keys.append(token[1:-1] if kind == "string" else token)
            self._at += 1
        return tuple(keys)

    def _peek(self, ahead: int = 0) -> str:
        return self._tokens[self._at + ahead][1] if self._at + ahead < len(self._tokens) else ""
