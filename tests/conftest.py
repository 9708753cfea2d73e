"""Fixtures that several parts share: a Hub on loopback, small photos, and no way out to the network."""

import contextlib
import gc
import importlib
import os
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

# Small products gain nothing from threads, and threads that wait by spinning slow everything else down. Numpy and torch
# read these when they are imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Compiled modules are kept beside their sources, also where the environment says otherwise (many containers do): the
# processes that tests start, some hundreds, would each compile the packages anew, and every run these tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell lets what it runs in the background ignore Ctrl-C, and every process that this one starts would do so too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What imports and collecting tests make stays, so that looking through it for garbage finds nothing.
gc.disable()

# No test outlives the power: files reach the system, and nobody waits until they have reached the disk.
os.fsync = lambda descriptor: None

# Caches of libraries need a home; where this one cannot be written, one below the temporary folder serves every run.
if not os.access(os.path.expanduser("~"), os.W_OK):
    os.environ["HOME"] = os.path.join(tempfile.gettempdir(), f"home-of-tests-{os.getuid()}")
    os.makedirs(os.environ["HOME"], exist_ok=True)

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from PIL import Image  # noqa: E402

from tests.support.images import image_bytes  # noqa: E402

# How long an example takes depends on what else the machine does, and is no reason to fail.
settings.register_profile(
    "camtrace", deadline=None, max_examples=40, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("camtrace")

# Converting a network takes longer than the tiny runs of tests; those of runtimes ask for them by name.
os.environ.setdefault("CAMTRACE_RUNTIME", "torch")
os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
"""Clients inside the test process see no Hub; those that need one run in a process of their own, against the double."""


def pytest_sessionstart(session):
    """Of several test processes, one compiles what numba makes of each part; the others would do the same beside it.

    Where this one starts them, it also starts the process that forks for them all.
    """
    if number := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"):
        _compile_once(int(number))
    elif session.config.getoption("numprocesses", None) and sys.platform == "linux":
        from tests.support import processes as warm_python

        warm_python.share()


def _compile_once(first):
    from filelock import FileLock

    from benchmark.probe.solver.newton import _KERNELS as probes
    from builders.kernels.cache import kernel_folder
    from builders.pixels.engine.selection import ENGINE_KERNELS
    from builders.simcams.engine import SIMCAMS_KERNELS

    parts = {"probes": probes, "views": ENGINE_KERNELS, "simcams": SIMCAMS_KERNELS}
    kernel_folder().mkdir(parents=True, exist_ok=True)
    for i in range(len(parts)):  # each process begins with another part
        name, kernels = list(parts.items())[(first + i) % len(parts)]
        with FileLock(kernel_folder() / f"{name}.lock"):
            process = kernels.begin()  # nothing where they are compiled
            kernels.wait()
            if process is not None and process.returncode == 0:
                kernels.note()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session):
    """Of several test processes that collect everything, each begins with another part: pytest rewrites the assertions
    of a module that it sees for the first time, and the others find that done."""
    number, count = (os.environ.get(f"PYTEST_XDIST_WORKER{part}", "") for part in ("", "_COUNT"))
    if number and all(Path(arg).is_dir() for arg in session.config.args):
        files = sorted(Path(__file__).parent.rglob("test_*.py"))
        for path in files[int(number.removeprefix("gw")) :: int(count)]:
            with contextlib.suppress(BaseException), warnings.catch_warnings():  # what is wrong is said by the others
                warnings.simplefilter("ignore")
                importlib.import_module(".".join(path.relative_to(session.config.rootpath).with_suffix("").parts))


SLOW_COLLECTION_S = 0.02
_slow_collections: list[float] = []


def pytest_collection_finish():
    """What is imported by now stays: collections of garbage, of which runs ask for many, need not look through it."""
    gc.freeze()
    gc.enable()
    gc.callbacks.append(_note_slow_collection)


def pytest_runtest_logfinish():
    """What tests have imported since, too, once a collection has taken long."""
    if any(seconds > SLOW_COLLECTION_S for seconds in _slow_collections):
        _freeze()
    _slow_collections.clear()


def _freeze():
    gc.collect()
    gc.freeze()


def _note_slow_collection(phase, info):
    if info["generation"] == 2:
        if phase == "start":
            _slow_collections.append(-time.thread_time())
        else:
            _slow_collections[-1] += time.thread_time()


@pytest.fixture
def hub():
    """A fresh ``HubDouble`` in LFS mode."""
    from tests.support.hub import HubDouble

    with HubDouble() as double:
        yield double


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory):
    """A folder of small JPEG photos in ``{train,val}/<class>/``: 2 classes, 12 + 6 photos each, of unequal pasts."""
    root = tmp_path_factory.mktemp("photos")
    for split, count in (("train", 12), ("val", 6)):
        for label, name in enumerate(("cat", "dog")):
            for i in range(count):
                path = root / split / name / f"{i:02d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(photo_bytes(1000 * label + 100 * (split == "val") + i))
    return root


def write_dark_and_light(root, train, val, size):
    """JPEG photos of noise in ``{train,val}/{dark,light}/``, so many of each class; ``size`` is (height, width)."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for label, name in enumerate(("dark", "light")):
            for i in range(count):
                path = root / split / name / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.clip(70 + 110 * label + rng.normal(0, 30, (*size, 3)), 0, 255).astype(np.uint8)
                path.write_bytes(image_bytes(pixels, "JPEG", quality=90))


def photo_bytes(seed, size=None):
    """A JPEG file of smooth noise with an edge, deterministic by seed."""
    random = np.random.default_rng(seed)
    width, height = size or (int(random.integers(40, 80)), int(random.integers(40, 80)))
    coarse = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    image.paste((250, 250, 250), (width // 3, height // 3, width // 2, height // 2))
    return image_bytes(image, "JPEG", quality=(70, 85, 92)[seed % 3], subsampling=("4:2:0", "4:4:4")[seed % 2])
