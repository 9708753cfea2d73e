"""A folder of its own for one check by the real command: photos, encoders that do harm, cache and logs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.checks.faults.stages import photos

ROOT = Path(__file__).resolve().parents[3]
HONEST = "control:jpeg-statistics"
LIMIT_S = 600.0

ENCODERS = """import ctypes, os, threading, time
import numpy as np
calls = 0
def vector(image):
    pixels = np.asarray(image, dtype=np.float32)
    return np.r_[pixels.mean((0, 1)), pixels.std((0, 1))]
def fails(image):
    global calls
    calls += 1
    if calls > 12 and calls % 10:  # not in the trial of a few photos
        raise ValueError("nine in ten")
    return vector(image)
def longer(image):
    global calls
    calls += 1
    return vector(image) if calls < 40 else np.r_[vector(image), 1]
def generator(image):
    raise GeneratorExit
def forks(image):
    os.fork()
    return vector(image)
def threads(image):
    threading.Thread(target=time.sleep, args=(900,)).start()
    return vector(image)
def chdir(image):
    os.chdir("/")
    return vector(image)
def exits(image):
    os._exit(0)
def segfault(image):
    ctypes.string_at(0)
def slow(image):
    time.sleep(0.8)
    return vector(image)
slow.cache_key = "slow"
"""


@dataclass(frozen=True)
class RunFolder:
    """A folder with photos and encoders, and the command in it."""

    folder: Path

    def photos(self) -> Path:
        """30 photos, as they were at first."""
        shutil.rmtree(self.folder / "photos", ignore_errors=True)
        return photos(self.folder / "photos")

    def run(
        self, *argv: object, prefix: Sequence[str] = (), env: Mapping[str, str] | None = None, stdout: str = ""
    ) -> tuple[int, str]:
        """Exit status of ``camtrace ARGV`` and what it printed, but for what goes to the file ``stdout``."""
        command = [*prefix, sys.executable, "-m", "benchmark", *map(str, argv)]
        (self.folder / "tmp").mkdir(exist_ok=True)
        given = {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.folder)]),
            "CAMTRACE_CACHE": str(self.folder / "cache"),
            "TMPDIR": str(self.folder / "tmp"),
            "HF_HOME": str(self.folder / "hf"),
        }
        log = self.folder / "log"
        with open(log, "wb") as stream, open(stdout or log, "ab") as output:
            done = subprocess.run(
                command, env={**os.environ, **given, **(env or {})}, cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=stream, timeout=LIMIT_S,
            )  # fmt: skip
        return done.returncode, log.read_text(errors="replace")

    def score(self, data: object, name: str, *more: object, models: Sequence[str] = (HONEST,), command: str = "score",
              **how: Any) -> tuple[int, str]:  # fmt: skip
        """A small run whose output is the folder ``name``."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        named = [word for model in models for word in ("-m", model)]
        options = ["--workers", "0", "--runtime", "torch", "-q", "-t", "probe/resizing", "--cache", self.folder / "c"]
        return self.run(command, *named, "-d", data, "-o", self.folder / name, *options, *more, **how)

    def result(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / name / "result.json").read_text()))
