"""Limits, patterns and tables of modules, as recorded: a change that is meant is recorded again."""

import ast
import importlib
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import builders
from tests.support.recorded import check_recorded

ROOT = Path(builders.__file__).parent
PACKAGES = ("check", "cli", "exif", "flickrexif", "photos", "publish")
NAME = re.compile(r"_*[A-Z][A-Z0-9_]*")


def plain(value):
    """As JSON values; None for what is none: classes, functions, arrays, features."""
    if isinstance(value, re.Pattern):
        return [value.pattern, value.flags]
    if isinstance(value, (Fraction, bytes)):
        return repr(value)
    if isinstance(value, Mapping):
        return [[str(key), plain(each)] for key, each in value.items()]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    return value if isinstance(value, (bool, int, float, str)) else None


def constants(path):
    """Names in capitals that a module gives values, in their order."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Name) and NAME.fullmatch(part.id):
                    yield part.id


def test_constants__of_every_module():
    made = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT.parent).with_suffix("").as_posix().replace("/", ".")
            module = importlib.import_module(name.removesuffix(".__init__"))
            values = {constant: plain(getattr(module, constant)) for constant in constants(path)}
            values = {constant: value for constant, value in values.items() if value is not None}
            if values:
                made[name.removeprefix("builders.")] = values
    assert sum(map(len, made.values())) > 100
    check_recorded("constants-of-builders", made, tolerance=1e-9)
