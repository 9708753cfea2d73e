"""Whole rows, pages and printed plans of results made by hand: every value that they show, and none that they lack."""

import dataclasses
import datetime
from types import SimpleNamespace

import pytest
import yaml

from benchmark.cli.sharing.publish import main
from benchmark.publishing import PublishRequest, publish, publish_results, repository
from benchmark.publishing.files import PublishedFile, gather_results, result_path
from benchmark.publishing.model_pages import data_set_tasks, model_pages
from benchmark.publishing.provenance import (
    codec_objection,
    known_codecs,
    missing_provenance,
    private_inputs,
    study_canary,
)
from benchmark.publishing.repository import Published, PushPlan
from benchmark.publishing.table import results_table
from benchmark.results import Refusal, write_result
from builders.errors import DataError, RemoteError, UsageError

REPO = "camtrace/results"

DISTINCT = {
    "encoder": {"library": "timm", "group": "SUP", "training_data": "ImageNet-1k", "revision": "a" * 40}
    | {"weights_sha256": "f" * 64, "dimension": 2048, "parameters": 25_000_000},
    "data": {"question_hash": "9ue5", "ids_hash": "1d5", "bytes_hash": "b17e5", "smoke_test": True},
    "environment": {
        "options": {"seed": 3},
        "device": "NVIDIA H100",
        "dtype": "bfloat16",
        "codec_canary": "ca",
        "codec": {"pillow": "12.0.0", "libjpeg_turbo": "3.1"},
        "versions": {"camtrace": "0.1.0"},
    },
}


def published(*results):
    return [PublishedFile(result_path(result), result.to_json(), result) for result in results]


def test_results_table__every_value_of_a_row(make):
    made = make.result("org/a", value=0.5)
    score = dataclasses.replace(made.scores[0], details={"protocol": "converged", "k": 7, "mask_ratio": 0.9})
    made = dataclasses.replace(made, **DISTINCT | {"encoder": {"id": "org/a", **DISTINCT["encoder"]}}, scores=(score,))
    made = make.changed(made, "data", name="imagenet")
    [row] = results_table({"results/a.json": made}).to_pylist()
    assert row == {
        **{"file": "results/a.json", "encoder": "org/a", "created": "2026-11-20T10:00:00+00:00"},
        **DISTINCT["encoder"],
        **{"data": "imagenet", **DISTINCT["data"]},
        **{"task": "probe/jpeg", "metric": "accuracy", "value": 0.5, "low": 0.4, "high": 0.6, "n": 100},
        **{"chance": 1 / 6, "protocol": "converged", "k": 7, "mask_ratio": 0.9, "seed": 3},
        **{"device": "NVIDIA H100", "dtype": "bfloat16", "codec_canary": "ca"},
        **{"pillow": "12.0.0", "libjpeg_turbo": "3.1", "camtrace": "0.1.0"},
    }
    assert list(row) == list(results_table({}).column_names)
    wrong = make.changed(made, "encoder", library=5, dimension=True, parameters=2**63, group="g" * 501)
    wrong = dataclasses.replace(wrong, environment={"options": [3], "codec": "12", "versions": None})
    wrong = make.changed(wrong, "data", smoke_test=None)
    score = dataclasses.replace(score, value=1, details={"k": 2**63 - 1, "mask_ratio": True})
    [row] = results_table({"b": dataclasses.replace(wrong, scores=(score,))}).to_pylist()
    assert {name for name, value in row.items() if value is None} == {
        *("library", "dimension", "parameters", "protocol", "mask_ratio", "seed", "device", "dtype"),
        *("codec_canary", "pillow", "libjpeg_turbo", "camtrace"),
    }
    assert (row["group"], row["smoke_test"], row["value"], row["k"]) == ("g" * 500, False, 1.0, 2**63 - 1)


NOT_NEEDED = {
    *("encoder.id", "encoder.parameters", "encoder.group", "encoder.training_data"),
    *("encoder.details", "data.name", "data.classes", "data.source_jpeg", "data.smoke_test"),
    *("data.evidence", "environment.options.neighbours", "environment.options.mask_ratio"),
}
"""What others can repeat a result without, or has a rule of its own."""


