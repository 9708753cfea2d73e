"""``finish --push-to``: one process commits what all ranks made, by the unmodified client, against the Hub double."""

import pytest

from tests.benchmark.cluster.conftest import PROJECT, tree
from tests.benchmark.cluster.test_builds import BUILD
from tests.support.hub import OWNER_TOKEN
from tests.support.processes import run_python

REPO = "camtrace/made"


@pytest.fixture
def client(hub, root, tmp_path):
    """Run a command as somebody with a Hub account would; no output may hold the token."""

    def command(*words):
        changed = {"PYTHONPATH": f"{root}:{PROJECT}", "CAMTRACE_RUNTIME": "torch"}
        environment = {**hub.environment(tmp_path / "home", OWNER_TOKEN), **changed}
        done = run_python("-m", "camtrace", *words, env=environment, cwd=root, timeout=600)
        assert OWNER_TOKEN not in done.stdout + done.stderr
        return done

    return command


@pytest.mark.slow
def test_finish__commits_a_build_once_and_workers_never(hub, client, run, tmp_path):
    assert run("plan", *BUILD, "--license", "cc-by-4.0", "--output", tmp_path / "out", "--ranks", 2)[0] == 0
    plan = tmp_path / "out.plan"
    worked = client("work", plan)
    assert worked.returncode == 0, worked.stderr
    assert hub.requests == []
    hub.fail("POST", "/commit/", times=1, status=503)
    done = client("finish", plan, "--push-to", REPO)
    assert done.returncode == 0, done.stderr
    held = {name: data for name, data in hub.repo(REPO).files.items() if name not in (".gitattributes", "README.md")}
    local = (".", "README.md", "croissant.json")  # the Hub makes its own Croissant description
    made = {name: data for name, data in tree(tmp_path / "out").items() if not name.startswith(local)}
    assert held == made
    assert hub.repo(REPO).private
    assert len(hub.repo(REPO).messages) == 3  # the empty repository, the data, the texts
    commits = hub.count("POST", "/commit/")
    again = client("finish", plan, "--push-to", REPO)
    assert f"0 uploaded, {len(made) + 1} unchanged" in again.stdout, again.stderr
    assert hub.count("POST", "/commit/") == commits


@pytest.mark.slow
def test_finish__commits_results(hub, client, run, tmp_path):
    words = ("--model", "control:jpeg-statistics", "--data", "folder:photos", "--tasks", "probe/sharpening")
    where = ("--workers", 0, "--cache", tmp_path / "cache", "--output", tmp_path / "out")
    assert run("plan", "sweep", *words, "--ranks", 2, *where)[0] == 0
    plan = tmp_path / "out.plan"
    assert run("work", plan)[0] == 0
    done = client("finish", plan, "--push-to", REPO)
    assert done.returncode == 0, done.stderr
    assert f"datasets/{REPO}: 1 results added, 0 already there" in done.stdout
    names = [name for name in hub.repo(REPO).files if name.startswith("results/")]
    assert len(names) == 1
    assert len(hub.repo(REPO).messages) == 2


def test_finish__what_cannot_be_pushed_is_reported_beforehand(run, tmp_path):
    assert run("plan", *BUILD, "--output", tmp_path / "out", "--ranks", 1)[0] == 0
    status, _, printed = run("finish", tmp_path / "out.plan", "--push-to", "nonsense")
    assert status == 2
    assert "nonsense" in printed
