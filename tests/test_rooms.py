"""The picture of the house stays true: rooms, their faces, and imports between rooms that run one way."""

import ast
import functools
import importlib
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SIDES = ("benchmark", "builders")
OWN_FACE = {"benchmark.metrics"}
"""Users import it by name and ``evaluate`` loads its folders, so its face is an eager one of its own."""


def rooms(side):
    """Folders with code and files at the top of a side, by dotted name; ``__init__`` and ``__main__`` only hand on."""
    top = ROOT / side
    found = [p.parent for p in top.glob("*/__init__.py")] + [p for p in top.glob("*.py") if p.stem[:2] != "__"]
    return {f"{side}.{path.stem}": path for path in found}


ROOMS = {name: path for side in SIDES for name, path in rooms(side).items()}
FACES = sorted(name for name, path in ROOMS.items() if path.is_dir() and name not in OWN_FACE)


@functools.cache
def nodes(path):
    """The parts of a file's syntax that tests look at: every import, expression and constant."""
    kept = (ast.ImportFrom, ast.Import, ast.Expr, ast.Constant)
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kept)]


@functools.cache
def imports(path):
    """Dotted names of our modules that a file imports, at its top and in its functions."""
    found = []
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in SIDES:
            found.append((node.module, tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.Import):
            found += [(a.name, ()) for a in node.names if a.name.partition(".")[0] in SIDES]
    return found


def room_of(module):
    return ".".join(module.split(".")[:2])


@functools.cache
def files(path):
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def arrows(side):
    """{room: rooms of the same side that it imports}."""
    found = {}
    for name, path in rooms(side).items():
        used = {room_of(module) for file in files(path) for module, _ in imports(file)}
        found[name] = {room for room in used if room in ROOMS and room.startswith(f"{side}.")} - {name}
    return found


@pytest.mark.parametrize(("side", "at_most"), [("benchmark", 23), ("builders", 20)])
def test_rooms__few_and_without_a_circle(side, at_most):
    graph = arrows(side)
    assert 10 < len(graph) <= at_most
    assert sum(map(len, graph.values())) > len(graph)
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError where two rooms import each other
    assert set(order) == set(graph)


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_imports(side):
    """{module: modules of the same side that it imports}; imports in functions and for types alone count too."""
    modules = {module_name(path): path for path in files(ROOT / side)}
    graph = {}
    for name, path in modules.items():
        imported = [(f"{module}.{what}", module) for module, names in imports(path) for what in (*names, "")]
        graph[name] = {next((m for m in pair if m in modules), name) for pair in imported} - {name}
    return graph


@pytest.mark.parametrize("side", SIDES)
def test_modules__import_each_other_in_no_circle(side):
    graph = module_imports(side)
    assert sum(map(len, graph.values())) > len(graph)
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError where modules import each other
    assert set(order) == set(graph)


def test_tops__hold_only_what_the_plan_names():
    assert {p.name for p in (ROOT / "benchmark").glob("*.py")} == {"__init__.py", "__main__.py", "judgement.py"}
    assert {p.name for p in (ROOT / "builders").glob("*.py")} == {
        *("__init__.py", "__main__.py", "command_line.py", "errors.py", "files.py", "kinds.py"),
    }


@pytest.mark.parametrize("name", FACES)
def test_face__is_an_exact_list_of_what_other_rooms_use(name):
    """Every name of the list is there, no file of the room bears it, and what others take is on the list."""
    face = importlib.import_module(name)
    assert face.__doc__
    names = list(face.__all__)
    assert names == sorted(set(names))
    assert names
    for public in names:
        assert not (ROOMS[name] / f"{public}.py").exists()
        assert not (ROOMS[name] / public).is_dir()
        assert getattr(face, public) is not None
    used = {
        imported
        for other, path in ROOMS.items()
        if other != name
        for file in files(path)
        for module, what in imports(file)
        if module == name
        for imported in what
    }
    assert used <= set(names)


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_room__takes_from_other_rooms_only_what_their_faces_give(name):
    behind = [
        f"{file.relative_to(ROOT)}: {module}"
        for file in files(ROOMS[name])
        for module, _ in imports(file)
        if room_of(module) != name and room_of(module) in FACES and module != room_of(module)
    ]
    assert not behind


def strings(path):
    """Every text of a file that is no docstring."""
    docs = {id(n.value) for n in nodes(path) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_tasks__are_named_by_no_code_but_their_own():
    """A new question must not be entered anywhere else, so nothing else may tell questions by their names."""
    named = re.compile(r"\b(probe|knn|retrieval)/")
    found = [
        f"{path.relative_to(ROOT)}: {text!r}"
        for path in files(ROOT / "benchmark")
        if path.parent.name != "tasks"
        for text in strings(path)
        if named.search(text) and not text.startswith("such as ")  # help of an option may give an example
    ]
    assert not found


def test_builders__never_import_torch_or_benchmark():
    for path in files(ROOT / "builders"):
        assert not [module for module, _ in imports(path) if module.startswith("benchmark")], path
        names = {a.name.partition(".")[0] for n in nodes(path) if isinstance(n, ast.Import) for a in n.names}
        names |= {(n.module or "").partition(".")[0] for n in nodes(path) if isinstance(n, ast.ImportFrom)}
        assert "torch" not in names, path


def floors(graph):
    """{room: floor}: a room stands one above the highest that it imports; raises ``CycleError`` where that is none."""
    found = {}
    for room in TopologicalSorter(graph).static_order():
        found[room] = 1 + max((found[below] for below in graph[room]), default=0)
    return found


def test_floors__by_hand():
    assert floors({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"c": 1, "b": 2, "a": 3}


if __name__ == "__main__":  # python tests/test_rooms.py
    for side in SIDES:
        graph = arrows(side)
        print(
            f"{side}: {len(graph)} rooms, {max(floors(graph).values())} floors, {sum(map(len, graph.values()))} arrows"
        )
