"""The encoders that share a pass: what each of them lacks, and which preprocessings they share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from benchmark.bank.fill.device_copy import DeviceCopy
from benchmark.bank.fill.targets import StoreWriter
from benchmark.compute import FittingBatch
from benchmark.encoders import Embedder, Encoder, photo_places
from benchmark.views import Preprocess, ViewRecipe
from builders.photos import PhotoSet

GATHERED_BATCHES = 4
"""Batches that are gathered at a time, at least."""

MOST_BATCHES = 16
"""More than so many are gathered only where one photo alone has more views."""

GATHERED_BYTES = 1 << 28
"""Bytes after which no further photo is gathered: the views of many large preprocessings are many bytes a photo."""


def photos_together(views: int, batch_size: int, photo_bytes: int, block: int) -> int:
    """Photos to gather at a time within blocks of so many photos: those that leave the fewest batches in a block.

    Of equally good numbers the smallest of at least ``GATHERED_BATCHES``, so that a gather is not many times as large
    as it needs to be.

    Args:
        views: of each photo.
        batch_size: views per forward pass.
        photo_bytes: of one photo's views under all preprocessings.
        block: photos, after which everything is written.

    >>> photos_together(14, 64, 14 * 3 * 224**2, 64)  # 32 photos are exactly 7 batches
    32
    >>> photos_together(9, 64, 1, 64), photos_together(1, 64, 1, 64), photos_together(14, 64, 14 * 3 * 1024**2, 64)
    (64, 64, 4)
    """
    most = min(block, max(1, GATHERED_BYTES // max(1, photo_bytes)), max(1, MOST_BATCHES * batch_size // views))

    def batches(photos: int) -> int:
        """Forward passes of a block that is gathered so."""
        whole, rest = divmod(block, photos)
        return whole * -(-photos * views // batch_size) + -(-rest * views // batch_size)

    def preference(photos: int) -> tuple[int, bool, int]:
        few = photos * views < GATHERED_BATCHES * batch_size
        return batches(photos), few, -photos if few else photos

    return min(range(1, most + 1), key=preference)


def gathers(blocks: Sequence[int], together: int) -> list[int]:
    """The sizes of all gathers of blocks of so many photos each; a gather never reaches into the next block.

    >>> gathers([64, 22], 32)
    [32, 32, 22]
    """
    return [min(together, block - start) for block in blocks for start in range(0, block, together)]


@dataclass(frozen=True)
class Part:
    """Blocks that lack the same views for the same encoders: one stream of views fills them."""

    blocks: tuple[int, ...]
    missing: tuple[tuple[str, ...], ...]
    """One per bank: names of the views that it lacks, in the recipe's order; empty where it lacks none."""

    @property
    def names(self) -> tuple[str, ...]:
        """The views that have to be made."""
        return tuple(dict.fromkeys(name for names in self.missing for name in names))


def missing_parts(
    names: Sequence[str], banks: Sequence[StoreWriter], blocks: Collection[int] | None = None
) -> list[Part]:
    """Every missing block in one part, so that each photo is decoded once.

    There is one part where nothing or only whole views are there, one more after a kill, and in the worst case one
    for each way in which blocks can be damaged.

    Args:
        names: of the views, in the recipe's order.
        banks: of the same photos.
        blocks: that are looked at; all of them by default.
    """
    lacks = [{name: bank.missing(name) for name in names} for bank in banks]
    blocks_of: dict[tuple[tuple[str, ...], ...], list[int]] = {}
    for block in range(len(banks[0].blocks)) if blocks is None else sorted(blocks):
        missing = tuple(tuple(name for name in names if block in of_bank[name]) for of_bank in lacks)
        if any(missing):
            blocks_of.setdefault(missing, []).append(block)
    return [Part(tuple(blocks), missing) for missing, blocks in blocks_of.items()]


