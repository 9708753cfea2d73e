"""The table of near-duplicates in ``docs/reference/duplicates.md``: which kinds of copies the guard of builds finds.

    python scripts/docs_tables/near_duplicates.py FOLDER            # photos without copies of one another; prints it
    python scripts/docs_tables/near_duplicates.py FOLDER --write    # puts it between the marks of the page

Fifty seeded photos are copied in each way; a copy is found if ``builders.splits.photo_groups`` joins it with its
original. False joins are the pairs of photos of the folder that it joins.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from builders.sources import labelled_folder
from builders.splits import NEAR_LIMIT, fingerprints, photo_groups
from builders.splits.variants import photo_variants

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "duplicates.md"
BEGIN, END = "<!-- table begin -->", "<!-- table end -->"
COPIES = 50
SEED = 0


def crop(share: float, x: float = 0.5, y: float = 0.5) -> Callable[[Image.Image], Image.Image]:
    """A crop that keeps ``share`` of both sides, at (x, y) of what it leaves: 0 left or top, 0.5 centre."""

    def cropped(image: Image.Image) -> Image.Image:
        width, height = round(image.width * share), round(image.height * share)
        left, top = round((image.width - width) * x), round((image.height - height) * y)
        return image.crop((left, top, left + width, top + height))

    return cropped


KINDS: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "saved again at quality 60": lambda image: image,
    "half of each side": lambda image: image.resize((image.width // 2, image.height // 2)),
    "grey": lambda image: image.convert("L"),
    "brightness x 1.3": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "contrast x 0.6": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "mirrored": ImageOps.mirror,
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 180 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "white border of a tenth": lambda image: ImageOps.expand(image, image.width // 10, "white"),
    "centre crop to 95 %": crop(0.95),
    "centre crop to 90 %": crop(0.9),
    "centre crop to 85 %": crop(0.85),
    "centre crop to 80 %": crop(0.8),
    "centre crop to 75 %": crop(0.75),
    "centre crop to 60 %": crop(0.6),
    "mirrored centre crop to 90 %": lambda image: ImageOps.mirror(crop(0.9)(image)),
    "crop to 90 % at a corner": crop(0.9, 0, 0),
    "turned by 3 degrees": lambda image: image.rotate(3),
    "a quarter painted over": lambda image: painted(image),
}


def painted(image: Image.Image) -> Image.Image:
    """A copy whose upper left quarter is black."""
    copy = image.convert("RGB")
    copy.paste((0, 0, 0), (0, 0, image.width // 2, image.height // 2))
    return copy


def table(folder: str) -> str:
    """Lines of Markdown: a row for each kind of copy, and what was measured."""
    photos = labelled_folder(folder)
    hashes = fingerprints(photos).hashes
    groups = photo_groups(len(photos), hashes=hashes)
    pairs = sum(size * (size - 1) // 2 for size in np.bincount(groups).tolist())
    chosen = np.random.default_rng(SEED).choice(len(photos), COPIES, replace=False).tolist()
    lines = [f"| copy | found of {COPIES} | of more than {NEAR_LIMIT:,} photos |", "|:--|--:|--:|"]
    for kind, change in KINDS.items():
        copies = [change(ImageOps.exif_transpose(Image.open(io.BytesIO(photos.read(i))))) for i in chosen]
        variants = np.stack([photo_variants(jpeg(image, 60 if "60" in kind[-3:] else 90)) for image in copies])
        both = np.concatenate([hashes[chosen], variants])
        joined = [photo_groups(2 * COPIES, hashes=part) for part in (both, both[:, :1])]
        lines.append(f"| {kind} | " + " | ".join(f"{int((g[:COPIES] == g[COPIES:]).sum())}" for g in joined) + " |")
    lines += ["", f"Among the {len(photos):,} photos themselves, {pairs} pairs were joined."]
    return "\n".join(lines)


def jpeg(image: Image.Image, quality: int) -> bytes:
    """The file of a copy."""
    stream = io.BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    text = table(arguments.folder)
    if not arguments.write:
        print(text)
        return
    page = PAGE.read_text(encoding="utf-8")
    marked = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
    PAGE.write_text(marked.sub(f"{BEGIN}\n{text}\n{END}", page), encoding="utf-8")


if __name__ == "__main__":
    main()
