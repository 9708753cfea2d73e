"""Shared shards: photos grouped by their config splits, compared with sets computed one photo at a time."""

import collections
import fnmatch
import json
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Features, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.dataset import (
    Card,
    LabelledPart,
    PixelRights,
    ShardJob,
    SharedShards,
    SplitShards,
    finish_folder,
    grouped,
    parse_build,
    write_groups,
)
from builders.dataset.shards import Shard
from builders.dataset.shared_shards import in_split, patterns
from builders.errors import DataError, UsageError

CONFIGS = ("make", "iso", "year")
SPLITS = ("train", "validation", "test")


def part(config, split, members):
    """Rows of (photo, label)."""
    photos = np.array([photo for photo, _ in members], dtype=np.int64)
    labels = np.array([label for _, label in members], dtype=np.int64)
    return LabelledPart(config, split, ("a", "b", "c"), photos, labels)


def read_back(groups, configs=CONFIGS):
    """(photo, label) of each config split, from the groups by their names alone."""
    measured = {}
    for place, config in enumerate(configs):
        for split in SPLITS:
            rows = [
                (int(photo), int(labels[place]))
                for group in groups
                if in_split(group.name, place, split)
                for photo, labels in zip(group.photos, group.labels, strict=True)
            ]
            measured[config, split] = sorted(rows)
    return measured


def test_grouped__by_hand():
    groups = grouped(
        [
            part("make", "train", [(0, 1), (1, 0)]),
            part("make", "test", [(2, 2), (3, 0)]),
            part("iso", "train", [(1, 2), (4, 0)]),
            part("iso", "test", [(3, 1)]),
            part("year", "test", []),
        ],
        CONFIGS,
    )
    assert {g.name: (g.photos.tolist(), g.labels.tolist()) for g in groups} == {
        "train-100": ([0], [[1, -1, -1]]),
        "train-110": ([1], [[0, 2, -1]]),
        "train-010": ([4], [[-1, 0, -1]]),
        "test-100": ([2], [[2, -1, -1]]),
        "test-110": ([3], [[0, 1, -1]]),
    }
    names = [g.name for g in groups]
    assert patterns(names, 1, "test") == ["data/photos/test-?1?-*.parquet"]
    assert patterns(names, 1, "validation") == []


def test_grouped__released_splits_that_leak_come_back_as_released():
    parts = [
        part("make", "train", [(0, 0), (1, 0), (1, 0)]),  # photo 1 twice
        part("make", "test", [(0, 0), (2, 1), (1, 2)]),  # photo 0 in both, photo 1 with another label
        part("iso", "validation", [(0, 1)]),
    ]
    groups = grouped(parts, CONFIGS)
    measured = read_back(groups)
    for one in parts:
        assert measured[one.config, one.split] == sorted(zip(one.photos.tolist(), one.labels.tolist(), strict=True))
    assert "mixed-520" in [g.name for g in groups]  # train and test of make, validation of iso
    assert patterns([g.name for g in groups], 0, "test") == [
        "data/photos/test-1??-*.parquet",
        "data/photos/mixed-[4567]??-*.parquet",
    ]


members = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(st.sampled_from(CONFIGS), st.sampled_from(SPLITS)), members, min_size=1))
def test_grouped__every_config_split_comes_back_whatever_it_is(wanted):
    groups = grouped([part(config, split, rows) for (config, split), rows in wanted.items()], CONFIGS)
    measured = read_back(groups)
    for key in measured:
        assert measured[key] == sorted(wanted.get(key, []))
    names = [g.name for g in groups]
    assert len(set(names)) == len(names)
    files = [f"data/photos/{name}-00000-of-00001.parquet" for name in names]
    for place in range(3):
        for split in SPLITS:
            named = [f for p in patterns(names, place, split) for f in files if fnmatch.fnmatchcase(f, p)]
            assert named == [
                f for p in ("train", "validation", "test", "mixed") for f, n in zip(files, names, strict=True)
                if n.startswith(f"{p}-") and in_split(n, place, split)
            ]  # fmt: skip
    clean = all(len({s for (_, s), rows in wanted.items() if p in dict(rows)}) <= 1 for p in range(13))
    once = collections.Counter(photo for g in groups for photo in g.photos.tolist())
    twice = any(len({x for x, _ in rows}) < len(rows) for rows in wanted.values())
    if clean and not twice:
        assert set(once.values()) <= {1}
        assert not any(name.startswith("mixed") for name in names)


class Rows:
    """A text for each photo, and its labels."""

    def __init__(self, group):
        self.group = group

    def __call__(self, item):
        labels = dict(zip(CONFIGS, self.group.labels[item].tolist(), strict=True))
        return [{"text": f"photo {self.group.photos[item]}", **labels}]


