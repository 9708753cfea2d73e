"""Shards: deterministic bytes, resumption after kill -9, failures recorded, full disks survived."""

import dataclasses
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

import datasets
import pyarrow.parquet as pq
import pytest

from builders.dataset import (
    BuildOptions,
    ShardJob,
    build_data_set,
    estimate_space,
    file_sha256,
    items_per_shard,
    require_space,
    write,
    write_shards,
)
from builders.dataset.shards import SHARD_BYTES, SMALL_SHARD_BYTES, write_shard
from builders.dataset.write import building, write_failures
from builders.errors import DataError, PhotoError, UsageError
from tests.support.processes import start_python

FEATURES = datasets.Features(
    {
        "image": datasets.Image(),
        "photo_id": datasets.Value("string"),
        "jpeg": datasets.ClassLabel(names=["low", "high"]),
    }
)
IDS = tuple(f"photo-{i:03d}" for i in range(40))


@dataclasses.dataclass(frozen=True)
class Rows:
    """Two rows an item; item 7 fails by a PhotoError, item 11 by a bug in a decoder."""

    slow_s: float = 0.0
    bytes_each: int = 5000

    def __call__(self, item):
        time.sleep(self.slow_s)
        if item == 7:
            raise PhotoError("truncated")
        if item == 11:
            raise ValueError("bad Huffman table")
        return [
            {
                "image": {"bytes": noise(item, c, self.bytes_each), "path": f"{item}.jpg"},
                "photo_id": IDS[item],
                "jpeg": c,
            }
            for c in range(2)
        ]


def noise(item, c, size=5000):
    return random.Random(2 * item + c).randbytes(size)


def job(output, **changes):
    values = {
        "output": output,
        "config": "jpeg",
        "split": "train",
        "features": FEATURES,
        "ids": IDS,
        "make_rows": Rows(),
        "recipe": {"seed": 0},
        "items_per_shard": 6,
    }
    return ShardJob(**(values | changes))


def hashes(output):
    return {str(p.relative_to(output)): file_sha256(p) for p in sorted(output.rglob("*")) if p.suffix == ".parquet"}


def test_write_shards__rows_failures_and_names(tmp_path):
    written = write_shards(job(tmp_path))
    assert [s.file for s in written.shards][:2] == [
        "data/jpeg/train-00000-of-00007.parquet",
        "data/jpeg/train-00001-of-00007.parquet",
    ]
    assert written.rows == 2 * 38
    assert [(f.id, f.reason) for f in written.failures] == [
        ("photo-007", "truncated"),
        ("photo-011", "ValueError: bad Huffman table"),
    ]
    loaded = datasets.Dataset.from_parquet(sorted(map(str, tmp_path.rglob("*.parquet"))))
    assert loaded.features == FEATURES
    assert loaded["photo_id"] == [i for i in IDS for _ in range(2) if i not in ("photo-007", "photo-011")]
    undecoded = loaded.cast_column("image", datasets.Image(decode=False))
    assert undecoded[3]["image"]["bytes"] == noise(1, 1)
    assert write_failures(tmp_path, [written]) == 2
    lines = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert lines[0] == {"config": "jpeg", "split": "train", "id": "photo-007", "reason": "truncated"}


def test_write_shards__bytes_do_not_depend_on_workers(tmp_path):
    one = write_shards(job(tmp_path / "one"))
    three = write_shards(job(tmp_path / "three"), workers=3)
    assert one == three
    assert hashes(tmp_path / "one") == hashes(tmp_path / "three")
    assert list(hashes(tmp_path / "one").values()) == [s.sha256 for s in one.shards]


