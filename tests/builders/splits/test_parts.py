"""Parts of photos are joined with the photo, and a frame that two photos share joins nothing."""

import pytest
from PIL import Image

from builders.photos import PhotoSet
from builders.splits import fingerprints, photo_groups
from scripts.docs_tables.near_duplicates import KINDS
from tests.builders.splits.test_variants import jpeg, scene

COPIES = 6
FOUND = ("crop to 70 % at a corner", "square at an end", "inverted", "caption below", "screenshot of a window")


@pytest.mark.slow
@pytest.mark.parametrize("kind", FOUND)
def test_fingerprints__join_parts_and_nothing_else(kind):
    pictures = [scene(i, (240, 180)) for i in range(2 * COPIES)]
    files = {f"{i}": jpeg(picture) for i, picture in enumerate(pictures)}
    files |= {f"copy of {i}": jpeg(KINDS[kind](pictures[i])) for i in range(COPIES)}
    groups = photo_groups(len(files), hashes=fingerprints(PhotoSet.of_bytes("parts", files)).hashes)
    assert sum(groups[2 * COPIES :] == groups[:COPIES]) >= COPIES - 1
    assert len(set(groups[: 2 * COPIES].tolist())) == 2 * COPIES


def on_a_screen(picture):
    """A small picture in the window of a wide desktop: most of what is seen is the desktop."""
    copy = Image.new("RGB", (400, 300), (0, 90, 130))
    copy.paste((240, 240, 240), (90, 80, 230, 200))
    copy.paste((20, 20, 30), (0, 280, 400, 300))
    copy.paste(picture.resize((120, 90)), (100, 100))
    return jpeg(copy)


def test_fingerprints__a_shared_frame_joins_nothing():
    files = {str(i): on_a_screen(scene(i)) for i in range(8)}
    groups = photo_groups(8, hashes=fingerprints(PhotoSet.of_bytes("framed", files)).hashes)
    assert len(set(groups.tolist())) == 8
