"""The verdicts on the traces of a result: which scores are judged together; ``benchmark.judgement`` has the rules."""

from __future__ import annotations

from benchmark.judgement import Verdict, judged
from benchmark.results.questions import Questions, metric_of
from benchmark.results.schema import Result


def verdicts(result: Result, questions: Questions) -> dict[tuple[str, str], Verdict]:
    """The verdict on every main trace of a result, by task and metric; their p-values are corrected together."""
    scores = [s for s in result.scores if (m := metric_of(questions, s.task, s.metric)).main and m.kind == "trace"]
    return {(s.task, s.metric): verdict for s, verdict in zip(scores, judged(scores), strict=True)}
