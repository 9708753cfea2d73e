"""A new task needs one module, one name in the registry and one test: a toy task is scored, compared and shown."""

from types import MappingProxyType

import numpy as np
import pytest

import benchmark.tasks.registry as registry
from benchmark.cli.compare import main as compare
from benchmark.cli.leaderboard import main as leaderboard
from benchmark.cli.score import main as score
from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.columns import board_families
from benchmark.leaderboard.entries import measured_entries
from benchmark.results import Family, Metric, PhotoValues, Score, read_results, summarise
from benchmark.stats import photo_interval
from benchmark.tasks import Task, TaskOutcome, all_tasks
from tests.support.probe_runs import read_run

pytestmark = pytest.mark.usefixtures("short_projection")

FAMILY = Family(
    name="ranking",
    title="Ranking",
    explain="How photos of one class rank each other.",
    about="processing",
    header="class retrieval",
    layout="metrics",
    panel="intervals",
)
METRICS = (
    Metric("map", "mAP", "Mean average precision.", "accuracy", "the class's share of the photos", headline=True),
    Metric("first", "First hit", "Share of queries whose nearest photo is of their class.", "accuracy", "", main=False),
)


def _precision(embeddings, labels):
    """float64 [n]: average precision of each photo's ranking of all others, by a loop."""
    rows = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    values = []
    for i, similarities in enumerate(rows @ rows.T):
        order = [j for j in np.argsort(-similarities, kind="stable") if j != i]
        hits = np.flatnonzero([labels[j] == labels[i] for j in order])
        values.append(np.mean([(rank + 1) / (at + 1) for rank, at in enumerate(hits)]))
    return np.array(values)


def _run(given):
    photos = given.indices("val")
    values = _precision(given.view("original", photos)[0 : len(photos)], given.photos.labels.values[photos])
    ends = photo_interval(values)
    score = Score("retrieval/map", given.photos.name, "map", ends.value, ends.low, ends.high, len(photos), 0.5)
    return TaskOutcome((score,), {"precision": values, "photos": photos})


def _recipe(photos, options):
    from benchmark.views import PlainViews

    return PlainViews()


TASK = Task(
    name="retrieval/map",
    family=FAMILY,
    title="mAP",
    explain="Which photos show the same class.",
    summary="do photos of a class find each other?",
    metrics=METRICS,
    recipe=_recipe,
    unfit=lambda photos: "" if len(photos.labels.names) > 1 else "its photos have no classes",
    run=_run,
    read_answers=lambda arrays: {"map": PhotoValues(arrays["photos"], arrays["precision"], (0.0, 1.0))},
)


@pytest.fixture
def with_task(monkeypatch):
    monkeypatch.setattr(registry, "TASKS", MappingProxyType({**registry.TASKS, TASK.name: TASK}))


@pytest.mark.slow
def test_new_task__is_scored_reported_compared_and_shown(with_task, photo_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    for model in ("control:random-projection", "control:jpeg-statistics"):
        folder = tmp_path / "runs" / model.partition(":")[2]
        given = ["--model", model, "--data", f"folder:{photo_folder}", "--workers", "0", "-v", "--output", str(folder)]
        assert (
            score([*given, "--tasks", "retrieval/map", "--tasks", "knn/resizing", "--cache", str(tmp_path / "c")]) == 0
        )
    report = capsys.readouterr().out
    assert "| class retrieval | value % |" in report
    run = read_run(tmp_path / "runs" / "random-projection")
    answers = run.answers["retrieval/map", "map"]
    assert answers.values.mean() == pytest.approx(run.result.score("retrieval/map", "map").value)
    assert run.unreadable == {}

    assert compare([str(tmp_path / "runs")]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| retrieval/map")]
    assert len(rows) == 1
    assert f"{100 * answers.values.mean():.1f}" in rows[0]

    assert leaderboard(["--results", str(tmp_path / "runs"), "--output", str(tmp_path / "site"), "--no-published"]) == 0
    board = build_board(measured_entries(read_results(str(tmp_path / "runs")).accepted))
    meaning = next(c.meaning for c in board.columns if c.task == "retrieval/map")
    assert (meaning.family, meaning.label, meaning.explain) == ("ranking", "mAP", "Which photos show the same class.")
    assert ("ranking", "Ranking", FAMILY.explain) in board_families()
    # it is not part of the means of the study
    assert summarise(run.result.scores, all_tasks()).tasks["all_same"] == 1


@pytest.mark.slow
def test_new_task__a_version_without_it_leaves_only_its_row_out(photo_folder, tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(registry, "TASKS", MappingProxyType({**registry.TASKS, TASK.name: TASK}))
        for model in ("control:random-projection", "control:jpeg-statistics"):
            given = [
                "--model",
                model,
                "--data",
                f"folder:{photo_folder}",
                "--workers",
                "0",
                "--cache",
                str(tmp_path / "c"),
            ]
            output = str(tmp_path / "runs" / model.partition(":")[2])
            assert score([*given, "--tasks", "retrieval/map", "--tasks", "knn/resizing", "--output", output]) == 0
    capsys.readouterr()
    assert compare([str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr()
    assert "retrieval/map" in printed.err
    assert "knn/resizing" in printed.out
