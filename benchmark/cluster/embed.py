"""Embeddings as ranks: each owns blocks of photos for a group of encoders; a file per block, view and encoder."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from benchmark.bank import Bank, BlockBank, Blocks, fill_banks, hash_of_block, key_of, merge_blocks
from benchmark.cluster.planned_run import PlannedRun, encoder_facts, photo_facts
from benchmark.cluster.request import Request
from benchmark.compute import share_machine
from benchmark.encoders import Encoder, load_encoder
from benchmark.publishing import push_folder_of_results
from benchmark.scoring import Pass, planned_passes, release, require_space
from builders.cluster import (
    Finished,
    FinishOptions,
    Plan,
    ProgressCallback,
    RankResult,
    StorageFolder,
    download_files,
    ranks_here,
    upload_files,
)
from builders.errors import DataError, EncoderError, UsageError
from builders.files import scratch_prefix
from builders.photos import PhotoSet
from builders.pixels import codec_canary
from builders.processes import memory_budget

BANKS = "banks"
"""Folder of the block files, in that of the plan; and of the banks, in the cache."""


class EmbeddingWork:
    """Of a plan, on this machine. Units are ``set/group/block``, numbers."""

    def __init__(self, plan: Plan, place: StorageFolder) -> None:
        notes = plan.notes
        share_machine(ranks_here())
        request = Request(plan.kind, plan.argv, plan.output)
        self._asked = PlannedRun.of(request, Path("unused"), device=notes["device"])
        self._place = place / BANKS
        self._groups: list[list[str]] = notes["groups"]
        self._runtimes: dict[str, str] = notes["runtimes"]
        self._keys: dict[str, Any] = notes["keys"]
        self._bytes: list[Any] = notes["bytes"]
        self._loaded: tuple[int, dict[str, Encoder]] = (-1, {})

    def facts(self, units: Sequence[str]) -> dict[str, str]:
        """Codec, photos, a few of their bytes, weights and everything else that a bank's key holds."""
        found = {"the codec canary": codec_canary()}
        for number, group in _in_order(units):
            photos = self._asked.sets[number].photos
            found |= photo_facts(photos)
            for spec, encoder in self._encoders(group).items():
                key = self._key(number, spec, encoder)
                found |= encoder_facts(spec, photos, key)
        return found

    def run(self, units: Sequence[str], tick: ProgressCallback) -> RankResult:
        """Embed what is missing of them."""
        files: dict[str, str] = {}
        failed: set[str] = set()
        with memory_budget(self._asked.options.memory):
            for number, group in _in_order(units):
                blocks = [int(unit.split("/")[2]) for unit in units if _place_of(unit) == (number, group)]
                for first, one in enumerate(self._passes(number)):
                    banks = self._fill(number, group, blocks, one, tick if first == 0 else lambda items: None)
                    for bank in banks:
                        files |= bank.files
                        if group == self._first_group(number):  # the same photos fail for every encoder
                            failed |= {f"{number}/{photo}" for photo in bank.failures}
        return RankResult(files, len(failed))

    def close(self) -> None:
        """The encoders go."""
        self._loaded = (-1, {})

    def _fill(
        self, number: int, group: int, blocks: Sequence[int], one: Pass, tick: ProgressCallback
    ) -> list[BlockBank]:
        photos, options = self._asked.sets[number].photos, self._asked.options
        read = _BytesRead(photos, self._bytes[number])
        encoders = self._encoders(group)
        banks = [
            BlockBank(
                self._place, self._keys[f"{number}/{spec}"], one.recipe.view_keys(), blocks, before_writing=read.check
            )
            for spec in encoders
        ]

        def learn(index: int, digest: bytes) -> None:
            read.digests[index] = digest
            tick(1)

        outcome = fill_banks(
            photos,
            one.recipe,
            list(encoders.values()),
            banks,
            batch_size=options.batch_size,
            workers=options.workers,
            views=options.views,
            label=f"{len(encoders)} encoders on {photos.name}",
            learn=learn,
        )
        if outcome.failures:
            raise EncoderError("; ".join(outcome.failures.values()))
        return banks

    def _first_group(self, number: int) -> int:
        return next(
            g for g, specs in enumerate(self._groups) if any(f"{number}/{spec}" in self._keys for spec in specs)
        )

    def _passes(self, number: int) -> list[Pass]:
        job = self._asked.sets[number]
        return planned_passes(job.tasks, job.photos, self._asked.options)

    def _key(self, number: int, spec: str, encoder: Encoder) -> dict[str, Any]:
        """Of the bank that this machine's encoder would fill; the photos' bytes are the plan's, and checked apart."""
        frozen = self._keys[f"{number}/{spec}"]
        photos, bytes_hash = self._asked.sets[number].photos, frozen["photos"]["bytes"]
        return key_of(encoder, photos, bytes_hash, self._asked.options.storage)

    def _encoders(self, group: int) -> dict[str, Encoder]:
        """Of a group, in memory until another is asked for."""
        if self._loaded[0] != group:
            self._loaded = (-1, {})
            release()
            encoders = {}
            for spec in self._groups[group]:
                if spec in self._runtimes:
                    loading = {**self._asked.loading, "runtime": self._runtimes[spec]}
                    encoders[spec] = load_encoder(spec, **loading)
            self._loaded = (group, encoders)
        return self._loaded[1]


