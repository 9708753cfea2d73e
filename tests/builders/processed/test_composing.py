"""``with_processing`` and everything that ``datasets`` does with its result: one row of the table, one test.

``truth`` is made by hand: each photo decoded, processed and encoded by the function that the builds use.
"""

import json
import pickle

import datasets
import fsspec
import numpy as np
import pytest
import torch
from datasets.distributed import split_dataset_by_node

import builders
from builders.errors import PhotoError, UsageError
from builders.pixels import PARAMETERS, assigned_class, decode_rgb, processed_file
from tests.builders.processed.test_with_processing import loaded, source  # noqa: F401
from tests.builders.publish.test_publish import client
from tests.conftest import photo_bytes
from tests.support.hub import HubDouble
from tests.support.images import image_pixels
from tests.support.processes import run_python

SHARPENING = PARAMETERS["sharpening"]


@pytest.fixture(scope="module")
def plain(loaded):  # noqa: F811
    return loaded["train"]


@pytest.fixture
def views(plain):
    return builders.with_processing(plain, "sharpening", assignment="every")


@pytest.fixture(scope="module")
def truth(plain):
    """{(photo_id, class): pixels}"""
    result = {}
    for i, row in enumerate(plain.cast_column("image", datasets.Image(decode=False))):
        for code, made in enumerate(SHARPENING.made_by):
            data = processed_file(decode_rgb(row["image"]["bytes"]), made, f"train/{i}", 0)
            result[f"train/{i}", code] = image_pixels(data)
    return result


def agrees(truth, rows, read=np.asarray):
    count = 0
    for row in rows:
        np.testing.assert_array_equal(read(row["image"]), truth[row["photo_id"], int(row["sharpening"])])
        count += 1
    return count


def from_cell(cell):
    return image_pixels(cell["bytes"])


def test_rows_slices_columns_and_iteration(views, truth):
    assert isinstance(views.features["image"], datasets.Image)
    assert agrees(truth, views) == len(views) == len(truth)
    part = views[4:9]
    assert agrees(truth, [{n: part[n][i] for n in part} for i in range(5)]) == 5
    np.testing.assert_array_equal(np.asarray(views["image"][7]), truth["train/2", 1])


def test_with_transform__runs_after_the_processing(views, truth):
    def means(batch):
        return {"mean": [np.asarray(image).mean() for image in batch["image"]], "id": batch["photo_id"]}

    changed = views.with_transform(means)
    assert changed[4] == {"mean": truth["train/1", 1].mean(), "id": "train/1"}
    views.set_transform(means)
    assert views[5]["mean"] == truth["train/1", 2].mean()


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_with_format__gives_processed_pixels(views, truth, kind):
    row = views.with_format(kind)[4]
    pixels = row["image"]
    if kind == "torch":
        assert isinstance(pixels, torch.Tensor)
        pixels = pixels.permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(pixels, truth["train/1", 1])
    assert views.with_format(kind, columns=["sharpening"])[0] == {"sharpening": 0}
    assert agrees(truth, [views.with_format(kind).with_format(None)[3]]) == 1


def test_map__sees_processed_images_and_keeps_them(views, truth):
    mapped = views.map(lambda row: {"width": row["image"].size[0]})
    assert agrees(truth, mapped) == len(truth)
    assert mapped["width"][:] == [truth[key].shape[1] for key in sorted(truth, key=lambda k: (int(k[0][6:]), k[1]))]
    batched = views.select(range(6)).map(lambda b: {"mean": [np.asarray(i).mean() for i in b["image"]]}, batched=True)
    assert batched["mean"][4] == truth["train/1", 1].mean()


def test_map__may_change_the_image(views, truth):
    small = views.select(range(3)).map(lambda row: {"image": row["image"].resize((5, 4))})
    assert small[1]["image"].size == (5, 4)


def test_map__in_several_processes(views, truth):
    mapped = views.select(range(8)).map(lambda row: {"mean": np.asarray(row["image"]).mean()}, num_proc=2)
    assert mapped["mean"][4] == truth["train/1", 1].mean()


@pytest.mark.filterwarnings("ignore:Specifying null_placement:FutureWarning")  # datasets to pyarrow
def test_filter_sort_and_unique(views, truth):
    dark = views.filter(lambda row: np.asarray(row["image"]).mean() < 128)
    assert set(zip(dark["photo_id"], dark["sharpening"], strict=True)) == {
        key for key, pixels in truth.items() if pixels.mean() < 128
    }
    assert agrees(truth, views.sort("sharpening", reverse=True).select(range(4))) == 4
    assert sorted(views.unique("sharpening")) == [0, 1, 2]


