"""Tests speak to public names: how often they still reach into the product may only fall."""

import ast
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PRODUCT = ("benchmark", "builders", "camtrace")

MOST_PRIVATE = 42
"""Imports and uses of private names of the product."""

MOST_PATCHES = 250
"""Parts of the product that a test replaces."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def of_product(module: str | None) -> bool:
    return (module or "").partition(".")[0] in PRODUCT


def reaches(tree: ast.Module) -> Counter[str]:
    """How often a module of tests imports or uses private names of the product, and how often it patches it.

    >>> reaches(ast.parse("from benchmark.knn import keys, _pack\\nkeys._largest\\nmonkeypatch.setattr(keys, 'a', 1)"))
    Counter({'private': 2, 'patch': 1})
    """
    counts: Counter[str] = Counter()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and of_product(node.module):
            counts["private"] += sum(is_private(alias.name) for alias in node.names)
            modules |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {a.asname or a.name.partition(".")[0] for a in node.names if of_product(a.name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            counts["private"] += ast.unparse(node.value).partition(".")[0] in modules
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            target = node.args[0]
            text = target.value if isinstance(target, ast.Constant) else ast.unparse(target)
            start = str(text).partition(".")[0]
            if node.func.attr in ("setattr", "setitem", "delattr", "patch", "object"):
                counts["patch"] += start in modules or start in PRODUCT
    return +counts


@pytest.mark.slow
def test_reaches__into_the_product_only_fall() -> None:
    """Lower the numbers when they fall; what raises them is tested through a public name, a command or a file."""
    counts: Counter[str] = Counter()
    for path in TESTS.rglob("*.py"):
        counts += reaches(ast.parse(path.read_text(encoding="utf-8")))
    assert counts["private"] <= MOST_PRIVATE
    assert counts["patch"] <= MOST_PATCHES


def test_reaches__are_seen() -> None:
    code = "import benchmark.knn as k\nfrom builders.files import _x, y\nk._z\ny.z\n"
    code += "m.setattr('builders.a.b', 1)\nm.setattr(y, 'q', 2)"
    assert reaches(ast.parse(code)) == {"private": 2, "patch": 2}
