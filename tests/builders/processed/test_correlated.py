"""Correlated assignments have the requested strength: by hand, in files, and in every way of making the rows."""

from types import SimpleNamespace

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import builders
from builders.__main__ import main
from builders.data_specs import open_photos
from builders.errors import UsageError
from builders.pixels import ALL_PARAMETERS, assigned_class
from builders.processed import expected_counts
from builders.processed.assignment import UNTIED, classes_of, tied_classes
from builders.processed.build import joint_counts
from builders.splits import cramers_v
from tests.conftest import photo_bytes

FINE = ALL_PARAMETERS["jpeg-fine"]


def table(assignment, labels, per_label, parameter=FINE, seed=0):
    changed = tied_classes([f"class {i}" for i in range(labels)], parameter, assignment, seed)
    counts = np.zeros((labels, len(parameter.classes)), dtype=int)
    for label in range(labels):
        for i in range(per_label):
            [code] = classes_of(f"{label}/{i}", parameter, assignment, seed, tied_class=int(changed[label]))
            counts[label, code] += 1
    return counts, changed


def test_jpeg_fine__qualities_75_to_95_in_two_samplings():
    made = [(p.quality, p.subsampling) for p in FINE.made_by]
    assert made == [(quality, chroma) for quality in range(75, 96, 2) for chroma in ("4:2:0", "4:4:4")]
    assert len(FINE.classes) == 22
    assert FINE.classes[:3] == ("q75-420", "q75-444", "q77-420")


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["correlated", "correlated-classes"])
def test_association__is_what_was_requested(kind, share):
    """44 semantic classes, twice the processings: V is P, and the root of the share of classes that are tied."""
    counts, changed = table(f"{kind}:{share}", 44, 500)
    tied = 44 if kind == "correlated" else round(44 * share)
    expected = cramers_v(expected_counts(counts.sum(axis=1), changed, 22, f"{kind}:{share}"), corrected=False)
    if tied % 22 == 0:  # else some processings are own more often than others, and V is less
        assert expected == pytest.approx(share if kind == "correlated" else share**0.5)
    assert cramers_v(counts) == pytest.approx(expected, abs=0.01 if share else 0.02)


def test_tied_classes__are_dealt_out_evenly_and_move_with_the_seed():
    names = [f"n{i:08d}" for i in range(50)]
    changed = tied_classes(names, FINE, "correlated:0.2")
    assert sorted(np.bincount(changed, minlength=22)) == [2] * 16 + [3] * 6
    tied = tied_classes(names, FINE, "correlated-classes:0.44")
    assert (tied != UNTIED).sum() == 22
    assert sorted(tied[tied != UNTIED]) == list(range(22))
    assert (tied[tied != UNTIED] == changed[tied != UNTIED]).all()
    assert (tied_classes(names, FINE, "correlated:0.2", 1) != changed).mean() > 0.8
    assert (tied_classes(names, FINE, "uniform") == UNTIED).all()


@pytest.mark.parametrize(
    ("share", "labels", "tied"),
    [
        (0.0, 10, 0),
        (0.04, 10, 0),
        (0.06, 10, 1),
        (0.26, 10, 3),
        (0.29, 100, 29),  # 28.999999999999996 in floating point
        (0.4, 4, 2),
        (0.57, 100, 57),  # 56.99999999999999
        (0.99, 10, 10),
        (1.0, 10, 10),
        (1.0, 2, 2),
    ],
)
def test_tied_classes__a_share_of_the_classes_is_rounded_to_the_nearest(share, labels, tied):
    changed = tied_classes([f"class {i}" for i in range(labels)], FINE, f"correlated-classes:{share}")
    assert (changed != UNTIED).sum() == tied
    whole = tied_classes([f"class {i}" for i in range(labels)], FINE, f"correlated:{share}")
    assert (whole != UNTIED).all()
    assert np.array_equal(np.sort(changed[changed != UNTIED]), np.sort(np.arange(tied) % 22))


def test_tied_classes__one_semantic_class_cannot_be_tied():
    with pytest.raises(UsageError):
        tied_classes(["cat"], FINE, "correlated:0.5")
    assert tied_classes(["cat"], FINE, "uniform").tolist() == [UNTIED]


def test_classes_of__what_decides():
    def code(assignment, **more):
        return list(classes_of("a", FINE, assignment, 3, **more))

    drawn = assigned_class("a", FINE, 3)
    other = (drawn + 1) % 22
    assert code("correlated:1", tied_class=other, every=True) == list(range(22))
    assert code("correlated:1", tied_class=other) == code("correlated-classes:0.1", tied_class=other) == [other]
    assert code("correlated:0", tied_class=other) == code("uniform", tied_class=other) == [drawn]
    assert code("correlated:1", tied_class=UNTIED) == code("correlated-classes:1", tied_class=UNTIED) == [drawn]


@pytest.mark.parametrize(
    ("assignment", "changed", "expected"),
    [
        ("uniform", [-1, -1, -1], [[2, 2, 2], [1, 1, 1], [4, 4, 4]]),
        ("correlated:0.5", [0, 1, 2], [[4, 1, 1], [0.5, 2, 0.5], [2, 2, 8]]),
        ("correlated:0.5", [2, 2, 0], [[1, 1, 4], [0.5, 0.5, 2], [8, 2, 2]]),
        ("correlated-classes:0.3", [0, -1, -1], [[6, 0, 0], [1, 1, 1], [4, 4, 4]]),
    ],
)
def test_expected_counts__by_hand(assignment, changed, expected):
    assert expected_counts(np.array([6, 3, 12]), np.array(changed), 3, assignment) == pytest.approx(np.array(expected))


