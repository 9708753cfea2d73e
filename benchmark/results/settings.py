"""What decides numbers besides the encoder and the photos, in one line: for a report's heading and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.results.questions import Questions
from benchmark.results.schema import Result


def settings_line(results: Sequence[Result], questions: Questions) -> str:
    """What decides the numbers besides the encoder and the photos, in one line; empty where nothing is recorded."""
    options = [r.environment.get("options") or {} for r in results]
    scores = [s for r in results for s in r.scores]

    def recorded(name: str) -> list[Any]:
        return sorted({s.details[name] for s in scores if s.details.get(name) is not None})

    def asked(name: str) -> list[Any]:
        return list(dict.fromkeys(o[name] for o in options if o.get(name)))

    of_processing = any(s.task in questions and questions[s.task].family.about == "processing" for s in scores)
    choices = ["preset", "preprocess"]
    choices += ["ties"] if any("ties" in s.details for s in scores) else []
    choices += ["orientation"] if of_processing else []
    parts = [f"{name} {value}" for name in choices for value in asked(name)]
    parts += [f"probes: {', '.join(protocols)}"] if (protocols := recorded("protocol")) else []
    parts += [f"k = {k}" for k in recorded("k")]
    parts += [f"kNN asks about {n} test photos, drawn by class" for n in recorded("sampled_queries")]
    parts += [f"{100 * hidden:g} % hidden" for hidden in recorded("mask_ratio")]
    if of_processing:
        parts += [f"{seeds} assignment{'s' if seeds > 1 else ''}" for seeds in asked("assignment_seeds")]
    line = "; ".join(parts)
    return f"{line[0].upper()}{line[1:]}." if line else ""
