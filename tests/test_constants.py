"""Limits, patterns, tables and declarations of modules, as recorded: a change that is meant is recorded again."""

import ast
import dataclasses
import importlib
import json
import re
import subprocess
import sys
import types
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from tests.support.recorded import check_recorded

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"_*[A-Z][A-Z0-9_]*")


def plain(value, name, named):
    """As JSON values; None for what is none: arrays, features of data sets, objects of libraries.

    Args:
        value: of a constant, or a part of it.
        name: of its place.
        named: by id, where a declaration is written down; elsewhere it is named only. Filled.
    """
    if isinstance(value, re.Pattern):
        return [str(value.pattern), value.flags]
    if isinstance(value, (Fraction, bytes)):
        return repr(value)
    if isinstance(value, str):
        return value.replace(str(ROOT), "...")
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (types.FunctionType, type)):
        return value.__name__
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, Mapping):
        return [[str(key), plain(each, f"{name}[{key}]", named)] for key, each in value.items()]
    if isinstance(value, (tuple, list)):
        return [plain(each, f"{name}[{i}]", named) for i, each in enumerate(value)]
    if dataclasses.is_dataclass(value):
        if named.setdefault(id(value), name) != name:
            return f"= {named[id(value)]}"
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {field: plain(each, f"{name}.{field}", named) for field, each in fields.items()}
    return None


def constants(path):
    """Names in capitals that a module gives values, in their order."""
    for node in ast.parse(path.read_text("utf-8")).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Name) and NAME.fullmatch(part.id):
                    yield part.id


def made(side):
    """Name -> value of every constant of a package."""
    values, named = {}, {}
    for path in sorted((ROOT / side).rglob("*.py")):
        if path.name != "__main__.py" and path.parent.name != "import_names":
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
            module = importlib.import_module(name)
            values |= {f"{name}.{constant}": getattr(module, constant) for constant in constants(path)}
    for name, value in values.items():
        if dataclasses.is_dataclass(value):
            named.setdefault(id(value), name)
    texts = {name: plain(value, name, named) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text is not None}


def test_constants__of_every_module():
    """In a process of its own: other tests add to some tables."""
    code = (
        "import json; from tests.test_constants import made; print(json.dumps([made('benchmark'), made('builders')]))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    for side, of_side in zip(("benchmark", "builders"), json.loads(answer.stdout), strict=True):
        assert len(of_side) > 500
        check_recorded(f"constants-of-{side}", of_side, tolerance=1e-9)
