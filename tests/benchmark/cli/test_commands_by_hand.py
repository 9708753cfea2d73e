"""Small commands with the work by hand: everything that they pass on, print, record, and their exit statuses."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.cli import audit
from benchmark.cli.sharing import publish, publish_metrics, verify
from benchmark.metrics import DEFINITIONS
from benchmark.publishing import VERDICTS, PublishRequest, Verification
from benchmark.results import PROVEN, STATED
from benchmark.tasks import all_tasks
from builders.errors import UsageError


def run(command, words, capsys):
    """(status, standard output, standard error)."""
    status = command.main(words) if hasattr(command, "main") else command.run(command.parser().parse_args(words))
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def refusal(command, words):
    with pytest.raises(UsageError) as refused:
        command.run(command.parser().parse_args(words))
    return str(refused.value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "which photos? give one DATA, such as folder:PATH ('camtrace list data' names every kind)"),
        (["a", "-d", "b"], "which photos? give one DATA, such as folder:PATH ('camtrace list data' names every kind)"),
        (["a", "--json", "--card"], "--json and --card are two forms of the result: give one of them"),
        (["a", "--threshold", "1.01"], "--threshold 1.01: give a number over 0, at most 1"),
        (["a", "--dry-run"], "--dry-run needs --repair HOW: without it nothing but the audit is written"),
        (["a", "--repair", "drop", "--stream"], "--repair needs every photo: leave out --stream"),
    ],
)
def test_audit__what_does_not_go_together(words, sentence):
    assert refusal(audit, words) == sentence
    args = audit.parser().parse_args(["a", "--threshold", "1"])
    audit._check(args)
    assert args.data == "a"


def test_publish__the_request_that_the_words_say(monkeypatch, capsys):
    requests = []
    monkeypatch.setattr(publish, "publish_results", lambda request: requests.append(request) or {"files": 2})
    assert run(publish, ["out", "--repo", "me/results"], capsys) == (0, "", "")
    flags = ["model_card", "eval_yaml", "public", "unknown_codec", "smoke_tests", "push"]
    every = [f"--{name.replace('_', '-')}" for name in flags]
    words = ["out", "--repo", "me/results", "--space", "me/board", *every, "--json"]
    status, out, _ = run(publish, words, capsys)
    assert (status, json.loads(out)) == (0, {"files": 2})
    assert requests == [
        PublishRequest(Path("out"), "me/results"),
        PublishRequest(Path("out"), "me/results", "me/board", True, True, True, True, True, True),
    ]
    for name, flag in zip(flags, every, strict=True):
        run(publish, ["out", "--repo", "me/results", flag], capsys)
        assert requests[-1] == dataclasses.replace(requests[0], **{name: True})
    assert refusal(publish, ["out", "--repo", "me"]) == "--repo me: write OWNER/NAME"
    assert refusal(publish, ["out", "--repo", "me/r", "--space", "board"]) == "--space board: write OWNER/NAME"


@pytest.fixture
def spaces(monkeypatch):
    """Calls of ``write_space`` and ``push_folder``."""
    w = SimpleNamespace(written=[], pushed=[])

    def write(metric, repo, folder):
        w.written.append((metric, repo))
        (folder / "app.py").write_text("x" * 1234)
        (folder / "README.md").write_text("y" * 50)
        return ("README.md", "app.py")

    def push(folder, repo, **how):
        w.pushed.append((repo, sorted(file.name for file in folder.iterdir()), how))
        return SimpleNamespace(url=f"https://hub/{repo}", uploaded=["app.py"], unchanged=1)

    monkeypatch.setattr(publish_metrics, "write_space", write)
    monkeypatch.setattr("builders.publish.push_folder", push)
    return w


def test_publish_metrics__shows_what_would_be_written(spaces, capsys):
    first, *others = DEFINITIONS
    status, out, _ = run(publish_metrics, ["--repo", "me"], capsys)
    assert status == 0
    assert spaces.written == [(metric, f"me/{metric}") for metric in (first, *others)]
    lines = out.splitlines()
    assert lines[:3] == [
        f"me/{first} (static Space, private if it is created)", "  README.md  0.1 kB", "  app.py  1.2 kB",
    ]  # fmt: skip
    assert lines[-1] == "dry run: nothing was uploaded; add --push to publish this"
    assert (len(lines), spaces.pushed) == (3 * len(DEFINITIONS) + 1, [])
    spaces.written.clear()
    status, out, _ = run(publish_metrics, ["--repo", f"me/{others[0]}", "--public"], capsys)
    assert (spaces.written, out.splitlines()[0]) == (
        [(others[0], f"me/{others[0]}")], f"me/{others[0]} (static Space, public if it is created)",
    )  # fmt: skip
    status, out, _ = run(publish_metrics, ["--repo", f"me/{first}", "--json"], capsys)
    space = {"repo": f"me/{first}", "files": {"README.md": 50, "app.py": 1234}}
    assert json.loads(out) == {"dry_run": True, "spaces": [space]}


@pytest.mark.parametrize("public", [True, False])
def test_publish_metrics__push(spaces, capsys, public):
    first = next(iter(DEFINITIONS))
    words = ["--repo", f"me/{first}", "--push", *["--public"] * public]
    status, out, _ = run(publish_metrics, words, capsys)
    assert (status, out) == (0, f"https://hub/me/{first}: 1 uploaded, 1 unchanged\n")
    how = {
        "stages": (("README.md", "app.py"),),
        "public": public,
        "repo_type": "space",
        "message": f"{first}: camtrace",
    }
    assert spaces.pushed == [(f"me/{first}", ["README.md", "app.py"], how)]
    record = json.loads(run(publish_metrics, [*words, "--json"], capsys)[1])
    space = {"repo": f"me/{first}", "files": {"README.md": 50, "app.py": 1234}}
    space |= {"url": f"https://hub/me/{first}", "uploaded": ["app.py"], "unchanged": 1}
    assert record == {"dry_run": False, "spaces": [space]}


def test_publish_metrics__names_that_are_none(spaces):
    first = next(iter(DEFINITIONS))
    assert refusal(publish_metrics, ["--repo", f"me/{first[:-1]}"]).endswith(f"did you mean {first!r}?")
    for wrong in ("", "-me", "-me/x", f"m é/{first}", f"é/{first}"):
        assert refusal(publish_metrics, [f"--repo={wrong}"]) == f"--repo {wrong}: write OWNER or OWNER/METRIC"
    assert "unknown metric" in refusal(publish_metrics, ["--repo", "me/"])
    assert spaces.written == []


def test_verify__every_line(monkeypatch, capsys):
    def file(name, scores):
        return SimpleNamespace(file=name, result=SimpleNamespace(scores=range(scores)))

    files = {"b": file("b", 3), "a": file("a", 5), "c": file("c", 2)}
    verdicts = {"b": "repeatable here", "a": "repeatable here", "c": "lacks provenance"}
    unproven = {"b": (), "a": ("s1", "s2", "s3", "s4"), "c": ("s1",)}
    refused = [SimpleNamespace(file="d", reason="not JSON")]

    def read(place, objection):
        assert place == "results"
        assert [objection(one) for one in files.values()] == [""] * len(files)
        assert objection(file("x", 9)) == "numbers differ"
        return SimpleNamespace(accepted=tuple(files.values()), refused=tuple(refused))

    def proof(one, questions):
        assert questions == all_tasks()
        contradiction = "" if one.file in files else "numbers differ"
        return SimpleNamespace(contradiction=contradiction, without_answers=unproven.get(one.file, ("lost",)))

    def judged(one):
        return Verification(one.file, f"enc {one.file}", "photos", verdicts[one.file], f"why {one.file}")

    monkeypatch.setattr(verify, "read_results", read)
    monkeypatch.setattr(verify, "proof_of", proof)
    monkeypatch.setattr(verify, "verified", judged)
    monkeypatch.setattr(verify, "codec_canary", lambda: "0123")
    status, out, _ = run(verify, ["results"], capsys)
    lines = out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert [rows[0], *rows[2:]] == [
        ["file", "encoder", "data", "verdict", "why"],
        ["a", "enc a", "photos", "repeatable here", "why a"],
        ["b", "enc b", "photos", "repeatable here", "why b"],
        ["c", "enc c", "photos", "lacks provenance", "why c"],
        ["d", "", "", "refused", "not JSON"],
    ]
    assert (status, lines[6:]) == (1, [
        "", "4 results; the codec here is 0123",
        f"     2 repeatable here: {VERDICTS['repeatable here']}",
        f"     1 lacks provenance: {VERDICTS['lacks provenance']}",
        f"     1 refused: {VERDICTS['refused']}",
        f"5 of 10 scores have their answers, which give these numbers again: {PROVEN}.",
        "  a: scores without answers, which nothing proves: s1, s2, s3 and 1 more",
        "  c: scores without answers, which nothing proves: s1",
        f"No answers prove {STATED}.",
    ])  # fmt: skip
    refused.clear()
    status, out, _ = run(verify, ["results", "--json"], capsys)
    record = json.loads(out)
    assert (status, [row["file"] for row in record]) == (0, ["a", "b", "c"])
    assert record[0] == {
        "file": "a", "encoder": "enc a", "data": "photos", "verdict": "repeatable here", "why": "why a",
    }  # fmt: skip
    verdicts["c"] = "edited"
    assert run(verify, ["results"], capsys)[0] == 1
    files.clear()
    status, out, _ = run(verify, ["results"], capsys)
    assert (status, out.splitlines()[0]) == (0, "0 results; the codec here is 0123")