def leaves(value, name):
    nested = name in ("encoder", "data", "environment", "environment.versions", "environment.codec")
    if nested or name == "environment.options":
        for key, part in value.items():
            yield from leaves(part, f"{name}.{key}")
    else:
        yield name


def without(value, names):
    return {k: without(v, names[1:]) if names[1:] and k == names[0] else v for k, v in value.items() if k != names[-1]}


def test_missing_provenance__each_field_that_is_needed_and_no_other(make):
    made = make.result()
    parts = {part: getattr(made, part) for part in ("encoder", "data", "environment")}
    names = [name for part, value in parts.items() for name in leaves(value, part)]
    assert missing_provenance(made) == []
    needed = []
    for name in names:
        part, *rest = name.split(".")
        lacking = missing_provenance(dataclasses.replace(made, **{part: without(parts[part], rest)}))
        needed += lacking
        optional = name in NOT_NEEDED or (rest[0] == "codec" and rest[1] != "pillow")
        assert lacking == [] if optional else lacking == [name], name
    assert len(needed) > 15
    for name in ("parameters", "group", "training_data", "details"):
        assert missing_provenance(make.changed(made, "encoder", **{name: None})) == []
    assert missing_provenance(make.changed(made, "data", question_hash="")) == ["data.question_hash"]
    assert missing_provenance(make.changed(made, "data", question_hash=None)) == []
    assert missing_provenance(make.changed(made, "encoder", revision=None)) == ["encoder.revision"]
    assert missing_provenance(make.changed(made, "encoder", revision=None, id="control:jpeg-statistics")) == []


def test_codec_objection__whole_sentences(make):
    old, new = known_codecs().values()
    last = f"Pillow {new.pillow[-1]}"

    def objection(canary, pillow, here="x"):
        made = make.changed(make.result(), "environment", codec={"pillow": pillow}, codec_canary=canary)
        return codec_objection(made, here)

    assert objection(old.canary, old.pillow[0]) == objection(f"{old.canary}-own", old.pillow[-1]) == ""
    assert objection("0", "99", here="0") == ""
    assert (
        objection("0", "99") == f"its codec canary 0 is not known; score with a Pillow whose canary is, such as {last}"
    )
    assert objection(old.canary, new.pillow[0]) == (
        f"its codec canary {old.canary} is not that of Pillow {new.pillow[0]} ({new.canary}): another build of Pillow?"
    )
    assert study_canary(make.changed(make.result(), "environment", codec_canary="a-b-c")) == "a"


@pytest.mark.parametrize(
    ("encoder", "data", "local", "private"),
    [
        ({"id": "a/b"}, "imagenet", {"data": "PATH: mine"}, ""),
        ({"id": "a/b"}, "inat2018", {"data": "PATH: mine"}, ""),
        ({"id": "a/b"}, "paircams", {"data": "PATH: mine"}, ""),
        ({"id": "a/b"}, "hub:a/b", {"options": "o"}, ""),
        ({"id": "a/b"}, "table:x", {"data": "PATH"}, "the photos of table:x are private"),
        ({"id": "a/b"}, "folder:x", {}, "the photos of folder:x are private"),
        ({"id": "a/b"}, "exif-folder:x", {}, "the photos of exif-folder:x are private"),
        ({"id": "a/b"}, "hub:x", {}, "the photos of hub:x come from a folder of the author"),
        ({"id": "a/b"}, "imagenet", {"model": "M"}, "the encoder a/b is the author's own code, file or object"),
        ({"id": "m:f", "library": "callable"}, "imagenet", {}, "the encoder m:f is the author's own code or file"),
        ({"id": "weights:x"}, "imagenet", {}, "the encoder weights:x is the author's own code or file"),
        ({"id": "local-dir:x"}, "imagenet", {}, "the encoder local-dir:x is the author's own code or file"),
    ],
)
def test_private_inputs(make, encoder, data, local, private):
    made = make.changed(make.changed(make.result(data=data), "encoder", **encoder), "environment", local=local)
    assert private_inputs(made) == private
    if not local:
        assert private_inputs(make.changed(made, "environment", local="text")) == private


