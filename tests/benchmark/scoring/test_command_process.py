"""The command as a process: what it imports and when, what it prints first, how it is stopped."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.cli.score import main
from builders.errors import UsageError
from tests.support.user_project import ROOT, environment, script


def test_score__the_engine_is_compiled_during_the_imports(tmp_path, monkeypatch):
    """Begun before an encoder is even looked for, here one that is not there; not by a dry run."""
    begun = []
    monkeypatch.setattr("builders.pixels.engine.selection.ENGINE_KERNELS.begin", lambda: begun.append("engine"))
    for more, expected in (["--dry-run"], []), ([], ["engine"]):
        named = ["-m", "bundled:nobody", "-d", "sample", "-o", str(tmp_path / "o"), "--cache", str(tmp_path)]
        with contextlib.suppress(UsageError):
            main([*named, *more])
        assert begun == expected


@pytest.mark.slow
def test_load_callable__your_folder_stands_behind_our_packages_in_workers_that_start_anew(project):
    (project / "spawning.py").write_text(
        "import multiprocessing, os, sys\n"
        "def ours(_):\n"
        "    import benchmark, builders, camtrace, cards\n"
        "    return [m.__file__ for m in (benchmark, builders, camtrace, cards)]\n"
        "if __name__ == '__main__':\n"
        "    sys.path = [path for path in sys.path if path not in ('', os.getcwd())]  # as the command has it\n"
        "    from benchmark.encoders import load_encoder\n"
        "    load_encoder('mine:encode')\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(*pool.map(ours, [0])[0], sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "spawning.py"], cwd=project, env=environment(project), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(Path(file).is_relative_to(ROOT) for file in done.stdout.split())


def test_score__says_what_it_does_before_torch_is_imported(tmp_path):
    """The first line is there when the import of torch begins, which takes seconds."""
    (tmp_path / "torch.py").write_text("import sys; sys.exit(77)")
    changed = environment(tmp_path) | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [*script(tmp_path), "score", "--data", "simcams"]
    done = subprocess.run(command, cwd=tmp_path, env=changed, capture_output=True, text=True, timeout=60)
    assert done.returncode == 77
    assert "bundled:efficientnet-lite0" in done.stderr


SLOW = """
import time
import numpy as np

def encode(image):
    time.sleep(0.2)
    return np.asarray(image.resize((4, 4)), dtype=np.float32).ravel()

encode.cache_key = "slow"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_score__stopped_in_one_sentence(project, number, status, word):
    (project / "slow.py").write_text(SLOW)
    command = [*script(project), "score", "-v", "-m", "slow:encode", "-d", "folder:photos", "-o", "never"]
    process = subprocess.Popen(
        command, cwd=project, env=environment(project), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if line.startswith("folder:photos: 102 photos"):
            break
    time.sleep(0.7)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert f"{word}" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert out == ""
