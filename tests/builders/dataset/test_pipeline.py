"""From jobs to shards: what is measured, how many items a shard has, what is printed, checked and refused."""

import dataclasses
from pathlib import Path

import pytest

from builders.cli import Parser
from builders.dataset import BuildOptions, ShardWork, add_build_options, build_data_set, pipeline
from builders.dataset.cluster_work import gather_shards, hand_over_folder, scratch_folder
from builders.dataset.disk_space import SAMPLE_BYTES, SAMPLE_ITEMS, SpaceEstimate, estimate_space, require_space
from builders.dataset.pipeline import plan_shards
from builders.dataset.shards import ItemFailure, Shard, items_per_shard
from builders.dataset.write import SplitShards
from builders.errors import DataError, DiskError, PhotoError, UsageError
from builders.files import scratch_prefix
from builders.processes import default_workers
from tests.builders.dataset.test_shards import FEATURES, IDS, Rows, job

BYTES = {"train": 3_000_000.0, "test": 500_000.0}
"""Of an item, as the double of ``estimate_space`` measures it."""


@pytest.fixture
def steps(monkeypatch):
    """What was measured, checked and printed."""
    made = {"measured": [], "required": [], "printed": []}

    def estimate(job, sample, *, keep_bytes):
        made["measured"].append((job.split, sample, keep_bytes))
        each = BYTES[job.split]
        named = dataclasses.replace(job, recipe={"measured": job.split})
        return SpaceEstimate(each, int(each * len(job.ids)), sample, 6.0, named)

    monkeypatch.setattr(pipeline, "estimate_space", estimate)
    monkeypatch.setattr(pipeline, "require_space", lambda output, needed: made["required"].append((output, needed)))
    monkeypatch.setattr(pipeline, "notice", made["printed"].append)
    return made


def jobs_in(output: Path, train=2000, test=300):
    ids = tuple(f"p{i}" for i in range(max(train, test)))
    return [job(output, ids=ids[:train]), job(output, split="test", ids=ids[:test])]


def cut(planned) -> dict[str, int]:
    return {each.split: each.items_per_shard for each in planned}


