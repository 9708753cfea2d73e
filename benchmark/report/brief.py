"""What a command prints of its results: what each encoder keeps, what it costs, how sure that is; a few scores."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from benchmark.judgement import Conclusion, conclude, verdicts
from benchmark.report.tables import interval, markdown_table, percent
from benchmark.report.training import accuracy_text
from benchmark.results import Questions, Result, Score, metric_of, score_label
from builders.untrusted import readable

WIDTH = 100
"""Longest line of a sentence, in characters."""

MOST_SCORES = 10
"""Most scores that are listed: a run of one or a few tasks. ``report.md`` has all of them."""

MOST_FAILURES = 4
"""Most failed tasks whose reasons are given."""


def brief_text(results: Sequence[Result], questions: Questions, unloaded: Mapping[str, str] | None = None) -> str:
    """Short answers about the encoders of a run, for a terminal.

    Args:
        results: of one run.
        questions: what the scores mean.
        unloaded: reason by encoder, or data set, without a result.
    """
    by_encoder: dict[str, list[Result]] = {}
    for result in results:
        by_encoder.setdefault(str(result.encoder["id"]), []).append(result)
    parts = [_encoder_text(encoder, of_encoder, questions) for encoder, of_encoder in by_encoder.items()]
    rows = [(result, score) for result in results for score in _one_per_task(result, questions)]
    if 0 < len(rows) <= MOST_SCORES:
        parts.append(_table(rows, questions, several=len(by_encoder) > 1))
    if unloaded:
        parts.append("\n".join(f"  {'Not scored':<13}{readable(f'{name}: {why}')}" for name, why in unloaded.items()))
    return "\n\n".join(parts)


def _encoder_text(encoder: str, results: Sequence[Result], questions: Questions) -> str:
    told = conclude(results, questions)
    lines = [readable(encoder + _known(results[0].encoder))]
    lines += [_item(part.head, _sentences(part)) for part in (told.keeps, told.costs, told.sure)]
    if any(result.scores for result in results):
        lines.append(_item("Photos", told.photos.partition(": ")[2]))
    if cautions := _cautions(results):
        lines.append(_item("Careful", cautions))
    lines += [f"  {'Failed':<13}{readable(text)}" for text in _failures(results)]
    return "\n".join(lines)


def _known(encoder: Mapping[str, object]) -> str:
    """In brackets, where the weights of an encoder are from and what it was trained on, as far as it is known."""
    parts = ["its weights come with a package"] if encoder.get("library") == "bundled" else []
    if (training := encoder.get("training_data")) and str(training) not in ("none", "unknown"):
        parts.append(f"trained on {training}")
    return f" ({'; '.join(parts)})" if parts else ""


def _sentences(part: Conclusion) -> str:
    return f"{part.title}. {part.text}".strip()


def _cautions(results: Sequence[Result]) -> str:
    """What keeps these scores from being evidence about real photos, or about the encoder."""
    names: dict[str, list[str]] = {}
    for result in results:
        applies = {
            "a smoke test, not evidence": result.data.get("smoke_test"),
            "simulated, no camera took these pictures": (result.data.get("evidence") or {}).get("simulated"),
            "one draw of an encoder that is random": (result.environment.get("trial") or {}).get("random"),
        }
        for words in filter(applies.get, applies):
            names.setdefault(words, []).append(str(result.data["name"]))
    return " ".join(f"{', '.join(of)}: {words}." for words, of in names.items())


def _failures(results: Sequence[Result]) -> list[str]:
    """The first failed tasks and encoders with their reasons, and how many photos failed."""
    failures = list(dict.fromkeys((f.kind, f.name, f.reason) for result in results for f in result.failures))
    texts = [f"{name}: {reason}" for kind, name, reason in failures if kind != "photo"]
    photos = sum(kind == "photo" for kind, _, _ in failures)
    more = [f"{len(texts) - MOST_FAILURES} more"] * (len(texts) > MOST_FAILURES)
    return [*texts[:MOST_FAILURES], *more, *[f"{photos} photo{'s' if photos > 1 else ''}"] * (photos > 0)]


def _item(head: str, text: str) -> str:
    """A head and its text, wrapped below each other."""
    return textwrap.fill(
        readable(text), WIDTH, initial_indent=f"  {head:<13}", subsequent_indent=" " * 15, break_on_hyphens=False
    )


def _one_per_task(result: Result, questions: Questions) -> list[Score]:
    """The score of each task that stands for it: its headline, else its first."""
    chosen: dict[str, Score] = {}
    for score in result.scores:
        if score.task not in chosen or metric_of(questions, score.task, score.metric).headline:
            chosen[score.task] = score
    return list(chosen.values())


def _table(rows: Sequence[tuple[Result, Score]], questions: Questions, *, several: bool) -> str:
    datasets = len({str(result.data["name"]) for result, _ in rows}) > 1
    header = ["score", *["encoder"] * several, *["data"] * datasets, "%", "95 % interval", "chance", "photos"]
    cells = []
    for result, score in rows:
        metric = metric_of(questions, score.task, score.metric)
        label = score_label(score.task, metric, questions) if score.task in questions else score.task
        names = [*[str(result.encoder["id"])] * several, *[str(result.data["name"])] * datasets]
        verdict = verdicts(result, questions).get((score.task, score.metric))
        numbers = [
            accuracy_text(score, verdict) if verdict else percent(score.value, metric.signed),
            interval(score.low, score.high, metric.signed),
            percent(score.chance),
            f"{score.n:,}",
        ]
        cells.append([label, *names, *numbers])
    return markdown_table(header, cells)
