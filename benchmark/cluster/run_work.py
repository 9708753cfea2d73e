"""The work of a planned run on this machine: ranks that embed, and ranks that compute tasks on the embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.cluster.embed import EmbeddingWork
from benchmark.cluster.plan_form import TaskUnit
from benchmark.cluster.planned_run import PlannedRun
from benchmark.cluster.request import request_of
from benchmark.cluster.task_work import TaskWork
from benchmark.compute import share_machine
from benchmark.scoring import device_name
from builders.cluster import Plan, ProgressCallback, RankResult, StorageFolder, ranks_here


class RunWork:
    """Either work of a plan; each is opened when a rank needs it, and the other is then closed."""

    def __init__(self, plan: Plan, storage: StorageFolder) -> None:
        share_machine(ranks_here())
        self._plan, self._storage = plan, storage
        self._planned = PlannedRun.of(request_of(plan), Path("unused"), device=plan.notes["device"])
        self.device = device_name(str(plan.notes["device"]))
        self._work: EmbeddingWork | TaskWork | None = None

    def facts(self, units: Sequence[str]) -> dict[str, str]:
        """Facts that the plan holds too, on which units depend."""
        return self._of(units).facts(units)

    def run(self, units: Sequence[str], tick: ProgressCallback) -> RankResult:
        """Do the units."""
        return self._of(units).run(units, tick)

    def close(self) -> None:
        """Release memory and files."""
        if self._work is not None:
            self._work.close()
        self._work = None

    def _of(self, units: Sequence[str]) -> EmbeddingWork | TaskWork:
        kind = TaskWork if TaskUnit.names_one(units[0]) else EmbeddingWork
        if not isinstance(self._work, kind):
            self.close()
            self._work = kind(self._plan, self._storage, self._planned)
        return self._work
