"""From jobs to shards: what is measured, how many items a shard has, what is printed, checked and refused."""

from pathlib import Path

import pytest

from builders.cli import Parser
from builders.dataset import (
    ShardWork,
    add_build_options,
    estimate_space,
    gather_shards,
    hand_over_folder,
    require_space,
    scratch_folder,
)
from builders.errors import DataError, DiskError, PhotoError, UsageError
from builders.files import scratch_prefix
from builders.processes import default_workers
from tests.builders.dataset.test_shards import FEATURES, IDS, Rows, job


def test_options__of_a_build_command():
    parser = Parser("x")
    add_build_options(parser)
    plain = vars(parser.parse_args(["--output", "a/b"]))
    del plain["json"], plain["quiet"]
    assert plain == {
        "output": Path("a/b"), "workers": default_workers(), "fresh": False, "update": False, "ignore_space": False,
    }  # fmt: skip
    words = ["-o", "a", "--workers", "3", "--fresh", "--update", "--ignore-space"]
    given = parser.parse_args(words)
    assert (given.output, given.workers, given.fresh, given.update, given.ignore_space) == (Path("a"), 3, 1, 1, 1)
    with pytest.raises(UsageError, match="required: -o/--output"):
        parser.parse_args([])


@pytest.mark.parametrize(
    ("n", "sample", "items"),
    [
        (0, 5, []), (1, 5, [0]), (3, 1, [0]), (3, 2, [0, 2]), (10, 4, [0, 3, 6, 9]), (5, 5, [0, 1, 2, 3, 4]),
        (4, 9, [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_estimate__of_items_spread_over_all_first_and_last_included(tmp_path, n, sample, items):
    made = []

    def rows(item):
        made.append(item)
        return [{"image": {"bytes": b"x" * 1000, "path": "a"}, "photo_id": IDS[item], "jpeg": 0}]

    space = estimate_space(job(tmp_path, ids=IDS[:n], make_rows=rows), sample, keep_bytes=1)
    assert made == items
    assert space.sampled == len(items)
    assert space.total_bytes == int(space.bytes_per_item * n)
    assert (space.bytes_per_item > 500) == (space.seconds_per_item > 0) == bool(items)


def test_estimate__rows_of_the_sample_up_to_the_limit_are_given_again(tmp_path):
    made = []

    def rows(item):
        made.append(item)
        if item == 1:
            raise PhotoError("broken")
        size = 100 if item != 2 else 0
        return [{"image": {"bytes": b"x" * size, "path": None}, "photo_id": IDS[item], "jpeg": 0}]

    def again(limit):
        space = estimate_space(job(tmp_path, ids=IDS[:5], make_rows=rows), 5, keep_bytes=limit)
        made.clear()
        for item in (0, 2, 3, 4):
            assert len(next(iter(space.job.make_rows(item)))["image"]["bytes"]) == (0 if item == 2 else 100)
        return list(made)

    every = [0, 2, 3, 4]
    assert again(0) == every
    first = again(100_000)
    assert 0 not in first
    assert 3 not in first


@pytest.mark.parametrize(
    ("needed", "text"),
    [
        (10**18, "about 1000000000.0 GB are needed and"), (10**14 + 5 * 10**12, "about 105000.0 GB are needed and"),
    ],
)  # fmt: skip
def test_space__the_refusal_names_the_folder_the_sizes_and_the_options(tmp_path, needed, text):
    with pytest.raises(DiskError) as caught:
        require_space(tmp_path / "new", needed)
    assert str(caught.value).startswith(f"{tmp_path}/new: {text} ")
    assert str(caught.value).endswith("are free; choose another disk, fewer photos (--limit), or --ignore-space")


class Storage:
    folder = None

    def __init__(self):
        self.made = []

    def put(self, path, name):
        assert path.is_file()
        self.made.append(name)


def test_shard_work__units_facts_and_results(tmp_path):
    jobs = [job(tmp_path, ids=IDS[:14]), job(tmp_path, split="test", ids=IDS[:3], recipe={"seed": 1})]
    storage = Storage()
    work = ShardWork(jobs, storage)
    assert work.units() == [("jpeg/train/00000", 6), ("jpeg/train/00001", 6), ("jpeg/train/00002", 2),
                            ("jpeg/test/00000", 3)]  # fmt: skip
    facts = work.facts(["jpeg/train/00002", "jpeg/train/00000"])
    names = {"the codec canary", "the version of pyarrow"}
    of_train = {f"{what} of jpeg/train" for what in ("the photos", "the settings", "the first and last rows")}
    assert set(facts) == names | of_train
    assert facts["the photos of jpeg/train"].startswith("14, ")
    assert facts["the settings of jpeg/train"] == jobs[0].recipe_hash
    both = work.facts(["jpeg/test/00000", "jpeg/train/00000"])
    assert {name: both[name] for name in facts} == facts
    assert both["the photos of jpeg/test"] != facts["the photos of jpeg/train"]

    def probe(**changes):
        return ShardWork([job(tmp_path, ids=IDS[:14], **changes)], storage).facts(["jpeg/train/0"])[
            "the first and last rows of jpeg/train"
        ]

    def changed(at, what):
        def rows(item):
            if item == at and what == "fails":
                raise PhotoError("other")
            made = Rows()(item)
            if item == at:
                made[1][what] = {"photo_id": "x", "jpeg": 0, "image": {**made[1]["image"], "path": "x"}}[what]
            return made

        return rows

    plain = facts["the first and last rows of jpeg/train"]
    assert probe() == plain
    for at in (0, 13):
        for what in ("photo_id", "jpeg", "image", "fails"):
            assert probe(make_rows=changed(at, what)) != plain
    assert probe(make_rows=changed(5, "photo_id")) == plain

    ticks = []
    result = work.run(["jpeg/train/00001", "jpeg/test/00000"], ticks.append)
    assert ticks == [1] * 9
    assert list(result.files) == [jobs[0].file(1), jobs[1].file(0)]
    assert result.failures == 2  # items 7 and 11
    markers = [each.marker(number).relative_to(tmp_path).as_posix() for each, number in ((jobs[0], 1), (jobs[1], 0))]
    assert storage.made == [jobs[0].file(1), markers[0], jobs[1].file(0), markers[1]]
    with pytest.raises(DataError, match="jpeg/train"):
        work.run(["jpeg/val/00000"], ticks.append)
    assert FEATURES["jpeg"].names == ["low", "high"]


def test_shard_work__shards_come_from_a_store_and_the_last_files_go_to_it(tmp_path):
    moved = []

    class Store:
        def get(self, name, path):
            moved.append(("get", name, path))

        def put(self, path, name):
            moved.append(("put", name, path))

    jobs = [job(tmp_path / "scratch", ids=IDS[:8]), job(tmp_path / "scratch", split="test", ids=())]
    gather_shards(jobs, Store(), tmp_path / "here")
    stems = ["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"]
    names = [name for stem in stems for name in (f"data/jpeg/{stem}.parquet", f".build/jpeg/{stem}.json")]
    assert moved == [("get", name, tmp_path / "here" / name) for name in names]
    moved.clear()
    (tmp_path / "here" / "data").mkdir(parents=True)
    for name in ("b.json", "README.md", ".lock"):
        (tmp_path / "here" / name).write_text("x")
    hand_over_folder(tmp_path / "here", Store())
    assert moved == [("put", name, tmp_path / "here" / name) for name in ("README.md", "b.json")]
    with scratch_folder() as folder:
        assert Path(folder).name.startswith(scratch_prefix())
