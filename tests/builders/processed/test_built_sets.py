"""Built sets and everything that ``datasets`` does with them: one whose config owns its files, one that shares them.

What is loaded is the library's own ``Dataset`` of Parquet files; these tests hold that our files are such that each
operation gives the same photos, bytes and classes.
"""

import dataclasses
import json

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datasets.distributed import split_dataset_by_node

from builders.__main__ import main
from builders.data_specs import open_photos
from builders.dataset import read_build
from builders.errors import UsageError
from builders.photos import UNLABELLED, Labels, PhotoSet
from builders.processed.build import build_processed
from tests.builders.publish.test_publish import client
from tests.conftest import photo_bytes
from tests.support.hub import HubDouble
from tests.support.images import image_pixels

pytestmark = pytest.mark.slow

SIMCAMS = ["simcams", "--scenes", "4", "--size", "32", "--configs", "make,iso,focal_length", "--workers", "1"]


@pytest.fixture(scope="module", params=["processed", "shared"])
def built(request, photo_folder, tmp_path_factory):
    """(folder, config)"""
    output = tmp_path_factory.mktemp("built") / f"{request.param}-out"
    if request.param == "shared":
        assert main([*SIMCAMS, "--output", str(output)]) == 0
        return output, "make"
    given = ["--parameter", "jpeg", "--license", "cc-by-4.0", "--workers", "1"]
    assert main(["folder", "--source", f"folder:{photo_folder}", *given, "--output", str(output)]) == 0
    return output, "jpeg"


@pytest.fixture(scope="module")
def loaded(built, tmp_path_factory):
    folder, config = built
    return datasets.load_dataset(str(folder), config, cache_dir=str(tmp_path_factory.mktemp("cache")))["train"]


@pytest.fixture(scope="module")
def truth(built):
    """{photo_id: (bytes of its file, class)} of the Parquet files, read without ``datasets``."""
    folder, config = built
    result = {}
    for split in read_build(folder).splits:
        if (split.config, split.split) == (config, "train"):
            for shard in split.shards:
                for row in pq.read_table(folder / shard.file).to_pylist():
                    result[row["photo_id"]] = row["image"]["bytes"], row[config]
    assert len(result) >= 8
    return result


def agrees(rows, truth, built):
    """How many rows there are, each with the pixels and the class of its photo."""
    count = 0
    for row in rows:
        data, code = truth[row["photo_id"]]
        assert int(row[built[1]]) == code
        np.testing.assert_array_equal(np.asarray(row["image"].convert("RGB")), image_pixels(data))
        count += 1
    return count


@pytest.mark.filterwarnings("ignore:Specifying null_placement:FutureWarning")  # datasets to pyarrow
def test_rows_slices_columns_and_order(loaded, truth, built):
    everything = len(truth)
    assert agrees(loaded, truth, built) == everything
    assert [row["photo_id"] for row in loaded] == loaded["photo_id"][:]
    assert agrees(loaded.shuffle(seed=1), truth, built) == everything
    assert agrees(loaded.select([3, 0, 0]), truth, built) == 3
    assert agrees(loaded.skip(2).take(4), truth, built) == 4
    assert agrees(loaded.sort("photo_id", reverse=True), truth, built) == everything
    assert agrees(loaded.flatten_indices(), truth, built) == everything
    parts = loaded.train_test_split(0.25, seed=0)
    assert agrees(parts["train"], truth, built) + agrees(parts["test"], truth, built) == everything
    shards = [loaded.shard(3, i) for i in range(3)]
    assert agrees(datasets.concatenate_datasets(shards), truth, built) == everything
    changed = loaded.add_column("n", list(range(everything))).rename_column("image", "picture")
    assert set(changed.column_names) == {*loaded.column_names, "n", "picture"} - {"image"}
    assert loaded.class_encode_column("photo_id").features["photo_id"].num_classes == everything


def test_map_and_filter(loaded, truth, built):
    config = built[1]
    mapped = loaded.map(lambda image: {"mean": float(np.asarray(image).mean())}, input_columns="image")
    assert mapped["mean"][2] == pytest.approx(np.asarray(loaded[2]["image"]).mean())
    raw = loaded.cast_column("image", datasets.Image(decode=False))
    sizes = raw.map(lambda row: {"size": len(row["image"]["bytes"])})
    for stored in (mapped, sizes, loaded.map(lambda row: {"twice": 2 * row[config]})):
        for row in stored.cast_column("image", datasets.Image(decode=False)):
            assert row["image"]["bytes"] == truth[row["photo_id"]][0]
    batched = loaded.map(
        lambda batch: {"side": [image.size[0] for image in batch["image"]]},
        batched=True,
        num_proc=2,
        remove_columns="image",
    )
    assert batched["side"][1] == loaded[1]["image"].size[0]
    first = loaded.filter(lambda row: row[config] == 0)
    assert len(first) == sum(code == 0 for _, code in truth.values()) > 0


def test_formats_and_transforms(loaded, truth, built):
    tensor = loaded.with_format("torch")[1]["image"]
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(np.squeeze(loaded.with_format("numpy")[1]["image"]), np.asarray(loaded[1]["image"]))
    seen = loaded.with_transform(lambda batch: {"size": [image.size for image in batch["image"]]})[0]
    assert seen == {"size": loaded[0]["image"].size}
    loader = torch.utils.data.DataLoader(
        loaded.with_transform(lambda batch: {"id": batch["photo_id"]}), batch_size=3, collate_fn=list
    )
    assert {row["id"] for batch in loader for row in batch} == set(truth)


