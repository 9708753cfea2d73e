"""Publishing by the unmodified clients against the Hub double, failures injected: nothing lost, nothing doubled."""

import io
import itertools
import os
import re
import threading
from argparse import ArgumentTypeError
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from benchmark.__main__ import camtrace
from benchmark.publishing import PublishRequest, publish_results
from benchmark.results import write_result
from builders.cli import repository_name
from builders.errors import DataError
from tests.benchmark.publishing.conftest import published_as
from tests.support.hub import OWNER_TOKEN, READER_TOKEN
from tests.support.processes import run_python

REPO = "camtrace/results"
ROOT = Path(__file__).parents[3]


def held(hub, branch="main"):
    """Result files of the repository."""
    repo = hub.repo(REPO)
    return {p: d for p, d in repo.commits[repo.branches[branch]].items() if p.startswith("results/")}


def table_of(hub):
    return pq.read_table(io.BytesIO(hub.repo(REPO).files["results.parquet"]))


@pytest.mark.slow
def test_publish__dry_run_says_what_would_be_written_and_writes_nothing(hub, client, folder):
    done = client("publish", folder, "--results", REPO, "--space", "camtrace/leaderboard")
    for path in published_as(folder):
        assert path in done.stdout
    assert "results.parquet" in done.stdout
    assert "6 rows" in done.stdout
    assert "README.md" in done.stdout
    assert "camtrace/leaderboard (static Space)" in done.stdout
    assert hub.repos == {}
    assert not [request for request in hub.requests if request[0] != "GET"]


