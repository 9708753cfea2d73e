"""The table of near-duplicates in ``docs/reference/duplicates.md``: which kinds of copies the guard of builds finds.

    python scripts/docs_tables/near_duplicates.py FOLDER            # photos without copies of one another; prints it
    python scripts/docs_tables/near_duplicates.py FOLDER --write    # puts it between the marks of the page

Sixty seeded photos are copied in each way; a copy is found if ``builders.splits.photo_groups`` joins it with its
original. False joins are the pairs of photos of the folder that it joins.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from builders.photos import PhotoSet
from builders.sources import labelled_folder
from builders.splits import NEAR_LIMIT, fingerprints, photo_groups

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "duplicates.md"
BEGIN, END = "<!-- table begin -->", "<!-- table end -->"
COPIES = 60
SEED = 0

Change = Callable[[Image.Image], Image.Image]


def crop(share: float, x: float = 0.5, y: float = 0.5) -> Change:
    """A crop that keeps ``share`` of both sides, at (x, y) of what it leaves: 0 left or top, 0.5 centre."""

    def cropped(image: Image.Image) -> Image.Image:
        width, height = round(image.width * share), round(image.height * share)
        left, top = round((image.width - width) * x), round((image.height - height) * y)
        return image.crop((left, top, left + width, top + height))

    return cropped


def shaped(ratio: float, at: float = 0.5) -> Change:
    """The largest crop of this ratio of width to height, at ``at`` of what it leaves."""

    def cropped(image: Image.Image) -> Image.Image:
        width = min(image.width, round(image.height * ratio))
        return ImageOps.fit(image, (width, round(width / ratio)), centering=(at, at))

    return cropped


def captioned(share: float, *, above: bool = False, shade: int = 255) -> Change:
    """The picture with a bar of text of ``share`` of its height."""

    def change(image: Image.Image) -> Image.Image:
        bar = round(image.height * share)
        copy = Image.new("RGB", (image.width, image.height + bar), (shade,) * 3)
        copy.paste(image, (0, bar if above else 0))
        at = (0.08 * image.width, (0 if above else image.height) + 0.2 * bar)
        ImageDraw.Draw(copy).text(at, "when it rains on a Sunday", fill=(255 - shade,) * 3, font_size=max(8, 0.4 * bar))
        return copy

    return change


def on_phone(shade: int) -> Change:
    """A screenshot of a phone of 540 x 1170 pixels that shows the picture, with text and buttons around it."""

    def change(image: Image.Image) -> Image.Image:
        shown = ImageOps.contain(image, (540, 820))
        copy, ink = Image.new("RGB", (540, 1170), (shade,) * 3), (255 - shade,) * 3
        copy.paste(shown, ((540 - shown.width) // 2, (1170 - shown.height) // 2))
        draw = ImageDraw.Draw(copy)
        for at, text, size in (((30, 15), "12:41", 26), ((430, 15), "LTE 78%", 22), ((60, 70), "Photos  Today", 30)):
            draw.text(at, text, fill=ink, font_size=size)
        for button in range(4):
            draw.ellipse((60 + button * 120, 1070, 100 + button * 120, 1110), outline=ink, width=4)
        return copy

    return change


def in_window(image: Image.Image) -> Image.Image:
    """A screenshot of a desktop with the picture in the window of a viewer."""
    shown = ImageOps.contain(image, (900, 600))
    copy = Image.new("RGB", (1366, 900), (0, 90, 130))
    draw = ImageDraw.Draw(copy)
    draw.rectangle((174, 50, 186 + shown.width, 116 + shown.height), fill=(240, 240, 240))
    draw.text((190, 60), "DSC_0413.jpg - Viewer", fill=(30, 30, 30), font_size=18)
    draw.text((190, 84), "File  Edit  View  Tools  Help", fill=(30, 30, 30), font_size=14)
    copy.paste(shown, (180, 110))
    for icon in range(6):
        draw.rectangle((10 + icon * 50, 866, 40 + icon * 50, 894), fill=(90 + icon * 20, 140, 200 - icon * 20))
    return copy


def painted(share: float) -> Change:
    """A copy with a black box of ``share`` of its area at its upper left."""

    def change(image: Image.Image) -> Image.Image:
        copy = image.copy()
        copy.paste((0, 0, 0), (0, 0, round(image.width * share**0.5), round(image.height * share**0.5)))
        return copy

    return change


def brightened(exponent: float) -> Change:
    """Grey values to a power."""
    return lambda image: image.point([round(255 * (value / 255) ** exponent) for value in range(256)] * 3)


KINDS: Mapping[str, Change] = {
    "saved again at quality 90": lambda image: image,
    "saved again at quality 60": lambda image: image,
    "saved again at quality 25": lambda image: image,
    "half of each side": lambda image: image.resize((image.width // 2, image.height // 2)),
    "64 pixels wide": lambda image: image.resize((64, round(64 * image.height / image.width))),
    "grey": lambda image: image.convert("L"),
    "brightness x 1.3": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "contrast x 0.6": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "contrast x 1.5": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "gamma 0.6": brightened(0.6),
    "blurred by 2 pixels": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "sharpened": lambda image: ImageEnhance.Sharpness(image).enhance(3),
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 180 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned by 2 degrees": lambda image: image.rotate(2, Image.Resampling.BICUBIC),
    "turned by 5 degrees": lambda image: image.rotate(5, Image.Resampling.BICUBIC),
    "inverted": ImageOps.invert,
    "inverted and mirrored": lambda image: ImageOps.mirror(ImageOps.invert(image)),
    "white border of a tenth": lambda image: ImageOps.expand(image, image.width // 10, "white"),
    "black border of a sixth": lambda image: ImageOps.expand(image, image.width // 6, "black"),
    "centre crop to 95 %": crop(0.95),
    "centre crop to 90 %": crop(0.9),
    "centre crop to 80 %": crop(0.8),
    "centre crop to 70 %": crop(0.7),
    "centre crop to 60 %": crop(0.6),
    "crop to 95 % at a corner": crop(0.95, 0, 0),
    "crop to 90 % at a corner": crop(0.9, 1, 0),
    "crop to 80 % at a corner": crop(0.8, 0, 1),
    "crop to 70 % at a corner": crop(0.7, 1, 1),
    "crop to 90 % off centre": crop(0.9, 0.3, 0.8),
    "crop to 80 % off centre": crop(0.8, 0.7, 0.2),
    "crop to 70 % off centre": crop(0.7, 0.2, 0.6),
    "crop to 60 % off centre": crop(0.6, 0.3, 0.3),
    "mirrored crop to 80 % off centre": lambda image: ImageOps.mirror(crop(0.8, 0.2, 0.7)(image)),
    "square in the centre": shaped(1),
    "square at an end": shaped(1, 1.0),
    "16:9 in the centre": shaped(16 / 9),
    "caption below": captioned(0.15),
    "caption above": captioned(0.2, above=True, shade=0),
    "screenshot of a phone, white": on_phone(255),
    "screenshot of a phone, black": on_phone(0),
    "screenshot of a window": in_window,
    "a tenth painted over": painted(0.1),
    "a quarter painted over": painted(0.25),
}


def table(folder: str) -> str:
    """Lines of Markdown: a row for each kind of copy, and what was measured."""
    photos = labelled_folder(folder)
    groups = photo_groups(len(photos), hashes=fingerprints(photos).hashes)
    pairs = sum(size * (size - 1) // 2 for size in np.bincount(groups).tolist())
    chosen = np.random.default_rng(SEED).choice(len(photos), COPIES, replace=False).tolist()
    originals = {f"original-{i}": photos.read(i) for i in chosen}
    pictures = [ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB") for data in originals.values()]
    lines = [f"|copy|found of {COPIES}|of more than {NEAR_LIMIT:,} photos|", "|:--|--:|--:|"]
    for kind, change in KINDS.items():
        quality = int(kind[-2:]) if "quality" in kind else 90
        copies = {f"copy-{i}": jpeg(change(picture), quality) for i, picture in enumerate(pictures)}
        hashes = fingerprints(PhotoSet.of_bytes("copies", originals | copies)).hashes
        joined = [photo_groups(2 * COPIES, hashes=part) for part in (hashes, hashes[:, :1])]
        lines.append(f"|{kind}|" + "|".join(f"{int((g[:COPIES] == g[COPIES:]).sum())}" for g in joined) + "|")
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
    PAGE.write_text(marked.sub(lambda _: f"{BEGIN}\n{text}\n{END}", page), encoding="utf-8")


if __name__ == "__main__":
    main()
