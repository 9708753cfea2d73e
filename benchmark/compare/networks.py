"""Several networks on the same photos: which statements of the study they support, corrected over the networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.compare.paired import common_answers
from benchmark.judgement import LEVEL, POINT, Decision, decide_differences, judge, judge_moves
from benchmark.report import interval, markdown_table, percent
from benchmark.results import Metric, Result, Run, Score, metric_of
from benchmark.stats import needed_units, paired_difference
from benchmark.tasks import all_tasks

READ, MOVED, BEYOND = "can be read", "moves search", "is read better than from the untrained network"
"""The three statements about a processing."""

CONTROL = "control:untrained-resnet50"
"""What networks are compared with, photo by photo."""


@dataclass(frozen=True)
class NetworkFinding:
    """One statement about one network, judged with those about the others."""

    statement: str
    """``READ``, ``MOVED`` or ``BEYOND``."""
    encoder: str
    task: str
    subject: str
    """Title of the processing."""
    value: float
    reference: float
    """Chance, or 0."""
    decision: Decision
    needed: int | None
    """Test photos with which it would be decided, if the estimate is the truth or if there is nothing; None where it is
    decided, or no number would do, such as where the rule for ties decides."""


def network_findings(runs: Sequence[Run]) -> list[NetworkFinding]:
    """The findings about networks that were scored on the same photos.

    All readings are one family, all moves another, and all comparisons with the control a third. Controls are judged by
    themselves, so that they change no network's answer.

    Args:
        runs: of networks and controls, with their answers.
    """
    findings: list[NetworkFinding] = []
    for members in (
        [run for run in runs if not is_control(run.result)],
        *([run] for run in runs if is_control(run.result)),
    ):
        scores = [(run, s) for run in members for s in run.result.scores]
        read = [(run, s) for run, s in scores if _metric(s.task, s.metric).kind == "trace"]
        moved = [(run, s) for run, s in scores if _metric(s.task, s.metric).summary == "SPD"]
        verdicts = judge([s for _, s in read])
        for (run, s), verdict in zip(read, verdicts, strict=True):
            findings.append(_finding(READ, run, s, verdict.decision, verdict.chance))
        for (run, s), decision in zip(moved, judge_moves([s for _, s in moved]), strict=True):
            findings.append(_finding(MOVED, run, s, decision, 0.0))
    return [*findings, *_beyond_control(runs)]


def is_control(result: Result) -> bool:
    """Whether a result is that of a control, which no data has trained."""
    return str(result.encoder["id"]).startswith("control:")


def _finding(statement: str, run: Run, score: Score, decision: Decision, reference: float) -> NetworkFinding:
    spread = (score.high - score.low) / 2 / 1.96 * math.sqrt(decision.units)
    few = decision.answer == "undecided" and decision.reason in ("", "bound")
    needed = _needed(score.value - reference, spread, decision) if few else None
    subject = _subject(score.task)
    return NetworkFinding(statement, run.encoder, score.task, subject, score.value, reference, decision, needed)


def _needed(effect: float, spread: float, decision: Decision) -> int | None:
    """Units that show the effect at the corrected level, or that it is below its bound if it is 0; the fewer.

    A plan of no more units than there are has failed: its truth is another one.
    """
    level = 1 - 2 * LEVEL / decision.family
    plans = [needed_units(size / spread, level=level) for size in (effect, decision.bound) if size > 0 and spread > 0]
    units = [plan for plan in plans if plan is not None and plan > decision.units]
    return math.ceil(min(units)) if units else None


def _beyond_control(runs: Sequence[Run]) -> list[NetworkFinding]:
    """Whether probes read more from each network than from the untrained one, paired by photo."""
    control = next((run for run in runs if run.encoder == CONTROL), None)
    pairs = [
        (run, pair, paired_difference(pair.first, pair.second, **pair.pairing))
        for run in runs
        if control is not None and not is_control(run.result)
        for pair in common_answers(run.encoder, run, CONTROL, control, (), False)
        if _metric(pair.task, pair.metric).kind == "trace"
    ]
    decisions = decide_differences([d for _, _, d in pairs], [BEYOND] * len(pairs))
    return [
        NetworkFinding(BEYOND, run.encoder, pair.task, _subject(pair.task), d.value, 0.0, decision, None)
        for (run, pair, d), decision in zip(pairs, decisions, strict=True)
    ]


def _metric(task: str, metric: str) -> Metric:
    return metric_of(all_tasks(), task, metric)


def _subject(task: str) -> str:
    title = all_tasks()[task].title
    return title if title[1:2].isupper() else title.lower()


def networks_text(results: Sequence[Result], findings: Sequence[NetworkFinding]) -> str:
    """The board, the statements and the provenance as Markdown."""
    most = max((s for r in results for s in r.scores), key=lambda s: s.n)
    networks = sum(not is_control(r) for r in results)
    return "\n\n".join(
        [
            "# Networks that come with packages",
            f"{networks} networks and {len(results) - networks} controls on {results[0].data['name']}: "
            f"{most.n:,} test photos. Intervals are those that decide: 95 %, corrected over all networks and "
            "processings (Holm). In brackets: undecided; with a minus: shown to be less than 5 % of the way from "
            f"chance to always right, or less than {100 * POINT:g} point.",
            "## Board\n\n" + _board_table(results, findings),
            "## Statements\n\n" + _statements_table(findings),
            "## Where the networks come from\n\n" + _provenance_table(results),
        ]
    )


def _board_table(results: Sequence[Result], findings: Sequence[NetworkFinding]) -> str:
    """A row for each network: accuracy of each probe, what each processing moves, and accuracy of the content."""
    columns = list(dict.fromkeys((f.statement, f.task) for f in findings if f.statement != BEYOND))
    by = {(f.encoder, f.statement, f.task): f for f in findings}
    header = [
        "encoder",
        *(f"{_subject(task)} {'read' if s == READ else 'moved'}, %" for s, task in columns),
        "content, %",
    ]
    body = [
        [
            short_name(r),
            *(_cell(by.get((str(r.encoder["id"]), *column))) for column in columns),
            next((percent(s.value) for s in r.scores if _metric(s.task, s.metric).summary == "SP"), ""),
        ]
        for r in results
    ]
    return markdown_table(header, body)


def _cell(finding: NetworkFinding | None) -> str:
    if finding is None:
        return ""
    signed, decision = finding.statement != READ, finding.decision
    text = f"{percent(finding.value, signed)}, {interval(decision.low, decision.high, signed)}"
    return {"yes": text, "undecided": f"({text})", "no": f"- {text}"}[decision.answer]


def _statements_table(findings: Sequence[NetworkFinding]) -> str:
    """For each statement and processing: how many networks support it, and how many photos would decide the others."""
    of_networks = [f for f in findings if not f.encoder.startswith("control:")]
    body = []
    for statement, task in dict.fromkeys((f.statement, f.task) for f in of_networks):
        members = [f for f in of_networks if (f.statement, f.task) == (statement, task)]
        counts = [sum(f.decision.answer == answer for f in members) for answer in ("yes", "no", "undecided")]
        below = sum(f.value < f.reference and f.decision.answer == "yes" for f in members)
        ties = sum(f.decision.reason == "ties" for f in members)
        needed = [f.needed for f in members if f.needed is not None]
        body.append(
            [
                f"{members[0].subject} {statement}",
                f"{counts[0] - below} of {len(members)}",
                *map(str, (below, *counts[1:], ties)),
                _range(needed),
            ]
        )
    header = [
        "statement",
        "yes",
        "the other way",
        "no",
        "undecided",
        "of these by the rule for ties",
        "test photos for the others",
    ]
    return markdown_table(header, body)


def _range(counts: Sequence[int]) -> str:
    return " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)})) if counts else "-"


def _provenance_table(results: Sequence[Result]) -> str:
    """Package, licence, task and weights of each network."""
    body = []
    for r in results:
        details: Mapping[str, Any] = r.encoder["details"]
        package = str(
            details.get("package") or ", ".join(f"{k} {v}" for k, v in details.items() if "efficientnet" in k)
        )
        weights = str(r.encoder["weights_sha256"])[:8]
        licence = "-" if is_control(r) else str(details.get("licence", "weights not stated"))
        body.append([short_name(r), package or "camtrace", licence, str(r.encoder["training_data"]), weights])
    return markdown_table(["encoder", "package", "licence", "trained as", "SHA-256 of the weights"], body)


def short_name(result: Result) -> str:
    """The name of an encoder without ``bundled:``."""
    return str(result.encoder["id"]).removeprefix("bundled:")