IN_PARTS = """
import sys
import benchmark.publishing.repository as repository
from benchmark.cli.sharing.publish import main
repository.MOST_FILES = 2
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_publish__many_results_in_several_commits_the_table_last(hub, folder, make, tmp_path, impatient):
    for number in range(3):
        write_result(make.result(f"control:{number}"), folder / f"more-{number}" / "imagenet" / "result.json")
    hub.create(REPO, private=True)
    for failure in ({"status": 503}, {"status": None, "after_doing": True}):
        hub.fail("POST", "/commit/", times=1, **failure)
    environment = hub.environment(tmp_path / "home", OWNER_TOKEN)
    environment["PYTHONPATH"] = os.pathsep.join([impatient, environment.get("PYTHONPATH", "")])
    done = run_python("-c", IN_PARTS, folder, "--results", REPO, "--push", env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "5 results added, 0 already there" in done.stdout
    assert held(hub) == published_as(folder)
    repo = hub.repo(REPO)
    sizes = [len(files) for files in repo.commits.values()]
    assert [b - a for a, b in itertools.pairwise(sizes)] == [2, 2, 1, 2]
    assert ["results.parquet" in files for files in repo.commits.values()][-2:] == [False, True]
    assert table_of(hub).num_rows == 15


@pytest.mark.slow
def test_publish__then_again_changes_nothing(hub, client, folder):
    first = client("publish", folder, "--results", REPO, "--space", "camtrace/leaderboard", "--push")
    assert "2 results added, 0 already there" in first.stdout
    assert held(hub) == published_as(folder)
    repo = hub.repo(REPO)
    assert repo.private
    assert len(repo.messages) == 2  # the empty repository, and one commit of results, table and card together
    table = table_of(hub)
    assert table.num_rows == 6
    assert table.column("value").to_pylist()[:3] == [0.8, 0.7, 0.1]
    row = table.to_pylist()[3]
    assert (
        row.items()
        >= {
            **{"encoder": "timm/resnet50.a1_in1k", "data": "imagenet", "task": "probe/jpeg", "metric": "accuracy"},
            **{"value": 0.5, "low": 0.4, "high": 0.6, "n": 100, "chance": 1 / 6, "protocol": "converged", "k": None},
            **{"seed": 0, "device": "cpu", "dtype": "float32", "weights_sha256": "f" * 64, "question_hash": "9ue5"},
            **{"dimension": 2048, "parameters": 25_000_000, "group": "SUP", "smoke_test": False, "camtrace": "0.1.0"},
        }.items()
    )
    card = repo.files["README.md"].decode()
    front = yaml.safe_load(card.split("---")[1])
    assert front["configs"][0]["data_files"][0]["path"] == "results.parquet"
    assert front["language"] == ["en"]
    assert front["source_datasets"] == ["ILSVRC/imagenet-1k"]  # simcams are in no repository
    assert front["size_categories"] == ["n<1K"]
    info = front["dataset_info"]
    assert [column["name"] for column in info["features"]] == table.column_names
    assert {c["name"]: c["dtype"] for c in info["features"]}["value"] == "float64"
    assert info["splits"] == [{"name": "train", "num_bytes": info["dataset_size"], "num_examples": 6}]
    assert info["download_size"] == len(repo.files["results.parquet"])
    assert f"(https://huggingface.co/datasets/{REPO}/embed/viewer)" in card
    assert "`imagenet`, `simcams`" in card
    site = hub.repo("camtrace/leaderboard", "space").files
    assert b"control:jpeg-statistics" in site["data.json"]
    assert "index.html" in site

    commits = hub.count("POST", "/commit/")
    second = client("publish", folder, "--results", REPO, "--space", "camtrace/leaderboard", "--push")
    assert "0 results added, 2 already there" in second.stdout
    assert hub.count("POST", "/commit/") == commits


@pytest.mark.slow
def test_publish__the_code_of_the_card_runs(hub, client, folder, tmp_path):
    client("publish", folder, "--results", REPO, "--push")
    card = hub.repo(REPO).files["README.md"].decode()
    (code,) = re.findall(r"^```python\n(.*?)^```$", card, re.MULTILINE | re.DOTALL)
    alone = "import datasets\ndatasets.config.USE_PARQUET_EXPORT = False  # it asks another host than the Hub\n"
    show = "\nprint(scores.num_rows, scores['value'][:3], scores.features['mask_ratio'].dtype)"
    done = run_python("-c", alone + code + show, env=hub.environment(tmp_path / "reader"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "6 [0.8, 0.7, 0.1] float64\n"


FAILURES = (
    {"method": "GET", "path": "/tree/", "status": 500},
    {"method": "POST", "path": "/preupload/", "status": None},
    {"method": "PUT", "path": "/lfs-object/", "status": 500},
    {"method": "POST", "path": "/commit/", "status": 412},
    {"method": "POST", "path": "/commit/", "status": None, "after_doing": True},
)


@pytest.mark.slow
def test_publish__goes_on_after_failures(hub, client, folder):
    for failure in FAILURES:
        hub.fail(**failure)
    done = client("publish", folder, "--results", REPO, "--push")
    assert [failure.times for failure in hub.failures] == [0] * len(FAILURES)
    assert "2 results added" in done.stdout
    assert held(hub) == published_as(folder)
    assert len(hub.repo(REPO).messages) == 2


@pytest.mark.slow
def test_publish__two_at_once_are_merged(hub, client, folder, tmp_path, make):
    """Both read the same head; the second commit is refused (412), reads again, and keeps the first one's results."""
    others = tmp_path / "others"
    write_result(make.result("timm/other.in1k", value=0.3), others / "result.json")
    hub.create(REPO)
    together, serve = threading.Barrier(2, timeout=600), hub.due_failure
    waited = set()

    def wait_for_the_other(method, path):
        caller = threading.get_ident()
        if method == "POST" and "/commit/" in path and len(waited) < 2:
            waited.add(caller)
            together.wait()
        return serve(method, path)

    hub.due_failure = wait_for_the_other
    threads = [
        threading.Thread(target=client, args=("publish", where, "--results", REPO, "--push"), kwargs={"home": name})
        for where, name in ((folder, "a"), (others, "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held(hub) == {**published_as(folder), **published_as(others)}
    assert table_of(hub).num_rows == 9
    assert hub.count("POST", "/commit/") == 3  # one of them had to come again
    assert len(hub.repo(REPO).messages) == 3


@pytest.mark.slow
def test_publish__without_the_right_to_write_opens_one_pull_request(hub, client, folder, make):
    reference = make.result("timm/other.in1k")
    hub.create(REPO).commit({make.path(reference): reference.to_json().encode()}, "theirs")
    hub.fail("POST", "/commit/", status=None, after_doing=True, times=2)  # the refusal, then the answer that was made
    done = client("publish", folder, "--results", REPO, "--push", token=READER_TOKEN)
    assert f"{hub.url}/datasets/{REPO}/discussions/1" in done.stdout
    again = client("publish", folder, "--results", REPO, "--push", token=READER_TOKEN)
    assert "discussions/1" in again.stdout
    repo = hub.repo(REPO)
    assert [branch for branch in repo.branches if branch.startswith("refs/pr/")] == ["refs/pr/1"]
    assert held(hub) == {make.path(reference): reference.to_json().encode()}
    assert held(hub, "refs/pr/1") == {**held(hub), **published_as(folder)}
    assert "results.parquet" not in repo.commits[repo.branches["refs/pr/1"]]


@pytest.mark.slow
def test_publish__a_damaged_file_of_the_clients_cache_is_fetched_again(hub, client, folder, make, tmp_path):
    reference = make.result("timm/other.in1k")
    hub.create(REPO).commit({make.path(reference): reference.to_json().encode()}, "theirs")
    client("publish", folder, "--results", REPO)
    [blob] = [path for path in tmp_path.glob("*/hub/**/blobs/*") if path.read_bytes() == reference.to_json().encode()]
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    done = client("publish", folder, "--results", REPO, "--push")
    assert make.path(reference) in done.stderr
    assert blob.read_bytes() == reference.to_json().encode()
    assert "timm/other.in1k" in table_of(hub).column("encoder").to_pylist()


@pytest.mark.slow
def test_publish__never_overwrites_and_leaves_foreign_files_alone(hub, client, folder):
    path = next(iter(published_as(folder)))
    before = {path: b"{}", "results/x/y/bad.json": b"<script>", "notes.md": b"mine"}
    hub.create(REPO).commit(before, "theirs")
    refused = client("publish", folder, "--results", REPO, "--push", expect=2)
    assert path in refused.stderr
    del before[path]
    hub.repo(REPO).commit(before, "theirs")
    shown = client("publish", folder, "--results", REPO)
    assert "results/x/y/bad.json" in shown.stdout
    client("publish", folder, "--results", REPO, "--push")
    assert hub.repo(REPO).files.items() >= before.items()
    assert table_of(hub).num_rows == 6


@pytest.mark.slow
def test_publish__model_pages_are_pull_requests_and_only_with_the_flag(hub, client, tmp_path, make):
    out = tmp_path / "one"
    write_result(make.result(data="hub:camtrace/traces"), out / "result.json")
    model = hub.create("timm/resnet50.a1_in1k", "model")
    client("publish", out, "--results", REPO, "--push")
    assert list(model.branches) == ["main"]
    for _ in range(2):
        done = client("publish", out, "--results", REPO, "--push", "--model-card")
        assert "timm/resnet50.a1_in1k/discussions/1" in done.stdout
    assert list(model.branches) == ["main", "refs/pr/1"]
    text = model.commits[model.branches["refs/pr/1"]][".eval_results/camtrace-camtrace--traces.yaml"].decode()
    entries = yaml.safe_load(text)
    assert [e["dataset"] for e in entries] == [
        {"id": "camtrace/traces", "task_id": "jpeg-probe", "revision": "c" * 40},
        {"id": "camtrace/traces", "task_id": "jpeg-knn-spd", "revision": "c" * 40},
    ]
    assert [e["value"] for e in entries] == [50.0, 10.0]
    assert all(value in entries[0]["notes"] for value in ("40.00", "60.00", "16.67", "100 photos", "converged"))


@pytest.mark.slow
def test_publish__eval_yaml_declares_the_tasks_of_a_hub_data_set_once(hub, client, tmp_path, make):
    out = tmp_path / "one"
    write_result(make.result(data="hub:camtrace/traces"), out / "result.json")
    data = hub.create("camtrace/traces")
    for _ in range(2):
        client("publish", out, "--results", REPO, "--eval-yaml", "--push")
    assert hub.count("POST", "camtrace/traces/commit/") == 1
    declared = yaml.safe_load(data.files["eval.yaml"])
    assert declared["name"] == "traces"
    assert declared["tasks"] == [
        {"id": "jpeg-knn-spd", "config": "default", "split": "validation"},
        {"id": "jpeg-probe", "config": "default", "split": "validation"},
    ]


@pytest.mark.slow
def test_push_to__scores_and_publishes_in_one_command(hub, client, tmp_path, photo_folder, monkeypatch):
    """With a version of the package on record, as an installed one has it."""
    about = tmp_path / "installed" / "camtrace-0.1.0.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: camtrace\nVersion: 0.1.0\n")
    monkeypatch.setenv("PYTHONPATH", str(about.parents[1]))
    question = ("--tasks", "knn/resizing", "--limit", "24", "--workers", "0", "--output", tmp_path / "scored")
    models = ("--model", "control:jpeg-statistics", "--data", f"folder:{photo_folder}")
    done = client(*models, *question, "--push-to", REPO)
    assert "1 results added" in done.stdout
    assert held(hub) == published_as(tmp_path / "scored")
    (published,) = held(hub).values()
    assert b"--push-to" not in published
    assert str(tmp_path).encode() not in published


CHANGES = {
    "encoder.weights_sha256": ("encoder", {"weights_sha256": None}),
    "encoder.revision": ("encoder", {"revision": None}),
    "environment.versions.camtrace": ("environment", {"versions": {"torch": "2", "numpy": "2", "pillow": "13"}}),
    "data.bytes_hash": ("data", {"bytes_hash": ""}),
    "0123456789abcdef": ("environment", {"codec": {"pillow": "99.0"}, "codec_canary": "0123456789abcdef"}),
    "Pillow 12.0.0": ("environment", {"codec": {"pillow": "12.0.0"}, "codec_canary": "78e492f7fbf1fa50"}),
    "--smoke-tests": ("data", {"smoke_test": True}),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_publish__refuses_what_cannot_be_repeated(tmp_path, make, reason):
    part, values = CHANGES[reason]
    write_result(make.result("org/good"), tmp_path / "good" / "result.json")
    write_result(make.changed(make.result(), part, **values), tmp_path / "bad" / "result.json")
    shown = publish_results(PublishRequest(tmp_path, REPO))
    ((refused),) = shown["not_published"]
    assert refused["file"] == "bad/result.json"
    assert reason in refused["reason"]
    assert [path.split("/")[1] for path in shown["writes"] if path.startswith("results/")] == ["org--good"]


@pytest.mark.parametrize(
    ("part", "values", "lifted"),
    [
        ("data", {"smoke_test": True}, {"smoke_tests": True}),
        ("environment", {"codec": {"pillow": "99"}, "codec_canary": "0" * 16}, {"unknown_codec": True}),
    ],
)
def test_publish__takes_smoke_tests_and_unknown_codecs_on_request(tmp_path, make, part, values, lifted):
    write_result(make.changed(make.result(), part, **values), tmp_path / "result.json")
    with pytest.raises(DataError):
        publish_results(PublishRequest(tmp_path, REPO))
    assert publish_results(PublishRequest(tmp_path, REPO, **lifted))["not_published"] == []


def test_publish__hostile_and_broken_files_are_refused_and_the_rest_is_published(tmp_path, make):
    write_result(make.result(), tmp_path / "runs" / "good" / "result.json")
    write_result(make.result(), tmp_path / "elsewhere" / "result.json")
    text = make.result().to_json()
    broken = {
        "nan": text.replace('"value": 0.5', '"value": NaN', 1),
        "html": text.replace("timm/resnet50.a1_in1k", "<img src=x onerror=alert(1)>"),
        "field": text.replace('"created"', '"made"'),
        "cut": text[:300],
    }
    for name, content in broken.items():
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "result.json").write_text(content)
    (tmp_path / "runs" / "link").mkdir()
    (tmp_path / "runs" / "link" / "result.json").symlink_to(tmp_path / "elsewhere" / "result.json")
    shown = publish_results(PublishRequest(tmp_path / "runs", REPO))
    assert {refused["file"].split("/")[0] for refused in shown["not_published"]} == {*broken, "link"}
    assert published_as(tmp_path / "runs" / "good").keys() <= shown["writes"].keys()


def test_publish__an_empty_folder_and_names_that_are_no_repositories_are_refused(tmp_path, folder):
    with pytest.raises(DataError, match=r"result\.json"):
        publish_results(PublishRequest(tmp_path / "none", REPO))
    for words in (["--results", "board"], ["--results", REPO, "--space", "a/b/c"], ["--results", "-a/b"]):
        assert camtrace(["publish", str(folder), *words]) == 2


REPOS = ["a/b", "A_1/b-c", "own.er/na.me-1", "0/0", "a/b.", "a-/b"]
NO_REPOS = ["", "a", "a/", "/b", "a/b/c", "-a/b", ".a/b", "a/-b", "a/.b", "a b/c", "a/b c", "a/b\n", "a:b/c", "a/b@c"]


def test_repository_name__owner_and_name_that_begin_with_a_letter_or_digit():
    assert [repository_name(name) for name in REPOS] == REPOS
    for name in NO_REPOS:
        with pytest.raises(ArgumentTypeError):
            repository_name(name)
