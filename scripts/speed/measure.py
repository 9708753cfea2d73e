"""The harness of every speed figure: interleaved rounds, two clocks, ratios within a round, peak memory, processes.

A part times several pieces of work in turn and reports ratios of two of them within a round, as medians over rounds:
what else the machine does disturbs both. Nothing that takes long to import is imported before it is needed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import math
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One figure."""

    what: str
    """Two leading spaces mark a detail, which the table of the documentation leaves out."""
    value: float
    unit: str
    n: int | None = None
    """How many rounds, or things, the median is over."""
    seconds: float | None = None
    """Median time of what is compared."""
    processor: float | None = None
    """The same ratio in processor time, which a machine that others use disturbs less."""
    memory: float | None = None
    """The same ratio of peak memory."""
    aim: float | None = None
    threads: int | None = None
    note: str = ""
    wrong: bool = False
    """Whether the figure means that a check failed."""

    def to_json(self) -> dict[str, Any]:
        """The fields that say something; a value that is no number is null."""
        fields = dataclasses.asdict(self)
        filled = {name: value for name, value in fields.items() if not (value is None or value is False or value == "")}
        return {**filled, "value": self.value if math.isfinite(self.value) else None}


@dataclass(frozen=True)
class Seconds:
    """What a piece of work took."""

    wall: float
    processor: float
    """User and system, of this process and of the children that it waited for."""

    def times(self, factor: float) -> Seconds:
        return Seconds(factor * self.wall, factor * self.processor)


@dataclass(frozen=True)
class Times:
    """Seconds of each piece of work in each round, and what it returned.

    >>> times = Times("wall", {"a": [Seconds(2, 1), Seconds(6, 1)], "b": [Seconds(1, 1), Seconds(2, 1)]})
    >>> times.ratio("a", "b"), times.ratio("a", "b", "processor"), times.median("b")
    (2.5, 1.0, 1.5)
    >>> times.scaled("both", {"a": 1, "b": 10}).median("both")
    19.0
    """

    clock: str
    """``wall`` or ``processor``: the one that medians and ratios are of, if no other is named."""
    of: dict[str, list[Seconds]]
    results: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.of.values())))

    def seconds(self, name: str, clock: str = "") -> list[float]:
        return [getattr(one, clock or self.clock) for one in self.of[name]]

    def median(self, name: str, clock: str = "") -> float:
        return statistics.median(self.seconds(name, clock))

    def ratio(self, name: str, to: str, clock: str = "") -> float:
        """Median over rounds of the seconds of ``name`` over those of ``to`` in the same round."""
        pairs = zip(self.seconds(name, clock), self.seconds(to, clock), strict=True)
        return statistics.median(a / max(b, 1e-6) for a, b in pairs)

    def scaled(self, name: str, parts: Mapping[str, float | Sequence[float]]) -> Times:
        """With one piece of work more, that is so many times others; a sequence has a factor for each round."""
        rounds = []
        for i in range(len(self)):
            factors = {part: f if isinstance(f, int | float) else f[i] for part, f in parts.items()}
            each = [self.of[part][i].times(factor) for part, factor in factors.items()]
            rounds.append(Seconds(sum(one.wall for one in each), sum(one.processor for one in each)))
        return dataclasses.replace(self, of={**self.of, name: rounds})


def interleaved(
    work: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    clock: str = "wall",
    warm_up: bool = True,
    settle: Callable[[], object] = lambda: None,
    limit_s: float = float("inf"),
) -> Times:
    """Time every piece of work in turn, ``rounds`` times.

    Args:
        work: by name.
        rounds: that count.
        clock: see ``Times``.
        warm_up: begin with a round that does not count.
        settle: waits until a device has done what it was given; part of the time.
        limit_s: begin no further round after so many seconds.
    """
    until = time.perf_counter() + limit_s
    of: dict[str, list[Seconds]] = {name: [] for name in work}
    results: dict[str, list[Any]] = {name: [] for name in work}
    for i in range(-1 if warm_up else 0, rounds):
        if i > 0 and time.perf_counter() > until:
            break
        for name, run in work.items():
            took, result = timed(run, settle)
            if i >= 0:
                of[name].append(took)
                results[name].append(result)
    return Times(clock, of, results)


def medians_on(device: Any, *work: Callable[[], object], rounds: int = 3) -> list[float]:
    """Median seconds by the clock of each piece of work on a torch device, which works on its own.

    No further round is begun after 20 seconds, so that a check of many figures ends on slow machines too.
    """
    import torch

    def settle() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    names = {str(i): run for i, run in enumerate(work)}
    times = interleaved(names, rounds, settle=settle, limit_s=20.0)
    return [times.median(name) for name in names]


def together(times: Sequence[Times]) -> Times:
    """The rounds of all, one after the other."""
    names = times[0].of
    of = {name: [took for one in times for took in one.of[name]] for name in names}
    results = {name: [result for one in times for result in one.results.get(name, [])] for name in names}
    return Times(times[0].clock, of, results)


