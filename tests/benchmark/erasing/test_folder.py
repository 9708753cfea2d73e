"""The folder of an eraser: it is read as it was written, and incomplete or other folders are refused."""

import dataclasses
import hashlib
import json
import re

import numpy as np
import pytest
from safetensors.numpy import save

from benchmark.erasing import FitSet, fit_eraser, load_eraser, save_eraser
from builders.errors import DataError


@pytest.fixture
def made(tmp_path):
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(60, 5)).astype(np.float32), rng.integers(0, 3, 60)
    eraser = fit_eraser(x, z, unit_rows=True)
    fit = FitSet(FitSet.id_hashes("folder:a", map(str, range(60))), rng.integers(1, 2**60, 60).astype(np.uint64))
    save_eraser(tmp_path / "eraser", eraser, fit, about={"attribute": "jpeg"}, card="# card\n")
    return tmp_path / "eraser", eraser, fit, x


def test_load_eraser__gives_the_saved_eraser(made):
    folder, eraser, fit, x = made
    loaded = load_eraser(folder)
    np.testing.assert_array_equal(loaded.apply(x), eraser.apply(x))
    assert (loaded.sha256, loaded.rank, loaded.method, loaded.unit_rows) == (eraser.sha256, 2, "leace", True)
    assert loaded.name == f"leace-jpeg@{eraser.sha256[:8]}"
    assert loaded.fit.digest() == fit.digest()
    assert sorted(p.name for p in folder.iterdir()) == [
        *("README.md", "eraser.json", "eraser.safetensors", "fit_photos.safetensors")
    ]


def test_eraser__saves_itself(made, tmp_path):
    folder, eraser, fit, x = made
    again = load_eraser(load_eraser(folder).save(tmp_path / "again"))
    np.testing.assert_array_equal(again.apply(x), eraser.apply(x))
    assert again.fit.digest() == fit.digest()
    assert load_eraser(eraser.save(tmp_path / "other")).fit is None
    use = "`camtrace.load_eraser(FOLDER).apply(embeddings)`, float32 [n, 5]"
    assert (tmp_path / "other" / "README.md").read_text() == f"# {eraser.name}\n\nAn eraser: {use}.\n"


def test_load_eraser__the_pair_of_earlier_versions_works_with_a_notice(made, caplog):
    folder, eraser, fit, _ = made
    loaded, fit_set = load_eraser(folder)
    assert (loaded.sha256, fit_set.digest()) == (eraser.sha256, fit.digest())
    assert load_eraser(folder)[0].sha256 == eraser.sha256
    assert len(caplog.messages) == 2


def test_load_eraser__an_incomplete_folder_is_refused(made):
    folder, *_ = made
    data = (folder / "eraser.safetensors").read_bytes()
    (folder / "eraser.safetensors").write_bytes(data[:-4] + b"\0\0\0\0")
    with pytest.raises(DataError, match="not whole"):
        load_eraser(folder)
    (folder / "eraser.json").unlink()
    with pytest.raises(DataError, match="no eraser"):
        load_eraser(folder)
    with pytest.raises(DataError, match="no such folder"):
        load_eraser(folder / "nothing here")


HOLED = np.where(np.eye(5) > 0, np.nan, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"mean": np.float32([0, 1, np.nan, 2, 3])}, "mean"),
        ({"mean": np.arange(5.0)}, "mean"),
        ({"projection": HOLED}, "projection"),
        ({"projection": np.ones((5, 4), np.float32)}, "projection"),
        ({"projection": np.eye(5)}, "projection"),
        ({"group_means": np.ones((2, 5), np.float32), "group_scales": np.ones((3, 5), np.float32)}, "group_scales"),
        ({"group_means": HOLED, "group_scales": np.ones((5, 5), np.float32)}, "group_means"),
    ],
)
def test_load_eraser__an_array_of_another_form_or_with_one_hole_is_refused(made, tmp_path, changed, name):
    folder = dataclasses.replace(made[1], **changed).save(tmp_path / "other")
    with pytest.raises(DataError, match=name):
        load_eraser(folder)


def with_tensors(folder, data):
    """The folder with other tensors under their true hash."""
    (folder / "eraser.safetensors").write_bytes(data)
    about = json.loads((folder / "eraser.json").read_text("utf-8"))
    about["files_sha256"]["eraser.safetensors"] = hashlib.sha256(data).hexdigest()
    (folder / "eraser.json").write_text(json.dumps(about), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("names", "held"),
    [
        (("mean",), "mean"),
        (("mean", "projection", "more"), "mean, more, projection"),
        (("mean", "projection", "group_scales"), "group_scales"),
        (("mean", "projection", "group_means"), "group_means"),
        (("projection", "group_scales", "group_means"), "group_scales"),
    ],
)
def test_load_eraser__tensors_of_other_names_are_refused(made, names, held):
    shapes = {"mean": (5,), "projection": (5, 5), "more": (5,)}
    tensors = {name: np.zeros(shapes.get(name, (2, 5)), np.float32) for name in names}
    folder = with_tensors(made[0], save(tensors))
    with pytest.raises(DataError, match=held):
        load_eraser(folder)


def test_load_eraser__tensors_that_cannot_be_read_are_refused(made):
    folder = with_tensors(made[0], b"no tensors")
    with pytest.raises(DataError, match=re.escape(str(folder))):
        load_eraser(folder)


def test_load_eraser__its_provenance_is_what_was_recorded_besides_its_form(made):
    folder, eraser, *_ = made
    assert load_eraser(folder).provenance == {**eraser.provenance, "attribute": "jpeg"}