def test_write_shards__a_picture_named_as_a_file_in_the_working_folder_keeps_its_bytes(tmp_path, monkeypatch):
    """A build is started in the folder of its photos; ``datasets`` would store the name alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "3.jpg").write_bytes(b"another picture")
    written = write_shards(job(tmp_path / "out", items_per_shard=40))
    cells = pq.read_table(tmp_path / "out" / written.shards[0].file).column("image").to_pylist()
    assert cells[6:8] == [{"bytes": noise(3, c), "path": "3.jpg"} for c in range(2)]


def test_write_shards__finished_shards_are_not_made_again(tmp_path):
    write_shards(job(tmp_path))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")}
    (tmp_path / "data/jpeg/train-00003-of-00007.parquet").unlink()
    again = write_shards(job(tmp_path))
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")}
    assert [p.name for p in before if before[p] != after[p]] == ["train-00003-of-00007.parquet"]
    assert again.rows == 76


@pytest.mark.parametrize(
    ("reason", "rows"),
    [
        ("Input/output error", 76),
        ("Stale file handle", 76),
        ("Permission denied", 76),
        ("No such file or directory", 74),
    ],
)
def test_write_shards__a_shard_that_lacks_a_photo_of_a_disk_that_failed_is_made_again(tmp_path, reason, rows):
    class Lost(Rows):
        def __call__(self, item):
            if item == 3:
                raise PhotoError(f"the file cannot be read ({reason})")
            return super().__call__(item)

    first = write_shards(job(tmp_path / "lost", make_rows=Lost()))
    assert (first.rows, first.failures[0].id) == (74, "photo-003")
    assert write_shards(job(tmp_path / "lost")).rows == rows
    whole = write_shards(job(tmp_path / "whole"))
    assert (hashes(tmp_path / "lost") == hashes(tmp_path / "whole")) == (rows == whole.rows == 76)


def test_write_shards__a_truncated_shard_is_made_again(tmp_path):
    first = write_shards(job(tmp_path))
    path = tmp_path / "data/jpeg/train-00002-of-00007.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    assert write_shards(job(tmp_path)) == first
    assert file_sha256(path) == first.shards[2].sha256


RENAMED = datasets.Features({**FEATURES, "jpeg": datasets.ClassLabel(names=["high", "low"])})
"""The same columns, but class 0 has the other name."""


@pytest.mark.parametrize(
    "changes", [{"recipe": {"seed": 1}}, {"ids": IDS[:39]}, {"items_per_shard": 5}, {"features": RENAMED}]
)
def test_write_shards__another_recipe_is_refused_and_fresh_replaces(tmp_path, changes):
    write_shards(job(tmp_path))
    with pytest.raises(UsageError, match="--fresh"):
        write_shards(job(tmp_path, **changes))
    write_shards(job(tmp_path, **changes), fresh=True)
    write_shards(job(tmp_path / "clean", **changes))
    assert (
        hashes(tmp_path / "clean").items()
        <= {f"data/{k.split('data/')[1]}": v for k, v in hashes(tmp_path).items() if not k.startswith("clean")}.items()
    )
    assert len(hashes(tmp_path)) == 2 * len(hashes(tmp_path / "clean"))


def test_recipe_hash__names_everything_that_decides_the_bytes(tmp_path, monkeypatch):
    """Where a folder lies and who makes the rows is not the recipe; what they become is."""
    plain = job(tmp_path).recipe_hash
    assert job(tmp_path / "elsewhere").recipe_hash == plain
    longer = datasets.Features({**FEATURES, "iso": datasets.Value("int32")})
    changes = [
        {"features": RENAMED}, {"features": longer}, {"ids": IDS[::-1]}, {"items_per_shard": 7}, {"recipe": {"seed": 1}}
    ]  # fmt: skip
    result = {plain, *(job(tmp_path, **change).recipe_hash for change in changes)}
    for name in ("FORMAT_VERSION", "pa.__version__"):
        with monkeypatch.context() as patched:
            patched.setattr(f"builders.dataset.shards.{name}", "another")
            result.add(job(tmp_path).recipe_hash)
    assert len(result) == 1 + len(changes) + 2


def test_write_shards__other_class_names_are_not_taken_for_these(tmp_path):
    """Rows of the same bytes under other names of the classes: the file that a reader gets has the new names."""
    write_shards(job(tmp_path))
    write_shards(job(tmp_path, features=RENAMED), fresh=True)
    schema = pq.read_schema(tmp_path / "data/jpeg/train-00000-of-00007.parquet")
    assert datasets.Features.from_arrow_schema(schema)["jpeg"].names == ["high", "low"]


def test_write_shards__no_items_gives_one_empty_shard_that_loads(tmp_path):
    written = write_shards(job(tmp_path, ids=()))
    assert (written.rows, len(written.shards)) == (0, 1)
    assert pq.read_table(tmp_path / written.shards[0].file).num_rows == 0


@pytest.mark.slow
def test_building__a_second_build_of_the_same_folder_is_refused(tmp_path, monkeypatch):
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom builders.dataset.write import building\n"
        "with building(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        monkeypatch.setattr(write, "LOCK_TIMEOUT_S", 0.1)
        with pytest.raises(UsageError, match="another build"), building(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with building(tmp_path):  # the lock of a killed process is free
        pass


KILLED = """
import sys
from pathlib import Path
from builders.dataset.write import write_shards
from tests.builders.dataset.test_shards import Stalling, job
write_shards(job(Path(sys.argv[1]), make_rows=Stalling(before=int(sys.argv[3]))), workers=int(sys.argv[2]))
"""


@dataclasses.dataclass(frozen=True)
class Stalling(Rows):
    """Items from one on take for ever, so that workers that have not yet noticed a kill finish no more shards."""

    before: int = 0

    def __call__(self, item):
        time.sleep(0.01 if item < self.before else 600)
        return super().__call__(item)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_write_shards__killed_three_times_ends_equal(tmp_path, workers):
    expected = write_shards(job(tmp_path / "whole"))
    moments = random.Random(workers)
    for reached in (12, 24, 36):  # two shards more each time, of seven
        build = start_python("-c", KILLED, tmp_path / "killed", workers, reached)
        deadline = time.monotonic() + 60
        finished = len(hashes(tmp_path / "killed"))
        while len(hashes(tmp_path / "killed")) <= finished and build.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.1))
        build.send_signal(signal.SIGKILL)
        build.wait()
        for path in (tmp_path / "killed").rglob("*.parquet"):
            assert file_sha256(path) in {s.sha256 for s in expected.shards}
    assert 3 <= len(hashes(tmp_path / "killed")) < 7
    assert write_shards(job(tmp_path / "killed")) == expected
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "whole")
    assert not list((tmp_path / "killed").rglob("*.tmp"))


def test_write_shards__full_disk_is_one_sentence_and_leaves_nothing_half_written(tmp_path):
    """The limit on file size stands for the disk: the write fails in the middle of a shard."""
    big = job(tmp_path, make_rows=Rows(bytes_each=30_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        with pytest.raises(DataError, match="disk"):
            write_shards(big)
        with pytest.raises(DataError, match="disk"):
            write_shards(big, workers=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, previous)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "lock"]
    assert write_shards(big).rows == 76


def test_write_shards__a_killed_worker_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="process"):
        write_shards(job(tmp_path, make_rows=Suicide()), workers=2)
    assert write_shards(job(tmp_path)).rows == 76


@dataclasses.dataclass(frozen=True)
class Suicide:
    def __call__(self, item):
        if item == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return Rows()(item)


def test_write_shard__is_a_pure_function_of_its_number(tmp_path):
    reference = write_shards(job(tmp_path / "all"))
    assert write_shard(job(tmp_path / "one"), 4) == reference.shards[4]
    assert list(hashes(tmp_path / "one")) == ["data/jpeg/train-00004-of-00007.parquet"]


def test_estimate_space__is_near_the_truth(tmp_path):
    estimate = estimate_space(job(tmp_path))
    written = write_shards(job(tmp_path))
    assert estimate.sampled == 24
    assert 0.8 * written.file_bytes < estimate.total_bytes < 1.2 * written.file_bytes


def test_estimate_space__the_sample_is_not_made_again_up_to_so_many_bytes(tmp_path):
    expected = write_shards(job(tmp_path / "plain"))
    made = []

    def make_rows(item):
        made.append(item)
        return Rows()(item)

    stored = 5 * 2 * 5000
    estimate = estimate_space(job(tmp_path / "kept", make_rows=make_rows), keep_bytes=stored + 4000)
    assert len(made) == 24
    made.clear()
    assert write_shards(estimate.job) == expected
    assert len(made) == 40 - 5  # five items of two pictures of 5,000 bytes were kept
    assert not set(made) >= set(range(40))
    assert estimate_space(job(tmp_path)).job == job(tmp_path)  # nothing is kept unless it is asked for


def test_require_space__refuses_what_cannot_fit(tmp_path):
    require_space(tmp_path / "not" / "there", 1000)
    with pytest.raises(DataError, match="are needed"):
        require_space(tmp_path, 10**18)


def test_build_data_set__a_split_without_a_usable_item_is_empty(tmp_path):
    jobs = [job(tmp_path, ids=IDS[:2]), job(tmp_path, split="test", ids=IDS[:1], make_rows=unusable)]
    written = []

    def finish(splits, sizes):
        written.extend(splits)

    build_data_set(jobs, BuildOptions(tmp_path, progress=False), finish, name="toy", item="photo could be read")
    assert {split.split: split.rows for split in written} == {"train": 4, "test": 0}
    with pytest.raises(DataError):
        build_data_set(jobs[1:], BuildOptions(tmp_path, progress=False), finish, name="toy", item="photo could be read")


def unusable(item):
    raise PhotoError("truncated")


@pytest.mark.parametrize(
    ("bytes_per_item", "items"), [(70, 156), (3000, 700), (1e4, 1000), (2e4, 130), (1e5, 900), (4e6, 500)]
)
def test_items_per_shard__no_file_is_small_but_the_only_one_of_a_split(bytes_per_item, items):
    each = items_per_shard(bytes_per_item, items)
    count = -(-items // each)
    smallest = (items - (count - 1) * each) * bytes_per_item
    assert count == 1 or smallest >= SMALL_SHARD_BYTES


@pytest.mark.parametrize(("bytes_per_item", "items"), [(1e5, 50_000), (2e4, 9469), (5e4, 1_281_167), (4e6, 10_000)])
def test_items_per_shard__usual_sizes_are_cut_as_before(bytes_per_item, items):
    most = max(1, min(int(SHARD_BYTES // bytes_per_item), max(64, -(-items // 16))))
    assert items_per_shard(bytes_per_item, items) == -(-items // -(-items // most))
