"""``camtrace finish`` of a run, once every rank is done: merges their embeddings and outcomes, and writes results.

Tasks that failed in ranks are run again here. ``benchmark/cli/cluster.py`` checks that the ranks are done.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmark.bank import Bank, key_hash, merge_blocks
from benchmark.cluster.plan_form import TaskUnit
from benchmark.cluster.planned_run import BANKS, PlannedRun
from benchmark.cluster.request import request_of
from benchmark.cluster.task_work import KEY, OUTCOMES, folder_of
from benchmark.publishing import push_folder_of_results
from benchmark.scoring import OUTCOME, ByRanks, CachedOutcome, outcome_entry, planned_passes, require_space
from builders.cluster import (
    Finished,
    FinishOptions,
    Plan,
    RankFiles,
    StorageFolder,
    count_text,
    download_files,
    ranks_text,
    upload_files,
)
from builders.errors import DataError, UsageError
from builders.files import scratch_prefix, write_bytes_atomically
from builders.processes import notice, progress_bar
from builders.untrusted import parse_json


def finish(plan: Plan, done: Mapping[int, Finished], storage: StorageFolder, how: FinishOptions) -> int:
    """Merge and verify, then write results.

    Returns:
        The exit status.
    """
    if plan.kind == "embed":
        if how.push_to is not None or how.output is not None:
            raise UsageError("'embed' fills banks and writes no results; plan 'sweep' to have some")
        return _merged_and_run(plan, done, storage, Path("unused"), how)
    output = StorageFolder.of(plan.output)
    with contextlib.ExitStack() as stack:
        folder = how.output or output.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=scratch_prefix())))
            download_files(output, folder)
        status = _merged_and_run(plan, done, storage, folder, how)
        if how.output is None and output.folder is None:
            upload_files(folder, output)
            notice(f"results were copied to {output}")
        if how.push_to is not None:
            push_folder_of_results(folder, how.push_to, public=how.public)
    return status


def _merged_and_run(
    plan: Plan, done: Mapping[int, Finished], storage: StorageFolder, folder: Path, how: FinishOptions
) -> int:
    run, files = _run_here(plan, folder), RankFiles(plan, storage, done, how.wait_s)
    merged = merge(plan, files, run)
    notice(f"{merged:,} files of blocks were verified; banks in {run.options.cache}")
    status = 0
    if plan.kind != "embed":
        outcomes = _copy_outcomes(plan, files, run.options.cache)
        planned = sum(not TaskUnit.of(unit).parts for unit in _task_units(plan))
        if len(outcomes) < planned:
            notice(f"{planned - len(outcomes)} of {count_text(planned, 'task')} failed in ranks and are tried here")
        run.args.by_ranks = ByRanks(outcomes, machines(plan, done))
        status = int(run.args.run(run.args))
    if how.remove_blocks and not status:
        _remove_blocks(storage)
    return status


def merge(plan: Plan, files: RankFiles, run: PlannedRun) -> int:
    """Fill the banks in the cache from the files of all ranks.

    Returns:
        The number of blocks that were missing in the cache.

    Raises:
        DataError: a file differs from what its rank wrote.
        DiskError: the banks do not fit.
    """
    root = run.options.cache / BANKS
    needed = []
    for number, job in enumerate(run.sets):
        for view_pass in planned_passes(job.tasks, job.photos, run.options):
            views = view_pass.recipe.view_keys()
            needed += [(key, views) for name, key in plan.notes["keys"].items() if name.startswith(f"{number}/")]
        for name, answers in plan.notes.get("answers", {}).items():
            if name.startswith(f"{number}/"):
                needed += [(of_bank["key"], of_bank["views"]) for of_bank in answers]
    require_space([Bank.look(root, key, views) for key, views in needed], root, print)
    count = 0
    with progress_bar(desc="merging", unit="block", delay=2) as bar:
        for key, views in needed:
            bank = Bank.open(root, key, views)
            count += sum(len(bank.missing(name)) for name in bank.names)
            merge_blocks(key, views, bank, lambda path: files.read(f"{BANKS}/{path}"), bar.update)
    return count


def _copy_outcomes(plan: Plan, files: RankFiles, cache: Path) -> dict[tuple[str, str], CachedOutcome]:
    """Copy the outcomes of ranks to the cache, under the keys that their ranks computed.

    Returns:
        The entries by hash of the bank's key and task.

    Raises:
        DataError: a file differs from what its rank wrote, or is the outcome of another task.
    """
    outcomes: dict[tuple[str, str], CachedOutcome] = {}
    specs = [spec for group in plan.notes["groups"] for spec in group]
    written = set(files.paths(OUTCOMES))
    for unit in map(TaskUnit.of, _task_units(plan)):
        bank = plan.notes["keys"][f"{unit.number}/{specs[unit.encoder]}"]
        path = folder_of(bank, unit.task)
        if unit.parts or f"{path}/{OUTCOME}" not in written:
            continue
        content = files.read(f"{path}/{KEY}")
        key = parse_json(content.decode("utf-8", "replace"), path)
        if not isinstance(key, dict) or (key.get("task"), key.get("bank")) != (unit.task, json.loads(json.dumps(bank))):
            raise DataError(f"{files.place.path(path)}: the outcome of another task than its name says; plan again")
        entry = outcome_entry(cache, key)
        write_bytes_atomically(entry.folder / KEY, content)
        write_bytes_atomically(entry.folder / OUTCOME, files.read(f"{path}/{OUTCOME}"))
        outcomes[key_hash(bank), unit.task] = entry
    return outcomes


def machines(plan: Plan, done: Mapping[int, Finished]) -> tuple[Mapping[str, Any], ...]:
    """The machines of all ranks, as results record them; a line on standard error says where builds of packages differ.

    Ranks of equal host, device and versions are one entry, with the seconds that they took together.
    """
    by_machine: dict[tuple[str, tuple[tuple[str, str], ...]], list[int]] = {}
    for rank, finished in sorted(done.items()):
        by_machine.setdefault((finished.host, tuple(sorted(finished.machine.items()))), []).append(rank)
    records: list[dict[str, Any]] = []
    for (host, facts), ranks in by_machine.items():
        versions = dict(facts)
        device, python = versions.pop("device", ""), versions.pop("python", "")
        seconds = round(sum(done[rank].seconds for rank in ranks), 3)
        records.append(
            {
                "ranks": ranks_text(ranks),
                "host": host,
                "device": device,
                "python": python,
                "versions": versions,
                "seconds": seconds,
            }
        )
    for package in sorted({name for record in records for name in record["versions"]}):
        by_version = {record["versions"].get(package, ""): record["ranks"] for record in records}
        if len(by_version) > 1:
            listed = ", ".join(f"{version} (ranks {ranks})" for version, ranks in by_version.items())
            notice(f"ranks have different builds of {package}: {listed}; results record them")
    return tuple(MappingProxyType(record) for record in records)


def _task_units(plan: Plan) -> list[str]:
    return [unit for rank in plan.ranks for unit in rank.units if TaskUnit.names_one(unit)]


def _remove_blocks(storage: StorageFolder) -> None:
    """Remove blocks, and parts of kNN queries; outcomes stay, so that ``finish`` can be run again."""
    removed = (storage / BANKS).all_names()
    for name in removed:
        (storage / BANKS).remove(name)
    for name in (storage / OUTCOMES).all_names():
        if "/parts/" in name:
            (storage / OUTCOMES).remove(name)
    notice(f"{len(removed):,} files of blocks were removed from {storage}; their content is in the cache")


def _run_here(plan: Plan, output: Path) -> PlannedRun:
    """The run on this machine, which may have no GPU: embeddings in float32 need none."""
    import torch

    device, request = str(plan.notes["device"]), request_of(plan)
    if device.startswith("cuda") and not torch.cuda.is_available():
        notice("this machine has no GPU: what ranks have not computed runs on its CPU")
        return PlannedRun.of(request, output, device="cpu", runtime="torch")
    return PlannedRun.of(request, output, device=device)
