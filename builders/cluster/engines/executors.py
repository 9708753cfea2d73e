"""Tasks of datatrove's executors: their resources, their ranks, what they run, and the records of an executor."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from builders.cluster.engines.local import ENDS_WITH_PARENT
from builders.cluster.status import ranks_text
from builders.cluster.storage import StorageFolder
from builders.errors import UsageError, missing_package


@dataclass(frozen=True)
class EngineOptions:
    """Number of tasks, and the resources of each."""

    tasks: int | None = None
    """Number of tasks that share the missing ranks; by default a task for each rank."""
    at_once: int | None = None
    """Tasks at a time; by default as many as fit."""
    cpus: int = 1
    gpus: int = 0
    memory_gb: int = 2
    """Memory for each CPU. Slurm and Ray always reserve it."""
    time: str = "1:00:00"
    """Time limit of a task in Slurm's notation."""
    partition: str | None = None
    qos: str | None = None
    setup: str | None = None
    """A shell command before the work, such as ``module load cuda``."""
    sbatch: Mapping[str, str] = field(default_factory=dict)
    """Further options of ``sbatch``."""
    address: str = "auto"
    """Address of the Ray cluster; ``local`` starts a cluster on this machine."""
    flavor: str = "cpu-basic"
    """Hardware of a Hub job."""
    namespace: str | None = None
    package: str | None = None
    """Argument of ``pip install`` for camtrace in a Hub job; by default this version."""


@dataclass(frozen=True)
class Submission:
    """Ranks to be run."""

    place: StorageFolder
    """Folder of the plan."""
    ranks: tuple[int, ...]
    """Missing ranks."""
    options: EngineOptions
    first: bool = True
    """False for ranks that need those of the submission before."""

    def shares(self) -> list[str]:
        """The ranks of each task, as arguments of ``--rank``. Neighbours go to different tasks, for equal durations."""
        tasks = min(len(self.ranks), self.options.tasks or len(self.ranks))
        return [ranks_text(self.ranks[task::tasks]) for task in range(tasks)]


@dataclass(frozen=True)
class Task:
    """Step of datatrove's pipeline: runs the ranks of a task in a child process that ends with this one."""

    plan: str
    shares: tuple[str, ...]
    cpus: int | None = None
    """Cores of a task, which Ray, and Slurm without affinity, leave it to respect; None for all of its machine."""

    def __call__(self, data: Any, rank: int, world_size: int) -> None:
        """Run the ranks. Raises ``RuntimeError`` if one failed, so that the executor counts the task as failed."""
        command = [sys.executable, "-m", "camtrace", "work", self.plan, "--rank", self.shares[rank]]
        command += [] if self.cpus is None else ["--cpus", str(self.cpus)]
        parent = os.getppid()
        child = subprocess.Popen(command, env={**os.environ, ENDS_WITH_PARENT: "1"})
        while child.poll() is None:
            if os.getppid() != parent:  # the executor was killed
                child.kill()
                os._exit(1)
            time.sleep(0.2)
        if child.returncode:
            raise RuntimeError(
                f"ranks {self.shares[rank]}: status {child.returncode}, see 'camtrace status {self.plan}'"
            )


def executor(name: str) -> Any:
    """A class of datatrove. Raises ``UsageError`` if datatrove is not installed."""
    try:
        import datatrove.executor
    except ModuleNotFoundError:
        raise UsageError(missing_package("datatrove", "this engine")) from None
    return getattr(datatrove.executor, name)


def records(place: StorageFolder) -> str:
    """Address of a new folder for the records of an executor about a submission."""
    return place.path(f"engine/{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(_SUBMISSIONS)}")


_SUBMISSIONS = itertools.count()
"""Numbers of this process's submissions, of which it may make several in a second."""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Within it datatrove logs errors only: its other lines repeat the markers."""
    from loguru import logger

    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    yield
