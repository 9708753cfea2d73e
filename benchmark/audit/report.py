"""The files of an audit: ``audit.md``, ``audit.png``, ``audit.json``, ``audit.html``; and the section of a card."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.audit.result import TARGETS, Audit, page_html
from benchmark.judgement import CONFOUND_LIMITS, ConfoundMark
from benchmark.report import can_draw, interval, markdown_table, p_value, percent, write_png
from builders.errors import disk_error
from builders.files import sweep_temporaries, write_text_atomically

FIGURE_QUESTIONS = 12
"""Questions in the figure."""

TABLE_QUESTIONS = 15
"""Questions in the table; ``audit.json`` has all."""

_COLOURS: Mapping[ConfoundMark, str] = {"found": "#D55E00", "hint": "#E69F00", "calm": "#0072B2"}
"""Of Okabe and Ito's colour-blind-safe palette, by mark."""

_WORDS: Mapping[ConfoundMark, str] = {"found": "flagged", "hint": "hint", "calm": ""}

_GREY = "#6b6b6b"


def write_audit(audit: Audit, folder: Path) -> None:
    """Write all files of an audit, the page last. Without matplotlib ``audit.png`` is left out, with a notice.

    Raises:
        DiskError: the folder cannot be written to.
    """
    sweep_temporaries(folder)
    try:
        write_text_atomically(folder / "audit.json", audit.to_json())
        write_text_atomically(folder / "audit.md", audit_text(audit))
        if can_draw("audit.png"):
            draw_audit(audit, folder / "audit.png")
        write_text_atomically(folder / "audit.html", page_html(audit))
    except OSError as error:
        raise disk_error(error, f"--output {folder}", saved="facts that were read are saved") from None


def audit_text(audit: Audit) -> str:
    """``audit.md``: the verdict first, then the tables."""
    parts = [
        f"# Audit of {_escaped(audit.name)}",
        f"**{_escaped(audit.verdict.title)}.** {_escaped(audit.verdict.text)}",
        f"{audit.photos:,} photos, {audit.class_count:,} classes, {audit.unreadable:,} files that could not be read.",
        _list(audit.findings),
        "## What would repair it\n\n" + _list(audit.repairs) if audit.repairs else "",
        _layers(audit),
        _carriers(audit),
        _questions(audit),
        "## What this does not show\n\n" + _list(CONFOUND_LIMITS),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def card_section(audit: Audit) -> str:
    """A section for the README.md of a data set."""
    parts = [
        "## Audit of codec, size and camera",
        f"**{_escaped(audit.verdict.title)}.** {_escaped(audit.verdict.text)}",
        _list(audit.findings),
        _layers(audit, heading=False),
        " ".join(CONFOUND_LIMITS[:2]),
        f"By `camtrace audit` of {audit.photos:,} photos.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _layers(audit: Audit, heading: bool = True) -> str:
    if not audit.layers:
        return ""
    rows = [
        [
            f"{s.target} from {s.title}{' (hint)' if s.content else ''}",
            percent(s.accuracy),
            interval(s.low, s.high),
            percent(s.chance),
            f"{s.n:,}",
            _WORDS[s.mark],
        ]
        for s in audit.layers
    ]
    table = markdown_table(
        ["what is predicted", "accuracy, %", "95 % interval", "chance, %", "photos", "flagged"], rows
    )
    return f"## Accuracy of predictions\n\n{table}" if heading else table


def _questions(audit: Audit) -> str:
    if not audit.questions:
        return "Every feature has one value alone: there is nothing to ask."
    shown = audit.questions[:TABLE_QUESTIONS]
    rows = [
        [
            f"{q.target} and {_escaped(q.title)}",
            f"{q.value:.3f} {q.measure}",
            f"{q.raw:.3f}",
            p_value(q.adjusted),
            f"{q.n:,}",
            _WORDS[q.mark],
        ]
        for q in shown
    ]
    table = markdown_table(["question", "V or eta", "uncorrected", "p (Holm)", "photos", ""], rows)
    rest = len(audit.questions) - len(shown)
    more = f"\n\n{rest} more in audit.json." if rest else ""
    return f"## Questions\n\n{table}{more}"


def _carriers(audit: Audit) -> str:
    lines = []
    for question in [q for q in audit.questions if q.flagged][:8]:
        for c in question.carriers[:4]:
            has_shares = c.share is not None and c.elsewhere is not None
            share = f"{percent(c.share or 0)} % against {percent(c.elsewhere or 0)} % elsewhere" if has_shares else ""
            examples = f" (for example {', '.join(f'`{_code(e)}`' for e in c.examples[:2])})" if c.examples else ""
            where = f"{TARGETS[question.target].split()[-1]} {_escaped(c.group)}"
            lines.append(f"- {_escaped(question.title)}, {where}: {_escaped(c.value)} {share}{examples}")
    return "## What carries it\n\n" + "\n".join(lines) if lines else ""


def _list(sentences: tuple[str, ...]) -> str:
    return "\n".join(f"- {_escaped(sentence)}" for sentence in sentences)


def _escaped(text: str) -> str:
    """Untrusted text, escaped so that it is no link, image, HTML or emphasis in Markdown."""
    return re.sub(r"([\\`*_\[\]<>|!#])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    return text.replace("`", "'")


def draw_audit(audit: Audit, path: Path) -> None:
    """Draw ``audit.png``, atomically: accuracies of layers, and associations of features."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers = list(audit.layers)
    questions = list(audit.questions[:FIGURE_QUESTIONS])
    rows = max(len(layers), len(questions), 3)
    figure = Figure(figsize=(11.2, 1.6 + 0.34 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for y, score in enumerate(layers):
        colour = _COLOURS[score.mark]
        left.plot([100 * score.chance, 100 * score.accuracy], [y, y], color="#d5d5d5", linewidth=5, zorder=1)
        left.plot([100 * score.low, 100 * score.high], [y, y], color=colour, linewidth=1.5)
        left.plot(100 * score.accuracy, y, "o", color=colour, zorder=3)
        left.plot(100 * score.chance, y, "|", color=_GREY, markersize=13, markeredgewidth=2)
    _label_rows(left, [f"{s.target}: {s.title}" for s in layers])
    left.set_xlim(0, 102)
    left.set_xlabel("predicted from it, % (upright mark: chance)")
    for y, question in enumerate(questions):
        right.barh(y, question.value, color=_COLOURS[question.mark], height=0.6)
        right.plot(question.raw, y, "|", color=_GREY, markersize=11)
    _label_rows(right, [f"{q.target}: {q.title}" for q in questions])
    right.set_xlim(0, 1.02)
    right.set_xlabel("corrected V or eta (mark: uncorrected)")
    state = audit.verdict.title.lower()
    figure.suptitle(_drawable(f"{audit.name}: {state}, {audit.photos:,} photos"), fontsize=10, ha="left", x=0.01)
    write_png(figure, path)


def _label_rows(ax: Any, names: list[str]) -> None:
    ax.set_yticks(range(len(names)), [_drawable(name) for name in names], fontsize=8)
    ax.set_ylim(max(len(names), 1) - 0.4, -0.6)
    ax.grid(axis="x", color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _drawable(text: str) -> str:
    """Text for a figure, in which a dollar sign would begin a formula."""
    return text.replace("$", r"\$")[:90]