FEATURES = Features({"text": Value("string"), **{c: ClassLabel(names=["a", "b", "c"]) for c in CONFIGS}})
PARTS = [
    part("make", "train", [(0, 1), (1, 0)]),
    part("make", "test", [(2, 2), (3, 0)]),
    part("iso", "train", [(1, 2), (4, 0)]),
    part("iso", "test", [(3, 1)]),
    part("year", "train", [(0, 0)]),
    part("year", "test", []),
]


def jobs(output, parts=PARTS):
    return [
        ShardJob(output, "photos", g.name, FEATURES, [str(i) for i in g.photos], Rows(g), {"x": g.photos.tolist()}, 1)
        for g in grouped(parts, CONFIGS)
    ]


REPAIR = SimpleNamespace(quality=90, subsampling="4:2:0", processing=None, classes=())

PLAN = SimpleNamespace(name="p", repair=REPAIR, retained=(), photos=(), sentences=())
"""What the template asks for."""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    output = tmp_path_factory.mktemp("groups") / "out"
    shared = SharedShards(CONFIGS, tuple(write_groups(jobs(output), workers=2)))
    finish_folder(
        output,
        kind="flickrexif",
        splits=[],
        features=dict.fromkeys((*CONFIGS, "photos"), FEATURES),
        default="make",
        card=Card("audit_repair.md.jinja", "x", "cc0-1.0", context={"plan": PLAN, "photos": PLAN}),
        recipe={},
        pixels=PixelRights(True),
        shared=shared,
        counted={c: [c] for c in CONFIGS} | {"photos": []},
    )
    return output


@pytest.mark.parametrize(
    ("names", "whole"),
    [(("train-10", "test-01"), ["train", "test"]), (("train-10", "mixed-04"), []), (("mixed-04",), [])],
)
def test_shared_shards__splits_of_all_photos_only_if_each_is_in_one_split(names, whole):
    shard = Shard("data/photos/one.parquet", "", 1, 1, 1, "")
    shared = SharedShards(("make", "iso"), tuple(SplitShards("photos", name, (shard,)) for name in names))
    assert [part.split for part in shared.splits() if part.config == "photos"] == whole


def test_folder__load_dataset_gives_each_config_its_own_rows(written, tmp_path):
    for config in CONFIGS:
        loaded = datasets.load_dataset(str(written), config, cache_dir=str(tmp_path))
        assert list(loaded) == [p.split for p in PARTS if p.config == config and len(p.photos)]
        for one in (p for p in PARTS if p.config == config and len(p.photos)):
            rows = sorted((row["text"], row[config]) for row in loaded[one.split])
            assert rows == [(f"photo {p}", y) for p, y in zip(one.photos.tolist(), one.labels.tolist(), strict=True)]
    every = datasets.load_dataset(str(written), "photos", cache_dir=str(tmp_path))
    assert sorted(every["train"]["text"]) == ["photo 0", "photo 1", "photo 4"]
    assert sorted(every["test"]["text"]) == ["photo 2", "photo 3"]


def test_build_json__names_each_file_once_and_is_not_believed(written):
    text = (written / "build.json").read_text()
    build = parse_build(text, "x")
    files = sorted(p.relative_to(written).as_posix() for p in written.glob("data/**/*.parquet"))
    assert sorted(shard.file for shard in build.shards) == files
    assert all(text.count(file) == 1 for file in files)
    raw = json.loads(text)
    assert {s.config for s in build.splits} == {*CONFIGS, "photos"}
    for name in ("test-11", "test-1100", "tests-110", "test-120", "mixed-118", "../x-110", 5):
        changed = json.loads(text)
        changed["shared"]["groups"][0]["name"] = name
        with pytest.raises(DataError, match="not a build file"):
            parse_build(json.dumps(changed), "x")
    for configs in (["make", "iso"], ["../x", "iso", "year"], 5):
        with pytest.raises(DataError, match="not a build file"):
            parse_build(json.dumps({**raw, "shared": {**raw["shared"], "configs": configs}}), "x")


def test_write_groups__resumes_sweeps_what_no_marker_names_and_refuses_other_photos(tmp_path):
    output = tmp_path / "out"
    write_groups(jobs(output))
    before = {p.name: p.read_bytes() for p in output.glob("data/photos/*")}
    (output / "data/photos/test-111-00000-of-00001.parquet").write_bytes(b"of a run that was killed")
    next(iter(output.glob("data/photos/train-*"))).unlink()
    write_groups(jobs(output))
    assert {p.name: p.read_bytes() for p in output.glob("data/photos/*")} == before
    with pytest.raises(UsageError, match="photos/train-101"):
        write_groups(jobs(output, PARTS[:-2]))
