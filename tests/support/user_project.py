"""A folder where somebody works: an encoder of their own, photos, some of which are none; and the command in it."""

import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np

from tests.support.images import image_bytes
from tests.support.processes import run_python

ROOT = Path(__file__).parents[2]

ENCODER = """
import numpy as np

def encode(image):
    # mean colour of a 4 x 4 grid, and how much neighbouring pixels differ: content and sharpness
    pixels = np.asarray(image.resize((64, 64)), dtype=np.float32)
    grid = pixels.reshape(4, 16, 4, 16, 3).mean((1, 3)).ravel()
    full = np.asarray(image.convert("L"), dtype=np.float32)
    detail = [np.abs(np.diff(full, axis=0)).mean(), np.abs(np.diff(full, axis=1)).mean(), np.log(full.size)]
    return np.concatenate([grid / 64, np.array(detail)])

encode.cache_key = "grid and detail, 1"

def broken(image):
    raise RuntimeError("this encoder is broken")
"""


OWN_FILES = {
    "benchmark.py": "raise RuntimeError('your own benchmark.py was run')",
    "benchmark/__init__.py": "raise RuntimeError('your own benchmark was imported')",
    "builders/__init__.py": "raise RuntimeError('your own builders was imported')",
    "cards/__init__.py": "raise RuntimeError('your own cards was imported')",
    "camtrace.py": "raise RuntimeError('your own camtrace.py was run')",
}
"""What may lie about in the folder where somebody works, under names that are ours."""


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CAMTRACE_CACHE": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }


def script(folder: Path) -> list[str]:
    """The command as an installation writes it, from the entry point that pyproject.toml names."""
    [line] = re.findall(r'^camtrace = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    module, _, function = line.partition(":")
    path = folder / "bin" / "camtrace"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"import sys\nfrom {module} import {function}\nif __name__ == '__main__':\n    sys.exit({function}())\n"
    )
    return [sys.executable, str(path)]


def run(folder: Path, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``camtrace ARGUMENTS`` in a folder; no mistake may show a traceback."""
    done = run_python(*script(folder)[1:], *arguments, cwd=folder, env=environment(folder), timeout=240)
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done


def picture(label: int, seed: int) -> bytes:
    """A noisy photo whose colour is its class, saved at a random quality."""
    rng = np.random.default_rng(seed)
    colour = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])[label]
    pixels = np.clip(colour + rng.normal(0, 40, (48 + seed % 7, 64, 3)), 0, 255).astype(np.uint8)
    return image_bytes(pixels, "JPEG", quality=int(rng.integers(60, 99)))


def bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


BAD = {
    "train/red/truncated.jpg": picture(0, 1)[:700],
    "train/red/empty.jpg": b"",
    "val/blue/bomb.png": bomb(),
    "val/green/notes.txt": b"not a photo",
}


def write_project(folder: Path) -> None:
    (folder / "mine.py").write_text(ENCODER)
    for name, text in OWN_FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    seed = 0
    for split, count in (("train", 24), ("val", 9)):
        for label, name in enumerate(("red", "green", "blue")):
            for i in range(count):
                path = folder / "photos" / split / name / f"{i:02d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(picture(label, seed := seed + 1))
    for name, data in BAD.items():
        (folder / "photos" / name).write_bytes(data)
    for i in range(2):
        path = folder / "bad" / "class" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"nothing")
