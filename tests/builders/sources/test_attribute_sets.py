"""Data sets in FlickrExif's form as one photo set, equal to the photos of the build; malformed sets are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from benchmark.options import RunOptions
from benchmark.scoring import score_encoders
from benchmark.tasks import all_tasks, fitting_tasks
from builders.__main__ import main
from builders.data_specs import open_photos
from builders.errors import DataError, UsageError
from builders.photos import UNLABELLED, PhotoSet
from builders.simcams import simcams_photos
from builders.sources import read_attribute_photos
from tests.support.hub import OWNER_TOKEN, HubDouble
from tests.support.processes import run_python


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("simcams") / "cameras"
    arguments = ("--scenes", "4", "--size", "32", "--configs", "make,focal_length", "--workers", "1")
    assert main(["simcams", *arguments, "--output", str(output)]) == 0
    return output


@pytest.fixture(scope="module")
def photos(built: Path) -> PhotoSet:
    return open_photos(f"flickrexif:{built}")


def test_attribute_photos__is_what_was_built(photos: PhotoSet) -> None:
    made = simcams_photos(n_scenes=4, size=32)
    at = [made.ids.index(i) for i in photos.ids]
    assert [photos.read(i) for i in range(0, len(photos), 9)] == [made.read(i) for i in at[::9]]
    assert photos.splits.tolist() == made.splits[at].tolist()
    assert photos.columns["scene"].tolist() == made.columns["scene"][at].tolist()
    for config in ("make", "focal_length"):
        assert photos.attributes[config].names == made.attributes[config].names
        assert photos.attributes[config].values.tolist() == made.attributes[config].values[at].tolist()
    assert (photos.attributes["focal_length"].values == UNLABELLED).any()  # a photo of one config alone


def test_attribute_photos__one_config(built: Path, photos: PhotoSet) -> None:
    one = open_photos(f"flickrexif:{built}?config=focal_length")
    assert list(one.attributes) == ["focal_length"]
    assert (one.attributes["focal_length"].values != UNLABELLED).all()
    assert set(one.ids) < set(photos.ids)
    assert one.evidence["configs"] == "focal_length"


def test_attribute_photos__the_benchmark_probes_it(photos: PhotoSet, tmp_path: Path) -> None:
    from benchmark.encoders import load_encoder

    tasks = fitting_tasks(list(all_tasks().values()), photos, named=False)
    assert [task.name for task in tasks] == ["probe/make", "probe/focal-length"]
    options = RunOptions(workers=0, resamples=500, cache=tmp_path, mask_ratio=0.0)
    result = score_encoders([load_encoder("control:jpeg-statistics")], photos, tasks, options)[0].result
    make = result.score("probe/make", "accuracy")
    assert (make.details["classes"], make.n) == (9, 27)
    assert not result.failures


def rows(split_of_b: str) -> dict[str, dict[str, tuple[list[str], list[int]]]]:
    """Photo ids and labels by config and split: b is a train photo of ``make``."""
    first, second = {"train": (["a", "b"], [0, 1]), "test": (["c"], [1])}, {"train": (["a"], [1]), "test": (["c"], [0])}
    ids, labels = second[split_of_b]
    second[split_of_b] = ([*ids, "b"], [*labels, 0])
    return {"make": first, "iso": second}


def write(folder: Path, configs: dict[str, dict[str, tuple[list[str], list[int]]]], pixels: bool = True) -> Path:
    """A data set of other people's hands: Parquet and a card that says which file is what."""
    image = {"image": Image()} if pixels else {}
    features = Features({**image, "label": ClassLabel(names=["x", "y"]), "photo_id": Value("string")})
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, (ids, labels) in splits.items():
            columns = {"image": [{"bytes": f"{i}".encode(), "path": f"{i}.jpg"} for i in ids]} if pixels else {}
            table = Dataset.from_dict({**columns, "label": labels, "photo_id": ids}, features=features)
            table.to_parquet(folder / config / f"{split}.parquet")
            lines += [f"  - split: {split}", f"    path: {config}/{split}.parquet"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))
    return folder


def test_attribute_photos__a_photo_of_two_configs_is_one_photo(tmp_path: Path) -> None:
    measured = read_attribute_photos(str(write(tmp_path / "both", rows("train"))))
    assert measured.ids == ("a", "b", "c")
    assert [measured.read(i) for i in range(3)] == [b"a", b"b", b"c"]
    assert measured.splits.tolist() == [0, 0, 2]
    assert measured.attributes["make"].values.tolist() == [0, 1, 1]
    assert measured.attributes["iso"].values.tolist() == [1, 0, 0]
    assert not measured.columns
    assert np.all(measured.labels.values == UNLABELLED)


def test_attribute_photos__splits_that_disagree(tmp_path: Path) -> None:
    folder = write(tmp_path / "apart", rows("test"))
    with pytest.raises(DataError):
        read_attribute_photos(str(folder))
    assert read_attribute_photos(str(folder), configs=["iso"]).splits.tolist() == [0, 2, 2]


def test_attribute_photos__untrusted_labels_and_ids(tmp_path: Path) -> None:
    for name, ids, labels, why in (
        ("label", ["a", "b"], [0, 1], "make/train"),
        ("null", ["a", None], [0, 1], "make/train"),
        ("two", ["a", "a"], [0, 1], "labels"),
    ):
        folder = write(tmp_path / name, {"make": {"train": (ids, labels), "test": (["c"], [1])}})
        if name == "label":
            file = folder / "make" / "train.parquet"
            table = pq.read_table(file)
            pq.write_table(table.set_column(1, table.field("label"), pa.array([0, 7])), file)
        with pytest.raises(DataError, match=why):
            read_attribute_photos(str(folder))


def test_attribute_photos__without_pixels_says_how_to_get_them(tmp_path: Path) -> None:
    folder = write(tmp_path / "links", rows("train"), pixels=False)
    with pytest.raises(DataError):
        read_attribute_photos(str(folder))


def test_attribute_photos__unknown_config_and_no_attribute(tmp_path: Path) -> None:
    folder = write(tmp_path / "both", rows("train"))
    with pytest.raises(UsageError, match=r"makes.*make"):
        open_photos(f"flickrexif:{folder}?config=makes")
    other = write(tmp_path / "birds", {"species": rows("train")["make"]})
    with pytest.raises(DataError, match="attribute"):
        open_photos(f"flickrexif:{other}")
    with pytest.raises(DataError, match="cannot be opened"):
        open_photos(f"flickrexif:{tmp_path / 'nowhere'}")


OPEN = """
import json, sys
from builders.data_specs import open_photos
photos = open_photos(sys.argv[1])
print(json.dumps([photos.name, list(photos.ids), list(photos.attributes), len(photos.read(0))]))
"""


@pytest.mark.slow
def test_attribute_photos__from_the_hub(hub: HubDouble, built: Path, photos: PhotoSet, tmp_path: Path) -> None:
    """Published and opened by the unmodified Hub clients, at a revision."""

    def client(*arguments: str) -> str:
        environment = hub.environment(tmp_path / "home", OWNER_TOKEN)
        root = Path(__file__).parents[3]
        done = run_python(*arguments, env=environment, cwd=root)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    client("-m", "builders", "publish", str(built), "--repo", "camtrace/cameras", "--push")
    name, ids, attributes, size = json.loads(client("-c", OPEN, "flickrexif:hub:camtrace/cameras@main"))
    assert (name, tuple(ids)) == ("flickrexif:camtrace/cameras", photos.ids)
    assert (attributes, size) == (["make", "focal_length"], len(photos.read(0)))
