"""Limits, sizes, times and defaults decide what is refused and what a call does: a change is deliberate.

They stand in ``defaults.json``; ``CAMTRACE_WRITE_RECORD_KEYS=1`` writes it anew. New names need not stand there.
"""

import ast
import json
import os
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).with_name("defaults.json")

LITERAL = (ast.Constant, ast.UnaryOp, ast.BinOp, ast.operator, ast.unaryop, ast.Tuple, ast.Load)


def value_of(node):
    """A number, truth value or word, or a tuple of numbers, as text, also where it is computed; None for the rest."""
    if node is None or not all(isinstance(part, LITERAL) for part in ast.walk(node)):
        return None
    value = eval(compile(ast.Expression(node), "default", "eval"), {"__builtins__": {}})
    words = isinstance(value, tuple) and any(isinstance(each, str) for each in value)  # a list that grows
    return None if words or value in (None, "") or " " in str(value).replace(", ", "") else repr(value)


def defaults(body, owner=""):
    """(name, value): constants of a module, fields of its classes, and parameters of its functions and methods."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            every = node.args.posonlyargs + node.args.args
            given = [*zip(reversed(every), reversed(node.args.defaults), strict=False)]
            for parameter, default in [*given, *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]:
                yield f"{owner}{node.name}({parameter.arg})", value_of(default)
        elif isinstance(node, ast.ClassDef):
            yield from defaults(node.body, f"{node.name}.")
        elif isinstance(node, ast.Assign):
            yield owner + ast.unparse(node.targets[0]), value_of(node.value)
        elif isinstance(node, ast.AnnAssign):
            yield owner + ast.unparse(node.target), value_of(node.value)


def test_defaults__are_what_they_were():
    made = {}
    for side in ("benchmark", "builders"):
        for path in sorted((ROOT / side).rglob("*.py")):
            for name, value in defaults(ast.parse(path.read_text("utf-8")).body):
                if value is not None:
                    made.setdefault(name, []).append(value)
    if os.environ.get("CAMTRACE_WRITE_RECORD_KEYS"):
        lines = [f"{json.dumps(name)}: {json.dumps(sorted(values))}" for name, values in sorted(made.items())]
        RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    recorded = json.loads(RECORD.read_text("utf-8"))
    assert len(set(recorded) & set(made)) > 1000
    changed = {name: made[name] for name in set(recorded) & set(made) if Counter(recorded[name]) - Counter(made[name])}
    assert not changed
