"""Which views a pass asks for, and in what gathers: said before it, so that workers can begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.bank.gathering import gathers, photos_together
from benchmark.bank.members import Making
from benchmark.bank.view_file import Blocks
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
    def of(
        cls, photos: PhotoSet, blocks: Sequence[int], making: Making, batch_size: int, workers: int, views: str
    ) -> AskedViews:
        """For encoders and blocks that there are; the numbers as of ``fill_banks``."""
        photos_of = Blocks(len(photos)).photos_of
        sizes = [len(photos_of(block)) for block in blocks]
        of_photo = photo_bytes(making.recipe, making.preprocesses)
        together = photos_together(len(making.recipe.names), batch_size, of_photo, max(sizes))
        stream = StreamAsked(
            photos,
            tuple(index for block in blocks for index in photos_of(block)),
            making.recipe,
            tuple(making.preprocesses),
            workers=workers,
            way=views,
            homes=tuple(copy.device for copy in making.copies),
            gathers=tuple(gathers(sizes, together)),
        )
        of_blocks = (tuple(gathers([size], together)) for size in sizes)
        return cls(stream, tuple(zip(blocks, of_blocks, strict=True)))


def begin_views(
    ahead: ViewsAhead,
    photos: PhotoSet,
    recipe: ViewRecipe,
    encoders: Sequence[Encoder],
    *,
    batch_size: int,
    workers: int,
    views: str,
) -> None:
    """Let workers begin with the views that ``fill_banks`` of the same arguments asks for where its banks hold none."""
    blocks, making = range(len(Blocks(len(photos)))), Making.of(recipe.only(recipe.names), encoders)
    ahead.begin(AskedViews.of(photos, blocks, making, batch_size, workers, views).stream)
