"""Results of folders and of a repository: which files are read, with which calls, and whole sentences of refusals."""

import dataclasses
import hashlib
import json
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub.hf_api import RepoFile

from benchmark.results import (
    Family,
    Metric,
    Refusal,
    Result,
    ResultFile,
    families,
    files,
    find_files,
    folder_name,
    in_order,
    metric_of,
    proven,
    questions,
    read_result,
    read_results,
    schema,
    score_label,
    subject_of,
    write_result,
)
from benchmark.results.files import parse_result
from benchmark.results.forms import DETAILS, FIELDS
from builders.errors import DataError, RemoteError, UsageError
from builders.untrusted import UntrustedInputError

WORDS_OF_DETAILS = {
    "text without control characters": "protocol resampled distractors",
    "a count": "k classes units train_photos questions processings photos_left_out collection copies chosen_on matches",
    "a number": "mask_ratio effective_units p_chance most_frequent_class tied_votes guess_flips no_option spoiled "
    "threshold threshold_low threshold_high stated_rate",
    "an object of the numbers least, greatest, random and share": "ties",
    "an object of controls": "controls",
    "a learning curve: lists of numbers of one length, a gain, and whether it rises": "learning_curve",
    "a deviation, and of how many probes": "training_spread",
    "a share with its interval": "flipped",
    "a list of at most 50 histograms": "similarities",
    "a list of at most 20 photos under their processings": "strips",
    "numbers by processing": "by_processing",
    "numbers by view": "noise",
    "flips by margin (0 to 10), with interval and number of questions": "by_margin",
    "a rank correlation with its interval": "movement",
    "a difference with its interval and p-value": "against_final",
    "an extreme over jitters, and what is beyond it": "jitter",
    "names of 2 to 400 groups with tables of every pair": "group_matrix",
    "a list of at most 32 effects with their shares": "components",
    "a count, or a list": "pairs",
    "an object of numbers": "by_copy",
    "two counts": "expected_matches",
    "two shares with their intervals, and counts": "similarity_summary",
}
OF_PARTS = {
    "encoder": {
        "an object": "preprocessing details",
        "a count": "dimension parameters",
        "text without control characters": "library revision weights_sha256 pooling group training_data dtype",
    },
    "data": {
        "an object of counts": "photos source_jpeg",
        "a count": "classes",
        "true or false": "smoke_test",
        "an object of plain values": "evidence",
        "text without control characters": "question_hash ids_hash bytes_hash",
    },
    "environment": {
        "an object of versions": "versions codec",
        "an object of plain values": "options cudnn trial",
        "an object of texts": "processings_by",
        "an object of sentences": "local retried",
        "an object": "precision_gate",
        "an object that names a runtime": "runtime",
        "a list of machines: host, device, versions, ranks and seconds": "ranks",
        "true or false": "compiled",
        "a count": "devices statistics",
        "text without control characters": "python platform codec_canary device dtype storage preprocessing_by command "
        "answers_sha256",
    },
    "cost": {
        "a count": "bytes_read photos views encoders_in_pass",
        "a number": "views_per_second",
        "an object of numbers": "seconds",
        "bytes, or an object of them": "peak_memory_bytes",
    },
}


def test_forms__what_a_refusal_calls_each():
    def words(fields):
        return {name: what for name, (_, what) in fields.items()}

    def expected(by_words):
        return {name: what for what, names in by_words.items() for name in names.split()}

    assert words(DETAILS) == expected(WORDS_OF_DETAILS)
    assert {part: words(fields) for part, fields in FIELDS.items()} == {p: expected(w) for p, w in OF_PARTS.items()}