def test_model_pages__a_whole_page_and_why_others_have_none(make):
    made = make.changed(make.result("org/a@v1", data="hub:own/set"), "environment", codec_canary="ca")
    pages, left_out = model_pages(
        published(made, make.result("control:x"), make.result("org/b"), make.result("org/b", data="hub:a/b/c")), REPO
    )
    assert [(none.encoder, none.reason) for none in left_out] == [
        ("control:x", "it is not a model repository of the Hub"),
        ("org/b", "imagenet is not a data set of the Hub"),
        ("org/b", "hub:a/b/c is not a data set of the Hub"),
    ]
    [page] = pages
    assert (page.repo, page.path) == ("org/a", ".eval_results/camtrace-own--set.yaml")
    about = {"revision": "c" * 40}
    source = {
        "url": f"https://huggingface.co/datasets/{REPO}/blob/main/{result_path(made)}",
        "name": "camtrace results",
    }
    date = datetime.datetime(2026, 11, 20, 10, tzinfo=datetime.timezone.utc)
    [probe, knn] = yaml.safe_load(page.text)
    assert probe == {
        "dataset": {"id": "own/set", "task_id": "jpeg-probe", **about},
        "value": 50.0,
        "date": probe["date"],
        "source": source,
        "notes": "accuracy in %, 95 % interval 40.00 to 60.00, chance 16.67, 100 photos, protocol converged, "
        "codec canary ca, camtrace 0.1.0",
    }
    assert str(probe["date"]).startswith(str(date.date()))
    assert (knn["value"], knn["dataset"]["task_id"]) == (10.0, "jpeg-knn-spd")
    assert knn["notes"] == (
        "spd in %, 95 % interval 5.00 to 15.00, chance 0.00, 100 photos, codec canary ca, camtrace 0.1.0"
    )
    bare = make.changed(make.changed(made, "environment", versions=None), "data", evidence={"revision": "main"})
    [page] = model_pages(published(bare), REPO)[0]
    assert page.text.count("camtrace of unknown version") == 2
    assert "revision" not in page.text
    [nothing] = model_pages(published(make.changed(bare, "data", evidence=None)), REPO)[0]
    assert [entry["dataset"]["id"] for entry in yaml.safe_load(nothing.text)] == ["own/set"] * 2


def test_data_set_tasks__of_all_results_on_a_data_set(make):
    first = make.changed(make.result(data="hub:own/set"), "data", evidence={"config": "iso"})
    tested = make.changed(make.result(data="hub:own/other"), "data", photos={"test": 1}, evidence=None)
    scores = (first.scores[1], dataclasses.replace(first.scores[2], task="knn/resizing"))
    second = dataclasses.replace(first, scores=scores)
    declared = data_set_tasks(published(first, second, tested, make.result(), make.result(data="hub:alone")))
    assert list(declared) == ["own/set", "own/other"]
    about = {"description": "What encoders know about camera and codec, and how much it costs"}
    tasks = ("jpeg-knn-spd", "resizing-knn-spd", "jpeg-probe")
    assert yaml.safe_load(declared["own/set"]) == {
        **{"name": "set", **about, "evaluation_framework": "camtrace"},
        "tasks": [{"id": task, "config": "iso", "split": "validation"} for task in tasks],
    }
    assert [(task["config"], task["split"]) for task in yaml.safe_load(declared["own/other"])["tasks"]] == [
        ("default", "test")
    ] * 2


