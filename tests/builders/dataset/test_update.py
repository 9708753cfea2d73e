"""Updates of builds whose photos changed: the files of a full build, and only changed photos are made again."""

import os

import pytest

from builders.__main__ import main
from builders.check import diff_builds
from builders.data_specs import open_photos
from builders.dataset import file_sha256, write
from builders.errors import UsageError
from builders.processed import rows
from builders.processed.build import build_processed
from tests.conftest import photo_bytes

PARTS = {"parameters": ["jpeg", "interpolation"], "assignment": "study", "progress": False}


def files(output):
    """Every published file with its hash."""
    return {
        path.relative_to(output).as_posix(): file_sha256(path)
        for path in output.rglob("*")
        if path.is_file() and ".build" not in path.parts
    }


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for i in range(24):
        path = folder / ("cat", "dog")[i % 2] / f"{i:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo_bytes(i))
        os.utime(path, (1, 1))
    return folder


@pytest.fixture
def made(monkeypatch):
    """Ids of the photos that are decoded and processed."""
    ids = []
    processed_rows = rows.processed_rows

    def counted(data, photo_id, *args):
        ids.append(photo_id)
        return processed_rows(data, photo_id, *args)

    monkeypatch.setattr(rows, "processed_rows", counted)
    return ids


def spec(folder):
    return open_photos(f"folder:{folder}")


def test_update__the_files_of_a_full_build_and_only_changed_photos_are_made(photos, tmp_path, made):
    build_processed(spec(photos), tmp_path / "out", **PARTS)
    (photos / "cat" / "02.jpg").write_bytes(photo_bytes(102))
    (photos / "dog" / "05.jpg").unlink()
    (photos / "cat" / "00a.jpg").write_bytes(photo_bytes(103))  # before all others: every row moves
    made.clear()
    build_processed(spec(photos), tmp_path / "out", update=True, **PARTS)
    assert set(made) == {"cat/02.jpg", "cat/00a.jpg"}
    assert len(made) <= 2 * 2 * 2  # two photos, two configs, once for the sample and once for the shard
    build_processed(spec(photos), tmp_path / "full", **PARTS)
    assert files(tmp_path / "out") == files(tmp_path / "full")
    assert diff_builds(tmp_path / "out", tmp_path / "full").is_equal
    assert not (tmp_path / "out" / ".build" / "previous").exists()


def test_update__new_classes_move_labels_and_no_photo_is_made_for_it(photos, tmp_path, made):
    build_processed(spec(photos), tmp_path / "out", **PARTS)
    (photos / "ant").mkdir()
    for i in range(4):
        (photos / "ant" / f"{i}.jpg").write_bytes(photo_bytes(200 + i))
    made.clear()
    build_processed(spec(photos), tmp_path / "out", update=True, **PARTS)
    assert {photo_id.split("/")[0] for photo_id in made} == {"ant"}
    build_processed(spec(photos), tmp_path / "full", **PARTS)
    assert files(tmp_path / "out") == files(tmp_path / "full")


@pytest.mark.parametrize("changes", [{"seed": 3}, {"lossless": True}])
def test_update__other_settings_give_the_build_of_these_settings(photos, tmp_path, changes):
    build_processed(spec(photos), tmp_path / "out", **PARTS)
    build_processed(spec(photos), tmp_path / "out", update=True, **{**PARTS, **changes})
    build_processed(spec(photos), tmp_path / "full", **{**PARTS, **changes})
    assert files(tmp_path / "out") == files(tmp_path / "full")


def test_update__configs_that_are_no_longer_named_are_gone(photos, tmp_path):
    build_processed(spec(photos), tmp_path / "out", **PARTS)
    build_processed(spec(photos), tmp_path / "out", update=True, **{**PARTS, "parameters": ["jpeg"]})
    assert {path.name for path in (tmp_path / "out" / "data").iterdir()} == {"jpeg"}


def test_update__goes_on_after_it_was_stopped(photos, tmp_path, made, monkeypatch):
    build_processed(spec(photos), tmp_path / "out", **PARTS)
    (photos / "cat" / "02.jpg").write_bytes(photo_bytes(102))
    write_shard, written = write.write_shard, []

    def stopped(*args):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(write_shard(*args))
        return written[-1]

    with monkeypatch.context() as patch:
        patch.setattr(write, "write_shard", stopped)
        with pytest.raises(KeyboardInterrupt):
            build_processed(spec(photos), tmp_path / "out", update=True, **PARTS)
    assert not (tmp_path / "out" / "README.md").exists()
    made.clear()
    build_processed(spec(photos), tmp_path / "out", update=True, **PARTS)
    assert set(made) <= {"cat/02.jpg"}
    build_processed(spec(photos), tmp_path / "full", **PARTS)
    assert files(tmp_path / "out") == files(tmp_path / "full")


def test_update__a_damaged_shard_is_not_copied_from(photos, tmp_path, made, capsys):
    build_processed(spec(photos), tmp_path / "out", **{**PARTS, "parameters": ["jpeg"]})
    shard = next((tmp_path / "out").rglob("train*.parquet"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    made.clear()
    build_processed(spec(photos), tmp_path / "out", update=True, **{**PARTS, "parameters": ["jpeg"]})
    assert "checksum" in capsys.readouterr().err
    assert made
    build_processed(spec(photos), tmp_path / "full", **{**PARTS, "parameters": ["jpeg"]})
    assert files(tmp_path / "out") == files(tmp_path / "full")


def test_update__a_folder_of_another_program_is_left_alone(photos, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("mine")
    with pytest.raises(UsageError):
        build_processed(spec(photos), tmp_path / "mine", update=True, **PARTS)
    assert (tmp_path / "mine" / "README.md").read_text() == "mine"


def test_update__with_fresh_is_refused(photos, tmp_path, capsys):
    assert main(["folder", "--data", str(photos), "-o", str(tmp_path / "out"), "--update", "--fresh"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_update__the_refusal_of_other_photos_names_the_option(photos, tmp_path, capsys):
    command = ["folder", "--data", str(photos), "-o", str(tmp_path / "out")]
    assert main(command) == 0
    (photos / "dog" / "05.jpg").unlink()
    capsys.readouterr()
    assert main(command) == 2
    assert "--update" in capsys.readouterr().err
    assert main([*command, "--update"]) == 0
    assert "23" in capsys.readouterr().err
