"""Broken machines: folders and files that a disk loses, clocks that jump, few descriptors, little disk, killed workers.

Each kind is a generator: it draws where and when it strikes. A disturbed run must end as the undisturbed one, or say in
a sentence why not; then the same command without the fault must end as the undisturbed one. No secret that is planted
in the environment or in a file may be in an output or in a file of the run.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import errno
import os
import random
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.checks.faults.interrupt import Tally, Trials
from scripts.checks.faults.processes import Ended, ended, start
from scripts.checks.faults.stages import Stage, difference
from tests.support.flickr import KEY, SECRET
from tests.support.hub import OWNER_TOKEN

PLANTED = "pLantedSecret0123456789"
"""Every planted secret contains it."""

PLANTED_VARIABLES: Mapping[str, str] = {
    "HUGGING_FACE_HUB_TOKEN": f"hf_{PLANTED}a",
    "AWS_ACCESS_KEY_ID": f"{PLANTED}b",
    "AWS_SECRET_ACCESS_KEY": f"{PLANTED}c/+d",
    "AWS_SESSION_TOKEN": f"{PLANTED}e",
    "HTTPS_PROXY": f"http://me:{PLANTED}f@proxy.invalid:3128",
    "PIP_INDEX_URL": f"https://me:{PLANTED}g@index.invalid/simple",
    "GITHUB_TOKEN": f"{PLANTED}h",
    "DATABASE_PASSWORD": f"{PLANTED}i",
    "OPENAI_API_KEY": f"{PLANTED}j",
    "AZURE_STORAGE_ACCESS_KEY": f"{PLANTED}k",
    **{
        name: f"{PLANTED}{name}"
        for name in (
            *("ANTHROPIC_API_KEY", "CI_JOB_TOKEN", "DOCKER_AUTH_CONFIG", "GH_TOKEN", "GITLAB_TOKEN", "GOOGLE_API_KEY"),
            *("KAGGLE_KEY", "MLFLOW_TRACKING_PASSWORD", "NPM_TOKEN", "PGPASSWORD", "SLURM_JWT", "TWINE_PASSWORD"),
            *("WANDB_API_KEY", "HUGGINGFACE_TOKEN", "AZURE_CLIENT_SECRET"),
        )
    },
    "DATABASE_URL": f"postgres://me:{PLANTED}x@db.invalid/x",
    "SENTRY_DSN": f"https://{PLANTED}y@sentry.invalid/1",
    "FSSPEC_S3_SECRET": f"{PLANTED}1",
    "FSSPEC_ABFS_SAS_TOKEN": f"{PLANTED}2",
    "AWS_ENDPOINT_URL": f"http://me:{PLANTED}3@127.0.0.1:9",
    "GIT_ASKPASS_PASSWORD": f"{PLANTED}4",
    "UV_INDEX_URL": f"https://me:{PLANTED}z@index.invalid/simple",
}
"""Variables that hold a secret, besides those of the doubles."""

USED_SECRETS = (KEY, SECRET, OWNER_TOKEN)
"""Secrets that the commands send to the doubles."""

Fault = Callable[[random.Random, Path, Path], None]
"""Called in the child before the command with a generator, the folder of the run and that of its input."""


def _numbered(number: int) -> Fault:
    def lose(random_: random.Random, run: Path, data: Path) -> None:
        """Lose one folder or file: it can be seen, but neither listed nor opened, from a moment on."""
        roots = (run, data)
        chance, first = random_.choice((0.02, 0.1, 0.5)), random_.randrange(30)
        count, lost = 0, set[str]()

        def strikes(path: Any) -> bool:
            nonlocal count
            if not isinstance(path, str | bytes | os.PathLike):
                return False
            name = os.path.abspath(os.fsdecode(os.fspath(path)))
            if not any(name.startswith(f"{root}/") for root in roots) or name.endswith(("lock", ".sqlite")):
                return False
            count += 1
            if not lost and count > first and random_.random() < chance:
                lost.add(name)
            return name in lost

        def failing(real: Callable[..., Any]) -> Callable[..., Any]:
            def called(path: Any = ".", *arguments: Any, **named: Any) -> Any:
                if strikes(path):
                    raise OSError(number, os.strerror(number), os.fsdecode(os.fspath(path)))
                return real(path, *arguments, **named)

            return called

        os.scandir, os.listdir, os.open = failing(os.scandir), failing(os.listdir), failing(os.open)
        builtins.open = failing(builtins.open)

    return lose


def _jumping_clock(random_: random.Random, run: Path, data: Path) -> None:
    """The clock of the machine is set once or twice, forwards or backwards; monotonic clocks go on."""
    real, real_ns, started = time.time, time.time_ns, time.monotonic()
    jumps = [
        (random_.uniform(0, 5), random_.choice((-1, 1)) * 10 ** random_.uniform(0, 9))
        for _ in range(random_.choice((1, 2)))
    ]

    def shift() -> float:
        since = time.monotonic() - started
        return sum(by for at, by in jumps if since > at)

    time.time = lambda: max(0.0, real() + shift())  # type: ignore[assignment]
    time.time_ns = lambda: max(0, real_ns() + int(shift() * 1e9))  # type: ignore[assignment]


def _few_descriptors(random_: random.Random, run: Path, data: Path) -> None:
    limit = random_.choice((24, 32, 48, 64))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def _small_files(random_: random.Random, run: Path, data: Path) -> None:
    """No file may grow beyond some size (``ulimit -f``)."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = int(2 ** random_.uniform(10, 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def _mounted(place: str, options: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000):  # CLONE_NEWNS
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)


