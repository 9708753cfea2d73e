"""Labels, groups, clusters, splits and sources that a specification names, on every kind of data."""

from __future__ import annotations

import dataclasses
from collections import Counter

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.data_specs import open_photos
from builders.errors import DataError, UsageError
from builders.exif import ATTRIBUTES
from builders.photos import SPLITS, UNLABELLED, ColumnSources, Labels, PhotoSet, group_cells, labels_of
from builders.pixels import ALL_PARAMETERS
from builders.sources import with_columns
from builders.sources.folders import drawn_splits
from tests.support.layouts import picture, write_layout

SLIDES = "{normal,tumour}/{north,south}/slide{0..4}/{0..3}.png"


def of(labels: Labels) -> list[str | None]:
    return [None if value == UNLABELLED else labels.names[value] for value in labels.values]


@pytest.fixture
def slides(tmp_path) -> str:
    write_layout(tmp_path / "slides", SLIDES)
    return f"folder:{tmp_path / 'slides'}"


def test_folder__every_column(slides):
    photos = open_photos(
        f"{slides}?label=folder:1&group=site=folder:2&group=re:nothing|(south)".replace("re:", "s=re:")
        + "&cluster=re:(.*)/&source=folder:2"
    )
    parts = [photo_id.split("/") for photo_id in photos.ids]
    assert of(photos.labels) == [p[0] for p in parts]
    assert of(photos.groups["site"]) == [p[1] for p in parts]
    assert of(photos.groups["s"]) == ["south" if p[1] == "south" else None for p in parts]
    assert photos.columns["cluster"].tolist() == ["/".join(p[:3]) for p in parts]
    assert photos.columns["source"].tolist() == [p[1] for p in parts]


def test_scene__is_a_column_and_what_a_drawn_split_does_not_divide(slides):
    photos = open_photos(f"{slides}?group=site=folder:2&scene=re:(.*)/")
    assert photos.columns["scene"][0] == photos.ids[0].rpartition("/")[0]
    assert "clusters apart" in photos.evidence["splits"]
    sides = {(scene, split) for scene, split in zip(photos.columns["scene"], photos.splits.tolist(), strict=True)}
    assert len(sides) == len({scene for scene, _ in sides}) > 3
    assert {split for _, split in sides} == {0, 1}


