"""A folder of ``benchmark/extras`` or ``builders/extras`` can be deleted: nothing else misses it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = sorted(path.parent.relative_to(ROOT) for path in ROOT.glob("*/extras/*/extra.py"))

RUN = """
import importlib, pathlib, sys
from benchmark.__main__ import camtrace
for file in sorted(pathlib.Path().glob("b*/**/*.py")):
    module = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    if not module.endswith("__main__") and "import_names" not in module:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:  # of a package that is not installed
            assert error.name.partition(".")[0] not in ("benchmark", "builders"), module
try:
    camtrace(["--help"])
except SystemExit as ended:
    assert ended.code == 0
for what in ("tasks", "data"):
    assert camtrace(["list", what]) == 0
words = "-m control:jpeg-statistics -d sample -t probe/jpeg -t knn/jpeg --workers 0 --cache cache -o results"
assert camtrace(["score", *words.split()]) == 0
print("all of it")
"""


@pytest.mark.slow
@pytest.mark.parametrize("folder", EXTRAS, ids=str)
def test_extras__each_can_be_deleted(folder: Path, tmp_path: Path) -> None:
    for part in ("benchmark", "builders", "cards", "camtrace.py"):
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(ROOT / part, tmp_path)
    shutil.rmtree(tmp_path / folder)
    done = subprocess.run([sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("all of it\n")


def test_extras__are_named_by_no_other_code() -> None:
    sources = [path for side in ("benchmark", "builders") for path in (ROOT / side).rglob("*.py")]
    names = [".".join(folder.parts) for folder in EXTRAS]
    others = [path for path in sources if "extras" not in path.parts]
    named = [path for path in others if any(name in path.read_text("utf-8") for name in names)]
    assert named == []
    assert len(EXTRAS) > 3
