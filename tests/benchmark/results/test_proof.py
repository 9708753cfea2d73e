"""Results whose numbers were changed and sealed again are refused, with the field named; unchanged ones are not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.__main__ import main
from benchmark.results import Result, contradiction, read_files, read_result, write_result
from benchmark.robustness import clustering_score, performance_drop
from benchmark.scoring import Scored, write_scored
from benchmark.stats import METHODS, against_chance, jackknife, photo_interval
from benchmark.tasks import all_tasks
from tests.support.detection_photos import DIMENSION, detection_photos
from tests.support.grouped_photos import grouped_photos, pixel_rows
from tests.support.scoring import as_rows, score_tasks, toy_encoder
from tests.support.toy_answers import toy_scored

Change = Callable[[dict[str, Any]], object]
"""Changes the JSON values of a result in place."""


def scores(raw: dict[str, Any], task: str, metric: str = "accuracy") -> dict[str, Any]:
    return next(s for s in raw["scores"] if (s["task"], s["metric"]) == (task, metric))


def of(task: str, metric: str, path: str, value: Any) -> tuple[str, Change]:
    """(the field as a refusal names it, the change): ``path`` of a score is set to ``value``, or to ``value(old)``."""

    def change(raw: dict[str, Any]) -> None:
        part: Any = scores(raw, task, metric)
        *names, last = [int(name) if name.isdigit() else name for name in path.split("/")]
        for name in names:
            part = part[name]
        part[last] = value(part[last]) if callable(value) else value

    first, *rest = path.removeprefix("details/").split("/")
    named = first + "".join(f"[{name}]" if name.isdigit() else f".{name}" for name in rest)
    return f"{task} {metric}: {named}", change


def ends(task: str, metric: str, width: float) -> tuple[str, Change]:
    """An interval that is ``width`` wide around the value."""

    def change(raw: dict[str, Any]) -> None:
        score = scores(raw, task, metric)
        score["low"], score["high"] = score["value"] - width / 2, score["value"] + width / 2

    return f"{task} {metric}: low is", change


def photos(**counts: int) -> tuple[str, Change]:
    split = next(iter(counts))
    return f"data.photos.{split} is {counts[split]}", lambda raw: raw["data"]["photos"].update(counts)


CHANGES: tuple[tuple[str, Change], ...] = (
    ends("probe/jpeg", "accuracy", 2e-6),
    ends("knn/jpeg", "spd", 2e-6),
    ends("retrieval/pairs", "same", 2e-6),
    of("probe/make", "accuracy", "low", lambda low: low + 0.01),
    of("knn/original", "accuracy", "high", lambda high: high - 0.01),
    of("linear/original", "accuracy", "low", lambda low: low + 0.001),
    of("probe/jpeg", "accuracy", "chance", 0.0001),
    of("probe/make", "accuracy", "chance", 0.0001),
    of("knn/jpeg", "all-same", "chance", 0.0001),
    of("knn/adversary", "worst", "chance", 0.0001),
    of("retrieval/pairs", "different", "chance", 0.0001),
    of("probe/make", "accuracy", "details/most_frequent_class", 0.1),
    of("probe/make", "accuracy", "details/p_chance", 1e-9),
    of("probe/jpeg", "accuracy", "details/accuracy_by_seed", lambda values: [0.0] * len(values)),
    of("knn/jpeg", "uniform", "details/accuracy_by_seed/1", 0.0),
    of("probe/jpeg", "accuracy", "details/learning_curve/accuracy/0", 0.9),
    of("probe/make", "accuracy", "details/learning_curve/high/1", 0.99),
    of("probe/jpeg", "accuracy", "details/learning_curve/gain/value", 0.3),
    of("probe/make", "accuracy", "details/classes", 2),
    of("knn/jpeg", "spd", "details/ties/least", 0.5),
    of("knn/adversary", "flipped", "details/spoiled", 0.0),
    of("knn/adversary", "worst", "details/jitter/value", 0.99),
    of("knn/adversary", "flipped", "details/jitter/beyond/low", 0.2),
    of("knn/adversary", "average", "details/by_processing/resizing-x2/accuracy", 0.99),
    of("knn/jpeg", "worst", "details/jitter/value", 0.99),
    of("knn/jpeg", "worst", "details/flipped/high", 0.99),
    of("knn/jpeg", "spd", "details/tie_rule", "random"),
    of("probe/jpeg", "accuracy", "details/learning_curve/rises", lambda rises: not rises),
    of("retrieval/pairs", "different", "details/lost/lost", 0),
    of("retrieval/pairs", "same-to-phone", "chance", 0.9),
    photos(val=1_300_000),
    photos(train=48_000),
    ("probe/jpeg accuracy is 0.99 of 24", lambda raw: scores(raw, "probe/jpeg").update(value=0.99, high=0.999)),
    ("knn/original accuracy is", lambda raw: scores(raw, "knn/original").update(n=50_000)),
)
"""What a refusal names, and the change."""

GROUP_CHANGES = (
    ends("knn/scanner", "spd", 2e-6),
    ends("robustness/scanner", "index", 2e-6),
    of("robustness/scanner", "index", "chance", 0.0001),
    of("robustness/scanner", "pull", "chance", -0.5),
    of("knn/scanner", "all-same", "chance", 0.0001),
    of("knn/scanner", "spd", "details/p_chance_two_sided", 1e-9),
    of("probe/scanner", "accuracy", "chance", 0.0001),
    of("probe/scanner", "accuracy", "details/accuracy_by_seed/0", 0.01),
    of("robustness/scanner", "balanced", "details/units", 4000),
    ("robustness/scanner drop is", lambda raw: scores(raw, "robustness/scanner", "drop").update(value=-0.9, low=-1.0)),
    photos(val=1_300_000),
)
"""Changes of the tasks of a given group."""

DETECTION_CHANGES = (
    ends("forensics/detect", "auc", 2e-6),
    ends("forensics/crossing", "bias", 2e-6),
    of("forensics/detect", "auc", "chance", 0.0001),
    of("forensics/floor", "auc", "chance", 0.0001),
    of("forensics/leave-one-out", "loss", "chance", -0.5),
    of("forensics/detect", "auc", "details/recall", [{"false_alarms": 0.01, "recall": 0.99}]),
    of("forensics/detect", "auc", "details/calibration_error", 0.0001),
    of("forensics/detect", "auc", "details/by_generator/0/auc", 0.99),
    of("forensics/leave-one-out", "auc", "details/by_generator/1/auc_if_trained", 0.99),
    of("forensics/leave-one-out", "auc", "details/by_generator/1/photos", 50_000),
    of("forensics/leave-one-out", "worst", "details/generator", "BigGAN"),
    of("forensics/crossing", "bias", "details/real_and_generated/test/real", 50_000),
    of("forensics/floor", "auc", "details/pairs/0/auc", 0.51),
    of("forensics/crossing", "bias", "details/by_processing/jpeg-q75-420/bias", 0.4),
    ("forensics/detect margin is", lambda raw: scores(raw, "forensics/detect", "margin").update(value=0.4, high=0.5)),
    photos(train=48_000),
)
"""Changes of the tasks about generated photos."""


def detached(scored: Scored) -> Scored:
    """Scores and answers of a run on pictures with the provenance of ``toy_scored``, which may be published."""
    toy = toy_scored().result
    evidence = {**toy.data["evidence"], "group=scanner=": "scanner"}
    counts = {name: scored.result.data[name] for name in ("photos", "classes")}
    data = {**toy.data, **counts, "evidence": evidence}
    environment = {**toy.environment, "options": {**toy.environment["options"], "resamples": 300}}
    result = dataclasses.replace(toy, scores=scored.result.scores, data=data, environment=environment)
    return Scored(result, scored.answers)


@pytest.fixture(scope="module")
def of_groups(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    tasks = ("probe/scanner", "knn/scanner", "robustness/scanner")
    patch = pytest.MonkeyPatch()
    patch.setattr(
        clustering_score, "__kwdefaults__", {**clustering_score.__kwdefaults__, "seeds": 2, "numbers": (2, 3)}
    )
    patch.setattr(performance_drop, "__kwdefaults__", {**performance_drop.__kwdefaults__, "repeats": 3})
    encoder = toy_encoder(as_rows, pixel_rows, 12, name="pixels")
    photos = grouped_photos(clusters=8, photos=3, effects=(2.0, 1.5, 0.5))
    scored = score_tasks(encoder, photos, tasks, tmp_path_factory.mktemp("groups"))
    patch.undo()
    return detached(scored)


@pytest.fixture(scope="module")
def of_detection(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    tasks = ("forensics/floor", "forensics/detect", "forensics/leave-one-out", "forensics/crossing")
    encoder = toy_encoder(as_rows, pixel_rows, DIMENSION, name="pixels")
    photos = detection_photos(count=60, shared=1.0, source=1.0)
    return detached(score_tasks(encoder, photos, tasks, tmp_path_factory.mktemp("detection")))


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    return write_scored(toy_scored(), tmp_path / "honest", single=True)


def changed(honest: Path, folder: Path, change: Change) -> Path:
    """A copy of a result with a change, sealed again, beside the same answers."""
    raw = json.loads(read_result(honest / "result.json").to_json())
    change(raw)
    folder.mkdir(parents=True)
    (folder / "answers.npz").write_bytes((honest / "answers.npz").read_bytes())
    write_result(Result.from_json(json.dumps(raw)), folder / "result.json")
    return folder


def forged(honest: Path, folder: Path, changes: Sequence[tuple[str, Change]]) -> Path:
    """A folder with one changed result for each change."""
    for i, (_, change) in enumerate(changes):
        changed(honest, folder / f"{i:02d}", change)
    return folder


def refused_by(command: str, honest: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints about the results in a folder."""
    arguments = {
        "verify": [str(folder)],
        "publish": [str(folder), "--results", "me/results", "--unknown-codec"],
        "leaderboard": ["--results", str(folder), "--no-published", "-o", str(folder.parent / "site")],
        "compare": [str(honest), str(folder)],
    }
    main([command, *arguments[command]])
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_contradiction__unchanged_results_have_none_whatever_the_version_of_methods(
    honest: Path, tmp_path: Path
) -> None:
    for version in (METHODS, METHODS - 1, None):
        folder = changed(
            honest, tmp_path / str(version), lambda raw, v=version: raw["environment"].update(statistics=v)
        )
        [file] = read_files(folder, ["result.json"]).accepted
        assert contradiction(file, all_tasks()) == ""