def _no_shared_memory(random_: random.Random, run: Path, data: Path) -> None:
    """``/dev/shm`` is full, read-only or tiny, as in containers."""
    _mounted("/dev/shm", random_.choice(("size=4k,nr_inodes=1", "size=64k", "ro")))


def _small_scratch(random_: random.Random, run: Path, data: Path) -> None:
    """The folder for temporary files is a disk of 1 MB or less."""
    (run / "tmp").mkdir(parents=True, exist_ok=True)
    _mounted(str(run / "tmp"), f"size={random_.choice((4, 64, 1024))}k")


def _full_output(random_: random.Random, run: Path, data: Path) -> None:
    """Standard output is a device that is full; standard error stays."""
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def _killed_workers(random_: random.Random, run: Path, data: Path) -> None:
    """A child of the command is killed at some moment, as the system does for lack of memory."""
    moment = random_.uniform(0.2, 3.0)

    def kill() -> None:
        time.sleep(moment)
        for _ in range(100):
            with contextlib.suppress(OSError):
                children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
                if children:
                    os.kill(int(random_.choice(children)), signal.SIGKILL)
                    return
            time.sleep(0.02)

    threading.Thread(target=kill, daemon=True).start()


FAULTS: Mapping[str, Fault] = {
    **{f"{name} of a folder or file": _numbered(getattr(errno, name)) for name in ("EACCES", "EIO", "ESTALE")},
    "clock that jumps": _jumping_clock,
    "24 to 64 descriptors": _few_descriptors,
    "files of limited size": _small_files,
    "no /dev/shm": _no_shared_memory,
    "temporary files on 1 MB": _small_scratch,
    "standard output that is full": _full_output,
    "worker killed": _killed_workers,
}
"""By kind."""


