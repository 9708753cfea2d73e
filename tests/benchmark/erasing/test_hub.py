"""An eraser on the Hub: published and loaded by name, with the real client and a test server."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.erasing import ERASER_FILES, FitSet, fit_eraser, save_eraser
from tests.support.processes import run_python

ROOT = Path(__file__).parents[3]
REPO = "camtrace/leace-jpeg"

CLIENT = """
import json, sys
from pathlib import Path

import camtrace
from benchmark.publishing import publish_eraser
from builders.errors import CamtraceError

folder, repo = sys.argv[1:]
for _ in range(2):
    publish_eraser(Path(folder), repo)
eraser, fit = camtrace.load_eraser(repo)
try:
    camtrace.load_eraser("camtrace/nothing-here")
except CamtraceError as error:
    message = str(error)
print(json.dumps({"sha256": eraser.sha256, "fit": fit.digest(), "method": eraser.method, "message": message}))
"""


@pytest.mark.slow
def test_publish__uploads_once_and_the_eraser_is_loaded_by_name(hub, tmp_path):
    rng = np.random.default_rng(0)
    eraser = fit_eraser(rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 2, 40))
    fit = FitSet(FitSet.id_hashes("folder:a", map(str, range(40))), np.arange(1, 41, dtype=np.uint64))
    folder = tmp_path / "eraser"
    save_eraser(
        folder, eraser, fit, about={"attribute": "jpeg"}, card="---\nlibrary_name: camtrace\n---\n# An eraser\n"
    )
    (folder / "results").mkdir()
    (folder / "results" / "result.json").write_text("{}")  # is not uploaded
    environment = {**hub.environment(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    done = run_python("-c", CLIENT, folder, REPO, env=environment)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["sha256"] == eraser.sha256
    assert (result["fit"], result["method"]) == (fit.digest(), "leace")
    assert "Hub" in result["message"]
    repo = hub.repo(REPO, "model")
    assert repo.private
    assert set(repo.files) - {".gitattributes"} == set(ERASER_FILES)
    assert "4 uploaded, 0 unchanged" in done.stderr
    assert "0 uploaded, 4 unchanged" in done.stderr
