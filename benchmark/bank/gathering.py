"""How many photos are gathered at a time, so that their views fill whole batches and the last one matters little."""

from __future__ import annotations

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


def gathers(blocks: list[int], together: int) -> list[int]:
    """The sizes of all gathers of blocks of so many photos each; a gather never reaches into the next block.

    >>> gathers([64, 22], 32)
    [32, 32, 22]
    """
    return [min(together, block - start) for block in blocks for start in range(0, block, together)]
