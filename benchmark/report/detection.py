"""Real and generated photos in a report: the audit of the files, and tables by generator, source and processing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.judgement import biases, biases_text, find_score, reliance
from benchmark.report.tables import interval, markdown_table, percent
from benchmark.results import Questions, Result, Score
from builders.untrusted import readable

MOST_ROWS = 40
"""Most rows of a table."""


def detectors_text(results: Sequence[Result], questions: Questions) -> str:
    """Several detectors, or one on several sets (before and after a repair), in one table; empty for fewer than two."""
    rows = []
    for result in results:
        if (controls := reliance(result, questions)) is None:
            continue
        worst = find_score(result.scores, "forensics/leave-one-out", "worst")
        generator = f"{readable(str(worst.details.get('generator', '')))}: " if worst else ""
        rows.append(
            [
                readable(str(result.encoder["id"])),
                readable(str(result.data["name"])),
                controls.title,
                *(
                    _cell(result, f"forensics/{task}", metric, signed)
                    for task, metric, signed in (
                        ("detect", "auc", False),
                        ("floor", "auc", False),
                        ("detect", "margin", True),
                    )
                ),
                f"{generator}{_cell(result, 'forensics/leave-one-out', 'worst', False)}",
                _cell(result, "forensics/crossing", "bias-jpeg", True),
            ]
        )
    if len(rows) < 2:
        return ""
    header = ["detector", "photos", "what the controls say", "AUC %", "floor, AUC %", "margin, points"]
    table = markdown_table([*header, "worst generator, AUC %", "bias by codec, points"], rows)
    return f"{table}\n\nCompare margins, not AUC, and only among detectors that no control speaks against."


def _cell(result: Result, task: str, metric: str, signed: bool) -> str:
    score = find_score(result.scores, task, metric)
    return "-" if score is None else f"{percent(score.value, signed)} ({interval(score.low, score.high, signed)})"


def controls_text(result: Result, questions: Questions) -> str:
    """What the controls of a detector say, in sentences; empty for other results."""
    controls = reliance(result, questions)
    return " ".join((f"**{controls.title}.**", *controls.reasons)) if controls else ""


def audit_text(result: Result) -> str:
    """What the files of real and generated photos tell before any encoder sees them; empty where it is not known."""
    audited = next((a for s in result.scores if isinstance(a := s.details.get("audit"), Mapping)), None)
    if audited is None:
        return ""
    verdict = readable(str(audited.get("verdict", "")))
    return f"**The files themselves, without any encoder ({audited.get('photos')} photos)**: {verdict}"


def detection_text(result: Result, questions: Questions) -> str:
    """Tables and notes of the tasks about generated photos; empty where there is none."""
    parts = []
    for score in result.scores:
        if score.task not in questions or questions[score.task].family.about != "detection":
            continue
        for name, table in _TABLES.items():
            if isinstance(rows := score.details.get(name), list) and rows:
                shown = table([row for row in rows if isinstance(row, Mapping)][:MOST_ROWS])
                parts.append(f"{score.task}:\n\n{shown}")
        if isinstance(error := score.details.get("calibration_error"), int | float):
            parts.append(
                f"{score.task}: stated probabilities lie {percent(error)} points from the shares they promise "
                f"(expected calibration error, 15 bins, n = {score.n})."
            )
        if biases(score):
            parts.append(_biases(score))
        notes = score.details.get("notes")
        parts += [f"{score.task}: {readable(str(note))}" for note in notes] if isinstance(notes, list) else []
    return "\n\n".join(dict.fromkeys(parts))  # a note may belong to every score of a task


def _pairs(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [
        [" and ".join(readable(str(s)) for s in row["sources"]), percent(row["auc"]), str(row["test_photos"])]
        for row in rows
    ]
    return markdown_table(["two sources of real photos", "AUC %", "photos"], cells)


def _generators(rows: Sequence[Mapping[str, Any]]) -> str:
    unseen = any("auc_if_trained" in row for row in rows)
    cells = [
        [
            readable(str(row["generator"])),
            percent(row["auc"]),
            *([percent(row["auc_if_trained"])] if unseen else []),
            str(row["photos"]),
        ]
        for row in rows
    ]
    header = ["generator", "AUC %, not in training" if unseen else "AUC %"]
    return markdown_table([*header, *(["in training"] if unseen else []), "generated photos"], cells)


def _recalls(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [
        [
            f"{100 * row['false_alarms']:g}",
            percent(row["recall"]),
            interval(row["low"], row["high"]) if "low" in row else "-",
            f"{row['real_photos']} / {row['generated_photos']}",
        ]
        for row in rows
    ]
    return markdown_table(["false alarms %", "generated photos found %", "95 % interval", "real / generated"], cells)


_TABLES = {"pairs": _pairs, "by_generator": _generators, "recall": _recalls}
"""Tables by the detail that they show."""


def _biases(score: Score) -> str:
    cells = [
        [
            readable(name),
            *(percent(row[cell]) for cell in ("both", "real_only", "generated_only")),
            f"{percent(row['bias'], True)} ({interval(row['low'], row['high'], True)})",
        ]
        for name, row in score.details["by_processing"].items()
    ]
    header = ["AUC % under", "all processed", "real ones", "generated ones", "bias, points (95 % interval)"]
    return f"{score.task}:\n\n{markdown_table(header, cells)}\n\n{biases_text(score)}"
