"""Options of PairCams: each arrives, and each leaves its mark in rows, record, card and cache."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from builders.__main__ import main
from builders.errors import PhotoError, UsageError
from builders.paircams.build import build_paircams, pair_rows
from builders.paircams.cli import PairCamsConfig
from builders.sources import read_pair_photos
from tests.builders.paircams.test_paircams import exif_photo
from tests.conftest import photo_bytes
from tests.support.images import image_bytes


@pytest.fixture
def listed(tmp_path):
    """A folder of two pairs, by the models "left" and "right"; the second pair is of PNG files."""
    root = tmp_path / "listed"
    root.mkdir()
    write_table(root, "left", "right")
    for i in range(4):
        data = photo_bytes(i, size=(24 + i, 16))
        (root / f"{i}.jpg").write_bytes(data if i < 2 else image_bytes(np.full((8, 9 + i, 3), i, np.uint8)))
    return root


def write_table(root, first, second, types=("phone", "camera"), pairs=("a", "b")):
    rows = [f"{i}.jpg,{pairs[i // 2]},{(first, second)[i % 2]},{types[i % 2]}" for i in range(4)]
    (root / "pairs.csv").write_text("\n".join(["file,pair_id,camera,camera_type", *rows]) + "\n")


def rows_of(folder):
    return [row for file in sorted(folder.rglob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_rows__again_only_of_the_same_files_and_photos_and_with_the_cameras_of_now(listed):
    stored = pair_rows(read_pair_photos(str(listed)))(0)
    write_table(listed, "one", "other")
    rows = pair_rows(read_pair_photos(str(listed)))
    again = rows.again(0, stored)
    assert [row["camera"] for row in again] == ["one", "other"]
    assert [{**row, "camera": ""} for row in again] == [{**row, "camera": ""} for row in stored]
    assert rows.again(0, stored[::-1]) is None
    assert rows.again(0, [stored[0], {**stored[1], "sha256": "0" * 64}]) is None
    assert rows.again(0, [stored[0], {**stored[1], "photo_id": "other.jpg"}]) is None
    (listed / "1.jpg").write_bytes((listed / "0.jpg").read_bytes())
    assert rows.again(0, [stored[0], {**stored[1], "sha256": stored[0]["sha256"]}]) is None
    with pytest.raises(PhotoError):
        rows(0)


def test_build__a_table_of_other_cameras_is_another_build_and_update_reads_it(listed, tmp_path):
    """The photos stay the same files."""
    out = tmp_path / "out"
    build_paircams(read_pair_photos(str(listed)), out, progress=False)
    for names, types, pairs in (
        (("one", "other"), ("phone", "camera"), ("a", "b")),
        (("left", "right"), ("camera", "phone"), ("a", "b")),
    ):
        write_table(listed, *names, types, pairs)
        changed = read_pair_photos(str(listed))
        with pytest.raises(UsageError):
            build_paircams(changed, out, progress=False)
        build_paircams(changed, out, update=True, progress=False)
        assert {row["camera"] for row in rows_of(out)} == set(names)
    build_paircams(changed, out, progress=False)  # nothing has changed


def test_pair_cams_config__cache_changes_with_what_changes_rows(listed, monkeypatch):
    def name(source=str(listed), **options):
        return PairCamsConfig(name="pairs", source=source, **options).create_config_id({})

    names = [name()]
    assert names[0] == name(source=f"folder:{listed}")
    assert names[0].startswith("pairs-")
    assert len(names[0]) == len("pairs-") + 16
    for first, second, types, pairs in (
        ("one", "right", ("phone", "camera"), ("a", "b")),
        ("left", "right", ("camera", "phone"), ("a", "b")),
        ("left", "right", ("phone", "camera"), ("a", "c")),
    ):
        write_table(listed, first, second, types, pairs)
        names.append(name())
    write_table(listed, "left", "right", ("", ""))
    names += [name(phones=(phone,), cameras=(camera,)) for phone, camera in (("left", "right"), ("right", "left"))]
    assert len(set(names[:4])) == 4
    assert names[4:] == [names[0], names[2]]


@pytest.mark.slow
def test_command__proposes_pairs_and_says_how_to_go_on(tmp_path, capsys):
    """The camera's clock is 90 s behind; one photo of the phone has no partner, one of the camera no time."""
    cards, out = tmp_path / "cards", tmp_path / "new" / "out"
    for kind in ("phone", "camera"):
        (cards / kind).mkdir(parents=True)
    for i, minute in enumerate((0, 7, 20, 41)):
        (cards / "phone" / f"{i}.jpg").write_bytes(exif_photo(i, "Apple", "iPhone 15", f"2024:05:01 10:{minute:02}:30"))
    for i, taken in enumerate(("09:59:00", "10:06:00", "10:19:00")):
        (cards / "camera" / f"c{i}.jpg").write_bytes(exif_photo(9 + i, "NIKON", "E990", f"2024:05:01 {taken}"))
    (cards / "camera" / "none.jpg").write_bytes(photo_bytes(5))
    command = ["paircams", "--propose", "--data", f"folder:{cards}", "-o", str(out), "--workers", "1"]
    assert main([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    table = out / "pairs-proposed.csv"
    assert record == {"table": str(table), "offset_s": -90.0, "pairs": 3, "unpaired": 1, "without_time": 1}
    assert len(table.read_text().splitlines()) == 1 + 2 * 3
    assert main(command) == 2
    assert f"{table}" in capsys.readouterr().err
    table.unlink()
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"3 pairs proposed in {table}: the camera's clock is -90 s from the phone's, 1 photos have no partner, 1 have "
        "no time in their Exif",
        f"Review it, save it as {cards / 'pairs.csv'}, then build with --data {cards}",
    ]