def test_shuffle_select_split_shard_and_concatenate(views, truth):
    assert agrees(truth, views.shuffle(seed=1)) == len(truth)
    assert agrees(truth, views.select([70, 3, 3])) == 3
    parts = views.train_test_split(0.25, seed=0)
    assert agrees(truth, parts["train"]) + agrees(truth, parts["test"]) == len(truth)
    shards = [views.shard(4, i) for i in range(4)]
    assert agrees(truth, datasets.concatenate_datasets(shards)) == len(truth)
    assert agrees(truth, views.skip(3).take(2)) == 2
    assert agrees(truth, views.flatten_indices().shuffle(seed=2).flatten_indices()) == len(truth)


def test_columns__added_renamed_and_removed(views, truth):
    changed = views.add_column("n", list(range(len(views)))).rename_column("image", "picture").remove_columns("label")
    np.testing.assert_array_equal(np.asarray(changed[4]["picture"]), truth["train/1", 1])
    assert changed.column_names == ["photo_id", "sharpening", "picture", "n"]
    assert views.select_columns(["photo_id"])[1] == {"photo_id": "train/0"}


def test_cast_column__undecoded_gives_addresses_that_fsspec_opens(views, truth):
    cell = views.cast_column("image", datasets.Image(decode=False))[4]["image"]
    assert cell["bytes"] is None
    with fsspec.open(cell["path"], "rb") as stream:
        np.testing.assert_array_equal(from_cell({"bytes": stream.read()}), truth["train/1", 1])
    again = views.cast_column("image", datasets.Image(decode=False)).cast_column("image", datasets.Image())
    assert agrees(truth, again) == len(truth)


def test_decode_false__gives_the_bytes_of_a_build(plain, truth):
    views = builders.with_processing(plain, "sharpening", assignment="every", decode=False)
    assert views.features["image"] == datasets.Image(decode=False)
    assert agrees(truth, views, from_cell) == len(truth)
    assert views[4]["image"]["path"] == "train_1.x2.jpg"
    assert agrees(truth, views.cast_column("image", datasets.Image(decode=False)), from_cell) == len(truth)
    assert agrees(truth, views.shuffle(seed=0).select(range(5)), from_cell) == 5


@pytest.mark.parametrize("decode", [True, False])
def test_save_to_disk_and_parquet__hold_the_bytes(plain, truth, tmp_path, decode):
    views = builders.with_processing(plain, "sharpening", assignment="every", decode=decode)
    with pytest.raises(UsageError, match="with_format"):
        views.save_to_disk(str(tmp_path / "refused"))
    written = (
        builders.with_processing(plain, "sharpening", assignment="every", decode=False).map(dict).with_format(None)
    )
    written.save_to_disk(str(tmp_path / "saved"))
    datasets.load_from_disk(str(tmp_path / "saved")).to_parquet(str(tmp_path / "views.parquet"))
    code = (
        "import datasets, io, sys, numpy as np\n"
        "from PIL import Image\n"
        "for d in (datasets.load_from_disk(sys.argv[1]),\n"
        "          datasets.load_dataset('parquet', data_files=sys.argv[2], split='train', cache_dir=sys.argv[3])):\n"
        "    cells = d.cast_column('image', datasets.Image(decode=False))\n"
        "    print(all(len(row['image']['bytes']) > 100 for row in cells), len(d), d.features['sharpening'].names)\n"
    )  # in a process that knows nothing of camtrace
    folders = (tmp_path / "saved", tmp_path / "views.parquet", tmp_path / "cache")
    printed = run_python("-c", code, *folders, cwd=tmp_path)
    assert printed.returncode == 0, printed.stderr[-2000:]
    assert printed.stdout.splitlines() == [f"True {len(truth)} ['none', 'x2', 'x4']"] * 2
    read = datasets.load_from_disk(str(tmp_path / "saved")).cast_column("image", datasets.Image())
    assert agrees(truth, read) == len(truth)


