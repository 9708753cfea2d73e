"""``camtrace work --engine``: what an engine is told, and what is said when it returns, by doubles of the engines."""

import shlex
import shutil

import pytest

from benchmark.__main__ import camtrace
from builders.cluster import ENGINES, EngineOptions, Markers, read_plan
from tests.benchmark.cluster.test_builds import BUILD


@pytest.fixture(scope="module")
def planned(root, tmp_path_factory):
    """A plan of three ranks, the first of them done."""
    folder = tmp_path_factory.mktemp("engines")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert camtrace(["plan", "--ranks", "3", *BUILD, "--output", str(folder / "out"), "--quiet"]) == 0
        assert camtrace(["work", str(folder / "out.plan"), "--rank", "0", "--quiet"]) == 0
    return folder


@pytest.fixture
def submitted(monkeypatch, planned, tmp_path):
    """A copy of the plan, and the submissions of a double of every engine."""
    shutil.copytree(planned, tmp_path, dirs_exist_ok=True)
    submissions = []

    def engine(submission):
        submissions.append(submission)
        return "submitted"

    for name in ("slurm", "ray", "jobs"):
        monkeypatch.setitem(ENGINES, name, engine)
    return submissions


def test_work__slurm_returns_at_once_and_says_nothing_of_ranks(submitted, run, tmp_path):
    status, printed, more = run("work", tmp_path / "out.plan", "--engine", "slurm")
    assert (status, printed) == (0, "submitted\n")
    assert "3 ranks, 2 missing" in more
    assert submitted[0].ranks == (1, 2)


@pytest.mark.parametrize("engine", ["ray", "jobs"])
def test_work__the_other_engines_end_with_their_ranks(submitted, run, tmp_path, engine):
    status, printed, more = run("work", tmp_path / "out.plan", "--engine", engine)
    assert status == 1
    again = f"camtrace work {tmp_path / 'out.plan'} (does what failed again)"
    assert again in printed
    assert "ranks      3: 1 done, 0 running, 0 failed" in more
    assert "next: " not in more


def test_work__done_ranks_are_counted(submitted, run, tmp_path, monkeypatch):
    plan, storage = read_plan(str(tmp_path / "out.plan"))

    def one_done(submission):
        done = Markers(storage, plan.name).all().done
        assert list(done) == [0]
        return str(run("work", tmp_path / "out.plan", "--rank", 2)[0])

    monkeypatch.setitem(ENGINES, "ray", one_done)
    status, printed, _ = run("work", tmp_path / "out.plan", "--engine", "ray")
    assert status == 1
    assert printed.startswith("0\n1 rank done, 1 failed; next: camtrace work ")


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("", EngineOptions()),
        ("--jobs 5 --at-once 3", EngineOptions(tasks=5, at_once=3)),
        ("--cpus 2 --gpus 1 --memory 3G", EngineOptions(cpus=2, gpus=1, memory_gb=3)),
        ("--memory 2049M", EngineOptions(memory_gb=3)),  # whole gigabytes
        ("--time 4:00:00 --partition main --qos high", EngineOptions(time="4:00:00", partition="main", qos="high")),
        ("--setup 'module load cuda'", EngineOptions(setup="module load cuda")),
        ("--sbatch account=a=b --sbatch --exclusive", EngineOptions(sbatch={"account": "a=b", "exclusive": ""})),
        ("--address local", EngineOptions(address="local")),
        (
            "--flavor t4-small --namespace me --package camtrace==1",
            EngineOptions(flavor="t4-small", namespace="me", package="camtrace==1"),
        ),
    ],
)
def test_work__every_option_reaches_the_engine(submitted, run, tmp_path, words, options):
    words = words.replace("--sbatch --", "--sbatch=--")
    assert run("work", tmp_path / "out.plan", "--engine", "slurm", *shlex.split(words))[0] == 0
    assert submitted[0].options == options


@pytest.mark.parametrize("words", ["--jobs 0", "--at-once 0", "--cpus 0", "--gpus 2", "--gpus -1", "--memory 0"])
def test_work__sizes_that_cannot_be_are_refused(submitted, run, tmp_path, words):
    assert run("work", tmp_path / "out.plan", "--engine", "slurm", *words.split())[0] == 2
    assert not submitted