def test_gather__every_objection_and_what_lifts_it(tmp_path, make):
    write_result(make.changed(make.result("a/smoke"), "data", smoke_test=True), tmp_path / "a" / "result.json")
    codec = {"codec": {"pillow": "99"}, "codec_canary": "0" * 16}
    write_result(make.changed(make.result("b/codec"), "environment", **codec), tmp_path / "b" / "result.json")
    write_result(make.changed(make.result("c/bare"), "encoder", pooling=""), tmp_path / "c" / "result.json")
    for folder in ("d", "e"):  # one result, twice in the folder
        write_result(make.result("d/good"), tmp_path / folder / "result.json")
    reasons = {
        "a/result.json": "imagenet is a smoke test, not evidence; say --smoke-tests to publish it",
        "b/result.json": codec_objection(make.changed(make.result(), "environment", **codec), "") + ", or say "
        "--unknown-codec",
        "c/result.json": "its provenance is not complete: encoder.pooling",
    }
    for smoke_tests, unknown_codec in ((False, False), (True, False), (False, True), (True, True)):
        gathered = gather_results(tmp_path, smoke_tests=smoke_tests, unknown_codec=unknown_codec)
        lifted = {name for name, lift in (("a/result.json", smoke_tests), ("b/result.json", unknown_codec)) if lift}
        assert {o.file: o.reason for o in gathered.objections} == {f: r for f, r in reasons.items() if f not in lifted}
        assert len(gathered.files) == 1 + len(lifted)


@pytest.fixture
def planned(monkeypatch, make, tmp_path):
    """A folder with one good result and one without provenance, and a repository that holds another result."""
    good, other = make.result("org/a", data="hub:own/set"), make.result("org/b")
    write_result(good, tmp_path / "good" / "result.json")
    write_result(make.changed(good, "encoder", pooling=""), tmp_path / "bad" / "result.json")
    [file], [held] = gather_results(tmp_path).files, published(other)
    requests = []

    def plan(files, repo, space="", api=None, *, ask=True):
        requests.append(([f.path for f in files], repo, space, ask))
        if ask and plan.error:
            raise plan.error
        return PushPlan(
            head="0123456789abcdef" if ask else None,
            new={file.path: b"x" * 1234},
            present=(held.path,),
            generated={"results.parquet": b"t" * 50},
            results={file.path: good, held.path: other},
            refused=(Refusal("results/bad.json", "not a result"),),
        )

    plan.error, plan.requests = None, requests
    monkeypatch.setattr(repository, "plan", plan)
    return SimpleNamespace(plan=plan, file=file, held=held, folder=tmp_path)


BAD = "not published: bad/result.json: its provenance is not complete: encoder.pooling\n"


def shown(state, planned):
    return (
        f"{BAD}camtrace/results (data set repository){state}: one commit, or a pull request with the results alone\n"
        f"  already there  {planned.held.path}\n"
        f"  write          {planned.file.path}  1.2 kB\n"
        "  write          results.parquet  0.1 kB, 6 rows\n"
        "  left alone     results/bad.json  (not a result)\n"
    )


DRY = "dry run: nothing was written; add --push to publish this\n"


def test_publish__a_whole_dry_run(planned, capsys):
    done = publish_results(PublishRequest(planned.folder, REPO))
    assert capsys.readouterr().out == shown(" at 0123456789ab", planned) + DRY
    assert planned.plan.requests == [([planned.file.path], REPO, "", True)]
    assert done == {
        **{"repo": REPO, "dry_run": True, "head": "0123456789abcdef"},
        **{"writes": {planned.file.path: 1234, "results.parquet": 50}, "present": (planned.held.path,)},
        "not_published": [{"file": "bad/result.json", "reason": "its provenance is not complete: encoder.pooling"}],
    }
    planned.plan.error = OSError("no route")
    publish_results(PublishRequest(planned.folder, REPO, model_card=True, eval_yaml=True))
    state = " (no connection to the Hub, OSError: shown as if the repository were empty)"
    [page], _ = model_pages([planned.file], REPO)
    [(repo, declared)] = data_set_tasks([planned.file]).items()
    indented = ["".join(f"  | {line}\n" for line in text.splitlines()) for text in (page.text, declared)]
    assert capsys.readouterr().out == (
        f"{shown(state, planned)}org/a (model repository of others): pull request with {page.path}:\n{indented[0]}"
        f"{repo} (data set repository): eval.yaml, as a pull request where nothing else is allowed:\n{indented[1]}{DRY}"
    )


@pytest.mark.parametrize(("public", "state"), [(True, "public"), (False, "private")])
def test_publish__a_repository_that_does_not_exist(planned, capsys, monkeypatch, public, state):
    plan = planned.plan
    monkeypatch.setattr(repository, "plan", lambda *given: plan(*given, ask=False))
    publish_results(PublishRequest(planned.folder, REPO, public=public))
    assert capsys.readouterr().out == shown(f" (does not exist: made, {state})", planned) + DRY


