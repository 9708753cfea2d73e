"""Fetching by ranks: the plan freezes lists of what to fetch, ranks fetch it, ``finish`` imports it into the state.

The limits of a run (``--connections``, ``--per-host``) are divided by the ranks, so that a host never has more
connections from all ranks together than from one machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from builders.cluster import Finished, FinishOptions, Plan, RankPlan, StorageFolder, cut, read_plan, retire_plan
from builders.errors import DataError, UsageError
from builders.flickrexif.fetch.fetch import pending_requests, retryable_photos
from builders.flickrexif.fetch.import_files import import_files
from builders.flickrexif.fetch.rank_work import (
    INCOMING,
    LISTS,
    PHOTOS_PER_UNIT,
    ROWS,
    FetchWork,
    describe_list,
    fact_name,
    list_names,
    list_path,
    rows_path,
)
from builders.flickrexif.fetch.transfer import FetchPlan, FetchRequest
from builders.flickrexif.store.schema import IMPORTED_PLANS
from builders.flickrexif.store.store import FILES, State
from builders.flickrexif.store.tombstones import remove_taken_down


class FetchRanks:
    """``camtrace plan build flickrexif fetch`` (a ``builders.cluster.RankedWork``).

    Args:
        args: of the step ``fetch``.
        plan: how one machine would fetch.
    """

    def __init__(self, args: argparse.Namespace, plan: FetchPlan) -> None:
        self._folder: Path = args.state
        self._plan = plan

    def planned(self, place: StorageFolder, rank_seconds: float, count: int | None) -> dict[str, Any]:
        """Freeze lists of what to fetch. Nothing is fetched, and the state is not changed.

        Args:
            place: folder of the plan.
            rank_seconds: not used; the speed of servers is not known.
            count: of ranks; as many as the limits allow if absent.

        Raises:
            UsageError: more ranks than connections to a host, or another fetch is running.
            DataError: there is nothing to fetch.
        """
        most = min(self._plan.connections, self._plan.per_host)
        if count is not None and count > most:
            raise UsageError(
                f"--ranks {count}: ranks divide --connections {self._plan.connections} and --per-host "
                f"{self._plan.per_host}, so that servers see no more of us; give at most {most}, or raise those"
            )
        with State(self._folder) as state, state.exclusive("fetch"):
            remove_taken_down(state)
            _retire_imported_plan(state, place)
            again = retryable_photos(state, self._plan.sizes) if self._plan.retry_failed else {}
            requests = list(pending_requests(state, self._plan.sizes, again))[: self._plan.limit]
            mean_bytes = state.value("SELECT avg(bytes) FROM files WHERE status = 'ok'")
        if not requests:
            raise DataError(f"{self._folder}: nothing is left to be fetched")
        lists, ranks = _cut(requests, count or most)
        if place.folder is not None:  # it contains addresses of people's photos: only this user may read them
            place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return {
            "ranks": ranks,
            "facts": {fact_name(name): describe_list(data) for name, data in lists.items()},
            "estimate": {
                "seconds": None,
                "bytes": None if mean_bytes is None else round(mean_bytes * len(requests)),
                "items": "photos to fetch",
            },
            "files": {list_path(name): data for name, data in lists.items()},
        }

    def open(self, plan: Plan, place: StorageFolder) -> FetchWork:
        """The work of ranks on this machine, each with its share of the limits."""
        share = len(plan.ranks)
        rank_plan = replace(
            self._plan,
            connections=max(1, self._plan.connections // share),
            per_host=max(1, self._plan.per_host // share),
        )
        return FetchWork(place, rank_plan)

    def finish(self, plan: Plan, done: Mapping[int, Finished], place: StorageFolder, how: FinishOptions) -> int:
        """Import what all ranks fetched into the state. Returns the exit status.

        Args:
            plan: of the ranks.
            done: results by rank.
            place: folder of the plan.
            how: options of ``finish``.

        Raises:
            DataError: a file is missing, or differs from what its rank fetched.
            UsageError: another fetch is running, or an option does not apply.
        """
        if how.output is not None or how.push_to is not None:
            raise UsageError("what was fetched goes into the state; 'camtrace build flickrexif build' makes a data set")
        with State(self._folder) as state, state.exclusive("fetch"):
            if plan.name in (state.setting(IMPORTED_PLANS) or ()):
                print("the state has it already")
                return 0
            remove_taken_down(state)
            counts = import_files(state, place, {p: h for rank in done.values() for p, h in rank.files.items()})
            state.set(IMPORTED_PLANS, [*(state.setting(IMPORTED_PLANS) or ()), plan.name])
        _remove_files(plan, place)
        print(counts.to_text())
        return 0


def _cut(requests: list[FetchRequest], count: int) -> tuple[dict[str, bytes], tuple[RankPlan, ...]]:
    """The list of each rank by name, and the ranks."""
    units = [requests[start : start + PHOTOS_PER_UNIT] for start in range(0, len(requests), PHOTOS_PER_UNIT)]
    costs = [(str(number), len(unit), float(len(unit))) for number, unit in enumerate(units)]
    lists: dict[str, bytes] = {}
    ranks = []
    for rank in cut(costs, 0.0, min(count, len(units))):
        rank_units = [units[int(number)] for number in rank.units]
        data = "".join(json.dumps(request) + "\n" for unit in rank_units for request in unit).encode()
        name = hashlib.sha256(data).hexdigest()[:16]
        lists[name] = data
        ranks.append(RankPlan(tuple(f"{name}/{number}" for number in range(len(rank_units))), rank.size))
    return lists, tuple(ranks)


def _retire_imported_plan(state: State, storage: StorageFolder) -> None:
    """Retire the plan in the folder if its files are in the state, so that the next plan can take its place."""
    try:
        plan, _ = read_plan(str(storage))
    except DataError:
        return
    if plan.name in (state.setting(IMPORTED_PLANS) or ()):
        retire_plan(storage)


def _remove_files(plan: Plan, storage: StorageFolder) -> None:
    """Remove lists, rows and files of an imported plan: they contain addresses and ids of people's photos."""
    units = [unit for rank in plan.ranks for unit in rank.units]
    for path in (*map(list_path, list_names(units)), *map(rows_path, units)):
        storage.remove(path)
    if storage.folder is not None:
        for name in (FILES, INCOMING, LISTS, ROWS):
            shutil.rmtree(storage.folder / name, ignore_errors=True)
