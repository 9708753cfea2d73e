"""Embedding by ranks: each embeds blocks of photos with a group of encoders; a file per block, view and encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.bank import BlockBank, Blocks, fill_banks, hash_of_block, key_of
from benchmark.cluster.answers import answer_facts, answer_key, fill_rank, planned_answers
from benchmark.cluster.planned_run import BANKS, PlannedRun, encoder_facts, photo_facts
from benchmark.compute import free_cached
from benchmark.encoders import Encoder, load_encoder
from benchmark.scoring import Pass, planned_passes
from builders.cluster import Plan, ProgressCallback, RankResult, StorageFolder
from builders.errors import DataError, EncoderError
from builders.photos import PhotoSet
from builders.pixels import codec_canary
from builders.processes import memory_budget


class EmbeddingWork:
    """The embedding work of a plan on this machine. Units are the numbers ``set/group/block``."""

    def __init__(self, plan: Plan, storage: StorageFolder, planned: PlannedRun) -> None:
        notes = plan.notes
        self._planned = planned
        self._storage = storage / BANKS
        self._groups: list[list[str]] = notes["groups"]
        self._runtimes: dict[str, str] = notes["runtimes"]
        self._keys: dict[str, Any] = notes["keys"]
        self._answers: dict[str, Any] = notes.get("answers", {})
        self._bytes: list[Any] = notes["bytes"]
        self._loaded: tuple[int, dict[str, Encoder]] = (-1, {})

    def facts(self, units: Sequence[str]) -> dict[str, str]:
        """Facts that the plan holds too: codec, photos, bytes of some, weights and the rest of the bank's key."""
        facts = {"the codec canary": codec_canary()}
        for number, group in _in_order(units):
            photos = self._planned.sets[number].photos
            facts |= photo_facts(photos)
            for spec, encoder in self._encoders(group).items():
                key = self._key(number, spec, encoder)
                facts |= encoder_facts(spec, photos, key)
                banks = planned_answers(encoder, self._planned.sets[number], self._planned.options)
                keys = [answer_key(bank, photos, key["photos"]["bytes"]) for bank in banks]
                facts |= answer_facts(spec, photos, keys)
        return facts

    def run(self, units: Sequence[str], tick: ProgressCallback) -> RankResult:
        """Embed the missing blocks of units."""
        files: dict[str, str] = {}
        failed: set[str] = set()
        with memory_budget(self._planned.options.memory):
            for number, group in _in_order(units):
                blocks = [int(unit.split("/")[2]) for unit in units if _set_and_group(unit) == (number, group)]
                for first, view_pass in enumerate(self._passes(number)):
                    banks = self._fill(number, group, blocks, view_pass, tick if first == 0 else lambda items: None)
                    banks += self._fill_answers(number, group, blocks) if first == 0 else []
                    for bank in banks:
                        files |= {f"{BANKS}/{path}": sha256 for path, sha256 in bank.files.items()}
                        if group == self._first_group(number):  # the same photos fail for every encoder
                            failed |= {f"{number}/{photo}" for photo in bank.failures}
        return RankResult(files, len(failed))

    def close(self) -> None:
        """Drop the encoders."""
        self._loaded = (-1, {})

    def _fill(
        self, number: int, group: int, blocks: Sequence[int], view_pass: Pass, tick: ProgressCallback
    ) -> list[BlockBank]:
        photos, options = self._planned.sets[number].photos, self._planned.options
        read = _BytesRead(photos, self._bytes[number])
        encoders = self._encoders(group)
        banks = [
            BlockBank(
                self._storage,
                self._keys[f"{number}/{spec}"],
                view_pass.recipe.view_keys(),
                blocks,
                before_writing=read.check,
            )
            for spec in encoders
        ]

        def learn(index: int, digest: bytes) -> None:
            read.digests[index] = digest
            tick(1)

        outcome = fill_banks(
            photos,
            view_pass.recipe,
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

    def _fill_answers(self, number: int, group: int, blocks: Sequence[int]) -> list[BlockBank]:
        job, options = self._planned.sets[number], self._planned.options
        stores = []
        for spec, encoder in self._encoders(group).items():
            planned = self._answers.get(f"{number}/{spec}", [])
            for bank, of_plan in zip(planned_answers(encoder, job, options) if planned else [], planned, strict=True):
                read = _BytesRead(job.photos, self._bytes[number])
                views = bank.recipe.view_keys()
                store = BlockBank(self._storage, of_plan["key"], views, blocks, before_writing=read.check)
                fill_rank(bank, store, job.photos, blocks, options, read.digests)
                stores.append(store)
        return stores

    def _first_group(self, number: int) -> int:
        return next(
            g for g, specs in enumerate(self._groups) if any(f"{number}/{spec}" in self._keys for spec in specs)
        )

    def _passes(self, number: int) -> list[Pass]:
        job = self._planned.sets[number]
        return planned_passes(job.tasks, job.photos, self._planned.options)

    def _key(self, number: int, spec: str, encoder: Encoder) -> dict[str, Any]:
        """Key of the bank that this machine's encoder would fill. The photos' bytes are the plan's."""
        frozen = self._keys[f"{number}/{spec}"]
        photos, bytes_hash = self._planned.sets[number].photos, frozen["photos"]["bytes"]
        return key_of(encoder, photos, bytes_hash, self._planned.options.storage)

    def _encoders(self, group: int) -> dict[str, Encoder]:
        """The encoders of a group, in memory until another group is needed."""
        if self._loaded[0] != group:
            self._loaded = (-1, {})
            free_cached()
            encoders = {}
            for spec in self._groups[group]:
                if spec in self._runtimes:
                    loading = {**self._planned.loading, "runtime": self._runtimes[spec]}
                    encoders[spec] = load_encoder(spec, isolated=True, **loading)
            self._loaded = (group, encoders)
        return self._loaded[1]


class _BytesRead:
    """Checks that the photos that a pass reads are those of the plan."""

    def __init__(self, photos: PhotoSet, planned: Sequence[str] | None) -> None:
        self.digests: dict[int, bytes] = {}
        self._photos, self._planned, self._blocks = photos, planned, Blocks(len(photos))

    def check(self, block: int) -> None:
        """Raises ``DataError`` if a block's photos are not those of the plan."""
        if self._planned is None:
            return
        read = [self.digests.get(index, b"") for index in self._blocks.photos_of(block)]
        if hash_of_block(read) != self._planned[block]:
            first = self._photos.ids[self._blocks.photos_of(block).start]
            raise DataError(
                f"{self._photos.name}: the photos of block {block} (from {first}) are not those of the plan, byte for "
                "byte; nothing of it was saved"
            )


def _set_and_group(unit: str) -> tuple[int, int]:
    number, group, _ = unit.split("/")
    return int(number), int(group)


def _in_order(units: Sequence[str]) -> list[tuple[int, int]]:
    """(set, group) of units, ordered by group, so that the encoders of a group are loaded once."""
    return sorted(dict.fromkeys(_set_and_group(unit) for unit in units), key=lambda pair: (pair[1], pair[0]))