def broken_machines(trials: Trials, count: int) -> None:
    """Every kind of fault on every stage in turn."""
    tally, kinds = trials.tally, list(FAULTS)
    planted_file = _plant(trials.scratch)
    for number in range(count):
        stage = trials.stages[number % len(trials.stages)]
        name = kinds[number // len(trials.stages) % len(kinds)]
        folder, seed = trials.new_folder("broken", stage), trials.random.randrange(1 << 30)
        kind, log = f"{stage.name}, {name}", trials.scratch / "broken.log"
        data = trials.scratch / "photos"

        def prepare(seed: int = seed, name: str = name, folder: Path = folder, data: Path = data) -> None:
            os.environ.update(PLANTED_VARIABLES, NETRC=str(planted_file), AWS_SHARED_CREDENTIALS_FILE=str(planted_file))
            FAULTS[name](random.Random(seed), folder, data)

        command = [word if word != "0" or stage.command(folder)[i - 1] != "--workers" or number % 2 else "2"
                   for i, word in enumerate(stage.command(folder))]  # fmt: skip
        end = ended(start(command, folder, log, prepare), log)
        tally.tried[name] += 1
        tally.outcomes[f"{name}: status {end.status}"] += 1
        tally.note(f"{kind} (seed {seed})", end)
        _judge(trials, f"{kind} (seed {seed})", stage, folder, end)
        _note_secrets(tally, f"{kind} (seed {seed})", end, folder)
        _finish(trials, f"{stage.name} after {name} (seed {seed})", stage, folder)
        tally.print_progress(number + 1, "broken machines")


def _finish(trials: Trials, kind: str, stage: Stage, folder: Path) -> None:
    """Run the command without the fault: what it promises is as in the undisturbed run.

    A bank of other photos (of those that could be read) may stay in the cache; one of the same photos has no file more.
    """
    end = ended(start(stage.command(folder), folder, trials.scratch / "broken.log"), trials.scratch / "broken.log")
    trials.tally.note(kind, end)
    expected, outcome = trials.expected[stage.name], stage.outcome(folder)
    promised = [name for name in {**expected, **outcome} if name in expected or not _of_other_bank(name, expected)]
    different = sorted(n for n in promised if expected.get(n) != outcome.get(n) and "/set-aside-" not in n)
    if end.status or different:
        where = difference(trials.undisturbed(stage), folder, different[0]) if different else end.output[-300:]
        trials.tally.wrong.append(f"{kind}: status {end.status}, {len(different)} files differ {different[:1]} {where}")
    else:
        trials.tally.outcomes[f"{stage.name}: equal by hash at the end"] += 1


def _of_other_bank(name: str, expected: Mapping[str, str]) -> bool:
    """Whether a file is of a bank that the undisturbed run has not."""
    bank = name.split("/")[:3]
    return bank[0] == "cache" and all(known.split("/")[:3] != bank for known in expected)


def _judge(trials: Trials, kind: str, stage: Stage, folder: Path, end: Ended) -> None:
    """A run that ended well is equal to the undisturbed one; any other says why."""
    if end.status == 0:
        if stage.outcome(folder) != trials.expected[stage.name] and not _names_a_failure(end.output, folder):
            trials.tally.wrong.append(f"{kind}: status 0, other outputs, and no failure named")
    elif end.status > 0 and not end.traceback and not _says_why(end.output) and "status full output" not in kind:
        trials.tally.wrong.append(f"{kind}: status {end.status} without a sentence: {end.output[-200:]}")


def _says_why(output: str) -> bool:
    """Whether a run that failed ends with a sentence, or has the reason of each encoder in its table.

    >>> _says_why("camtrace: no photo"), _says_why("0 scored, 0 kept, 2 failed."), _says_why("")
    (True, True, False)
    """
    return "camtrace: " in output or re.search(r"\b[1-9]\d* failed", output) is not None


def _names_a_failure(output: str, folder: Path) -> bool:
    """Whether a run that ended well says that something failed, on standard error or in what it wrote."""
    if "warning" in output or "failed" in output or "cannot be" in output:
        return True
    reports = (*folder.rglob("result.json"), *folder.rglob("failures.jsonl"), *folder.rglob("audit.json"))
    return any("cannot be read" in path.read_text(errors="replace") for path in reports)


def _plant(scratch: Path) -> Path:
    path = scratch / "planted"
    path.write_text(
        f"machine hub.invalid login me password {PLANTED}l\n[default]\naws_access_key_id = {PLANTED}m\n"
        f"aws_secret_access_key = {PLANTED}n\n"
    )
    return path


def _note_secrets(tally: Tally, kind: str, end: Ended, folder: Path) -> None:
    """Planted secrets, and those that the doubles accept, in the output or in a file of the run."""
    secrets = [PLANTED, *USED_SECRETS]
    for place, text in (("output", end.output.encode()), *_contents(folder)):
        if any(secret.encode() in text for secret in secrets):
            tally.wrong.append(f"{kind}: a secret in {place}")


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.name, path.read_bytes()
