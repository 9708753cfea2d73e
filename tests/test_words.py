"""Names and messages use the field's words: a list of words that engineers would have to learn first stands nowhere.

The vocabulary is in CONTRIBUTING ("Words"). The list is short on purpose: words whose plain meaning is needed too
(``found`` in "not found", ``own`` in "your own file") are only refused as whole names.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PRIVATE = {
    "answered": "returned, computed",
    "asked": "requested",
    "beside": "next to, with, together",
    "kept": "stored, cached, saved, reused",
    "listens": "a default callback does nothing",
    "nobody": "no user, no process",
    "ours": "measured, computed",
    "somebody": "a user, another program",
    "strangers": "untrusted",
    "told": "reported, passed, predicted",
    "voice": "console",
}
"""Words that stand in no name and in no message, and what to write."""

VAGUE = {"found": "result, or what it holds", "own": "what it belongs to", "said": "printed, messages"}
"""Words that are no name by themselves."""

NAMES = {
    "unlike_own": "'own' is a value of --preprocess, and the field is about it",
    "found_by": "a column of FlickrExif's tables",
}
STRINGS = {
    "kept": "the state of a row in sweep.json and in the lines that count them, and a key of an audit's result",
    "beside.csv": "a file that reproduce writes",
    "ours": "a column of that file",
    "told": "a key of encoders' details in results, which is part of keys of banks",
}
"""Names that may hold such a word, strings that may be one, and why."""


def words_of(name):
    """The words of a name in either style.

    >>> words_of("PhotosAsked"), words_of("_asked_for")
    (['photos', 'asked'], ['asked', 'for'])
    """
    return re.findall(r"[a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower())


def names(tree):
    """(name, line) of everything that a module defines: functions, classes, parameters, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def messages(tree):
    """(text, line) of string literals but for docstrings and notes under fields."""
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
            yield node.value, node.lineno


def private_names(tree):
    for name, line in names(tree):
        if name.strip("_") not in NAMES and (PRIVATE.keys() & set(words_of(name)) or name.strip("_") in VAGUE):
            yield name, line


def private_messages(tree):
    for text, line in messages(tree):
        bare = "" if text in STRINGS else text.replace("beside.csv", "")
        if text.count("\n") < 3 and PRIVATE.keys() & set(re.findall(r"\b[a-z]+\b", _without_counts(bare))):
            yield text, line


def _without_counts(text):
    """Without the state of a sweep's row where it is counted: ``, 0 kept,``."""
    return re.sub(r"(^|, |\d )kept(,|:|$| )", " ", text)


def modules(*sides):
    return [
        (path, ast.parse(path.read_text("utf-8"))) for side in sides for path in sorted((ROOT / side).rglob("*.py"))
    ]


def listed(search, *sides):
    lines = [f"{p.relative_to(ROOT)}:{line}: {text}" for p, tree in modules(*sides) for text, line in search(tree)]
    return "\n".join(lines)


def test_names__are_in_the_fields_words():
    assert listed(private_names, "benchmark", "builders", "scripts", "tests") == ""


def test_messages__are_in_the_fields_words():
    assert listed(private_messages, "benchmark", "builders") == ""


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def asked_of(x): pass", "asked_of"),
        ("class RowKept: pass", "RowKept"),
        ("def f(told): pass", "told"),
        ("for found in range(3): pass", "found"),
        ("self.beside = 1", "beside"),
        ("f = lambda *own: 0", "own"),
    ],
)
def test_private_names__sees_every_way_to_define_one(code, name):
    assert [defined for defined, _ in private_names(ast.parse(code))] == [name]


def test_private_messages__sees_parts_of_formatted_text_and_no_docstring():
    tree = ast.parse('"""Asked of nobody."""\nx = f"{a} was kept in {b}"\ny = "2 scored, 0 kept"\nz = "not found"\n')
    assert [line for _, line in private_messages(tree)] == [2]


def test_exceptions__are_needed():
    code = "\n".join(
        path.read_text("utf-8") for side in ("benchmark", "builders") for path in (ROOT / side).rglob("*.py")
    )
    assert [exception for exception in (*NAMES, *STRINGS) if not re.search(rf"\b{re.escape(exception)}\b", code)] == []