def test_drawn_split__never_divides_a_cluster_and_reaches_every_cell(slides):
    for seed in range(5):
        photos = open_photos(f"{slides}?group=site=folder:2&cluster=re:(.*)/", seed=seed)
        sides = {}
        for cluster, split in zip(photos.columns["cluster"], photos.splits, strict=True):
            sides.setdefault(cluster, set()).add(SPLITS[split])
        assert all(len(result) == 1 for result in sides.values())
        cells = Counter((c.rsplit("/", 1)[0], *result) for c, result in sides.items())
        assert all(
            cells[f"{label}/{site}", "val"] in (1, 2) for label in ("normal", "tumour") for site in ("north", "south")
        )
        assert photos.evidence["clusters"] == "20 clusters, 0 of them in several splits"
        assert photos.evidence["splits"].startswith("seeded split of each class")
    drawn = [open_photos(f"{slides}?cluster=re:(.*)/", seed=seed).splits.tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def collection(n: int, seed: int) -> PhotoSet:
    """Photos with random labels and slides, some unknown, and a drawn split."""
    rng = np.random.default_rng(seed)
    slides = rng.choice(["", "a", "b", "c", "d"][: rng.integers(1, 6)], n)
    photos = PhotoSet.of_bytes("drawn", {f"{i}/{slide or '-'}": b"" for i, slide in enumerate(slides)})
    return dataclasses.replace(
        photos,
        labels=labels_of(rng.choice([None, "x", "y"], n)),
        columns={"slide": slides},
        drawn_splits=True,
    )


@given(st.integers(4, 24), st.integers(0, 2**32))
def test_drawn_split__no_cluster_on_two_sides(n, seed):
    photos = collection(n, seed)
    named = {c for c in photos.columns["slide"] if c}
    if not named:
        return
    if set(photos.columns["slide"]) == named and len(named) == 1:
        with pytest.raises(DataError):
            with_columns(photos, ColumnSources.of(cluster="slide"), seed=seed)
        return
    changed = with_columns(photos, ColumnSources.of(cluster="slide"), seed=seed)
    assert changed.ids == photos.ids
    assert set(changed.splits.tolist()) == {0, 1}
    for cluster in {c for c in photos.columns["slide"] if c}:
        assert len(set(changed.splits[photos.columns["slide"] == cluster])) == 1


def test_given_split__is_mapped_or_refused(tmp_path):
    write_layout(tmp_path, "{Training,dev,TEST}/{cat,dog}/{0..1}.png", "{cat,dog}/{fold1,fold2}/{0..1}.png")
    photos = with_columns(
        _paths(tmp_path, "{Training,dev,TEST}/{cat,dog}/{0..1}.png"), ColumnSources.of(split="folder:1")
    )
    names = {"Training": "train", "dev": "val", "TEST": "test"}
    assert [SPLITS[s] for s in photos.splits] == [names[i.split("/")[0]] for i in photos.ids]
    without_val = with_columns(_paths(tmp_path, "{train,test}/{0..1}.png"), ColumnSources.of(split="folder:1"))
    assert [SPLITS[s] for s in without_val.splits] == ["train", "train", "val", "val"]
    with pytest.raises(DataError, match="'fold1'"):
        with_columns(_paths(tmp_path, "{cat,dog}/{fold1,fold2}/{0..1}.png"), ColumnSources.of(split="folder:2"))
    with pytest.raises(DataError, match="'test'"):
        with_columns(_paths(tmp_path, "{test,val}/{0..1}.png"), ColumnSources.of(split="folder:1"))
    with pytest.raises(DataError):
        with_columns(_paths(tmp_path, "{train,val}/x/{0..1}.png", "{0..3}.png"), ColumnSources.of(split="folder:1"))


def _paths(root, *patterns) -> PhotoSet:
    return PhotoSet.of_bytes("paths", dict.fromkeys(write_layout(root / "p", *patterns), b""))


def test_given_split__a_divided_cluster_is_counted(tmp_path):
    photos = _paths(tmp_path, "{train,val}/{p1,p2}/{0..1}.png", "train/p3/0.png")
    changed = with_columns(photos, ColumnSources.of(split="folder:1", cluster="folder:2"))
    assert changed.evidence["clusters"] == "3 clusters, 2 of them in several splits"


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ("group=owner", UsageError, "group=owner=owner"),
        ("group=re:x", UsageError, "group=NAME=re:x"),
        ("group=folder:1&group=folder1=folder:2", UsageError, "folder1"),
        ("group=jpeg=folder:1", UsageError, "question"),
        ("group=focal_length=folder:1", UsageError, "question"),
        ("group=site=re:zzz", DataError, "80"),
        ("label=re:(", UsageError, "not a regular expression"),
        ("label=folder:0", UsageError, "folder:"),
        ("groups=folder:1", UsageError, "'groups'"),
        ("group=site=folder:2&group=site=folder:1", UsageError, "groups"),
    ],
)
def test_columns__what_is_wrong_is_one_sentence(slides, options, error, sentence):
    with pytest.raises(error, match=sentence):
        open_photos(f"{slides}?{options}")


def test_group__may_have_no_name_of_a_question():
    photos = PhotoSet.of_bytes("set", {f"{side}/{i}.png": b"" for side in "ab" for i in range(4)})
    photos = dataclasses.replace(photos, attributes={"my_own": labels_of(["x", "y"] * 4)})
    names = [*ALL_PARAMETERS, *ATTRIBUTES, "my_own", "original", "adversary", "pairs", "label"]
    assert len(names) > 15
    for name in names:
        for spelling in {name, name.replace("_", "-"), name.replace("-", "_")}:
            with pytest.raises(UsageError) as error:
                with_columns(photos, ColumnSources.of(group=(f"{spelling}=folder:1",)))
            assert str(spelling) in str(error.value)
    for name in ("site", "pair", "labels", "JPEG"):
        groups = with_columns(photos, ColumnSources.of(group=(f"{name}=folder:1",))).groups
        assert of(groups[name]) == [photo_id[0] for photo_id in photos.ids]


