"""What is imported is declared, what is declared is used, and a missing extra is answered by its pip command."""

import ast
import functools
import re
import subprocess
import sys
import venv
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmark.__main__ import camtrace as run_command
from builders.errors import EXTRA_OF, missing_package

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]

reads_files = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="packages_distributions of Python 3.10 looks at no files of a distribution"
)

EVERY_EXTRA = {
    *("encoders", "figures", "flickr", "sample", "fast", "onnx", "peft", "heic", "jxl", "decoders", "hashes", "tables"),
    *("cluster", "index", "packaged", "ray", "test"),
}
"""What tests and scripts may need."""

PLACES = {
    "builders/flickrexif": {"flickr"},
    "builders/untrusted/addresses.py": {"flickr"},
    "builders/untrusted/ranges.py": {"flickr"},
    "builders/untrusted/records.py": {"tables"},
    "builders/kernels": {"fast"},
    "builders/pixels/engine": {"fast"},
    "builders/simcams/kernels": {"fast"},
    "builders/pixels/codecs.py": {"heic", "jxl"},
    "builders/untrusted/files.py": {"heic"},
    "builders/sources/sample.py": {"sample"},
    "builders/cluster/engines": {"cluster", "ray"},
    "builders": set(),
    "benchmark": {"decoders", "encoders", "fast", "figures", "hashes", "index", "onnx", "packaged", "peft", "sample"}
    | {"tables"},
    "camtrace.py": {"encoders"},
    "tests": EVERY_EXTRA,
    "docs/site": {"docs"},
    "scripts": EVERY_EXTRA,
}
"""Where an import stands -> the extras that it may come from, beside the base. The first that fits counts."""

COMES_ALONG = {
    "_typeshed": "types for mypy, which brings them",
    "typing_extensions": "types for mypy, which brings them",
    "tokenizers": "transformers' own, at the version that it asks for",
    "griffe": "what mkdocstrings reads Python with, and brings",
    "hf_xet": "huggingface_hub's own, imported only beside it",
    "aiobotocore": "s3fs's own, which reads s3:// with a session that follows no redirection",
    "llvmlite": "numba's own compiler, at the version that numba asks for",
    "atheris": "scripts/checks/faults/parser_fuzz.py is guided by it where somebody installed it",
    "cleanlab": "scripts/checks/audit.py compares with it where somebody installed it",
    "lightning": "camtrace.TraceCallback is one of its callbacks where somebody trains with it",
    "pytorch_lightning": "the same, under its older name",
    "wandb": "camtrace.TraceCallback logs to its run where there is one",
    "faiss": "scripts/speed/knn.py compares with it where somebody installed it",
}
"""Imported without being declared, and why."""

NEVER_IMPORTED = {
    "num2words": "transformers' processor of SmolVLM needs it",
    "sniffio": "httpcore tries to import it at every lock",
    "import-linter": "a command of .ci/run",
    "mkdocs-material": "the theme that docs/site/mkdocs.yml names",
    "mkdocstrings": "a plugin that docs/site/mkdocs.yml names",
    "mypy": "a command of .ci/run",
    "pre-commit": "a command for those who want it at every commit",
    "ruff": "a command of .ci/run",
    "types-pyyaml": "read by mypy",
    "types-tqdm": "read by mypy",
    "pytest-timeout": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest: tests in two processes",
    "build": "tests/test_wheel.py runs it",
    "flask": "moto's server stands on it, and does not bring it",
    "flask-cors": "the same",
    "ipykernel": "tests/test_notebook.py runs it",
    "ipywidgets": "tqdm draws with it in the notebook of tests/test_notebook.py",
    "setuptools": "tests/test_wheel.py builds with it, without a network",
}
"""Declared without being imported, and why."""


