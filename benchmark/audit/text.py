"""``audit.md`` and the section of a data set's card: the audit as Markdown."""

from __future__ import annotations

import re

from benchmark.audit.terms import TARGETS
from benchmark.audit.values import Audit, Question
from benchmark.results import interval, markdown_table, percent

SHOWN = 15
"""Questions in the table; ``audit.json`` has all."""


def audit_text(audit: Audit) -> str:
    """The page as Markdown: verdict first."""
    parts = [
        f"# Audit of {_plain(audit.name)}",
        f"**{_plain(audit.verdict)}**",
        f"{audit.photos:,} photos, {audit.class_count:,} classes, {audit.unreadable:,} files that could not be read.",
        _list(audit.findings),
        "## What would repair it\n\n" + _list(audit.repairs) if audit.repairs else "",
        _layers(audit),
        _carriers(audit),
        _questions(audit),
        "## What this does not show\n\n"
        "A confound is not proof that a classifier uses it. No difference in headers is not proof that pixels hold no "
        "trace: a common re-save hides headers, not an earlier compression. What is marked as a hint is moved by what "
        "the picture shows too.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def card_section(audit: Audit) -> str:
    """A section for the README.md of a data set."""
    parts = [
        "## Audit of codec, size and camera",
        _plain(audit.verdict),
        _list(audit.findings),
        _layers(audit, heading=False),
        "A confound is not proof that a classifier uses it, and the absence of one in headers is not the absence of a "
        f"trace in pixels. By `camtrace audit` of {audit.photos:,} photos.",
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
            "yes" if s.flagged else "",
        ]
        for s in audit.layers
    ]
    table = markdown_table(["what is told", "accuracy, %", "95 % interval", "chance, %", "photos", "flagged"], rows)
    return f"## How well it can be told\n\n{table}" if heading else table


def _questions(audit: Audit) -> str:
    if not audit.questions:
        return "Every feature has one value alone: there is nothing to ask."
    shown = audit.questions[:SHOWN]
    rows = [
        [
            f"{q.target} and {_plain(q.title)}",
            f"{q.value:.3f} {q.measure}",
            f"{q.raw:.3f}",
            "< .0001" if q.adjusted < 1e-4 else f"{q.adjusted:.4f}",
            f"{q.n:,}",
            _flag(q),
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
            told = c.share is not None and c.elsewhere is not None
            share = f"{percent(c.share or 0)} % against {percent(c.elsewhere or 0)} % elsewhere" if told else ""
            examples = f" (for example {', '.join(f'`{_code(e)}`' for e in c.examples[:2])})" if c.examples else ""
            where = f"{TARGETS[question.target].split()[-1]} {_plain(c.group)}"
            lines.append(f"- {_plain(question.title)}, {where}: {_plain(c.value)} {share}{examples}")
    return "## What carries it\n\n" + "\n".join(lines) if lines else ""


def _flag(question: Question) -> str:
    return "" if not question.flagged else "hint" if question.content else "flagged"


def _list(sentences: tuple[str, ...]) -> str:
    return "\n".join(f"- {_plain(sentence)}" for sentence in sentences)


def _plain(text: str) -> str:
    """Text of strangers that cannot become a link, an image, HTML or emphasis in Markdown."""
    return re.sub(r"([\\`*_\[\]<>|!#])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    return text.replace("`", "'")
