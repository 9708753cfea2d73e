"""The encoders that share a pass: what each of them lacks, and which preprocessings they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from benchmark.bank.device_copy import DeviceCopy
from benchmark.bank.fillable import Fillable
from benchmark.bank.missing import Part
from benchmark.compute import FittingBatch
from benchmark.encoders import Embedder, Encoder, photo_places
from benchmark.views import Preprocess, ViewRecipe
from builders.photos import PhotoSet


@dataclass
class Member:
    """One encoder of a pass, with its bank."""

    encoder: Encoder
    bank: Fillable
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
    photos: PhotoSet, encoders: Sequence[Encoder], banks: Sequence[Fillable], batch_size: int
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
class Seat:
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
class Seated:
    """The members that lack views in one part of the pass, and what is made for them."""

    seats: Sequence[Seat]
    making: Making
    """Of the views that one of them lacks."""


def seated(members: Sequence[Member], part: Part, recipe: ViewRecipe) -> Seated:
    """Who takes part in a part of the pass; members that failed or lack nothing there do not."""
    lacking = [
        (member, missing)
        for member, missing in zip(members, part.missing, strict=True)
        if missing and not member.failure
    ]
    names = [name for _, missing in lacking for name in missing]
    making = Making.of(recipe.only(names), [member.encoder for member, _ in lacking])
    seats = [Seat(member, which, missing) for (member, missing), which in zip(lacking, making.which, strict=True)]
    return Seated(seats, making)


def position(known: list[Preprocess], preprocess: Preprocess) -> int:
    """Index of a preprocessing among the known ones; equal preprocessings share their views, whoever made them."""
    for index, other in enumerate(known):
        if other is preprocess or (type(other) is type(preprocess) and other == preprocess):
            return index
    known.append(preprocess)
    return len(known) - 1
