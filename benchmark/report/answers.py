"""Answers of a vision-language model in a report: flips by task, processing, noise view and margin, and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.judgement import AnswerMove, answer_moves, answer_texts
from benchmark.report.tables import interval, markdown_table, p_value, percent, score_cell
from benchmark.results import Result, Score, subject_of
from builders.untrusted import readable

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#6b6b6b"
"""Of Okabe and Ito's palette: right to wrong, wrong to right, and the rest."""

NOISE_TITLES = {
    "png": "saved as PNG",
    "other-batch": "another batch",
    "other-precision": "another precision",
    "other-order": "other order of options",
}

NEEDED = ("flips", "flips_low", "flips_high", "right_to_wrong", "wrong_to_right", "accuracy")
"""Numbers of a row, without which a row of an untrusted result is not shown."""

SHARES = ("flips %", "right to wrong %", "wrong to right %", "accuracy %")
"""Columns of ``_shares``."""


def answers_section(result: Result) -> str:
    """Tables and sentences; empty where no task is about answers."""
    flips = _flips(result)
    if not flips:
        return ""
    texts = answer_texts(result)
    details, margins = flips[0].details, _margins_table(flips)
    about = (
        f"{details.get('questions')} questions about {flips[0].n} photos. A model that guesses anew each time flips "
        f"{percent(details['guess_flips'])} %."
    )
    if details.get("no_option"):
        about += f" {percent(details['no_option'])} % of the answers are none of the options, and count as wrong."
    parts = [
        _tasks_table(result, flips),
        about,
        " ".join((texts.flips, texts.accuracy, texts.rule, *texts.movement)) if texts else "",
        _processings_table(result, _rows(flips, "by_processing")),
        _noise_table(_rows(flips, "noise")),
        margins and "Flips by margin, the lead of the first option over the second on the unprocessed photo:",
        margins,
    ]
    return "\n\n".join(filter(None, parts))


def _flips(result: Result) -> list[Score]:
    """The score of each task about answers that has the details."""
    scores = (score for score in result.scores if "guess_flips" in score.details)
    return [score for score in scores if _rows([score], "by_processing")]


def _rows(flips: Sequence[Score], detail: str) -> dict[str, Mapping[str, Any]]:
    """Rows of a detail of all tasks; a processing that stands in several tasks has one row."""
    rows: dict[str, Mapping[str, Any]] = {}
    for score in flips:
        table = score.details.get(detail)
        for name, row in table.items() if isinstance(table, Mapping) else ():
            if all(column in row for column in NEEDED):
                rows.setdefault(name, row)
    return rows


def _tasks_table(result: Result, flips: Sequence[Score]) -> str:
    """A row for each task; beside it what the vision tower's own probe and kNN say on the same photos."""
    rows, tower_cells = [], []
    for score in flips:
        of = {s.metric: s for s in result.scores if s.task == score.task}
        before, after = of.get("accuracy-original"), of.get("accuracy")
        tower_cells.append([_other_score(result, score, "accuracy", False), _other_score(result, score, "spd", True)])
        rows.append(
            [
                score.task,
                score_cell(score),
                *(percent(of[name].value) if name in of else "-" for name in ("right-to-wrong", "wrong-to-right")),
                percent(before.value) if before else "-",
                percent(after.value) if after else "-",
                percent(after.chance) if after else "-",
                score_cell(of.get("change"), signed=True) or "-",
                percent(of["margin"].value, True) if "margin" in of else "-",
                score_cell(of.get("beyond-noise"), signed=True) or "-",
            ]
        )
    header = ["answers under", *SHARES[:3], "accuracy, unprocessed %", "processed %", "chance %"]
    header += ["change, points", "margin shift, points", "flips beyond noise, points"]
    if any(cells != ["-", "-"] for cells in tower_cells):
        header += ["vision tower: probe %", "SPD, points"]
        rows = [[*row, *cells] for row, cells in zip(rows, tower_cells, strict=True)]
    return markdown_table(header, rows)


def _other_score(result: Result, score: Score, metric: str, signed: bool) -> str:
    """The number of another task about the same parameter."""
    others = (s for s in result.scores if s.task != score.task and subject_of(s.task) == subject_of(score.task))
    return score_cell(next((s for s in others if s.metric == metric), None), signed) or "-"