def test_contradiction__other_methods_may_give_other_intervals_but_not_any(honest: Path, tmp_path: Path) -> None:
    def wider(raw: dict[str, Any], by: float) -> None:
        raw["environment"]["statistics"] = METHODS - 1
        score = scores(raw, "probe/make")
        score["low"] -= by * (score["value"] - score["low"])

    for by, accepted in ((0.2, True), (0.9, False)):
        folder = changed(honest, tmp_path / str(by), lambda raw, b=by: wider(raw, b))
        [file] = read_files(folder, ["result.json"]).accepted
        assert (contradiction(file, all_tasks()) == "") is accepted


def test_contradiction__other_methods_may_give_other_p_values_but_not_any(honest: Path, tmp_path: Path) -> None:
    def smaller(raw: dict[str, Any], p: float) -> None:
        raw["environment"]["statistics"] = METHODS - 1
        scores(raw, "probe/make")["details"]["p_chance"] = p

    given = json.loads((honest / "result.json").read_text())
    p = scores(given, "probe/make")["details"]["p_chance"]
    for stated, accepted in ((p**2, True), (1.0, True), (p**3 / 20, False)):
        folder = changed(honest, tmp_path / f"{stated}", lambda raw, p=stated: smaller(raw, p))
        [file] = read_files(folder, ["result.json"]).accepted
        assert contradiction(file, all_tasks()).startswith("" if accepted else "probe/make accuracy: p_chance is")
        assert (contradiction(file, all_tasks()) == "") is accepted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "changes"),
    [("verify", CHANGES), ("publish", CHANGES[:3]), ("leaderboard", CHANGES[:3]), ("compare", CHANGES[:3])],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_commands__refuse_every_changed_result(
    command: str,
    changes: Sequence[tuple[str, Change]],
    honest: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One reader checks for all commands: one is given every change."""
    folder = forged(honest, tmp_path / "forged", changes)
    printed = refused_by(command, honest, folder, capsys)
    assert [field for field, _ in changes if field in printed] == [field for field, _ in changes]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fixture", "changes"),
    [("of_groups", GROUP_CHANGES), ("of_detection", DETECTION_CHANGES)],
    ids=lambda v: str(v)[:12],
)
def test_verify__refuses_every_changed_result_of_groups_and_of_generated_photos(
    fixture: str,
    changes: Sequence[tuple[str, Change]],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    honest = write_scored(request.getfixturevalue(fixture), tmp_path / "honest", single=True)
    [file] = read_files(honest, ["result.json"]).accepted
    assert contradiction(file, all_tasks()) == ""
    folder = forged(honest, tmp_path / "forged", changes)
    printed = refused_by("verify", honest, folder, capsys)
    assert [field for field, _ in changes if field in printed] == [field for field, _ in changes], printed


def test_verify__says_what_answers_prove(honest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(honest)]) == 0
    out = capsys.readouterr().out
    count = len(read_files(honest, ["result.json"]).accepted[0].result.scores)
    assert f"{count} of {count} scores have their answers" in out
    assert "scores without answers" not in out
    assert "the encoder's id" in out


def test_verify__counts_no_score_whose_answers_are_of_another_task(
    honest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [f"{score.task} {score.metric}" for score in read_result(honest / "result.json").scores[1:]]

    def rename(raw: dict[str, Any]) -> None:
        for score in raw["scores"][1:]:
            score["task"] = f"x-{score['task']}"

    main(["verify", str(changed(honest, tmp_path / "forged", rename))])
    out = capsys.readouterr().out
    assert f"1 of {1 + len(others)} scores have their answers" in out
    assert f"result.json: scores without answers, which nothing proves: x-{others[0]}, " in out
    assert f" and {len(others) - 3} more" in out


def test_methods__are_those_that_gave_these_numbers() -> None:
    """Where this fails because a method changed on purpose, raise ``METHODS`` and write the new numbers here."""
    lone = photo_interval([1.0] * 30 + [0.0] * 10)
    grouped = photo_interval([1.0] * 30 + [0.0] * 10, clusters=[i % 7 for i in range(40)])
    signed = photo_interval([0.5, -0.25, 0.75, 0.0, 0.25], bounds=(-1.0, 1.0))
    left_out = jackknife(3.0, np.array([2.5, 3.0, 3.5, 2.0]), np.array([0, 0, 1, 1])).interval(4, (-9.0, 9.0))
    ends = [end for interval in (lone, grouped, signed, left_out) for end in (interval.low, interval.high)]
    ends.append(against_chance([1.0] * 37 + [0.0] * 3, 0.8, clusters=[i // 6 for i in range(40)]))
    assert [round(end, 4) for end in ends] == PINNED[METHODS]


PINNED: dict[int, list[float]] = {4: [0.5988, 0.8634, 0.5444, 0.8832, -0.2408, 0.7408, -2.1023, 8.1023, 0.4175]}
