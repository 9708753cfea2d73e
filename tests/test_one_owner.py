"""Calls that lose or break something outside the one module that knows how to make them stand nowhere else."""

import ast
import dataclasses
from pathlib import Path

import pytest

from benchmark.options import OPTIONS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]

ARRAYS = "builders/untrusted/arrays.py"
PARSING = "builders/untrusted/parsing.py"


FORKS = {
    "benchmark/views/workers/pool.py": "workers that write views into shared memory, for as long as a run",
    "benchmark/scoring/output.py": "one fork that draws while the run goes on",
    "builders/processes/pool.py": "the owner of pools",
}
"""Modules that start processes by ``multiprocessing``, and why."""

LOADS = {
    "builders/sources/repository.py": "the owner: a repository or a folder of the same form",
    "builders/sources/parquet_splits.py": "resolves the files of a local folder that the owner has checked",
    "builders/flickrexif/search/import_ids.py": "one local table in Parquet, CSV or JSON",
    "builders/check/data_set.py": "checks that a user's load_dataset reads what was built",
    "benchmark/audit/open.py": "streams rows without storing them",
}
"""Modules that call ``datasets.load_dataset``, and why."""

FROM_IMPORTS = {"load", "getsource"}

READERS_OF_ARRAYS = {"load", "read_array", "read_array_header_1_0", "read_array_header_2_0", "open_memmap", "NpzFile"}


def offending(tree):
    """(name, line) of the calls that only an owner may make, and imports of ``ast``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(alias.name == "ast" for alias in node.names):
            yield "ast", node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module in ("ast", "numpy.lib.format", "numpy.lib"):
            yield node.module, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module in ("numpy", "inspect"):
            yield from ((a.name, node.lineno) for a in node.names if a.name in FROM_IMPORTS)
        elif isinstance(node, ast.Attribute):
            whole = ast.unparse(node)
            if whole.startswith(("np.", "numpy.")) and node.attr in READERS_OF_ARRAYS:
                yield "numpy", node.lineno
            elif whole.startswith("inspect.getsource"):
                yield "getsource", node.lineno


@dataclasses.dataclass(frozen=True)
class Module:
    """What is looked for in one module of the product."""

    calls: frozenset[str]
    """Names of functions, methods and classes that it calls."""
    option_lists: tuple[int, ...]
    offences: frozenset[str]


@pytest.fixture(scope="module")
def modules():
    """By path; each is parsed once."""
    made = {}
    for side in ("benchmark", "builders"):
        for path in sorted((ROOT / side).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
            made[path.relative_to(ROOT).as_posix()] = Module(
                frozenset(call.rpartition(".")[2] for call in calls),
                tuple(option_lists(tree)),
                frozenset(kind for kind, _ in offending(tree)),
            )
    return made


def test_processes__are_started_by_few_modules(modules):
    """Others would lack what ``builders/processes`` does: end with the parent, leave Ctrl-C to it, hold signals."""
    starters = {"ProcessPoolExecutor", "Pool", "get_context"}
    assert {path for path, module in modules.items() if module.calls & starters} == set(FORKS)


def test_repositories__are_opened_by_few_modules(modules):
    """``DatasetRepo`` checks the card of an untrusted data set first, and limits what is downloaded."""
    openers = {"load_dataset", "load_dataset_builder", "get_dataset_config_names"}
    assert {path for path, module in modules.items() if module.calls & openers} == set(LOADS)


CHANGES_QUESTION = {option.name for option in OPTIONS if option.changes_question}


def option_lists(tree):
    """Lines of literal lists, sets, tuples and dictionaries that name three options or more, and little else."""
    for node in ast.walk(tree):
        items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
        named = [item for item in items if isinstance(item, ast.Constant) and item.value in CHANGES_QUESTION]
        if len(named) >= 3 and len(named) > len(items) / 2:
            yield node.lineno


def test_options__roles_say_which_change_the_question_and_no_list_does(modules):
    """A list in a second place lacks the next option: two runs that differ in it would pass for equal ones."""
    assert {path: module.option_lists for path, module in modules.items() if module.option_lists} == {}
    assert list(option_lists(ast.parse('X = ("protocol", "ties", "seed", "other")'))) == [1]


def test_arrays__are_read_by_one_module_and_no_other_parses_python(modules):
    """Other readers call ``ast`` in threads, which some Pythons cannot do (CPython gh-106905)."""
    places = {(path, kind) for path, module in modules.items() for kind in module.offences}
    assert places == {(ARRAYS, "numpy"), (PARSING, "ast")}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("np.load(path)", "numpy"),
        ("np.lib.format.read_array(stream)", "numpy"),
        ("read = np.load", "numpy"),
        ("from numpy import load", "load"),
        ("from numpy.lib.format import read_magic", "numpy.lib.format"),
        ("import ast", "ast"),
        ("from ast import literal_eval", "ast"),
        ("inspect.getsourcelines(f)", "getsource"),
    ],
)
def test_offending__sees_every_way_to_write_it(code, kind):
    assert [result for result, _ in offending(ast.parse(code))] == [kind]