class _BytesRead:
    """Whether the photos that a pass reads are those of the plan."""

    def __init__(self, photos: PhotoSet, planned: Sequence[str] | None) -> None:
        self.digests: dict[int, bytes] = {}
        self._photos, self._planned, self._blocks = photos, planned, Blocks(len(photos))

    def check(self, block: int) -> None:
        """Raises ``DataError`` where a block's photos are others."""
        if self._planned is None:
            return
        read = [self.digests.get(index, b"") for index in self._blocks.photos_of(block)]
        if hash_of_block(read) != self._planned[block]:
            first = self._photos.ids[self._blocks.photos_of(block).start]
            raise DataError(
                f"{self._photos.name}: the photos of block {block} (from {first}) are not those of the plan, byte for "
                "byte; nothing of it was kept"
            )


def _place_of(unit: str) -> tuple[int, int]:
    number, group, _ = unit.split("/")
    return int(number), int(group)


def _in_order(units: Sequence[str]) -> list[tuple[int, int]]:
    """(set, group) of units; those of one group together, so that its encoders are loaded once."""
    return sorted(dict.fromkeys(_place_of(unit) for unit in units), key=lambda place: (place[1], place[0]))


def finish(plan: Plan, done: Mapping[int, Finished], place: StorageFolder, how: FinishOptions) -> int:
    """Merge and verify, then score. The exit status."""
    if plan.kind == "embed":
        if how.push_to is not None or how.output is not None:
            raise UsageError("'embed' fills banks and writes no results; plan 'sweep' to have some")
        return _merged_and_run(plan, done, place, Path("unused"))
    output = StorageFolder.of(plan.output)
    with contextlib.ExitStack() as stack:
        folder = how.output or output.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=scratch_prefix())))
            download_files(output, folder)
        status = _merged_and_run(plan, done, place, folder)
        if how.output is None and output.folder is None:
            upload_files(folder, output)
            print(f"results were copied to {output}", file=sys.stderr)
        if how.push_to is not None:
            push_folder_of_results(folder, how.push_to, public=how.public)
    return status


def _merged_and_run(plan: Plan, done: Mapping[int, Finished], place: StorageFolder, folder: Path) -> int:
    asked = _asked_here(plan, folder)
    merged = merge(plan, done, place, asked)
    print(f"{merged:,} files of blocks were verified; banks in {asked.options.cache}", file=sys.stderr)
    return 0 if plan.kind == "embed" else int(asked.args.run(asked.args))


def merge(plan: Plan, done: Mapping[int, Finished], place: StorageFolder, asked: PlannedRun) -> int:
    """Fill the banks in the cache from the files of all ranks; how many blocks were missing there.

    Raises:
        DataError: a file is not what its rank wrote.
        DiskError: the banks do not fit.
    """
    files = {path: sha256 for finished in done.values() for path, sha256 in finished.files.items()}
    root = asked.options.cache / BANKS
    wanted = []
    for number, job in enumerate(asked.sets):
        for one in planned_passes(job.tasks, job.photos, asked.options):
            views = one.recipe.view_keys()
            wanted += [(key, views) for name, key in plan.notes["keys"].items() if name.startswith(f"{number}/")]
    require_space([Bank.look(root, key, views) for key, views in wanted], root, print)
    count = 0
    with tqdm(desc="merging", unit="block", delay=2, disable=None) as bar:
        for key, views in wanted:
            bank = Bank.open(root, key, views)
            count += sum(len(bank.missing(name)) for name in bank.names)
            merge_blocks(place / BANKS, key, views, bank, files, bar.update)
    return count


def _asked_here(plan: Plan, output: Path) -> PlannedRun:
    """The request for this machine, which may have no GPU: embeddings in float32 do not ask for one."""
    import torch

    device, request = str(plan.notes["device"]), Request(plan.kind, plan.argv, plan.output)
    if device.startswith("cuda") and not torch.cuda.is_available():
        print("this machine has no GPU: tasks run on its CPU, on the embeddings that ranks made", file=sys.stderr)
        return PlannedRun.of(request, output, device="cpu", runtime="torch")
    return PlannedRun.of(request, output, device=device)