def test_cast_column__gives_the_bytes_that_were_written(loaded, truth):
    for row in loaded.cast_column("image", datasets.Image(decode=False)):
        assert row["image"]["bytes"] == truth[row["photo_id"]][0]


def test_save_to_disk_and_parquet(loaded, truth, built, tmp_path):
    loaded.save_to_disk(str(tmp_path / "saved"))
    again = datasets.load_from_disk(str(tmp_path / "saved"))
    assert again.features == loaded.features
    assert agrees(again, truth, built) == len(truth)
    loaded.to_parquet(str(tmp_path / "one.parquet"))
    table = pq.read_table(tmp_path / "one.parquet").to_pylist()
    assert {row["photo_id"]: (row["image"]["bytes"], row[built[1]]) for row in table} == truth


def test_streaming(built, truth, tmp_path):
    folder, config = built
    stream = datasets.load_dataset(str(folder), config, split="train", streaming=True)
    assert agrees(stream, truth, built) == len(truth)
    assert agrees(stream.shuffle(seed=0, buffer_size=5), truth, built) == len(truth)
    assert agrees(stream.skip(2).take(3), truth, built) == 3
    assert agrees(stream.filter(lambda row: row[config] == 0), truth, built) == sum(c == 0 for _, c in truth.values())
    assert next(iter(stream.map(lambda row: {"w": row["image"].size[0]})))["w"] > 0
    raw = next(iter(stream.cast_column("image", datasets.Image(decode=False))))
    assert raw["image"]["bytes"] == truth[raw["photo_id"]][0]
    nodes = [agrees(split_dataset_by_node(stream, rank, 2), truth, built) for rank in range(2)]
    assert sum(nodes) == len(truth)
    loader = torch.utils.data.DataLoader(stream.remove_columns("image"), batch_size=None)
    assert {row["photo_id"] for row in loader} == set(truth)


PUSH = """
import json, sys
import datasets
one = datasets.load_dataset(sys.argv[1], sys.argv[2])
one.push_to_hub("camtrace/copy", sys.argv[2], private=True)
again = datasets.load_dataset("camtrace/copy", sys.argv[2])
assert {s: again[s].features for s in again} == {s: one[s].features for s in one}
raw = again["train"].cast_column("image", datasets.Image(decode=False))
print(json.dumps({r["photo_id"]: [r["image"]["bytes"].hex(), r[sys.argv[2]]] for r in raw}))
"""


def test_push_to_hub__and_back(built, truth, tmp_path):
    with HubDouble() as double:
        done = client(double, tmp_path / "home", "-c", PUSH, *built)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {id: (bytes.fromhex(data), code) for id, (data, code) in json.loads(done.stdout).items()} == truth


def test_built__groups_clusters_and_near_duplicates_come_back(tmp_path):
    files = {f"{i}.jpg": photo_bytes(i) for i in range(12)} | {"twin.jpg": photo_bytes(0)}
    photos = PhotoSet.of_bytes("slides", files, labels=["a", "b"] * 6 + ["a"], splits=["train"] * 8 + ["val"] * 5)
    site = Labels(("north", "south"), np.array([0, 1, UNLABELLED] * 4 + [1], dtype=np.int32))
    cluster = np.array([f"slide {i // 2}" for i in range(12)] + ["slide 0"])
    photos = dataclasses.replace(photos, groups={"site": site}, columns={"cluster": cluster})
    options = {"parameters": ["jpeg", "resizing"], "assignment": "every", "progress": False}
    build_processed(photos, tmp_path / "out", duplicates="move", **options)
    built = open_photos(f"built:{tmp_path / 'out'}")
    at = [photos.ids.index(photo_id) for photo_id in built.ids]
    assert built.groups["site"].names == site.names
    assert built.groups["site"].values.tolist() == site.values[at].tolist()
    assert built.columns["cluster"].tolist() == cluster[at].tolist()
    expected = {"0.jpg": "0.jpg", "twin.jpg": "0.jpg"}
    assert built.columns["near_duplicates"].tolist() == [expected.get(photo_id, "") for photo_id in built.ids]
    # without labels of groups or twins a build has the columns of before
    plain = PhotoSet.of_bytes("plain", {"x.jpg": photo_bytes(5)})
    build_processed(plain, tmp_path / "plain", progress=False)
    assert not {"cluster", "near_duplicates"} & set(pq.read_schema(next((tmp_path / "plain").rglob("*.parquet"))).names)


def test_built__a_group_that_changes_is_another_build(tmp_path):
    photos = PhotoSet.of_bytes("slides", {f"{i}.jpg": photo_bytes(i) for i in range(4)})
    for values in ([0, 1, 0, 1], [0, 1, 1, 1]):
        site = Labels(("north", "south"), np.array(values, dtype=np.int32))
        grouped = dataclasses.replace(photos, groups={"site": site})
        if values[2]:
            with pytest.raises(UsageError):
                build_processed(grouped, tmp_path / "out", assignment="every", progress=False)
            build_processed(grouped, tmp_path / "out", assignment="every", update=True, progress=False)
        else:
            build_processed(grouped, tmp_path / "out", assignment="every", progress=False)
    assert open_photos(f"built:{tmp_path / 'out'}").groups["site"].values.tolist() == [0, 1, 1, 1]
