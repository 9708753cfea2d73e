"""Which views a pass asks for, and in what gathers: said before it, so that workers can begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.bank.fillable import Fillable
from benchmark.bank.gathering import gathers, photos_together
from benchmark.bank.members import Seated, members_of, seated
from benchmark.bank.missing import Part, missing_parts
from benchmark.encoders import Encoder
from benchmark.views import StreamAsked, ViewRecipe, ViewsAhead, photo_bytes
from builders.photos import PhotoSet


@dataclass(frozen=True)
class AskedViews:
    """Of one part of a pass."""

    stream: StreamAsked
    blocks: tuple[tuple[int, tuple[int, ...]], ...]
    """Index of each block, and the photos of each of its gathers."""

    @classmethod
    def of(cls, photos: PhotoSet, here: Seated, part: Part, batch_size: int, workers: int, views: str) -> AskedViews:
        """For seats that there are, and blocks; the numbers as of ``fill_banks``."""
        photos_of = here.seats[0].member.bank.blocks.photos_of
        sizes = [len(photos_of(block)) for block in part.blocks]
        of_photo = photo_bytes(here.recipe, here.preprocesses)
        together = photos_together(len(here.recipe.names), batch_size, of_photo, max(sizes))
        stream = StreamAsked(
            photos,
            tuple(index for block in part.blocks for index in photos_of(block)),
            here.recipe,
            tuple(here.preprocesses),
            workers=workers,
            way=views,
            homes=tuple(copy.device for copy in here.copies),
            gathers=tuple(gathers(sizes, together)),
        )
        of_blocks = (tuple(gathers([size], together)) for size in sizes)
        return cls(stream, tuple(zip(part.blocks, of_blocks, strict=True)))


def begin_views(
    ahead: ViewsAhead,
    photos: PhotoSet,
    recipe: ViewRecipe,
    encoders: Sequence[Encoder],
    banks: Sequence[Fillable],
    *,
    batch_size: int,
    workers: int,
    views: str,
) -> None:
    """Let workers begin with the views that ``fill_banks`` of the same arguments asks for first, if it asks for any."""
    for part in missing_parts(recipe.names, banks)[:1]:
        here = seated(members_of(photos, encoders, banks, batch_size), part, recipe)
        ahead.begin(AskedViews.of(photos, here, part, batch_size, workers, views).stream)
