"""``diff``: what it passes on, which ways and samples it takes, what it refuses, and every field of the result."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.extras.diff import diff
from builders.errors import DataError, UsageError
from builders.photos import NoPictures, PhotoSet


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"limit": 2}, "photos"),
        ({"neighbours": 0}, "neighbours"),
        ({"at_most": 0.0}, "weakest"),
        ({"at_most": float("nan")}, "weakest"),
        ({"b": ()}, "'decoder=opencv'"),
    ],
)
def test_diff__refusals(thumbnail, oblong_photos, options, sentence):
    with pytest.raises(UsageError) as error:
        diff(thumbnail, oblong_photos, **{"b": "decoder=opencv", **options})
    assert sentence in str(error.value)


@pytest.mark.slow
def test_diff__refuses_processed_photos_and_too_few(thumbnail, oblong_photos):
    with pytest.raises(UsageError) as error:
        diff(thumbnail, dataclasses.replace(oblong_photos, stored_views=("web",)), b="decoder=opencv")
    assert "themselves" in str(error.value)
    with pytest.raises(DataError) as error:
        diff(thumbnail, oblong_photos.select([0, 1]), b="decoder=opencv", progress=False)
    assert "embedded" in str(error.value)
    files = {f"{i}": oblong_photos.read(i) if i < 2 else b"no photo" for i in range(4)}
    with pytest.raises(DataError) as error:
        diff(thumbnail, PhotoSet.of_bytes("bad", files), b="decoder=opencv", progress=False)
    assert "embedded" in str(error.value)
    assert "too few" not in str(error.value)


@pytest.mark.slow
def test_diff__neighbours_are_those_of_the_data_set_unless_given(thumbnail, oblong_photos):
    photos = dataclasses.replace(oblong_photos.select([*range(6)]), neighbours=2)
    counts = [diff(thumbnail, photos, b="", neighbours=n, progress=False).neighbours for n in (None, 1, 3, 5, 6)]
    assert counts == [2, 1, 3, 5, 5]
    assert diff(thumbnail, photos.select([0, 1, 2]), b="", limit=3, progress=False).n == 3


def test_diff__photos_without_pictures_have_files_of_embeddings_alone(thumbnail, tmp_path):
    ids = [f"p{i}" for i in range(6)]
    photos = dataclasses.replace(PhotoSet.of_bytes("bare", dict.fromkeys(ids, b"")), source=NoPictures())
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    pq.write_table(pa.table({"photo_id": ids, "embedding": rows.tolist()}), tmp_path / "a.parquet")
    file = f"model=embeddings:{tmp_path / 'a.parquet'}"
    assert diff(data=photos, a=file, b=[file], progress=False).rows[0].identical
    for a, b in (("", ""), (file, "model="), ("", file)):
        with pytest.raises(DataError) as error:
            diff(thumbnail, photos, a=a, b=b, progress=False)
        assert "image=COLUMN" in str(error.value)


def test_diff__a_processing_is_a_way(thumbnail, oblong_photos):
    result = diff(thumbnail, oblong_photos, b="processing=sharpening-x4", progress=False)
    [way] = [row for row in result.rows if row.kind == "path"]
    assert way.cosine.value == pytest.approx(result.distances["sharpening-x4"], rel=1e-6)
    with pytest.raises(UsageError, match="sharpening-x5"):
        diff(thumbnail, oblong_photos, b="processing=sharpening-x5")
