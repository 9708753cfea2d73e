"""What a pass does for which encoder: the state of each encoder, the parts of a pass, and the plan of each part.

A pass fills the banks of several encoders. Blocks that lack the same views form a ``Part``. For each part, a
``PassPlan`` lists the encoders that lack views in it (``PassMember``) and the views that are made for them, once for
all encoders with equal preprocessing (``ViewPlan``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from benchmark.bank.fill.device_copy import DeviceCopy
from benchmark.bank.fill.targets import StoreWriter
from benchmark.compute import FittingBatch
from benchmark.encoders import Encoder, photo_places
from benchmark.views import Preprocess, ViewRecipe
from builders.photos import PhotoSet

GATHERED_BATCHES = 4
"""Least number of batches that are gathered at a time."""

MOST_BATCHES = 16
"""More batches than this are gathered only where a single photo has more views."""

GATHERED_BYTES = 1 << 28
"""Bytes of views after which no further photo is gathered: many large preprocessings make many bytes per photo."""


@dataclass
class EncoderState:
    """An encoder of a pass, the store that it fills, and its progress."""

    encoder: Encoder
    store: StoreWriter
    batch_size: int
    """Views per forward pass."""
    failure: str = ""
    """Why the encoder is left out of the rest of the pass; empty while it takes part."""
    views: int = 0
    """Embeddings written so far."""
    begun_s: float = 0.0
    """Time spent so far on starting forward passes, in seconds; on a CPU this includes the computation."""
    waited_s: float = 0.0
    """Time spent so far on waiting for their results on another thread, in seconds."""
    patches: np.ndarray | None = None
    """float [photos, 2], the place in its views where each photo is read; None if the encoder reads whole views."""
    embed: FittingBatch = field(init=False)
    """The forward pass."""

    def __post_init__(self) -> None:
        self.embed = FittingBatch(self.encoder.info.id, self.encoder.embed, self.batch_size)

    def patches_of(self, indices: Sequence[int], views: int) -> torch.Tensor | None:
        """[photos * views, 2]: ``patches`` of the photos at ``indices``, each repeated for its views."""
        if self.patches is None:
            return None
        return torch.from_numpy(self.patches[list(indices)]).repeat_interleave(views, 0)


def encoder_states(
    photos: PhotoSet, encoders: Sequence[Encoder], stores: Sequence[StoreWriter], batch_size: int
) -> list[EncoderState]:
    """The states of all encoders at the beginning of a pass over these photos."""
    return [
        EncoderState(encoder, store, batch_size, patches=_patches(encoder, photos))
        for encoder, store in zip(encoders, stores, strict=True)
    ]


def _patches(encoder: Encoder, photos: PhotoSet) -> np.ndarray | None:
    sampled = getattr(encoder.embed, "at_places", None) is not None
    return photo_places(photos.ids) if sampled else None


@dataclass(frozen=True)
class Part:
    """Blocks that lack the same views for the same encoders: one stream of views fills them."""

    blocks: tuple[int, ...]
    """Indices of the blocks."""
    missing: tuple[tuple[str, ...], ...]
    """Per encoder, names of the views that its store lacks, in the recipe's order; empty if it lacks none."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the views that have to be made."""
        return tuple(dict.fromkeys(name for names in self.missing for name in names))


def missing_parts(
    names: Sequence[str], stores: Sequence[StoreWriter], blocks: Collection[int] | None = None
) -> list[Part]:
    """Parts of a pass that together contain every missing block once, so that each photo is decoded once.

    There is one part if the stores are empty or lack whole views, one more after a kill, and at most one for each way
    in which blocks can be damaged.

    Args:
        names: of the views, in the recipe's order.
        stores: of the same photos.
        blocks: to be filled if they are missing; all blocks by default.
    """
    lacks = [{name: store.missing(name) for name in names} for store in stores]
    blocks_of: dict[tuple[tuple[str, ...], ...], list[int]] = {}
    for block in range(len(stores[0].blocks)) if blocks is None else sorted(blocks):
        missing = tuple(tuple(name for name in names if block in of_store[name]) for of_store in lacks)
        if any(missing):
            blocks_of.setdefault(missing, []).append(block)
    return [Part(tuple(blocks), missing) for missing, blocks in blocks_of.items()]


@dataclass
class PassMember:
    """An encoder that lacks views in one part of a pass."""

    state: EncoderState
    which: int
    """Index of its preprocessing in the ``ViewPlan``."""
    missing: tuple[str, ...]
    """Names of the views that its store lacked when the pass began."""
    wanted: tuple[str, ...] = ()
    """The missing views that are embedded for it in the current block."""

    def begin_block(self, block: int) -> None:
        """Set ``wanted``: the missing views without those that another process has finished since."""
        store = self.state.store
        self.wanted = tuple(name for name in self.missing if not store.is_finished(name, block))