PUSH = """
import sys
import datasets, builders
plain = datasets.load_dataset("imagefolder", data_dir=sys.argv[1], split="train")
views = builders.with_processing(plain, "sharpening", assignment="every", folder=sys.argv[1])
try:
    views.push_to_hub("camtrace/views", private=True)
except builders.errors.UsageError as error:
    assert "map(dict).with_format(None) writes them out" in str(error), error
else:
    raise SystemExit("it was pushed")
raw = builders.with_processing(plain, "sharpening", assignment="every", folder=sys.argv[1], decode=False)
raw.map(dict).with_format(None).push_to_hub("camtrace/written", private=True)
again = datasets.load_dataset("camtrace/written", split="train")
print(len(again), all(len(row["image"]["bytes"]) > 100 for row in again))
"""


@pytest.mark.slow
def test_push_to_hub__is_refused_and_works_as_it_says(photo_folder, tmp_path):
    with HubDouble() as double:
        done = client(double, tmp_path / "home", "-c", PUSH, photo_folder / "train")
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.split() == ["72", "True"]
        assert not [name for name in double.repo("camtrace/views").files if name.endswith(".parquet")]


def test_to_iterable_dataset(views, truth):
    assert agrees(truth, views.to_iterable_dataset(num_shards=3).shuffle(seed=1)) == len(truth)


def test_torch_loaders__whose_workers_are_forked(views, truth, tmp_path):
    """In a process of its own: this one has threads of many libraries, and should not be forked."""
    (tmp_path / "views.pkl").write_bytes(pickle.dumps(views))
    code = (
        "import json, pickle, sys, numpy as np, torch\n"
        "import builders.processed.view_files\n"
        "def read(rows):\n"
        "    return [(r['photo_id'], r['sharpening'], float(np.asarray(r['image']).mean())) for r in rows]\n"
        "v = pickle.load(open(sys.argv[1], 'rb'))\n"
        "loader = torch.utils.data.DataLoader(v, batch_size=5, collate_fn=read, num_workers=2)\n"
        "print(json.dumps([one for batch in loader for one in batch]))\n"
    )
    printed = run_python("-c", code, tmp_path / "views.pkl")
    assert printed.returncode == 0, printed.stderr
    seen = {(photo, code): mean for photo, code, mean in json.loads(printed.stdout.splitlines()[-1])}
    assert seen == {key: picture.mean() for key, picture in truth.items()}


def test_pickle__opens_in_a_process_that_was_not_forked(views, truth, tmp_path):
    (tmp_path / "views.pkl").write_bytes(pickle.dumps(views))
    code = (
        "import pickle, sys, numpy as np\n"
        "import builders.processed.view_files\n"  # an installed camtrace is found by fsspec itself
        "v = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(repr(float(np.asarray(v[4]['image']).mean())))\n"
    )
    printed = run_python("-c", code, tmp_path / "views.pkl")
    assert printed.returncode == 0, printed.stderr
    assert float(printed.stdout) == truth["train/1", 1].mean()


def test_two_processings__one_after_the_other(plain):
    first = builders.with_processing(plain, "resizing", assignment="every")
    both = builders.with_processing(
        first, "sharpening", assignment="every", photo_id=[f"{i}" for i in range(len(first))]
    )
    row = both[3 * 2 + 1]  # the second photo's view of class x2 of resizing is row 2, its class x2 of sharpening
    assert (row["resizing"], row["sharpening"]) == (2, 1)
    photo = decode_rgb(plain.cast_column("image", datasets.Image(decode=False))[0]["image"]["bytes"])
    large = processed_file(photo, PARAMETERS["resizing"].made_by[2], "train/0", 0)
    expected = processed_file(decode_rgb(large), SHARPENING.made_by[1], "6", 0)
    np.testing.assert_array_equal(np.asarray(row["image"]), image_pixels(expected))


def test_addresses__untrusted_ones_open_nothing(tmp_path):
    for path in ("0" * 16 + "/0-0.jpg", "../../etc/passwd", "0" * 16 + "/x", "views"):
        with pytest.raises(PhotoError):
            fsspec.open(f"camtrace-view://{path}", "rb").open()


# streams


@pytest.fixture
def stream(tmp_path):
    """Four files of six photos each, without ids."""
    for part in range(4):
        rows = [{"image": {"bytes": photo_bytes(10 * part + i), "path": None}, "label": i % 2} for i in range(6)]
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
        datasets.Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / f"{part}.parquet"))
    files = [str(tmp_path / f"{part}.parquet") for part in range(4)]
    return datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)