@pytest.mark.parametrize("spec", ["sample", "simcams?scenes=6&size=64"])
def test_other_kinds__take_columns_too(spec):
    photos = open_photos(f"{spec}{'&' if '?' in spec else '?'}group=first=re:^(.)&cluster=re:^(.{{4}})")
    assert of(photos.groups["first"]) == [photo_id[0] for photo_id in photos.ids]
    assert photos.columns["cluster"].tolist() == [photo_id[:4] for photo_id in photos.ids]


def test_hub__columns_of_the_table_and_of_the_path(tmp_path):
    rows = {
        "image": [{"bytes": picture(i), "path": None} for i in range(12)],
        "path": [f"SDv14/{'ai' if i % 2 else 'nature'}/{i}.png" for i in range(12)],
        "hospital": [i % 3 for i in range(12)],
        "slide": [str(i // 4) if i else None for i in range(12)],
        "phase": ["valid" if i >= 8 else "train" for i in range(12)],
    }
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "path": datasets.Value("string"),
            "hospital": datasets.ClassLabel(names=["a", "b", "c"]),
            "slide": datasets.Value("string"),
            "phase": datasets.Value("string"),
        }
    )
    (tmp_path / "set").mkdir()
    datasets.Dataset.from_dict(rows, features).to_parquet(tmp_path / "set" / "train-00000-of-00001.parquet")
    photos = open_photos(
        f"hub:{tmp_path / 'set'}?id=path&label=re:/(ai|nature)/&group=hospital&cluster=slide&split=phase"
    )
    assert of(photos.labels) == ["ai" if i % 2 else "nature" for i in range(12)]
    assert of(photos.groups["hospital"]) == ["abc"[i % 3] for i in range(12)]
    assert photos.columns["cluster"].tolist() == ["", *(str(i // 4) for i in range(1, 12))]
    assert [SPLITS[s] for s in photos.splits] == ["train"] * 8 + ["val"] * 4
    by_column = open_photos(f"hub:{tmp_path / 'set'}?label=hospital&cluster=slide")
    assert of(by_column.labels) == ["abc"[i % 3] for i in range(12)]
    plain = open_photos(f"hub:{tmp_path / 'set'}")  # as before: the only ClassLabel
    assert of(plain.labels) == of(by_column.labels)
    assert plain.evidence["splits"] == "seeded split of each class, seed 0, 0.25 of the photos for val"


def test_cells__equal_a_count_by_hand_and_large_tables_are_summed_up():
    rng = np.random.default_rng(0)
    labels, groups, clusters = (rng.integers(0, most, 600) for most in (13, 14, 40))
    photos = PhotoSet.of_bytes("toy", {str(i): b"" for i in range(600)}, labels=[f"l{v:02}" for v in labels])
    site = labels_of(f"g{v:02}" for v in groups)
    photos = dataclasses.replace(photos, groups={"site": site}, columns={"cluster": clusters.astype(str)})
    cells = group_cells(photos, "site")
    for row, column in np.ndindex(13, 14):
        inside = (labels == row) & (groups == column)
        assert cells.photos[row, column] == inside.sum()
        assert cells.clusters[row, column] == len(set(clusters[inside]))
    assert "13 labels x 14 site" in cells.text()
    assert f"{(cells.photos > 0).sum()} of 182 cells have photos, 1 to {cells.photos.max()} each" in cells.text()


@pytest.mark.parametrize("seed", range(4))
def test_drawn_split__of_two_clusters_the_smaller_is_val(seed):
    """One tenth of the photos is wanted, and the smaller cluster has a quarter of them."""
    slides = ["large"] * 9 + ["small"] * 3
    photos = PhotoSet.of_bytes("set", {f"{i}.jpg": b"" for i in range(12)}, ["a"] * 12)
    photos = dataclasses.replace(photos, columns={"cluster": np.array(slides)})
    drawn = drawn_splits(photos, seed=seed, val_share=0.1)
    assert [SPLITS[split] for split in drawn.splits] == ["train"] * 9 + ["val"] * 3
    assert drawn.drawn_splits
    assert drawn.evidence["splits"] == (
        f"seeded split of each class, seed {seed}, 0.1 of the photos for val, clusters apart"
    )
