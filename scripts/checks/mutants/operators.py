"""Small faults that can be put into Python source: one changed token, term, argument or statement each.

The operators are the usual ones of mutation testing (Offutt et al., "An experimental determination of sufficient mutant
operators", TOSEM 1996), and some for faults of argument lists. Texts of messages, annotations, decorators, imports,
docstrings and assertions (``strict`` of ``zip`` is one) are left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

_COMPARISONS = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}  # fmt: skip
_ARITHMETIC = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"),
    ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}  # fmt: skip
_PAIRS = (
    ("min", "max"), ("any", "all"), ("minimum", "maximum"), ("argmin", "argmax"), ("floor", "ceil"),
    ("mean", "median"), ("startswith", "endswith"), ("lstrip", "rstrip"), ("lower", "upper"), ("zeros", "ones"),
    ("intersection", "union"), ("partition", "rpartition"), ("nanmin", "nanmax"), ("add", "discard"),
)  # fmt: skip
_NAMES = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])} | {"sorted": "list", "round": "int", "abs": "float"}
"""Functions and methods -> what a mistake would call instead."""

_HOLD_KEYS = (ast.Subscript, ast.Compare, ast.Dict, ast.Tuple, ast.Set, ast.List)


@dataclass(frozen=True)
class Mutant:
    """One changed place of a source."""

    line: int
    """From 1."""
    start: int
    end: int
    """Characters ``start`` to ``end`` of the source are replaced."""
    new: str
    operator: str

    def applied(self, source: str) -> str:
        """The source with the fault."""
        return source[: self.start] + self.new + source[self.end :]


def mutants_of(source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines; some of them may compute the same.

    >>> [m.applied("small = a < 3 or b") for m in mutants_of("small = a < 3 or b")][:3]
    ['small = a < 3 and b', 'small = a < 3', 'small = a <= 3 or b']
    """
    tree = ast.parse(source)
    walk = _Walk(source, tree)
    made = [mutant for node in ast.walk(tree) if node not in walk.left_alone for mutant in walk.of(node)]
    return sorted((m for m in made if source[m.start : m.end] != m.new), key=lambda m: m.line)


def changes(source: str, mutant: Mutant) -> bool:
    """Whether the mutated source is valid Python, and another program.

    >>> changes("x = 1", Mutant(1, 4, 5, "2", "number")), changes("x = 1", Mutant(1, 4, 5, "(1)", "number"))
    (True, False)
    """
    try:
        return ast.dump(ast.parse(mutant.applied(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


class _Walk:
    """Nodes of a module with their places in its text."""

    def __init__(self, source: str, tree: ast.Module) -> None:
        self._source = source
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self.left_alone = {inner for node in _left_alone(tree) for inner in ast.walk(node)}

    def of(self, node: ast.AST) -> Iterator[Mutant]:
        """The mutants of one node, without those of its parts."""
        if isinstance(node, ast.Compare):
            for (left, right), operator in zip(pairwise((node.left, *node.comparators)), node.ops, strict=True):
                yield from self._between(left, right, *_COMPARISONS[type(operator)], "comparison")
        elif isinstance(node, ast.BoolOp):
            word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            if len(node.values) == 2:
                yield from self._between(*node.values, word, other, "and or or")
            yield self._replaced(self._end(node.values[-2]), self._end(node.values[-1]), "", "a term less")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield self._instead(node, f"({self._text(node.operand)})", "no not")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield self._instead(node, f"({self._text(node.operand)})", "no minus")
        elif isinstance(node, ast.BinOp):
            if type(node.op) in _ARITHMETIC and not any(_is_text(side) for side in (node.left, node.right)):
                yield from self._between(node.left, node.right, *_ARITHMETIC[type(node.op)], "arithmetic")
        elif isinstance(node, ast.If | ast.While | ast.IfExp):
            if isinstance(node, ast.IfExp) or not isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp):
                yield self._instead(node.test, f"not ({self._text(node.test)})", "condition")
        elif isinstance(node, ast.Constant):
            yield from self._constant(node)
        elif isinstance(node, ast.Call):
            yield from self._call(node)
        elif isinstance(node, ast.comprehension):
            for condition in node.ifs:
                yield self._instead(condition, "True", "no filter")
        elif isinstance(node, ast.Slice):
            if node.step is None and (node.lower is None) != (node.upper is None):
                bound = self._text(node.lower or node.upper or node)
                yield self._instead(node, f"{bound}:" if node.lower is None else f":{bound}", "other part")
        elif isinstance(node, ast.Return):
            if node.value is not None and not isinstance(node.value, ast.Constant):
                yield self._instead(node.value, "None", "nothing returned")
        elif self._is_removable(node):
            yield self._instead(node, "pass", "a statement less")

    def _is_removable(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Assign):
            return any(isinstance(target, ast.Subscript | ast.Attribute) for target in node.targets)
        if isinstance(node, ast.Raise):
            return not isinstance(self._parents[node], ast.ExceptHandler)
        called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        return called or isinstance(node, ast.AugAssign | ast.Continue | ast.Break)

    def _constant(self, node: ast.Constant) -> Iterator[Mutant]:
        value = node.value
        if isinstance(value, bool):
            yield self._instead(node, str(not value), "yes or no")
        elif isinstance(value, int):
            yield self._instead(node, str(value + 1), "number")
        elif isinstance(value, float):
            yield self._instead(node, repr(value * 1.5 or 1.0), "number")
        elif isinstance(value, str) and value.isidentifier() and isinstance(self._parents[node], _HOLD_KEYS):
            yield self._instead(node, repr(f"{value}_"), "key")

    def _call(self, node: ast.Call) -> Iterator[Mutant]:
        name = getattr(node.func, "id", getattr(node.func, "attr", None))
        if name in _NAMES:
            end = self._end(node.func)
            yield self._replaced(end - len(name), end, _NAMES[name], "another function")
        if len(node.args) > 1 and not any(isinstance(arg, ast.Starred | ast.GeneratorExp) for arg in node.args[:2]):
            first, second = node.args[:2]
            between = self._source[self._end(first) : self._start(second)]
            text = f"{self._text(second)}{between}{self._text(first)}"
            yield self._replaced(self._start(first), self._end(second), text, "swapped arguments")
        for keyword in node.keywords:
            before = self._source[: self._start(keyword)].rstrip()
            if keyword.arg and keyword not in self.left_alone and before.endswith(","):
                yield self._replaced(len(before) - 1, self._end(keyword), "", "an argument less")

    def _between(self, left: ast.AST, right: ast.AST, word: str, other: str, operator: str) -> Iterator[Mutant]:
        at = self._source.find(word, self._end(left), self._start(right))
        if at >= 0:
            yield self._replaced(at, at + len(word), other, operator)

    def _instead(self, node: ast.AST, new: str, operator: str) -> Mutant:
        return self._replaced(self._start(node), self._end(node), new, operator)

    def _replaced(self, start: int, end: int, new: str, operator: str) -> Mutant:
        return Mutant(self._source.count("\n", 0, start) + 1, start, end, new, operator)

    def _text(self, node: ast.AST) -> str:
        return self._source[self._start(node) : self._end(node)]

    def _start(self, node: ast.AST) -> int:
        return self._at(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def _end(self, node: ast.AST) -> int:
        return self._at(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def _at(self, line: int, column: int) -> int:
        """Position of a place; columns of ``ast`` are bytes of UTF-8."""
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _left_alone(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from node.decorator_list
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            yield node.returns
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            yield node.annotation
        if isinstance(node, ast.Raise) and node.exc:
            yield node.exc
        if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
            yield node
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "zip":
            yield from node.keywords
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield node