def test_find_files__below_a_folder_sorted(tmp_path):
    for name in ("b.json", "a/z.json", "a/b/c.json", "a/b/c.txt", "results/x.json", "ab.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    every = ["a/b/c.json", "a/z.json", "ab.json", "b.json", "results/x.json"]
    assert find_files(tmp_path, "**/*.json") == every
    assert find_files(tmp_path, "a/**/*.json") == ["a/b/c.json", "a/z.json"]
    assert find_files(tmp_path, "**/?.json") == [name for name in every if "ab" not in name]
    assert find_files(tmp_path, "results/**/*.json") == ["results/x.json"]
    assert find_files(tmp_path, "none/**/*") == []


@pytest.mark.parametrize(
    ("name", "folder"),
    [("a/b c", "a--b-c"), ("..a.", "a"), ("a@b=c+d_e-f.g", "a@b=c+d_e-f.g"), ("...", "unnamed"), ("a:b?c", "a-b-c")],
)
def test_folder_name(name, folder):
    assert folder_name(name) == folder


def test_read_results__of_the_results_folder_where_there_is_one(make, tmp_path):
    write_result(make.result("a", make.probes(0.5)), tmp_path / "top.json")
    assert [file.file for file in read_results(str(tmp_path)).accepted] == ["top.json"]
    write_result(make.result("b", make.probes(0.5)), tmp_path / "results" / "x.json")
    read = read_results(str(tmp_path), lambda file: "no" if file.file.endswith("y.json") else "")
    assert [(file.file, file.path, file.text) for file in read.accepted] == [
        ("results/x.json", tmp_path / "results/x.json", (tmp_path / "results/x.json").read_text())
    ]
    write_result(make.result("c", make.probes(0.5)), tmp_path / "results" / "y.json")
    read = read_results(str(tmp_path), lambda file: "no" if file.file.endswith("y.json") else "")
    assert read.refused == (Refusal("results/y.json", "no"),)
    (tmp_path / "file").write_text("")
    for source in (str(tmp_path / "file"), "a b/c"):
        with pytest.raises(UsageError) as error:
            read_results(source)
        assert str(error.value) == f"{source}: no such folder, and not the name of a Hub data set (owner/name)"


class Api:
    """A client of the Hub with a few files, which records its calls."""

    def __init__(self, folder, entries, later=None):
        self.folder, self.entries, self.later, self.calls = folder, entries, later or {}, []

    def repo_info(self, repo, **options):
        self.calls.append(("repo_info", repo, options))
        return SimpleNamespace(sha="c0ffee")

    def list_repo_tree(self, repo, **options):
        self.calls.append(("list_repo_tree", repo, options))
        return [*self.entries, SimpleNamespace(path="results/folder.json")]

    def snapshot_download(self, repo, **options):
        self.calls.append(("snapshot_download", repo, options))
        for path, data in self.later.items() if options["force_download"] else ():
            (self.folder / path).write_bytes(data)
        return str(self.folder)


def entry(path, data, *, lfs=False, size=None):
    sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    large = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 1} if lfs else None
    return RepoFile(path=path, size=len(data) if size is None else size, oid="0" * 40 if lfs else sha1, lfs=large)


def test_read_results__of_a_repository(make, tmp_path, monkeypatch, capsys):
    texts = {name: make.result(name, make.probes(0.5)).to_json().encode() for name in "abcd"}
    (tmp_path / "results").mkdir()
    content = {"results/b[1].json": texts["b"], "results/a.json": texts["a"]}
    damaged = {"results/c.json": texts["c"], "results/d.json": texts["d"]}
    for path, data in content.items():
        (tmp_path / path).write_bytes(data)
    for path in damaged:
        (tmp_path / path).write_bytes(b"damaged")
    entries = [entry(path, data, lfs="b[1]" in path or "c" in path) for path, data in {**content, **damaged}.items()]
    entries += [entry("results/huge.json", b"", size=17 << 20), entry("other/a.json", b""), entry("results/a.txt", b"")]
    api = Api(tmp_path, entries, damaged)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    read = read_results("own-er/name.1@v/2", lambda file: "not this" if file.file.endswith("d.json") else "")
    assert [(file.file, file.result.encoder["id"]) for file in read.accepted] == [
        ("results/a.json", "a"),
        ("results/b[1].json", "b"),
        ("results/c.json", "c"),
    ]
    assert read.refused == (
        Refusal("results/huge.json", "17 MiB, more than the 16 MiB that such a file may have"),
        Refusal("results/d.json", "not this"),
    )
    of_repo = {"repo_type": "dataset", "revision": "c0ffee"}
    wanted = ["results/a.json", "results/b[[]1].json", "results/c.json", "results/d.json"]
    assert api.calls == [
        ("repo_info", "own-er/name.1", {"repo_type": "dataset", "revision": "v/2"}),
        ("list_repo_tree", "own-er/name.1", {**of_repo, "recursive": True}),
        ("snapshot_download", "own-er/name.1", {**of_repo, "allow_patterns": wanted, "force_download": False}),
        ("snapshot_download", "own-er/name.1", {**of_repo, "allow_patterns": wanted[2:], "force_download": True}),
    ]
    which = f"{tmp_path / 'results/c.json'} and others"
    assert capsys.readouterr().err == f"camtrace: warning: {which}: not as the Hub has it; fetched again\n"
    (tmp_path / "results/c.json").unlink()
    read_results("own-er/name.1")
    assert capsys.readouterr().err.startswith(f"camtrace: warning: {tmp_path / 'results/c.json'}: not as the Hub")
    assert api.calls[4][2] == {"repo_type": "dataset", "revision": None}
    api.entries = entries[4:]
    assert read_results("own-er/name.1") == files.ReadResults((), read.refused[:1])
    monkeypatch.setattr(api, "repo_info", lambda *arguments, **options: _raise(OSError("offline")))
    with pytest.raises(RemoteError) as error:
        read_results("own-er/name.1")
    assert str(error.value) == "results of own-er/name.1: the Hub does not give them (offline)"


