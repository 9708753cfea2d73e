"""A scraped folder with planted copies through the real command."""

import io

import datasets
import pytest
from PIL import Image

from builders.__main__ import main
from tests.conftest import photo_bytes
from tests.support.images import image_bytes


def resaved(data, quality):
    return image_bytes(Image.open(io.BytesIO(data)).convert("RGB"), "JPEG", quality=quality)


@pytest.mark.slow
def test_folder__sixty_copies_in_a_scraped_folder_are_on_one_side(tmp_path):
    """Of 200 photos in five classes 60 have a copy under another name: the same bytes, another quality, mirrored."""
    original_of = {}
    for i in range(200):
        data = photo_bytes(i, (96, 128))
        name = f"c{i % 5}/{i:03d}.jpg"
        copies = {name: data}
        if i < 60:
            mirrored = Image.open(io.BytesIO(data)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            copy = (data, resaved(data, 60), image_bytes(mirrored, "JPEG", quality=90))[i % 3]
            copies[f"c{i % 5}/z{(7 * i) % 60:03d}.jpg"] = copy
        for path, written in copies.items():
            (tmp_path / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "photos" / path).write_bytes(written)
            original_of[path] = name
    command = ["folder", "--data", str(tmp_path / "photos"), "--workers", "1"]
    across = {}
    for policy in ("ignore", "move"):
        out = tmp_path / policy
        assert main([*command, "-o", str(out), "--duplicates", policy]) == 0
        parts = datasets.load_dataset(str(out), "jpeg", cache_dir=str(tmp_path / "cache"))
        sides: dict[str, set[str]] = {}
        for split, part in parts.items():
            for photo_id in part["photo_id"]:
                sides.setdefault(original_of[photo_id], set()).add(split)
        across[policy] = sum(len(splits) > 1 for splits in sides.values())
        assert len(sides) == 200
    assert across["ignore"] > 5
    assert across["move"] == 0