def test_publish__nothing_that_can_be_published(tmp_path, make):
    write_result(make.changed(make.result(), "encoder", pooling=""), tmp_path / "result.json")
    with pytest.raises(DataError, match=r"none of 1 results can be published$"):
        publish_results(PublishRequest(tmp_path, REPO))
    with pytest.raises(UsageError, match=r"^--push-to results: write OWNER/NAME$"):
        publish.push_folder_of_results(tmp_path, "results")
    for words in (["--repo", "board"], ["--repo", REPO, "--space", "board"]):
        with pytest.raises(UsageError, match=rf"^{words[-2]} board: write OWNER/NAME$"):
            main([str(tmp_path), *words])


@pytest.mark.parametrize("pull_request", [False, True])
def test_publish__a_whole_push(planned, capsys, monkeypatch, pull_request):
    pushed, offered = [], []

    def push(files, repo, *, public, space):
        pushed.append(([f.path for f in files], repo, public, space))
        return Published(
            "URL", (planned.file.path,), ("p", "q"), pull_request, {planned.file.path: planned.file.result}
        )

    def offer(repo, repo_type, files, title, *, pull_request):
        offered.append((repo, repo_type, files, title, pull_request))
        if len(offered) > 4:
            raise RemoteError("no right")
        return None if len(offered) > 2 else f"URL of {repo}"

    monkeypatch.setattr(repository, "push", push)
    monkeypatch.setattr(repository, "offer", offer)
    request = PublishRequest(planned.folder, REPO, public=True, push=True, model_card=True, eval_yaml=True)
    done = publish_results(request)
    [page], _ = model_pages([planned.file], REPO)
    [(repo, declared)] = data_set_tasks([planned.file]).items()
    what = "proposed in a pull request" if pull_request else "added"
    first = f"{BAD}URL: 1 results {what}, 2 already there\n"
    assert capsys.readouterr().out == f"{first}org/a: URL of org/a\nown/set: URL of own/set\n"
    assert pushed == [([planned.file.path], REPO, True, "")]
    assert offered == [
        ("org/a", "model", {page.path: page.text.encode()}, "Add camtrace scores", True),
        (repo, "dataset", {"eval.yaml": declared.encode()}, "Declare camtrace's tasks", False),
    ]
    not_published = [{"file": "bad/result.json", "reason": "its provenance is not complete: encoder.pooling"}]
    facts = {"url": "URL", "pull_request": pull_request, "added": (planned.file.path,), "present": ("p", "q")}
    assert done == {"repo": REPO, "dry_run": False, **facts, "not_published": not_published}
    publish_results(request)
    assert capsys.readouterr().out == (
        f"{first}org/a: holds these scores already\nown/set: declares these tasks already\n"
    )
    publish_results(request)
    assert capsys.readouterr().out == (f"{first}org/a: no pull request (no right)\nown/set: no eval.yaml (no right)\n")


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_data_set_tasks__split_and_config_of_the_first_result_with_a_headline(make, order):
    made = make.result(data="hub:own/set")
    results = [
        make.changed(made, "data", evidence={"config": "iso"}, photos={"test": 5}),
        make.changed(made, "data", evidence={"config": "make"}, photos={"val": 5, "test": 0}),
        make.changed(made, "data", evidence={"split": "iso"}, photos=None),
    ]
    scores = [dataclasses.replace(made.scores[0], task=f"probe/{name}") for name in ("jpeg", "resizing", "make")]
    results = [dataclasses.replace(r, scores=(score,)) for r, score in zip(results, scores, strict=True)]
    [text] = data_set_tasks(published(*(results[i] for i in order))).values()
    config, split = [("iso", "test"), ("make", "validation"), ("default", "validation")][order[0]]
    assert yaml.safe_load(text)["tasks"] == [
        {"id": f"{name}-probe", "config": config, "split": split} for name in ("jpeg", "make", "resizing")
    ]