def _raise(error):
    raise error


METRICS = (
    Metric("spd", "SPD", "of it.", "difference", "0", main=False),
    Metric("accuracy", "Accuracy", "of it.", "accuracy", "1/4"),
)


def question_of(name, family, metrics=METRICS):
    return SimpleNamespace(name=name, family=family, metrics=metrics)


def test_questions__metrics_families_and_order():
    assert [(m.signed, m.bounds) for m in METRICS] == [(True, (-1.0, 1.0)), (False, (0.0, 1.0))]
    one, two = (Family(name, name, "of it.", "processing", "task") for name in ("one", "two"))
    table = {
        "one/b": question_of("one/b", one),
        "two/a": question_of("two/a", two, METRICS[1:]),
        "one/a": question_of("one/a", one, (METRICS[1], dataclasses.replace(METRICS[0], main=True))),
    }
    assert families(table) == (one, two)
    assert in_order(["z", "one/a", "two/a", "y", "one/a", "one/b"], table) == ["one/b", "two/a", "one/a", "z", "y"]
    assert metric_of(table, "one/b", "accuracy") is METRICS[1]
    for task, metric in (("one/b", "other"), ("zzz", "accuracy")):
        assert metric_of(table, task, metric) == Metric(
            metric, f"{task} {metric}", f"{metric} of {task}.", "accuracy", "as the score says", main=False
        )
    labels = [score_label(task, METRICS[1], table) for task in ("one/b", "two/a", "one/a", "zzz/a")]
    assert labels == ["one/b", "two/a", "one/a accuracy", "zzz/a accuracy"]
    assert score_label("one/b", METRICS[0], table) == "one/b spd"
    assert [subject_of(task) for task in ("a/b/c", "a", "a/")] == ["b/c", "a", "a/"]
    assert questions.no_facts({"a": np.zeros(1)}) == {}


def test_schema__refusals_and_what_is_written(make, tmp_path, monkeypatch):
    result = make.result("a", make.probes(0.5, 0.6))
    writes = []
    monkeypatch.setattr(
        schema,
        "write_text_atomically",
        lambda path, text, **options: writes.append((path, options)) or path.write_text(text),
    )
    path = tmp_path / "result.json"
    write_result(result, path)
    assert writes == [(path, {"durable": True})]
    raw = json.loads(path.read_text())
    assert "outputs" not in raw
    assert read_result(path) == result
    shuffled = dict(reversed(raw.items()))
    assert Result.from_json(json.dumps(shuffled)) == result
    with pytest.raises(DataError) as error:
        Result.from_json(json.dumps({**raw, "created": "2026-11-20T10:00:01+00:00"}), "a.json")
    assert str(error.value) == "a.json: its values are not those that it was written with (values_sha256 is of others)"
    plain = json.loads(result.to_json())
    for text, sentence in (
        ("[]", "result: not a result file (the top level is not an object)"),
        (json.dumps({**plain, "extra": 1}), "result: a field is missing or unknown ("),
        (json.dumps({**plain, "outputs": [{}]}), "result: a field is missing or unknown ("),
    ):
        with pytest.raises(DataError) as error:
            Result.from_json(text)
        assert str(error.value).startswith(sentence)
    path.write_text("{}")
    with pytest.raises(DataError) as error:
        read_result(path)
    assert str(error.value) == f"{path}: schema_version is None, this camtrace reads 1 to 2"
    assert result.score("probe/sharpening", "accuracy") is result.scores[1]
    with pytest.raises(KeyError, match=r"^'probe/jpeg other'$"):
        result.score("probe/jpeg", "other")
    with pytest.raises(DataError, match=r"^a\.json: the encoder id is missing or not text$"):
        parse_result(dataclasses.replace(result, encoder={}).to_json(), "a.json")