def timed(run: Callable[[], T], settle: Callable[[], object] = lambda: None) -> tuple[Seconds, T]:
    """What a call took, and what it returned."""
    wall, processor = time.perf_counter(), processor_s()
    result = run()
    settle()
    return Seconds(time.perf_counter() - wall, processor_s() - processor), result


def processor_s() -> float:
    """User and system seconds so far, of this process and of the children that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_mb() -> float:
    """Largest resident memory of this process so far, without what its parent had when it started this one."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Environment variables that stand within."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """``count`` processes that compute as long as the block lasts."""
    context = multiprocessing.get_context("spawn")
    spinning = [context.Process(target=_spin, daemon=True) for _ in range(count)]
    for process in spinning:
        process.start()
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.join()


def _spin() -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # not longer than the process that started it
        sum(range(100_000))


class ApartError(Exception):
    """A process of its own that gave no result, and why."""


def apart(
    call: str, *arguments: Any, timeout: float | None = None, processor_limit_s: int = 0, **variables: str
) -> Any:
    """The result of a function in a fresh process; what it prints is printed.

    Args:
        call: ``package.module:function``.
        arguments: anything that JSON holds, as the result.
        timeout: seconds by the clock.
        processor_limit_s: seconds of the processor; 0: no limit.
        variables: of its environment.

    Raises:
        ApartError: it failed or was stopped.
    """
    with tempfile.TemporaryDirectory(prefix="camtrace-speed-") as folder:
        file = Path(folder, "result.json")
        command = [sys.executable, "-m", "scripts.speed.measure", call, json.dumps(arguments), str(file)]
        if processor_limit_s:
            command = ["bash", "-c", f'ulimit -t {processor_limit_s} && exec "$@"', "bash", *command]
        try:
            subprocess.run(command, check=True, timeout=timeout, env=child_environment(variables))
        except subprocess.TimeoutExpired:
            raise ApartError("was stopped: the minutes are over") from None
        except subprocess.CalledProcessError as error:
            if processor_limit_s and error.returncode < 0:
                raise ApartError(f"was stopped after {processor_limit_s} s of processor time") from None
            raise ApartError(f"failed with status {error.returncode}, as printed above") from None
        return json.loads(file.read_text())


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Of a process that imports from this checkout."""
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, **variables}


def _apart_here(call: str, arguments: str, file: str) -> None:
    module, _, name = call.partition(":")
    result = getattr(importlib.import_module(module), name)(*json.loads(arguments))
    Path(file).write_text(json.dumps(result))


@dataclass(frozen=True)
class Command:
    """What a command took, from its start to its end."""

    seconds: Seconds
    peak_bytes: int
    """Of the process and its children together: anonymous and shared pages, a page of several once; 0 where that cannot
    be seen (not on Linux)."""


def run_command(command: Sequence[str], **variables: str) -> Command:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; with the end of what it printed.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        env = child_environment(variables)
        process = subprocess.Popen(list(command), env=env, stdout=output, stderr=output)
        watcher = _MemoryWatcher(process.pid)
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        watcher.stop()
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{output.read().decode(errors='replace')[-2000:]}")
    return Command(Seconds(wall_s, used.ru_utime + used.ru_stime), watcher.peak_bytes)


class _MemoryWatcher(threading.Thread):
    """Looks ten times a second at the memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._pid = pid
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.1):
            pids = [self._pid, *_children(self._pid)]
            self.peak_bytes = max(self.peak_bytes, sum(_memory_bytes(pid) for pid in pids))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _children(pid: int) -> Iterable[int]:
    with contextlib.suppress(OSError):
        threads = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for file in threads for child in file.read_text().split()]
    return []


def _memory_bytes(pid: int) -> int:
    """Anonymous and shared pages, each divided by the processes that map it; pages of files can be dropped."""
    with contextlib.suppress(OSError):  # the process has ended
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return 0


@contextlib.contextmanager
def thread_count(count: int) -> Iterator[None]:
    """So many threads of torch and BLAS within."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def usual_thread_counts() -> list[int]:
    """1, 2 and all of torch's."""
    import torch

    most = torch.get_num_threads()
    return sorted({1, min(2, most), most})


def machine() -> str:
    """The processor, the libraries of the products and their threads, and how busy the machine is."""
    import torch
    from threadpoolctl import threadpool_info

    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    pools = [
        f"{pool['internal_api']} {pool['version'] or ''} ({pool['num_threads']} threads)".replace("  ", " ")
        for pool in threadpool_info()
    ]
    mkl = " with MKL" if torch.backends.mkl.is_available() else ""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores of {model}{load}; torch {torch.__version__}{mkl}; {', '.join(pools)}"


def commit() -> str:
    """Of the checkout, with ``+`` if files differ from it; ``unknown`` outside one."""
    command = ["git", "describe", "--always", "--abbrev=9", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


if __name__ == "__main__":
    _apart_here(*sys.argv[1:])