def test_plan__measures_every_job_and_checks_the_space(tmp_path, steps):
    planned = plan_shards(jobs_in(tmp_path), BuildOptions(tmp_path, workers=4))
    assert steps["measured"] == [("train", SAMPLE_ITEMS, SAMPLE_BYTES // 2), ("test", SAMPLE_ITEMS, SAMPLE_BYTES // 2)]
    assert steps["required"] == [(tmp_path, 6_000_000_000 + 150_000_000)]
    # 2,300 items of 6 s each on four workers
    assert steps["printed"] == ["about 6,150 MB and 58 minutes on 4 workers, measured on a sample"]
    assert cut(planned) == {"train": items_per_shard(3e6, 2000), "test": items_per_shard(5e5, 300)}
    assert [each.recipe for each in planned] == [{"measured": "train"}, {"measured": "test"}]


def test_plan__jobs_of_one_kind_are_measured_once_and_cut_alike(tmp_path, steps):
    planned = plan_shards(jobs_in(tmp_path, 300, 2000), BuildOptions(tmp_path, workers=0), sample=5, alike=True)
    assert steps["measured"] == [("test", 5, SAMPLE_BYTES)]
    assert steps["required"] == [(tmp_path, 1_000_000_000 + 150_000_000)]
    assert steps["printed"] == ["about 1,150 MB and 230 minutes on 0 workers, measured on a sample"]
    each = items_per_shard(5e5, 2300)
    assert cut(planned) == {"train": each, "test": each}
    assert each not in (items_per_shard(5e5, 300), items_per_shard(5e5, 2000))
    assert [each.recipe for each in planned] == [{"seed": 0}, {"measured": "test"}]


def test_plan__sizes_of_another_build_are_taken_and_the_rest_is_measured(tmp_path, steps):
    options = BuildOptions(tmp_path)
    planned = plan_shards(jobs_in(tmp_path), options, sizes={"jpeg/train": 7, "jpeg/test": 9, "other/train": 1})
    assert cut(planned) == {"train": 7, "test": 9}
    assert steps == {"measured": [], "required": [], "printed": []}
    planned = plan_shards(jobs_in(tmp_path), options, sizes={"jpeg/train": 7})
    assert cut(planned) == {"train": 7, "test": items_per_shard(5e5, 300)}
    assert [split for split, *_ in steps["measured"]] == ["train", "test"]


@pytest.mark.parametrize(
    ("options", "more", "printed", "required"),
    [
        ({}, {}, True, True), ({"progress": False}, {}, False, True), ({}, {"estimate": False}, False, True),
        ({"ignore_space": True}, {}, True, False),
    ],
)  # fmt: skip
def test_plan__what_is_printed_and_checked(tmp_path, steps, options, more, printed, required):
    plan_shards(jobs_in(tmp_path), BuildOptions(tmp_path, **options), **more)
    assert (bool(steps["printed"]), bool(steps["required"])) == (printed, required)


def test_plan__update_prints_what_the_earlier_build_has_and_fresh_excludes_it(tmp_path, steps):
    plan_shards(jobs_in(tmp_path), BuildOptions(tmp_path, update=True), sizes={"jpeg/train": 7, "jpeg/test": 9})
    assert steps["printed"] == ["0 of 2,300 are in the earlier build; what is equal is copied"]
    steps["printed"].clear()
    quiet = BuildOptions(tmp_path, update=True, progress=False)
    plan_shards(jobs_in(tmp_path), quiet, sizes={"jpeg/train": 7, "jpeg/test": 9})
    assert steps["printed"] == []
    with pytest.raises(UsageError, match=r"^--fresh and --update exclude each other: --fresh makes every photo again$"):
        BuildOptions(tmp_path, update=True, fresh=True)


def shards_of(job, rows, *failures):
    each = Shard(job.file(0), "r", rows, 1, 1, "s", tuple(ItemFailure(*failure) for failure in failures))
    return SplitShards(job.config, job.split, (each,))


def test_build__passes_on_what_was_written_and_forgets_the_earlier_build_at_the_end(tmp_path, steps, monkeypatch):
    order = []
    monkeypatch.setattr(pipeline, "remove_previous", lambda output: order.append(("removed", output)))

    def write(planned, **options):
        order.append(("written", [each.split for each in planned], options))
        return [shards_of(planned[0], 3), shards_of(planned[1], 0, ("p", "broken"))]

    def finish(splits, sizes):
        order.append(("finished", [split.rows for split in splits], dict(sizes)))
        return "the build"

    options = BuildOptions(tmp_path, workers=3, progress=False)
    arguments = {"name": "set", "item": "photo could be read", "write": write}
    sizes = {"jpeg/train": 700, "jpeg/test": 9}
    assert build_data_set(jobs_in(tmp_path), options, finish, sizes=sizes, **arguments) == "the build"
    assert order == [
        ("written", ["train", "test"], {"workers": 3, "progress": False}), ("finished", [3, 0], sizes),
        ("removed", tmp_path),
    ]  # fmt: skip
    for failures, reason in (([("p", "first"), ("q", "second")], "first"), ([], "none was given")):
        arguments["write"] = lambda planned, failures=failures, **_: [
            shards_of(planned[0], 0),
            shards_of(planned[1], 0, *failures),
        ]
        with pytest.raises(DataError, match=rf"^set: not one photo could be read \(the first: {reason}\)$"):
            build_data_set(jobs_in(tmp_path), options, finish, sizes=sizes, **arguments)
    assert len(order) == 3


def test_build__measures_as_its_caller_says(tmp_path, steps, monkeypatch):
    monkeypatch.setattr(pipeline, "remove_previous", lambda output: None)
    written = []

    def write(planned, **options):
        written.append(cut(planned))
        return [shards_of(each, 1) for each in planned]

    def build(**more):
        arguments = {"name": "set", "item": "photo", "write": write, **more}
        build_data_set(jobs_in(tmp_path, 300, 2000), BuildOptions(tmp_path), lambda splits, sizes: sizes, **arguments)

    build()
    build(sample=5, estimate=False, alike=True)
    assert steps["measured"] == [
        ("train", SAMPLE_ITEMS, SAMPLE_BYTES // 2), ("test", SAMPLE_ITEMS, SAMPLE_BYTES // 2),
        ("test", 5, SAMPLE_BYTES),
    ]  # fmt: skip
    assert len(steps["printed"]) == 1
    assert written == [
        {"train": items_per_shard(3e6, 300), "test": items_per_shard(5e5, 2000)},
        dict.fromkeys(("train", "test"), items_per_shard(5e5, 2300)),
    ]


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
    with pytest.raises(DataError, match=r"^jpeg/val: not a split of this build, which has jpeg/train, jpeg/test$"):
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
