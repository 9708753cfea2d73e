"""A folder of ``benchmark/extras`` or ``builders/extras`` can be deleted: nothing else misses it."""

import shutil
from pathlib import Path

import pytest

from tests.support.source_copy import SourceCopy

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
if "score" in sys.argv:
    words = "-m control:jpeg-statistics -d sample -t probe/jpeg -t knn/jpeg --workers 0 --cache cache -o results"
    assert camtrace(["score", *words.split()]) == 0
print("all of it")
"""


@pytest.mark.slow
def test_extras__each_can_be_deleted(tmp_path: Path) -> None:
    copy = SourceCopy(tmp_path / "sources")
    for folder in EXTRAS:
        (copy.folder / folder).rename(tmp_path / "deleted")
        assert copy.run(RUN).endswith("all of it\n"), folder
        (tmp_path / "deleted").rename(copy.folder / folder)
    for folder in EXTRAS:
        shutil.rmtree(copy.folder / folder)
    assert copy.run(RUN, "score").endswith("all of it\n")


def test_extras__are_named_by_no_other_code() -> None:
    sources = [path for side in ("benchmark", "builders") for path in (ROOT / side).rglob("*.py")]
    names = [".".join(folder.parts) for folder in EXTRAS]
    others = [path for path in sources if "extras" not in path.parts]
    named = [path for path in others if any(name in path.read_text("utf-8") for name in names)]
    assert named == []
    assert len(EXTRAS) > 3