def test_classes_of__more_is_tied_as_the_share_grows_and_the_rest_is_the_uniform_assignment():
    ids = [f"{i}" for i in range(500)]
    uniform = [assigned_class(i, FINE, 3) for i in ids]
    before = set()
    for share in (0, 0.2, 0.6, 1):
        codes = [classes_of(i, FINE, f"correlated:{share}", 3, tied_class=7)[0] for i in ids]
        tied = {i for i, code, drawn in zip(ids, codes, uniform, strict=True) if code != drawn}
        assert all(code == 7 for i, code in zip(ids, codes, strict=True) if i in tied)
        assert before <= tied
        before = tied
    assert codes == [7] * 500


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("correlated", "'correlated:P'"),
        ("correlated:1.2", "a number from 0 to 1"),
        ("correlated:x", "unknown assignment"),
        ("correlated-classes:-1", "unknown assignment"),
    ],
)
def test_build__a_wrong_share_is_one_sentence(text, printed, photo_folder, tmp_path, capsys):
    options = ["--assignment", text, "--output", str(tmp_path / "out")]
    assert main(["folder", "--source", str(photo_folder), *options]) == 2
    assert printed in capsys.readouterr().err


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Eight classes of 20 train and 5 val photos each."""
    root = tmp_path_factory.mktemp("many")
    for split, count in (("train", 20), ("val", 5)):
        for label in range(8):
            for i in range(count):
                path = root / split / f"class {label}" / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(photo_bytes(100 * label + i, (24, 24)))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("assignment", ["correlated:0.6", "correlated-classes:0.5"])
def test_build__card_check_and_views_made_when_read_agree(assignment, many, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--parameter", "jpeg-fine,resizing", "--assignment", assignment, "--assignment-seed", "4"]
    assert main(["folder", "--source", str(many), "--output", str(out), *options]) == 0
    built = datasets.load_dataset(str(out), "jpeg-fine", cache_dir=str(tmp_path / "cache"))
    card = (out / "README.md").read_text()
    changed = tied_classes(built["train"].features["label"].names, FINE, assignment, 4)
    for split, rows in built.items():
        counts = np.zeros((8, 22), dtype=int)
        np.add.at(counts, (rows["label"], rows["jpeg-fine"]), 1)
        expected = cramers_v(expected_counts(counts.sum(axis=1), changed, 22, assignment), corrected=False)
        line = f"| `jpeg-fine` | `{split}` | {len(rows)} | {cramers_v(counts):.3f} | {expected:.3f} |"
        assert line in card
        assert f"| `resizing` | `{split}` |" in card
    assert main(["check", str(out)]) == 0
    capsys.readouterr()

    photos = open_photos(f"folder:{many}")
    plain = datasets.load_dataset("imagefolder", data_dir=str(many), split="train", cache_dir=str(tmp_path / "cache"))
    names = [row["path"] for row in plain.cast_column("image", datasets.Image(decode=False))["image"]]
    ids = [name.split(f"{many.name}/")[1] for name in names]
    assert set(ids) <= set(photos.ids)
    views = builders.with_processing(
        plain, "jpeg-fine", assignment=assignment, assignment_seed=4, photo_id=ids, decode=False, folder=many
    )
    stored = built["train"].cast_column("image", datasets.Image(decode=False))
    expected = {row["photo_id"]: (row["jpeg-fine"], row["image"]["bytes"]) for row in stored}
    assert {row["photo_id"]: (row["jpeg-fine"], row["image"]["bytes"]) for row in views} == expected

    stream = plain.add_column("photo_id", [i.removeprefix("train/") for i in ids]).to_iterable_dataset()
    options = {"assignment": assignment, "assignment_seed": 4, "split": "train", "decode": False, "folder": many}
    streamed = builders.with_processing(stream, "jpeg-fine", **options)
    assert {row["photo_id"]: (row["jpeg-fine"], row["image"]["bytes"]) for row in streamed} == expected


def test_joint_counts__of_all_shards_without_rows_of_no_class(tmp_path):
    shards = [([0, 1, -1], [2, 0, 1]), ([1, 1, -1, 0], [0, 1, 0, 2])]
    for number, (labels, codes) in enumerate(shards):
        table = pa.table({"label": labels, "resizing": codes, "width": [1] * len(codes)})
        pq.write_table(table, tmp_path / f"{number}.parquet")
    split = SimpleNamespace(shards=[SimpleNamespace(file=f"{number}.parquet") for number in range(2)])
    assert joint_counts(tmp_path, split, ALL_PARAMETERS["resizing"], 3).tolist() == [[0, 0, 2], [2, 1, 0], [0, 0, 0]]


def test_with_processing__needs_semantic_classes(many, tmp_path):
    plain = datasets.load_dataset("imagefolder", data_dir=str(many), split="train", cache_dir=str(tmp_path))
    with pytest.raises(UsageError):
        builders.with_processing(plain, "jpeg", assignment="correlated:0.5", label="species")
    with pytest.raises(UsageError):
        builders.with_processing(plain.remove_columns("label"), "jpeg", assignment="correlated:0.5")
    views = builders.with_processing(
        plain.rename_column("label", "species"),
        "jpeg",
        assignment="correlated:1",
        label="species",
        decode=False,
        folder=many,
    )
    assert len({(row["species"], row["jpeg"]) for row in views.select_columns(["species", "jpeg"])}) == 8
