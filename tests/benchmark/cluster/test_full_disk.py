"""A disk that is really full (a small tmpfs, mounted by root): its ranks fail by name, the others finish."""

import json
import subprocess

import pytest

from benchmark.bank import key_hash
from benchmark.bank.keys import LAYOUT
from builders.cluster import read_plan
from tests.benchmark.cluster.conftest import SWEEP, leftovers, tree
from tests.benchmark.cluster.test_builds import BUILD

pytestmark = pytest.mark.usefixtures("unpainted")


@pytest.fixture
def small_disk():
    """``small_disk(folder, size)``: a disk of so many bytes there; on the same folder again, another size."""
    mounted = []

    def mount(folder, size):
        folder.mkdir(parents=True, exist_ok=True)
        options = f"remount,size={size}" if folder in mounted else f"size={size}"
        words = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        try:
            done = subprocess.run(words, capture_output=True, text=True)
        except OSError as error:
            pytest.skip(f"no disk can be mounted here ({error})")
        if done.returncode:
            pytest.skip(f"no disk can be mounted here ({done.stderr.strip()}); root may")
        mounted.append(folder)

    yield mount
    for folder in dict.fromkeys(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=True)


def reasons(plan):
    """Why ranks failed, by rank."""
    result = sorted((plan / "ranks").glob("*.failed.json"))
    return {int(path.name[:5]): json.loads(path.read_text())["reason"] for path in result}


@pytest.mark.slow
def test_rank__of_embedding(run, equal_costs, small_disk, tmp_path):
    words = ("--together", 1, "--cache", tmp_path / "cache", "--output", tmp_path / "out", "--ranks", 4)
    assert run("plan", "sweep", *SWEEP, *words)[0] == 0
    plan, frozen = tmp_path / "out.plan", read_plan(str(tmp_path / "out.plan"))[0]
    large = frozen.notes["groups"].index(["cluster_encoders:large"])
    its_ranks = {n for n, rank in enumerate(frozen.ranks) if rank.units[0].split("/")[1] == str(large)}
    bank = plan / "banks" / f"{LAYOUT}-{key_hash(frozen.notes['keys']['0/cluster_encoders:large'])}"
    small_disk(bank, 16_384)  # four pages: files of four views of a block fit, of nine
    status, printed, _ = run("work", plan)
    assert status == 1
    assert printed.startswith(f"{4 - len(its_ranks) + 2} ranks done, {len(its_ranks)} failed, 2 ranks waiting for them")
    assert set(reasons(plan)) == its_ranks != set(range(4))
    for reason in reasons(plan).values():
        assert "disk" in reason
        assert bank.name in reason
    stored = {path: path.stat().st_mtime_ns for path in bank.rglob("*.npz")}
    assert stored
    small_disk(bank, 8_000_000)
    assert run("work", plan)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in stored} == stored
    assert not leftovers(tmp_path)


@pytest.mark.slow
def test_rank__of_a_build(run, equal_costs, small_disk, tmp_path):
    assert run(*BUILD, "--output", tmp_path / "plain", "--workers", 1)[0] == 0
    assert run("plan", *BUILD, "--output", tmp_path / "out", "--ranks", 4)[0] == 0
    plan, frozen = tmp_path / "out.plan", read_plan(str(tmp_path / "out.plan"))[0]
    its_ranks = {n for n, rank in enumerate(frozen.ranks) if any(unit.startswith("jpeg/") for unit in rank.units)}
    assert run("work", plan, "--rank", min(set(range(len(frozen.ranks))) - its_ranks))[0] == 0
    full = tmp_path / "out/data/jpeg"
    small_disk(full, 16_384)
    assert run("work", plan)[0] == 1
    assert set(reasons(plan)) == its_ranks
    for reason in reasons(plan).values():
        assert "disk" in reason
        assert f"{tmp_path}/out: " in reason
    small_disk(full, 50_000_000)
    assert run("work", plan)[0] == 0
    assert run("finish", plan)[0] == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")
    assert not leftovers(tmp_path)