@dataclass
class Member:
    """One encoder of a pass, with its bank."""

    encoder: Encoder
    bank: StoreWriter
    batch_size: int
    failure: str = ""
    """Why it is left out of the rest of the pass; empty while it is not."""
    views: int = 0
    """Embeddings made so far."""
    begun_s: float = 0.0
    """Time in beginning its batches so far; on a CPU that is all of it."""
    waited_s: float = 0.0
    """Time in waiting for them, on another thread."""
    places: np.ndarray | None = None
    """[photos, 2], where in its views each photo is read; None where the encoder reads no single patches."""
    embed: FittingBatch = field(init=False)

    def __post_init__(self) -> None:
        self.embed = FittingBatch(self.encoder.info.id, self.encoder.embed, self.batch_size)

    def places_of(self, indices: Sequence[int], views: int) -> torch.Tensor | None:
        """[photos * views, 2] of the photos at some indices, each as often as it has views."""
        if self.places is None:
            return None
        return torch.from_numpy(self.places[list(indices)]).repeat_interleave(views, 0)


def members_of(
    photos: PhotoSet, encoders: Sequence[Encoder], banks: Sequence[StoreWriter], batch_size: int
) -> list[Member]:
    """Of a pass over these photos."""
    return [
        Member(encoder, bank, batch_size, places=_places(encoder, photos))
        for encoder, bank in zip(encoders, banks, strict=True)
    ]


def _places(encoder: Encoder, photos: PhotoSet) -> np.ndarray | None:
    """Where single patches of each photo are read; None where the encoder reads none."""
    embed = encoder.embed
    sampled = isinstance(embed, Embedder) and embed.at_places is not None
    return photo_places(photos.ids) if sampled else None


@dataclass
class PassMember:
    """A member's place in one part of the pass."""

    member: Member
    which: int
    """Position of its preprocessing."""
    missing: tuple[str, ...]
    """Names of the views that its bank lacked when the pass began."""
    wanted: tuple[str, ...] = ()
    """Those of them that it still lacks in the block at hand."""

    def begin(self, block: int) -> None:
        """Look what another process has finished since: that is not embedded again."""
        bank = self.member.bank
        self.wanted = tuple(name for name in self.missing if not bank.is_finished(name, block))


@dataclass(frozen=True)
class Making:
    """What is made for some encoders: the views of a recipe, once for all that share a preprocessing."""

    recipe: ViewRecipe
    preprocesses: Sequence[Preprocess]
    copies: Sequence[DeviceCopy]
    """One per preprocessing."""
    which: Sequence[int]
    """Position of each encoder's preprocessing."""

    @classmethod
    def of(cls, recipe: ViewRecipe, encoders: Sequence[Encoder]) -> Making:
        preprocesses: list[Preprocess] = []
        which = [position(preprocesses, encoder.preprocess) for encoder in encoders]
        sharing: list[list[Encoder]] = [[] for _ in preprocesses]
        for encoder, own in zip(encoders, which, strict=True):
            sharing[own].append(encoder)
        return cls(recipe, preprocesses, [DeviceCopy.of(together) for together in sharing], which)


@dataclass(frozen=True)
class PassPlan:
    """The members that lack views in one part of the pass, and what is made for them."""

    seats: Sequence[PassMember]
    making: Making
    """Of the views that one of them lacks."""


def seated(members: Sequence[Member], part: Part, recipe: ViewRecipe) -> PassPlan:
    """Who takes part in a part of the pass; members that failed or lack nothing there do not."""
    lacking = [
        (member, missing)
        for member, missing in zip(members, part.missing, strict=True)
        if missing and not member.failure
    ]
    names = [name for _, missing in lacking for name in missing]
    making = Making.of(recipe.only(names), [member.encoder for member, _ in lacking])
    seats = [PassMember(member, which, missing) for (member, missing), which in zip(lacking, making.which, strict=True)]
    return PassPlan(seats, making)


def position(known: list[Preprocess], preprocess: Preprocess) -> int:
    """Index of a preprocessing among the known ones; equal preprocessings share their views, whoever made them."""
    for index, other in enumerate(known):
        if other is preprocess or (type(other) is type(preprocess) and other == preprocess):
            return index
    known.append(preprocess)
    return len(known) - 1