def _processings_table(result: Result, rows: Mapping[str, Mapping[str, Any]]) -> str:
    judged, margins = answer_moves(result), any("margin" in row for row in rows.values())
    cells = [
        [
            readable(name),
            *_shares(row),
            *_moved(judged.get("change", {}).get(name)),
            *(_moved(judged["beyond"].get(name)) if "beyond" in judged else ()),
            *([percent(row["margin"], True) if "margin" in row else "-"] if margins else []),
        ]
        for name, row in rows.items()
    ]
    header = ["processing", *SHARES, "change, points", "p (Holm)"]
    header += ["beyond noise, points", "p (Holm) beyond"] if "beyond" in judged else []
    header += ["margin shift, points"] if margins else []
    return markdown_table(header, cells)


def _shares(row: Mapping[str, Any]) -> list[str]:
    flips = f"{percent(row['flips'])} ({interval(row['flips_low'], row['flips_high'])})"
    return [flips, *(percent(row[name]) for name in ("right_to_wrong", "wrong_to_right", "accuracy"))]


def _moved(move: AnswerMove | None) -> list[str]:
    """A difference with its interval, and its corrected p-value."""
    if move is None or move.decision is None:
        return ["-", "-"]
    return [f"{percent(move.value, True)} ({interval(move.low, move.high, True)})", p_value(move.decision.p_value)]


def _noise_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    cells = [[NOISE_TITLES.get(name, readable(name)), *_shares(row)] for name, row in rows.items()]
    return markdown_table(["noise floor: the unprocessed photo", *SHARES], cells) if cells else ""


def _margins_table(flips: Sequence[Score]) -> str:
    """A row for each group of margins, a column for each task."""
    tables = {s.task: t for s in flips if isinstance(t := s.details.get("by_margin"), Mapping)}
    counts = {name: str(int(row["questions"])) for table in tables.values() for name, row in table.items()}
    rows = [
        [
            readable(name),
            counts[name],
            *(
                f"{percent(row['flips'])} ({interval(row['low'], row['high'])})" if (row := t.get(name)) else "-"
                for t in tables.values()
            ),
        ]
        for name in sorted(counts, key=lambda name: float(name.partition(" ")[0]))
    ]
    header = ["margin, points", "questions", *(f"{task} flips %" for task in tables)]
    return markdown_table(header, rows) if rows else ""


def answer_panels(result: Result) -> list[tuple[float, Any]]:
    """(height in inches, function that draws into axes) of the flips of a result."""
    flips = _flips(result)
    rows = len(_rows(flips, "by_processing")) + len(_rows(flips, "noise"))
    return [(1.5 + 0.24 * rows, lambda ax, _: draw_flips(ax, flips))] if flips else []


def draw_flips(ax: Any, flips: Sequence[Score]) -> None:
    """Draw a bar of flips for each processing and each view of the noise floor, with intervals.

    Parts of a bar are flips from right to wrong, from wrong to right, and between wrong answers.
    """
    processed, noise = _rows(flips, "by_processing"), _rows(flips, "noise")
    rows = [*processed.items(), *((NOISE_TITLES.get(name, name), row) for name, row in noise.items())]
    for y, (_, row) in enumerate(rows):
        share, low, high = (100 * row[name] for name in ("flips", "flips_low", "flips_high"))
        worse, better = 100 * row["right_to_wrong"], 100 * row["wrong_to_right"]
        for left, width, colour in (
            (0, worse, BLUE),
            (worse, better, ORANGE),
            (worse + better, share - worse - better, GREY),
        ):
            ax.barh(y, max(0.0, width), left=left, color=colour, height=0.62, zorder=2)
        ends = [[max(0.0, share - low)], [max(0.0, high - share)]]
        ax.errorbar(share, y, xerr=ends, color="#222222", elinewidth=1, capsize=2, fmt="none", zorder=3)
        ax.annotate(percent(row["flips"]), (high, y), (5, 0), textcoords="offset points", va="center", fontsize=7.5)
    for colour, label in ((BLUE, "right to wrong"), (ORANGE, "wrong to right"), (GREY, "wrong to wrong")):
        ax.barh(0, 0, color=colour, label=label)
    if noise:
        ax.axhspan(len(processed) - 0.5, len(rows) - 0.4, color="#f0f0f0", zorder=0, label="noise floor")
    ax.set_yticks(range(len(rows)), [readable(name) for name, _ in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(0, max(1, 118 * max(row["flips_high"] for _, row in rows)))
    ax.grid(axis="x", color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
    ax.set_xlabel("answers that flip, %; lines: 95 % intervals over units", fontsize=8)
    ax.set_title(f"Answers against those about the unprocessed photo, n = {flips[0].n:,}", fontsize=9, loc="left")
    ax.legend(loc="best", fontsize=7.5, frameon=True)