def pyproject():
    """The table ``[project]``."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def declared():
    """Extra (or ``base``) -> distributions, as pyproject.toml has them."""
    project = pyproject()
    groups = {"base": project["dependencies"], **project["optional-dependencies"]}
    names = {group: {canonicalize_name(Requirement(line).name) for line in lines} for group, lines in groups.items()}
    return {group: result - {"camtrace"} for group, result in names.items()}


@functools.cache
def modules_of(path):
    """(imported modules, all the string constants) of one file, at its top and within functions."""
    imported, words = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words.add(node.value.partition(".")[0])
    return imported - set(sys.stdlib_module_names), words


def files():
    """Every Python file, with the extras that its imports may come from."""
    folders = ("builders", "benchmark", "tests", "scripts", "docs")
    for path in sorted([*ROOT.glob("*.py"), *(file for folder in folders for file in (ROOT / folder).rglob("*.py"))]):
        place = path.relative_to(ROOT).as_posix()
        extras = next(extras for start, extras in PLACES.items() if place == start or place.startswith(f"{start}/"))
        yield path, place, extras


@functools.cache
def own_modules():
    """Names that are found here and not installed: the packages, and folders that scripts import from."""
    return {path.stem for path in (*ROOT.iterdir(), *(ROOT / "scripts").iterdir())}


def distributions_of(module):
    """The distributions that a module may come from; its own name where it is not installed here."""
    return {canonicalize_name(name) for name in installed().get(module, [module])}


@functools.cache
def installed():
    return packages_distributions()


@pytest.mark.slow
@reads_files
def test_imports__are_declared_where_they_are_needed():
    groups, changed = declared(), own_modules()
    missing = [
        f"{place} imports {module}: declare it in pyproject.toml among {sorted({'base', *extras})}"
        for path, place, extras in files()
        for module in sorted(modules_of(path)[0] - changed - set(COMES_ALONG))
        if not distributions_of(module) & set().union(*(groups[group] for group in {"base", *extras}))
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.slow
@reads_files
def test_declarations__are_used():
    groups, result = declared(), {}
    for path, _, extras in files():
        imported, words = modules_of(path)
        if path == Path(__file__):
            words = set()
        for group in {"test"} if "test" in extras else {"base", *extras}:
            result.setdefault(group, set()).update(imported | words)
    unused = [
        f"{name} of [{group}] is imported nowhere there: take it out, or add it to NEVER_IMPORTED with a reason"
        for group, names in groups.items()
        for name in sorted(names - set(NEVER_IMPORTED))
        if not any(name in distributions_of(module) for module in result.get(group, ()) if module.isidentifier())
    ]
    assert not unused, "\n".join(unused)
    assert set(NEVER_IMPORTED) <= set().union(*groups.values())


@reads_files
def test_extra_of__is_what_pyproject_declares():
    groups = declared()
    extras = {
        extra: names - groups["base"]
        for extra, names in groups.items()
        if extra not in ("base", "all", "test", "docs", "dev")
    }
    for module, extra in EXTRA_OF.items():
        assert distributions_of(module) & extras[extra], f"{module} is not in [{extra}]"
    named = set().union(*(distributions_of(module) for module in EXTRA_OF))
    assert set().union(*extras.values()) - set(NEVER_IMPORTED) <= named


def test_all__is_every_extra_that_a_user_may_want():
    lines = pyproject()["optional-dependencies"]
    assert set(Requirement(lines["all"][0]).extras) == set(lines) - {
        "all",
        "test",
        "docs",
        "dev",
        "ray",
        "heic",
        "jxl",
        "packaged",
    }  # ray is 200 MB, heic and jxl are under the GPL, some packaged weights state no licence


WITHOUT = """
import importlib.machinery, runpy, sys
class Installed:  # without some packages: not found, as if they were not there
    find_distributions = staticmethod(importlib.machinery.PathFinder.find_distributions)
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {absent!r}:
            return importlib.machinery.PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [Installed() if f is importlib.machinery.PathFinder else f for f in sys.meta_path]
{then}
"""


def run_without(absent, then, folder):
    """A Python process in ``folder`` that cannot import some modules, as if their extra were not installed."""
    program = WITHOUT.format(absent=set(absent), then=then)
    places = {"PYTHONPATH": str(ROOT), "HF_HOME": str(folder / "hf"), "CAMTRACE_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=places, capture_output=True, text=True, timeout=600
    )


def command(module, *arguments):
    return f"sys.argv[1:] = {list(arguments)!r}; runpy.run_module({module!r}, run_name='__main__')"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("benchmark",), "encoders"),
        (("builders", "flickrexif", "fetch", "--state", "state"), "flickr"),
        (("builders", "folder", "--data", "sample", "--parameter", "jpeg", "--output", "out"), ""),
    ],
)
def test_a_missing_extra__one_sentence_with_its_pip_command(arguments, extra, tmp_path):
    done = run_without(EXTRA_OF, command(*arguments), tmp_path)
    assert done.returncode == 2
    printed = done.stderr.strip().splitlines()
    assert [line for line in printed if line.startswith("camtrace: ")] == printed[-1:], done.stderr
    assert len(printed) <= 2  # the other one says what was going to be done
    if extra:
        assert f"{extra}" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("builders", "--help"), ("benchmark", "--help"), ("benchmark", "list", "encoders")]
)
def test_base_alone__explains_itself(arguments, tmp_path):
    done = run_without(EXTRA_OF, command(*arguments), tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"jpeg|imagenet|bundled", done.stdout)


@pytest.fixture(scope="module")
def base_environment(tmp_path_factory):
    """Python of an environment that holds the base of this one alone, its packages linked, and its size in MB."""
    home = tmp_path_factory.mktemp("base")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    library = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    names, to_see, size = set(), [Requirement(line) for line in pyproject()["dependencies"]], 0
    while to_see:
        requirement = to_see.pop()
        name = canonicalize_name(requirement.name)
        if name in names or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        names.add(name)
        to_see += map(Requirement, distribution(name).requires or ())
        for file in distribution(name).files or ():
            if ".." not in file.parts and not (target := library / file.parts[0]).exists():
                target.symlink_to(distribution(name).locate_file(file.parts[0]))
            size += file.size or 0
    return python, size / 1e6


@pytest.mark.slow
def test_base_alone__audits_compares_and_reads_results_without_torch(base_environment, photo_folder, tmp_path, capfd):
    python, size = base_environment
    print(f"the base is {size:.0f} MB")  # pytest -s shows it
    import camtrace

    result = camtrace.score(
        "control:jpeg-statistics",
        data=f"folder:{photo_folder}",
        tasks=["probe/jpeg", "knn/jpeg", "knn/adversary", "copies/processed"],
        workers=0,
        cache=tmp_path / "bank",
    )
    pairs = camtrace.score(
        "control:jpeg-statistics",
        data="simpairs:procedural?scenes=4&size=48",
        tasks=["retrieval/pairs", "variance/components"],
        workers=0,
        cache=tmp_path / "bank",
    )
    pairs.save(tmp_path / "pairs")
    for name in ("old", "new"):
        result.save(tmp_path / name)
        rows = "".join(f"{i},{right}\n" for i, right in enumerate({"old": "1010", "new": "1110"}[name]))
        (tmp_path / f"{name}.csv").write_text(f"id,right\n{rows}")
    commands = (
        f"audit folder:{photo_folder} --output audit",
        "compare old new --worse-by 5 --exit-code",
        "compare old.csv new.csv --item id --score right --worse-by 1 --output compared",
        "compare old --published 'CLIP (ViT-B/16, WIT)' --across-presets",
        "leaderboard old --output site",
        "verify old",
        f"build folder --source {photo_folder} --parameter jpeg --output built",
        "build check built",
    )
    program = (
        "import importlib.util, shlex, camtrace\n"
        "from benchmark.__main__ import camtrace as command\n"
        "assert not any(map(importlib.util.find_spec, ('torch', 'timm', 'transformers')))\n"
        f"for words in {commands}:\n    assert command(shlex.split(words)) == 0, words\n"
        "import datasets\n"
        "assert datasets.load_dataset('built', 'jpeg', split='train').num_rows == 24\n"
        "results = camtrace.load_results('old')\nresults.save('copy')\nassert len(results)\n"
    )
    places = {"PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "hf"), "CAMTRACE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([str(python), "-c", program], cwd=tmp_path, env=places, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (["verify", "old"], ["verify", "pairs"], ["compare", "old", "new"]):  # answers are read as with torch
        capfd.readouterr()
        words = [str(tmp_path / word) if word in ("old", "new", "pairs") else word for word in words]
        here = [run_command(words), capfd.readouterr().out.splitlines()]
        program = f"from benchmark.__main__ import camtrace as command; raise SystemExit(command({words}))"
        done = subprocess.run([str(python), "-c", program], cwd=tmp_path, env=places, capture_output=True, text=True)
        assert [done.returncode, done.stdout.splitlines()] == here
    assert (tmp_path / "audit" / "audit.html").exists()
    assert (tmp_path / "compared" / "comparison.html").exists()


def test_missing_package__names_what_installs_it():
    assert missing_package("open_clip.model", "x").endswith("pip install 'camtrace[encoders]'")
    assert missing_package("somebodys", "x").endswith("pip install somebodys")
    assert missing_package("skimage", "x", install="'camtrace[sample]'").endswith("pip install 'camtrace[sample]'")