def right(rows):
    """Every row is the photo that its id says, in the class of that id."""
    count = 0
    for row in rows:
        number = int(row["photo_id"].removeprefix("train/"))
        [code] = [assigned_class(row["photo_id"], SHARPENING)]
        assert int(row["sharpening"]) == code
        data = processed_file(decode_rgb(photo_bytes(10 * (number // 6) + number % 6)), SHARPENING.made_by[code], "", 0)
        expected = image_pixels(data)
        np.testing.assert_array_equal(np.asarray(row["image"]), expected)
        count += 1
    return count


def test_stream__has_features_and_composes(stream):
    views = builders.with_processing(stream, "sharpening")
    assert isinstance(views.features["image"], datasets.Image)
    assert views.features["sharpening"].names == list(SHARPENING.classes)
    assert right(views) == 24
    assert right(views.skip(3).take(5)) == 5
    mapped = views.map(lambda row: {"width": row["image"].size[0]})
    assert all(row["width"] == row["image"].size[0] for row in mapped)
    tensor = next(iter(views.with_format("torch")))["image"]
    assert isinstance(tensor, torch.Tensor)
    cell = next(iter(views.cast_column("image", datasets.Image(decode=False))))["image"]
    assert cell["bytes"][:2] == b"\xff\xd8"
    assert right(views.filter(lambda row: row["label"] == 1)) == 12


def test_stream__keeps_its_numbers_whatever_comes_after(stream):
    views = builders.with_processing(stream, "sharpening")
    assert right(views.shuffle(seed=3, buffer_size=10)) == 24
    views.set_epoch(2)
    assert right(views) == 24
    nodes = [split_dataset_by_node(views, rank=i, world_size=2) for i in range(2)]
    assert [right(node) for node in nodes] == [12, 12]


def test_stream__in_loaders_whose_workers_are_forked(stream, tmp_path):
    """In a process of its own, as above; torch also leaves a handler of SIGCHLD in a process that had such workers."""
    code = (
        "import pathlib, pickle, sys, datasets, torch, builders\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "files = sorted(map(str, folder.glob('*.parquet')))\n"
        "stream = datasets.load_dataset('parquet', data_files=files, split='train', streaming=True)\n"
        "views = builders.with_processing(stream, 'sharpening')\n"
        "loader = torch.utils.data.DataLoader(views, batch_size=4, num_workers=2, collate_fn=list)\n"
        "(folder / 'rows.pkl').write_bytes(pickle.dumps([row for batch in loader for row in batch]))\n"
    )
    printed = run_python("-c", code, tmp_path)
    assert printed.returncode == 0, printed.stderr
    assert right(pickle.loads((tmp_path / "rows.pkl").read_bytes())) == 24


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.shuffle(seed=1),
        lambda s: s.skip(1),
        lambda s: s.take(5),
        lambda s: s.filter(lambda row: row["label"] == 1),
        lambda s: split_dataset_by_node(s, rank=1, world_size=2),
        lambda s: s.map(lambda b: {k: v[1:] for k, v in b.items()}, batched=True, batch_size=3, features=s.features),
    ],
    ids=["shuffle", "skip", "take", "filter", "node", "map"],
)
def test_stream__without_its_numbers_is_an_error_not_another_photos_class(stream, change):
    with pytest.raises(UsageError, match="photo_id"):
        builders.with_processing(change(stream), "sharpening")


def test_stream__with_ids_may_be_shuffled_first(stream):
    with pytest.raises(UsageError, match=r"features=\.\.\."):
        builders.with_processing(stream.map(lambda row: {"x": 1}), "sharpening")
    features = datasets.Features({**stream.features, "key": datasets.Value("string")})
    decoded = stream.map(lambda row, i: {"key": f"{i}"}, with_indices=True, features=features)
    with pytest.raises(UsageError, match="before the map"):
        list(builders.with_processing(decoded, "sharpening", photo_id="key", split="train"))
    raw = stream.cast_column("image", datasets.Image(decode=False))
    features = datasets.Features({**raw.features, "key": datasets.Value("string")})
    named = raw.map(lambda row, i: {"key": f"{i}"}, with_indices=True, features=features)
    views = builders.with_processing(named.shuffle(seed=1), "sharpening", photo_id="key", split="train")
    rows = list(views)
    assert len(rows) == 24
    assert all(row["photo_id"] == f"train/{row['key']}" for row in rows)
