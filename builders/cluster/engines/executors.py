"""Ranks dealt out to tasks of an executor: what each needs, what each does, where the executor keeps its records."""

from __future__ import annotations

import contextlib
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
    """What one task needs, and how many."""

    tasks: int | None = None
    """The missing ranks are dealt out over so many; one task for each rank by default."""
    at_once: int | None = None
    """Tasks at a time; as many as fit by default."""
    cpus: int = 1
    gpus: int = 0
    memory_gb: int = 2
    """For each CPU. Slurm and Ray always ask for it."""
    time: str = "1:00:00"
    """Of one task, as Slurm writes it."""
    partition: str | None = None
    qos: str | None = None
    setup: str | None = None
    """A shell command before the work, such as ``module load cuda``."""
    sbatch: Mapping[str, str] = field(default_factory=dict)
    """Further options of ``sbatch``."""
    address: str = "auto"
    """Of the Ray cluster; ``local`` starts one here."""
    flavor: str = "cpu-basic"
    """Hardware of a Hub job."""
    namespace: str | None = None
    package: str | None = None
    """What ``pip install`` takes for camtrace in a Hub job; this version by default."""


@dataclass(frozen=True)
class Submission:
    """Ranks that are to be run."""

    place: StorageFolder
    """Of the plan."""
    ranks: tuple[int, ...]
    """That are missing."""
    options: EngineOptions

    def shares(self) -> list[str]:
        """The ranks of each task, as ``--rank`` takes them; neighbours apart, so that tasks are about equally long."""
        tasks = min(len(self.ranks), self.options.tasks or len(self.ranks))
        return [ranks_text(self.ranks[task::tasks]) for task in range(tasks)]


@dataclass(frozen=True)
class Task:
    """The step of datatrove's pipeline: the ranks of a task, in a process of their own that ends with this one."""

    plan: str
    shares: tuple[str, ...]

    def __call__(self, data: Any, rank: int, world_size: int) -> None:
        """Raises ``RuntimeError`` where a rank failed, so that the executor does not take the task for done."""
        command = [sys.executable, "-m", "camtrace", "work", self.plan, "--rank", self.shares[rank]]
        parent = os.getppid()
        child = subprocess.Popen(command, env={**os.environ, ENDS_WITH_PARENT: "1"})
        while child.poll() is None:
            if os.getppid() != parent:  # whoever runs this task was killed
                child.kill()
                os._exit(1)
            time.sleep(0.2)
        if child.returncode:
            raise RuntimeError(
                f"ranks {self.shares[rank]}: status {child.returncode}, see 'camtrace status {self.plan}'"
            )


def executor(name: str) -> Any:
    """A class of datatrove; raises ``UsageError`` where that is not installed."""
    try:
        import datatrove.executor
    except ModuleNotFoundError:
        raise UsageError(missing_package("datatrove", "this engine")) from None
    return getattr(datatrove.executor, name)


def records(place: StorageFolder) -> str:
    """A new folder for what an executor writes down about one submission."""
    return place.path(f"engine/{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """datatrove's log says what the markers say; only its warnings are shown."""
    from loguru import logger

    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    yield
