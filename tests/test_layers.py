"""The layout stays true: few packages, their public APIs, and imports that run one way."""

import ast
import functools
import importlib
import re
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SIDES = ("benchmark", "builders")
WITHOUT_STUB = {"benchmark.cli", "benchmark.extras.copies"}
"""Their modules are loaded by name, so that they have no public API."""

EAGER = {"benchmark.metrics"}
"""Users import it by name and ``evaluate`` loads its folders, so that its public API is an eager one."""

LARGEST_FOLDER = 16
"""Modules that a reader can hold in mind."""


def packages(side):
    """Folders with code and modules at the top of a side, by dotted name; ``__init__`` and ``__main__`` aside."""
    top = ROOT / side
    paths = [p.parent for p in top.glob("*/__init__.py") if p.parent.name != "extras"]
    paths += [p for p in top.glob("*.py") if p.stem[:2] != "__"]
    extras = [p.parent for p in top.glob("extras/*/__init__.py")]
    return {f"{side}.{p.stem}": p for p in paths} | {f"{side}.extras.{p.name}": p for p in extras}


PACKAGES = {name: path for side in SIDES for name, path in packages(side).items()}
PUBLIC_APIS = sorted(name for name, path in PACKAGES.items() if path.is_dir() and name not in WITHOUT_STUB | EAGER)


@functools.cache
def nodes(path):
    """The parts of a module's syntax that tests look at: every import, expression and constant."""
    kinds = (ast.ImportFrom, ast.Import, ast.Expr, ast.Constant)
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kinds)]


@functools.cache
def imports(path):
    """(dotted module, names) of each import of our modules, at the top and in functions."""
    pairs = []
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in SIDES:
            pairs.append((node.module, tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.Import):
            pairs += [(a.name, ()) for a in node.names if a.name.partition(".")[0] in SIDES]
    return pairs


def package_of(module):
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[1:2] == ["extras"] else 2])


@functools.cache
def files(path):
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_imports(side):
    """{module: modules of the same side that it imports}; imports in functions and for types alone count too."""
    modules = {module_name(path): path for path in files(ROOT / side)}
    graph = {}
    for name, path in modules.items():
        pairs = [(f"{module}.{what}", module) for module, names in imports(path) for what in (*names, "")]
        graph[name] = {next((m for m in pair if m in modules), name) for pair in pairs} - {name}
    return graph


@pytest.mark.parametrize("side", SIDES)
def test_modules__import_each_other_in_no_circle(side):
    graph = module_imports(side)
    assert sum(map(len, graph.values())) > len(graph)
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError where modules import each other
    assert set(order) == set(graph)


def test_folders__hold_few_modules():
    modules = [path for side in SIDES for path in files(ROOT / side) if path.name != "__init__.py"]
    sizes = Counter(path.parent for path in modules if "node_modules" not in path.parts)
    assert {str(folder.relative_to(ROOT)): n for folder, n in sizes.items() if n > LARGEST_FOLDER} == {}


@pytest.mark.parametrize("name", PUBLIC_APIS)
def test_public_api__is_an_exact_list_of_what_other_packages_use(name):
    """Every name of the list exists, no module of the package has the same name, and every use is on the list."""
    package = importlib.import_module(name)
    assert package.__doc__
    names = list(package.__all__)
    assert names == sorted(set(names))
    assert names
    for public in names:
        assert not (PACKAGES[name] / f"{public}.py").exists()
        assert not (PACKAGES[name] / public).is_dir()
        assert getattr(package, public) is not None
    used = {
        imported
        for other, path in PACKAGES.items()
        if other != name
        for file in files(path)
        for module, what in imports(file)
        if module == name
        for imported in what
    }
    assert used <= set(names)


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_package__imports_only_public_apis_of_other_packages(name):
    private = [
        f"{file.relative_to(ROOT)}: {module}"
        for file in files(PACKAGES[name])
        for module, _ in imports(file)
        if package_of(module) != name
        and package_of(module) in {*PUBLIC_APIS, *WITHOUT_STUB}
        and module != package_of(module)
    ]
    assert not private


def strings(path):
    """Every string constant of a module that is no docstring."""
    docs = {id(n.value) for n in nodes(path) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_tasks__are_named_by_no_code_but_their_own():
    """A new task must not be entered anywhere else, so that no other code may name a task."""
    pattern = re.compile(r"\b(probe|knn|retrieval)/")
    named = [
        f"{path.relative_to(ROOT)}: {text!r}"
        for path in files(ROOT / "benchmark")
        if not {"tasks", "extras"} & {*path.parent.parts}
        for text in strings(path)
        if pattern.search(text) and not text.startswith(("such as ", "camtrace "))  # help may give an example
    ]
    assert not named


def test_builders__never_import_torch_or_benchmark():
    for path in files(ROOT / "builders"):
        assert not [module for module, _ in imports(path) if module.startswith("benchmark")], path
        names = {a.name.partition(".")[0] for n in nodes(path) if isinstance(n, ast.Import) for a in n.names}
        names |= {(n.module or "").partition(".")[0] for n in nodes(path) if isinstance(n, ast.ImportFrom)}
        assert "torch" not in names, path
