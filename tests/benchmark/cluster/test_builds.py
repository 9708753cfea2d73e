"""Builds of data sets by ranks: the same bytes as the plain command."""

import json

import fsspec
import pyarrow.parquet as pq
import pytest

from builders.cluster import StorageFolder, read_plan
from builders.splits import RECORD
from tests.benchmark.cluster.conftest import POISONED, leftovers, tree
from tests.conftest import photo_bytes
from tests.support.records import check_keys

BUILD = ("build", "folder", "--source", "photos", "--parameter", "jpeg,resizing")


@pytest.mark.slow
def test_ranks__equal_to_the_plain_command(run, tmp_path):
    assert run(*BUILD, "--output", tmp_path / "plain", "--workers", 1)[0] == 0
    assert run("plan", "--ranks", 3, *BUILD, "--output", tmp_path / "out")[0] == 0
    assert run("work", tmp_path / "out.plan", "--rank", 1)[0] == 0
    assert not (tmp_path / "out" / "README.md").exists()
    assert run("work", tmp_path / "out.plan")[0] == 0
    assert run("finish", tmp_path / "out.plan")[0] == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")
    lines = [json.loads(line) for line in (tmp_path / "out/failures.jsonl").read_text().splitlines()]
    failed = sorted((line["config"], line["id"]) for line in lines)
    assert failed == sorted((config, name) for config in ("jpeg", "resizing") for name in POISONED)
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("layout", ["{label}", "{split}/{label}"])
def test_ranks__equal_photos_are_on_one_side_as_by_the_plain_command(run, tmp_path, layout):
    """Drawn splits, of which twins are moved, and given splits, of which they are kept; both have their column."""
    for i in range(40):
        name = layout.format(split="val" if i % 4 == 0 else "train", label=f"c{i % 2}")
        path = tmp_path / "photos" / name / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo_bytes(i // 8 if i % 8 < 2 else i, (48, 64)))  # 0 and 1, 8 and 9, ... are one file
    requested = ("build", "folder", "--data", tmp_path / "photos", "--ignore-space")
    assert run(*requested, "--output", tmp_path / "plain", "--workers", 1)[0] == 0
    assert run("plan", "--ranks", 2, *requested, "--output", tmp_path / "out")[0] == 0
    assert run("work", tmp_path / "out.plan")[0] == 0
    assert run("finish", tmp_path / "out.plan")[0] == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")
    rows = [r for p in sorted((tmp_path / "out").rglob("*.parquet")) for r in pq.read_table(p).to_pylist()]
    named = {int(row["photo_id"].rpartition("/")[2][:-4]): row["near_duplicates"] for row in rows}
    for i in range(0, 40, 8):
        assert named[i] == named[i + 1] != ""


def test_rank__refuses_a_damaged_record_of_equal_photos(run, tmp_path):
    assert run("plan", "--ranks", 2, *BUILD, "--output", tmp_path / "out")[0] == 0
    StorageFolder.of(tmp_path / "out.plan").write(RECORD, b"no record")
    assert run("work", tmp_path / "out.plan", "--rank", 0)[0] == 1


@pytest.mark.slow
def test_ranks__simulated_cameras(run, tmp_path):
    requested = ("build", "simcams", "--scenes", 4, "--size", 64, "--configs", "make,iso", "--ignore-space")
    assert run(*requested, "--output", tmp_path / "plain", "--workers", 1)[0] == 0
    assert run("plan", *requested, "--output", tmp_path / "out", "--ranks", 3)[0] == 0
    assert run("work", tmp_path / "out.plan")[0] == 0
    assert run("finish", tmp_path / "out.plan")[0] == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")


@pytest.mark.slow
def test_ranks__to_an_object_store(run, tmp_path):
    assert run(*BUILD, "--output", tmp_path / "plain", "--workers", 1)[0] == 0
    output = f"memory://{tmp_path.name}/out"
    assert run("plan", *BUILD, "--output", output, "--ranks", 2)[0] == 0
    assert run("work", f"{output}.plan")[0] == 0
    status, printed, _ = run("finish", f"{output}.plan")
    assert status == 0, printed
    store = fsspec.filesystem("memory")
    result = {p.removeprefix(f"/{tmp_path.name}/out/"): store.cat_file(p) for p in store.find(f"/{tmp_path.name}/out/")}
    expected = {name: data for name, data in tree(tmp_path / "plain").items() if name != ".build/lock"}
    assert result == expected


@pytest.mark.slow
def test_rank__refuses_other_rows(run, root, tmp_path):
    """A photo that is read beforehand is another one: nothing is written."""
    assert run("plan", *BUILD, "--output", tmp_path / "out", "--ranks", 2)[0] == 0
    first = sorted((root / "photos/train/dark").iterdir())[0]
    before = first.read_bytes()
    first.write_bytes((root / "photos/train/light/0.jpg").read_bytes())
    try:
        status, _, printed = run("work", tmp_path / "out.plan", "--rank", 0)
    finally:
        first.write_bytes(before)
    assert status == 1
    assert "jpeg/train" in printed
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_plan__holds_what_every_rank_must_find(run, tmp_path):
    assert run("plan", *BUILD, "--output", tmp_path / "out", "--ranks", 2)[0] == 0
    plan, _ = read_plan(str(tmp_path / "out.plan"))
    assert plan.size == 400
    assert len(plan.facts) > 3
    assert plan.estimate["bytes"] > 10_000


@pytest.mark.slow
def test_commands__print_records_for_programs(run, tmp_path):
    plan = tmp_path / "out.plan"
    assert run("plan", "--ranks", 3, *BUILD, "--output", tmp_path / "out")[0] == 0
    status, printed, messages = run("work", plan, "--rank", "0,2", "--json", "--quiet")
    record = {"plan": str(plan), "done": [0, 2], "failed": [], "next": f"camtrace status {plan}"}
    assert (status, json.loads(printed)) == (0, record)
    assert "rank 0" not in messages
    status, printed, _ = run("status", plan, "--json")
    now = json.loads(printed)
    check_keys("status --json", now)
    ranks = read_plan(str(plan))[0].ranks
    assert (status, now["ranks"], now["done"], now["failed"], now["running"], now["killed"]) == (
        0,
        3,
        [0, 2],
        [],
        [],
        [],
    )
    assert (now["items"], now["items_done"]) == (sum(r.size for r in ranks), ranks[0].size + ranks[2].size)
    assert now["next"].startswith(f"camtrace work {plan}")
    assert json.loads(run("work", plan, "--json")[1])["done"] == [0, 1, 2]
    done = json.loads(run("work", plan, "--json")[1])
    assert (done["done"], done["next"]) == ([0, 1, 2], f"camtrace finish {plan}")
    status, printed, messages = run("finish", plan, "--json")
    finished = json.loads(printed)
    check_keys("finish --json", finished)
    assert (finished["output"], finished["ranks"], finished["exit_status"]) == (str(tmp_path / "out"), 3, status)
    assert "load_dataset" in messages  # what the build prints is on standard error
