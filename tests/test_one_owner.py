"""Calls that lose or break something outside the one module that knows how to make them stand nowhere else."""

import ast
from pathlib import Path

import pytest

from benchmark.options import OPTIONS

ROOT = Path(__file__).parents[1]

ARRAYS = "builders/untrusted/arrays.py"
PARSING = "builders/untrusted/parsing.py"

OWN_CODE = "lists the package's own modules"
SWEEPS = "leftovers of killed runs: what cannot be listed stays"
EXCEPTIONS = {
    ("benchmark/results/scoring_code.py", "walk"): OWN_CODE,
    ("builders/cluster/plan.py", "rglob"): OWN_CODE,
    ("benchmark/api/training.py", "rglob"): "event files of this process; without one its folder is taken",
    ("benchmark/encoders/loaders/bundled.py", "list"): OWN_CODE,
    ("benchmark/encoders/runtime/cache.py", "list"): "compiled networks, of which the oldest are removed",
    ("benchmark/knn/setups.py", "list"): "finished parts of a search; others are computed again",
    ("builders/files.py", "list"): SWEEPS,
    ("builders/kernels/background.py", "list"): OWN_CODE,
    ("builders/kernels/cache.py", "list"): SWEEPS,
    ("builders/kernels/compile.py", "list"): OWN_CODE,
    ("builders/processed/view_files.py", "list"): "scratch files of this user, and where rows of a data set may lie",
}
"""Where such a call may stand, and why."""

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

FROM_IMPORTS = {"load", "walk", "getsource", "listdir", "scandir"}

READERS_OF_ARRAYS = {"load", "read_array", "read_array_header_1_0", "read_array_header_2_0", "open_memmap", "NpzFile"}


def offending(tree):
    """(name, line) of the calls that only an owner may make, and imports of ``ast``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(alias.name == "ast" for alias in node.names):
            yield "ast", node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module in ("ast", "numpy.lib.format", "numpy.lib"):
            yield node.module, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module in ("numpy", "os", "inspect"):
            yield from ((a.name, node.lineno) for a in node.names if a.name in FROM_IMPORTS)
        elif isinstance(node, ast.Attribute):
            whole = ast.unparse(node)
            if whole.startswith(("np.", "numpy.")) and node.attr in READERS_OF_ARRAYS:
                yield "numpy", node.lineno
            elif whole.startswith("inspect.getsource"):
                yield "getsource", node.lineno
            elif whole in ("os.walk", "os.fwalk"):
                yield "walk", node.lineno
            elif node.attr == "rglob":
                yield "rglob", node.lineno
            elif node.attr in ("iterdir", "listdir", "scandir"):
                yield "list", node.lineno
            elif node.attr == "walk" and whole != "ast.walk":
                yield "walk", node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".glob"):
            yield "rglob" if "**" in ast.unparse(node) else "list", node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("iglob", "glob"):
            yield "rglob", node.lineno


def callers(names):
    """Paths of the modules that call a function, method or class of one of these names."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names
    }


def test_processes__are_started_by_few_modules():
    """Others would lack what ``builders/processes`` does: end with the parent, leave Ctrl-C to it, hold signals."""
    assert callers({"ProcessPoolExecutor", "Pool", "get_context"}) == set(FORKS)


def test_repositories__are_opened_by_few_modules():
    """``DatasetRepo`` checks the card of an untrusted data set first, and limits what is downloaded."""
    assert callers({"load_dataset", "load_dataset_builder", "get_dataset_config_names"}) == set(LOADS)


CHANGES_QUESTION = {option.name for option in OPTIONS if option.changes_question}


def option_lists(tree):
    """Lines of literal lists, sets, tuples and dictionaries that name three options or more, and little else."""
    for node in ast.walk(tree):
        items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
        named = [item for item in items if isinstance(item, ast.Constant) and item.value in CHANGES_QUESTION]
        if len(named) >= 3 and len(named) > len(items) / 2:
            yield node.lineno


def test_options__roles_say_which_change_the_question_and_no_list_does():
    """A list in a second place lacks the next option: two runs that differ in it would pass for equal ones."""
    lists = {p.relative_to(ROOT).as_posix(): list(option_lists(ast.parse(p.read_text("utf-8")))) for p in modules()}
    assert {path: lines for path, lines in lists.items() if lines} == {}
    assert list(option_lists(ast.parse('X = ("protocol", "ties", "seed", "other")'))) == [1]


def modules():
    return sorted(path for side in ("benchmark", "builders") for path in (ROOT / side).rglob("*.py"))


def places(kinds):
    return {
        (path.relative_to(ROOT).as_posix(), kind)
        for path in modules()
        for kind, _ in offending(ast.parse(path.read_text("utf-8")))
        if kind in kinds
    }


def test_arrays__are_read_by_one_module_and_no_other_parses_python():
    """Other readers call ``ast`` in threads, which some Pythons cannot do (CPython gh-106905)."""
    kinds = ("ast", "numpy", "getsource", "load", "numpy.lib", "numpy.lib.format")
    assert places(kinds) == {(ARRAYS, "numpy"), (PARSING, "ast")}


def test_folders__are_walked_by_one_module():
    """Others pass over folders that cannot be listed; ``builders/untrusted/listing.py`` refuses them."""
    owner = ("builders/untrusted/listing.py", "list")
    assert places(("walk", "rglob", "list", "listdir", "scandir")) == {owner, *EXCEPTIONS}


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
        ("os.walk(path)", "walk"),
        ("from os import walk", "walk"),
        ("path.walk()", "walk"),
        ("path.rglob('*')", "rglob"),
        ("path.glob('**/*.json')", "rglob"),
        ("glob.iglob(f'{path}/**')", "rglob"),
        ("path.glob('*.json')", "list"),
        ("sorted(path.iterdir())", "list"),
        ("os.listdir(path)", "list"),
        ("os.scandir(path)", "list"),
        ("from os import scandir", "scandir"),
    ],
)
def test_offending__sees_every_way_to_write_it(code, kind):
    assert [result for result, _ in offending(ast.parse(code))] == [kind]


def test_progress__short_runs_of_the_benchmark_draw_no_bar():
    """A bar waits for a second or more (``step_bar`` for two), and says what is done and what is counted."""
    bars = {
        f"{path.relative_to(ROOT)}:{node.lineno}": words | {k.arg: ast.unparse(k.value) for k in node.keywords}
        for path in modules()
        if path.is_relative_to(ROOT / "benchmark")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("progress_bar", "step_bar")
        for words in [{"step_bar": {"delay": "2"}}.get(ast.unparse(node.func), {})]
    }
    assert len(bars) > 15
    assert [place for place, words in bars.items() if float(words.get("delay", "0")) < 1] == []
    assert [place for place, words in bars.items() if not {"desc", "unit"} <= set(words)] == []


def test_progress__is_shown_by_one_module():
    """``builders/processes/progress.py`` draws on a terminal alone, and counts for the lines that stand elsewhere."""
    calls = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tqdm"
    }
    assert calls == {"builders/processes/progress.py"}


PACKAGED = {
    "benchmark/results/reference_detectors.py",
    "benchmark/results/published.py",
    "benchmark/encoders/provenance.py",
}
"""Modules that read CSV files of this package alone."""


def test_csv__what_others_wrote_may_be_none():
    """``csv.Error`` is no ValueError: a field over 131,072 characters ended a command with a traceback."""
    without = set()
    for path in modules():
        code = path.read_text("utf-8")
        calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)}
        if calls & {"csv.reader", "csv.DictReader"} and "csv.Error" not in code:
            without.add(path.relative_to(ROOT).as_posix())
    assert without == PACKAGED
