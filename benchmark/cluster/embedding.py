"""Embeddings as ranks: each owns blocks of photos for a group of encoders; a file per block, view and encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.bank import BlockBank, Blocks, fill_banks, hash_of_block, key_of
from benchmark.cluster.asked import Asked, encoder_facts, photo_facts
from benchmark.cluster.request import Request
from benchmark.compute import share_machine
from benchmark.encoders import Encoder, load_encoder
from benchmark.scoring import Pass, planned_passes, release
from builders.errors import DataError, EncoderError
from builders.photos import PhotoSet
from builders.pixels import codec_canary, memory_budget
from builders.ranks import Made, Place, Plan, Tick, ranks_here

BANKS = "banks"
"""Folder of the block files, in that of the plan; and of the banks, in the cache."""


class EmbeddingWork:
    """Of a plan, on this machine. Units are ``set/group/block``, numbers."""

    def __init__(self, plan: Plan, place: Place) -> None:
        notes = plan.notes
        share_machine(ranks_here())
        request = Request(plan.kind, plan.argv, plan.output)
        self._asked = Asked.of(request, Path("unused"), device=notes["device"])
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
            photos = self._asked.jobs[number].photos
            found |= photo_facts(photos)
            for spec, encoder in self._encoders(group).items():
                key = self._key(number, spec, encoder)
                found |= encoder_facts(spec, photos, key)
        return found

    def run(self, units: Sequence[str], tick: Tick) -> Made:
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
        return Made(files, len(failed))

    def close(self) -> None:
        """The encoders go."""
        self._loaded = (-1, {})

    def _fill(self, number: int, group: int, blocks: Sequence[int], one: Pass, tick: Tick) -> list[BlockBank]:
        photos, options = self._asked.jobs[number].photos, self._asked.options
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
        job = self._asked.jobs[number]
        return planned_passes(job.tasks, job.photos, self._asked.options)

    def _key(self, number: int, spec: str, encoder: Encoder) -> dict[str, Any]:
        """Of the bank that this machine's encoder would fill; the photos' bytes are the plan's, and checked apart."""
        frozen = self._keys[f"{number}/{spec}"]
        photos, bytes_hash = self._asked.jobs[number].photos, frozen["photos"]["bytes"]
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