@dataclass(frozen=True)
class ViewPlan:
    """The views that are made for some encoders: those of a recipe, once per distinct preprocessing."""

    recipe: ViewRecipe
    preprocesses: Sequence[Preprocess]
    """The distinct preprocessings."""
    copies: Sequence[DeviceCopy]
    """Per preprocessing, where its batches are put together."""
    which: Sequence[int]
    """Per encoder, the index of its preprocessing."""

    @classmethod
    def of(cls, recipe: ViewRecipe, encoders: Sequence[Encoder]) -> ViewPlan:
        """The plan for views of a recipe; encoders with equal preprocessing share them."""
        preprocesses: list[Preprocess] = []
        which = [preprocess_index(preprocesses, encoder.preprocess) for encoder in encoders]
        sharing: list[list[Encoder]] = [[] for _ in preprocesses]
        for encoder, index in zip(encoders, which, strict=True):
            sharing[index].append(encoder)
        return cls(recipe, preprocesses, [DeviceCopy.of(together) for together in sharing], which)


@dataclass(frozen=True)
class PassPlan:
    """What is done in one part of a pass: which encoders take part, and which views are made for them."""

    members: Sequence[PassMember]
    """The encoders that lack views in the part; empty if all of them have failed."""
    views: ViewPlan
    """The views that at least one member lacks."""


def plan_part(states: Sequence[EncoderState], part: Part, recipe: ViewRecipe) -> PassPlan:
    """The plan of a part, without encoders that failed or lack nothing in it."""
    lacking = [
        (state, missing) for state, missing in zip(states, part.missing, strict=True) if missing and not state.failure
    ]
    names = [name for _, missing in lacking for name in missing]
    views = ViewPlan.of(recipe.only(names), [state.encoder for state, _ in lacking])
    members = [PassMember(state, which, missing) for (state, missing), which in zip(lacking, views.which, strict=True)]
    return PassPlan(members, views)


def preprocess_index(known: list[Preprocess], preprocess: Preprocess) -> int:
    """Index of a preprocessing among the known ones, to which it is added if no equal one is there."""
    for index, other in enumerate(known):
        if other is preprocess or (type(other) is type(preprocess) and other == preprocess):
            return index
    known.append(preprocess)
    return len(known) - 1


def photos_together(views: int, batch_size: int, photo_bytes: int, block: int) -> int:
    """Number of photos to gather at a time, within a block of ``block`` photos, for the fewest batches per block.

    Among equally good numbers, the smallest with at least ``GATHERED_BATCHES`` batches, so that gathers are not larger
    than needed.

    Args:
        views: of each photo.
        batch_size: views per forward pass.
        photo_bytes: of one photo's views under all preprocessings.
        block: photos after which the block is finished.

    >>> photos_together(14, 64, 14 * 3 * 224**2, 64)  # 32 photos are exactly 7 batches
    32
    >>> photos_together(9, 64, 1, 64), photos_together(1, 64, 1, 64), photos_together(14, 64, 14 * 3 * 1024**2, 64)
    (64, 64, 4)
    """
    most = min(block, max(1, GATHERED_BYTES // max(1, photo_bytes)), max(1, MOST_BATCHES * batch_size // views))

    def batches(photos: int) -> int:
        """Forward passes for a block that is gathered ``photos`` at a time."""
        whole, rest = divmod(block, photos)
        return whole * -(-photos * views // batch_size) + -(-rest * views // batch_size)

    def preference(photos: int) -> tuple[int, bool, int]:
        few = photos * views < GATHERED_BATCHES * batch_size
        return batches(photos), few, -photos if few else photos

    return min(range(1, most + 1), key=preference)


def gather_sizes(blocks: Sequence[int], together: int, first: Sequence[int] = ()) -> list[int]:
    """Numbers of photos of all gathers, for blocks of these sizes; a gather never reaches into the next block.

    Args:
        blocks: numbers of photos.
        together: photos of a gather.
        first: photos of the first gathers, where they are fewer, so that the speed of a slow network is known early.

    >>> gather_sizes([64, 22], 32), gather_sizes([64, 22], 32, first=[1, 5])
    ([32, 32, 22], [1, 5, 32, 26, 22])
    """
    sizes, smaller = list[int](), [size for size in first if size < together]
    for block in blocks:
        while block > 0:
            sizes.append(min(block, smaller.pop(0) if smaller else together))
            block -= sizes[-1]
    return sizes