def test_known_contradiction__which_results_have_a_stored_verdict(make, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    result = make.result("a", make.probes(0.5))
    proved = []
    monkeypatch.setattr(proven, "contradiction", lambda file, of: proved.append(of) or "no such value")
    monkeypatch.setattr(proven, "_proving_code", lambda: "code")
    (tmp_path / "answers.npz").write_bytes(b"answers")
    file = ResultFile("result.json", result, "text", tmp_path / "result.json")
    defined = dataclasses.replace(result, environment={"options": {"processings": "[x]"}})
    for other in (
        dataclasses.replace(file, text=""),
        dataclasses.replace(file, result=defined),
        dataclasses.replace(file, path=None),
    ):
        assert [proven.known_contradiction(other, {}) for _ in range(2)] == ["no such value"] * 2
    assert len(proved) == 6
    assert not (tmp_path / "cache").exists()
    assert [proven.known_contradiction(file, {"q": 1}) for _ in range(2)] == ["no such value"] * 2
    assert proved[6:] == [{"q": 1}]
    parts = ("code", hashlib.sha256(b"answers").hexdigest(), hashlib.sha256(b"text").hexdigest())
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    assert json.loads((tmp_path / "cache" / "proofs" / f"{name}.json").read_text()) == {
        "contradiction": "no such value"
    }
    (tmp_path / "cache" / "proofs" / f"{name}.json").write_text('{"contradiction": "stored"}' + " " * (1 << 16))
    assert proven.known_contradiction(file, {}) == "no such value"  # larger than a verdict is
    monkeypatch.setattr(proven, "write_text_atomically", lambda *arguments: _raise(OSError("full")))
    changed = dataclasses.replace(file, text="other")
    assert proven.known_contradiction(changed, {}) == "no such value"
    monkeypatch.setattr(proven, "archive_sha256", lambda path: _raise(UntrustedInputError(path, "no archive")))
    assert proven.known_contradiction(changed, {}) == "no such value"


def test_proving_code__tasks_reading_and_libraries(monkeypatch):
    plain = proven._proving_code.__wrapped__
    before = plain()
    assert before == plain()
    versions = proven.library_version
    content = proven.files_of_package
    for name, change in (
        ("code_hash", lambda: "other"),
        ("library_version", lambda name: "9" if name == "numpy" else versions(name)),
        ("library_version", lambda name: "9" if name == "scipy" else versions(name)),
        ("files_of_package", lambda root, name: {**content(root, name), "x.py": b""}),
        ("files_of_package", lambda root, name: {path: data + b" " for path, data in content(root, name).items()}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(proven, name, change)
            assert plain() != before
    packages = []
    monkeypatch.setattr(proven, "files_of_package", lambda root, name: packages.append((root.name, name)) or {})
    plain()
    assert [name for _, name in packages] == ["builders.untrusted"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"task": 5}, "a score's task, data or metric is not text"),
        ({"metric": None}, "a score's task, data or metric is not text"),
        ({"data": ["x"]}, "a score's task, data or metric is not text"),
        ({"value": "0.5"}, "probe/jpeg accuracy: value is not a number"),
        ({"low": True}, "probe/jpeg accuracy: low is not a number"),
        ({"high": None}, "probe/jpeg accuracy: high is not a number"),
        ({"chance": -1.5}, "probe/jpeg accuracy: chance -1.5 is outside [-1, 1]"),
        ({"high": 1.25}, "probe/jpeg accuracy: high 1.25 is outside [-1, 1]"),
        ({"n": 1.0}, "probe/jpeg accuracy: n is not a count"),
        ({"n": True}, "probe/jpeg accuracy: n is not a count"),
        ({"n": -1}, "probe/jpeg accuracy: n is not a count"),
        ({"n": 0, "chance": -1, "low": -1, "high": 1}, ""),
    ],
)
def test_from_json__what_a_score_must_have(make, changed, sentence):
    raw = json.loads(make.result("a", make.probes(0.5)).to_json())
    raw["scores"][0] |= changed
    if not sentence:
        assert Result.from_json(json.dumps(raw), "a.json").scores[0].n == 0
        return
    with pytest.raises(DataError) as error:
        Result.from_json(json.dumps(raw), "a.json")
    assert str(error.value) == f"a.json: {sentence}"
    part = {"name": "o", "title": "o", "layer": 0, "layers": 1, "pooling": "cls", "dimension": 8, "read": "r"}
    of_output = {**raw, "scores": [], "outputs": [{**part, "scores": raw["scores"]}]}
    with pytest.raises(DataError) as error:
        Result.from_json(json.dumps(of_output), "a.json")
    assert str(error.value) == f"a.json: {sentence}"
