"""The first screen of a report: the judge's short answers, what its figure draws, and the place among the published."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from benchmark.judgement import RULE, Finder, Finding, conclude, most_text
from benchmark.leaderboard.board import Board, build_board
from benchmark.leaderboard.columns import SUMMARY
from benchmark.leaderboard.datasets import LABELS
from benchmark.leaderboard.entries import ALIASES, Entry, published_entries, study_facts
from benchmark.results import PublishedEncoder, Result
from benchmark.tasks import all_tasks


def first_screen(
    results: Sequence[Result], entries: Sequence[Entry], published: Sequence[PublishedEncoder]
) -> dict[str, Any]:
    """The data of the first screen.

    Args:
        results: of a run.
        entries: of the board, one an encoder, in the order of ``results``.
        published: encoders of the study.
    """
    by_encoder: dict[str, list[Result]] = {}
    for result in results:
        by_encoder.setdefault(str(result.encoder["id"]), []).append(result)
    questions = all_tasks()
    conclusions = {encoder: conclude(encoder_results, questions) for encoder, encoder_results in by_encoder.items()}
    findings = [finding for conclusion in conclusions.values() for finding in conclusion.findings]
    return {
        "encoders": [
            {
                "name": encoder,
                "answers": [
                    {"head": part.head, "title": part.title, "text": part.text}
                    for part in (conclusion.keeps, conclusion.costs, conclusion.sure)
                ],
                "photos": conclusion.photos,
                "findings": [_finding(finding) for finding in conclusion.findings],
            }
            for encoder, conclusion in conclusions.items()
        ],
        "lead": _leads(results, entries),
        "rule": RULE,
        "published": _published(findings, published),
        "places": _places(entries, published) if _on_published_photos(results) else [],
    }


def _leads(results: Sequence[Result], entries: Sequence[Entry]) -> list[str]:
    """Which of several encoders leads, for each question of a family with ``lead``; ranks are those of the board."""
    questions = all_tasks()
    tasks = {score.task for result in results for score in result.scores}
    leads = {task: questions[task].family.lead for task in tasks if task in questions}
    measured = [entry for entry in entries if entry.origin == "measured"]
    board = build_board(measured) if any(map(any, leads.values())) else None
    names = {entry.key: entry.name for entry in entries}
    labels = {data.id: data.label for data in board.data} if board else {}
    sentences = []
    for column in board.columns if board else ():
        metric, words = leads.get(column.task, ("", ""))
        if not metric or column.metric != metric or len(column.cells) < 2:
            continue
        finders = [
            Finder(names[key], cell.value, cell.low, cell.high, cell.rank_low == 1)
            for key, cell in column.cells.items()
            if cell.low is not None and cell.high is not None
        ]
        kind = questions[column.task].title
        sentences.append(most_text(f"{kind} ({labels[column.data]})" if len(labels) > 1 else kind, finders, words))
    return sentences


def _finding(finding: Finding) -> dict[str, Any]:
    s = finding.statement
    return {
        "name": finding.name,
        "data": finding.data,
        "task": s.task,
        "metric": s.metric,
        "kind": s.kind,
        "value": s.value,
        "low": s.low,
        "high": s.high,
        "chance": s.reference,
        "n": s.n,
        "answer": s.answer,
        "words": s.words,
    }


def _published(findings: Sequence[Finding], published: Sequence[PublishedEncoder]) -> dict[str, Any]:
    """Scores of the published encoders by task, metric and data set of a finding.

    They are those on the finding's data set, else those on the one with the most encoders.
    """
    scores = [score for encoder in published for score in encoder.scores]
    scores_of: dict[str, Any] = {}
    for task, metric, data in dict.fromkeys((f.statement.task, f.statement.metric, f.data) for f in findings):
        by_data: dict[str, list[float]] = {}
        chance = {}
        for score in scores:
            if (score.task, score.metric) == (task, metric):
                by_data.setdefault(score.data, []).append(score.value)
                chance[score.data] = score.chance
        if by_data:
            alias = ALIASES.get(data, data)
            chosen = alias if alias in by_data else max(by_data, key=lambda name: len(by_data[name]))
            scores_of[f"{task}~{metric}~{data}"] = {
                "data": LABELS.get(chosen, chosen),
                "chance": chance[chosen],
                "values": sorted(round(value, 4) for value in by_data[chosen]),
            }
    return scores_of


def _on_published_photos(results: Sequence[Result]) -> bool:
    names = [str(result.data["name"]) for result in results]
    return any(ALIASES.get(name, name) in LABELS for name in names)


def _places(entries: Sequence[Entry], published: Sequence[PublishedEncoder]) -> list[dict[str, Any]]:
    """Ranks of the run's encoders among the published ones, of every mean over tasks that both have."""
    measured = [entry for entry in entries if entry.origin == "measured"]
    of_study = published_entries(published, study_facts())
    board = build_board([*of_study, *measured])
    return [place for entry in measured for place in _places_of(entry, board, {e.key for e in of_study})]


def _places_of(entry: Entry, board: Board, published: Set[str]) -> list[dict[str, Any]]:
    labels = {data.id: data.label for data in board.data}
    return [
        {
            "encoder": entry.name,
            "label": column.meaning.label,
            "data": labels[column.data],
            # Accuracies: the highest first; traces and their cost: the least first.
            "ranks": [cell.rank_low, cell.rank_high]
            if column.meaning.kind == "accuracy"
            else [count + 1 - cell.rank_high, count + 1 - cell.rank_low],
            "first": "highest accuracy first" if column.meaning.kind == "accuracy" else "least trace first",
            "count": count,
        }
        for column in board.columns
        if column.meaning.family == SUMMARY
        and (cell := column.cells.get(entry.key))
        and (count := len(column.cells)) > 1
        and published & column.cells.keys()
    ]
