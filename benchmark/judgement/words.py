"""The sentences of judgement: what a verdict, a decision or a family of them says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from benchmark.judgement.deciding import INTERVAL_RULE, LEVEL, Answer, Decision, Reason
from benchmark.judgement.differences import LossJudgement, jitter_of
from benchmark.judgement.outputs import MARGIN, OutputChoice
from benchmark.judgement.traces import POINT, WEAK_BELOW, Trace, Verdict
from benchmark.results import Metric, Questions, Score, interval, metric_of, percent, subject_of, with_interval

BOUND = f"{100 * WEAK_BELOW:g} % of the way"
"""Bound of traces in words; the way leads from chance to always right."""

TRACE_GROUPS: Mapping[Trace, str] = MappingProxyType(
    {
        "readable": "Readable from the embedding",
        "weak": f"Weak, shown to be above chance by less than {BOUND}",
        "none": f"No trace, shown to be less than {BOUND} above chance",
        "undecided": f"Undecided, shown neither to be above chance nor to be less than {BOUND} above it",
    }
)
"""Beginning of the sentence that lists the traces of each kind."""

TRACE_SUFFIXES: Mapping[Trace, str] = MappingProxyType(
    {"readable": "", "weak": " (weak)", "none": " (no trace)", "undecided": " (undecided)"}
)
"""Words behind an accuracy in a figure."""

TRACE_KEYS: Mapping[Trace, str] = MappingProxyType(
    {"readable": "above chance", "weak": "above chance, but weak", "none": "no trace", "undecided": "undecided"}
)
"""Entries of the legend of a figure."""

FLAG_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "at-chance": f"no trace: shown to be less than {BOUND} from chance to always right",
        "undecided": f"undecided: shown neither to be above chance nor to be less than {BOUND} above it",
        "below-chance": "below chance",
    }
)
"""Meaning of the flags of cells on a board."""

REASONS: Mapping[Reason, str] = MappingProxyType(
    {
        "": "the interval holds both",
        "shuffled labels": f"more than {100 * LEVEL:g} % of the probes that learnt shuffled labels read as well",
        "ties": "the rule for ties decides",
        "bound": "one photo weighs more than the bound",
    }
)
"""Why a comparison is undecided."""


def traces_text(scores: Sequence[Score], judged: Mapping[tuple[str, str], Verdict]) -> str:
    """What the verdicts on some scores are, by which rule; "" where there are none.

    Args:
        scores: main scores of one family of questions.
        judged: verdicts of the whole result, from ``verdicts``.
    """
    pairs = [(s, v) for s in scores if (v := judged.get((s.task, s.metric)))]
    if not pairs:
        return ""
    subjects = {trace: ", ".join(subject_of(s.task) for s, v in pairs if v.trace == trace) for trace in TRACE_GROUPS}
    parts = [f"{words}: {subjects[trace]}." for trace, words in TRACE_GROUPS.items() if subjects[trace]]
    probes = f"the {len(judged)} probe{'s' if len(judged) > 1 else ''} of this result"
    rule = f"p < {LEVEL:g} after Holm's correction over {probes}, for each of the two"
    if any(v.p_value is None for v in judged.values()):
        rule += " (from the interval where an older result has no p-value)"
    if any("shuffled" in (s.details.get("controls") or {}) for s, _ in pairs):
        rule += (
            f"; above chance also needs at most {100 * LEVEL:g} % of the probes that learnt shuffled labels to read "
            "as well"
        )
    parts.append(f"Shown: {rule}. Chance to 1: the share of the way from chance (0 %) to always right (100 %).")
    if any(v.decision.reason == "bound" for _, v in pairs):
        parts.append("Where one photo weighs more than that bound, the absence of a trace cannot be shown.")
    if any(v.most_frequent for _, v in pairs):
        parts.append("Chance is the share of the most frequent class where that is more than one over the classes.")
    return " ".join(parts)


def readers_text(scores: Sequence[Score], judged: Mapping[tuple[str, str], Verdict], questions: Questions) -> str:
    """Which readers read each trace, one sentence a trace.

    Args:
        scores: of one family of questions.
        judged: verdicts of the whole result.
        questions: titles of the readers.
    """
    sentences = []
    for task in dict.fromkeys(s.task for s in scores):
        answers: dict[Answer, list[str]] = {"yes": [], "no": [], "undecided": []}
        for s in scores:
            if s.task == task and (verdict := judged.get((task, s.metric))):
                title = metric_of(questions, task, s.metric).title.partition(", ")[2].removesuffix(" reads")
                answers[verdict.answer].append(title or "linear")
        listed = {"yes": "read by", "no": "no trace for", "undecided": "undecided for"}
        parts = [f"{listed[answer]} {', '.join(names)}" for answer, names in answers.items() if names]
        if parts:
            sentences.append(f"{subject_of(task)}: {'; '.join(parts)}.")
    return " ".join(sentences)


def losses_text(
    verdict: LossJudgement, worse: Sequence[str], undecided: Sequence[str], missing: Sequence[str], scores: int, by: str
) -> str:
    """The first line of a gate: its verdict, then the scores that are worse, undecided or missing, by name.

    Args:
        verdict: on all scores together.
        worse: names of scores.
        undecided: names of scores that both systems have.
        missing: names of scores that NEW lacks.
        scores: number of scores, with those that are missing.
        by: margin in words.

    >>> losses_text("worse", ["knn/jpeg spd"], [], ["probe/iso"], 3, "2 points")
    'Worse: 1 of 3 scores worse by more than 2 points: knn/jpeg spd. 1 missing in NEW: probe/iso.'
    """
    count = "1 score" if scores == 1 else f"{scores} scores"
    parts = [(f"{len(worse)} of {count} worse by more than {by}", worse)]
    parts += [(f"{len(undecided)} undecided", undecided)] if undecided else []
    parts += [(f"{len(missing)} missing in NEW", missing)] if missing else []
    listed = [f"{words}: {', '.join(names)}." if names else f"{words}." for words, names in parts]
    return f"{verdict.capitalize()}: {' '.join(listed)}"


def trace_text(score: Score, verdict: Verdict) -> str:
    """One sentence about one trace."""
    name = subject_of(score.task)
    ends = verdict.decision
    numbers = f"{with_interval(score.value, ends.low, ends.high)}, chance {percent(verdict.chance)} %"
    match verdict.trace:
        case "readable":
            return f"{name} can be read from the embedding: {numbers}."
        case "weak":
            return f"{name} can be read, but is shown to be weak, less than {BOUND} to always right: {numbers}."
        case "none":
            return f"{name} leaves no trace of {BOUND} from chance to always right or more: {numbers}."
    return f"Whether {name} can be read is undecided ({REASONS[verdict.decision.reason]}): {numbers}."


def move_text(score: Score, metric: Metric, decision: Decision) -> str:
    """One sentence about a difference that processing, or the camera, may make."""
    numbers = f"{percent(score.value, True)} points, {interval(decision.low, decision.high, True)}"
    if decision.answer == "yes" and score.value > 0:
        return f"{score.task}: {metric.if_positive} ({numbers})."
    if decision.answer == "yes":
        return f"{score.task}: {metric.if_negative or f'{metric.title} is below 0'} ({numbers})."
    if decision.answer == "no":
        return f"{score.task}: {metric.title} is shown to be smaller than {100 * POINT:g} point ({numbers})."
    if decision.reason:
        numbers += f"; {REASONS[decision.reason]}"
    return f"{score.task}: whether {metric.title} differs from 0 is undecided ({numbers})."


def moves_text(scores: Sequence[Score], decisions: Mapping[tuple[str, str], Decision], questions: Questions) -> str:
    """Sentences about the differences among some scores, and their rule; "" where there are none."""
    judged = [(s, d) for s in scores if (d := decisions.get((s.task, s.metric)))]
    if not judged:
        return ""
    sentences = [move_text(s, metric_of(questions, s.task, s.metric), d) for s, d in judged]
    return " ".join([*sentences, f"Intervals here: {INTERVAL_RULE}.", _rule(len(decisions), "differences")])


def extreme_text(score: Score, metric: Metric, decision: Decision) -> str:
    """One sentence about an extreme over processings beside the same extreme over jitters of equal size."""
    jitter = jitter_of(score) or {}
    beyond = jitter["beyond"]
    numbers = (
        f"{percent(score.value)} % against {percent(jitter['value'])} %, {percent(beyond['value'], True)} points "
        f"further, {interval(beyond['low'], beyond['high'], True)}"
    )
    if "queries" in jitter:
        numbers = f"{numbers}; jitter and difference of {jitter['queries']} queries"
    what = f"{score.task} {metric.title}"
    if decision.answer == "yes":
        return f"{what}: processing goes further than jitter of equal size without any trace ({numbers})."
    if decision.answer == "no":
        return f"{what}: processing goes less than {100 * POINT:g} point further than jitter of equal size ({numbers})."
    return f"{what}: whether processing goes further than jitter of equal size is undecided ({numbers})."


def extremes_text(scores: Sequence[Score], decisions: Mapping[tuple[str, str], Decision], questions: Questions) -> str:
    """Sentences about the extremes among some scores, and their rule; "" where none has jitters."""
    judged = [(s, d) for s in scores if (d := decisions.get((s.task, s.metric)))]
    if not judged:
        return ""
    sentences = [extreme_text(s, metric_of(questions, s.task, s.metric), d) for s, d in judged]
    return " ".join([*sentences, _rule(len(decisions), "extremes")])


def output_text(choice: OutputChoice, label: str) -> str:
    """One sentence about the outputs of a network: whether one has less of a trace at equal semantics."""
    final, best, signed = choice.final, choice.best, choice.metric.signed
    if choice.answer == "yes" and best is not None:
        change = best.semantics.value - choice.final_semantics.value
        return (
            f"**{label} is less at equal semantics in {best.output.title}: {_ends(best.score, signed)} instead of "
            f"{_ends(final, signed)}, at {percent(change, True)} points of kNN accuracy (n = {best.score.n} and "
            f"{best.semantics.n}).**"
        )
    unit = "points" if signed else "points of accuracy"
    if choice.answer == "no":
        return (
            f"{label}: no output has less of it by {percent(choice.bound)} {unit} or more at equal semantics; this is "
            f"shown of each of the {choice.outputs}."
        )
    less = f"{choice.less} of {choice.outputs} outputs {'has' if choice.less == 1 else 'have'} less of it"
    if choice.less:
        return f"{label}: {less}, but none of them is shown to have the semantics of the embedding."
    return f"{label}: whether any of the {choice.outputs} outputs has less of it at equal semantics is undecided."


def outputs_text(choices: Sequence[OutputChoice], labels: Sequence[str]) -> str:
    """Paragraphs about the outputs of a network, and their rule; "" where nothing was compared."""
    if not choices:
        return ""
    sentences = [output_text(choice, label) for choice, label in zip(choices, labels, strict=True)]
    sentences.append(
        f"Equal semantics: plain kNN is shown to be less than {100 * MARGIN:g} point below the embedding's, a bound "
        f"that has to lie above the weight of one photo. {_rule(choices[0].family, 'comparisons')} The value of an "
        "output that was chosen here flatters it: score it on other photos before you use it."
    )
    return "\n\n".join(sentences)


RANKS_RULE = (
    "Rank intervals count the systems that are significantly better and worse, with Holm's correction over all pairs "
    "of a task; all intervals of a task hold together with 95 %."
)
"""What rank intervals of many systems mean."""

TIES_RULE = (
    "Tied: not significantly lower, with Holm's correction over all pairs of encoders on this score. The rows above "
    "are corrected over the scores of a pair, so that the two may differ."
)
"""What ties with the highest of many encoders mean, beside differences of pairs."""

FILLED_MARK = (
    "Lines are the intervals that decide: 95 % with Holm's correction. A mark is filled exactly where its line leaves "
    "out 0."
)
"""Legend of a figure of differences."""

STILL_READ = "still read"
"""Heading of the column of answers about traces after erasing."""


@dataclass(frozen=True)
class ErasedReader:
    """What one reader reads of a trace after erasing. The readers of a trace are one family."""

    name: str
    accuracy: float
    chance: float
    before: Answer
    """Whether it read the trace before erasing."""
    after: Answer
    """Whether it still reads it."""


def erased_text(trace: str, photos: int, readers: Sequence[ErasedReader]) -> str:
    """Which readers still read a trace after erasing, and which did not read it before.

    Args:
        trace: that was erased.
        photos: number of unseen photos.
        readers: of the trace.
    """

    def listed(answer: Answer) -> str:
        return ", ".join(
            f"{r.name} ({percent(r.accuracy)} %, chance {percent(r.chance)} %)" for r in readers if r.after == answer
        )

    sentences = []
    if yes := listed("yes"):
        sentences.append(f"{trace} is still read by {yes}.")
    if no := listed("no"):
        sentences.append(f"{trace} is not read by {no}: shown to be less than {BOUND} above chance.")
    if undecided := listed("undecided"):
        sentences.append(f"whether {trace} is still read by {undecided} is undecided.")
    sentences[0] = f"On {photos} unseen photos {sentences[0]}"
    if not_before := ", ".join(r.name for r in readers if r.before != "yes"):
        sentences.append(f"Before erasing it was not shown to be read by {not_before} either.")
    if len(readers) > 1:
        sentences.append(_rule(len(readers), "readers"))
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}" if i else sentence for i, sentence in enumerate(sentences))


def differing_text(
    answers: Sequence[Answer], sizes: str, units: Sequence[tuple[int, int]] = (), *, unit: str = "photo"
) -> str:
    """How many paired differences are there, absent or undecided.

    Args:
        answers: of all rows.
        sizes: of the families, in words.
        units: (photos, independent units) of all rows.
        unit: what is paired.
    """
    counts = Counter(answers)
    clustered = sorted({(count, photos) for photos, count in units if count < photos})
    listed = " or ".join(f"{count:,} units of {photos:,} {unit}s" for count, photos in clustered)
    together = f" {unit.capitalize()}s that err together are one unit: intervals are over {listed}." if listed else ""
    return (
        f"{counts['yes']} of {len(answers)} differences are significant at {100 * LEVEL:g} % (paired by {unit}, "
        f"Holm's correction over the {sizes} of each pair); {counts['no']} are shown to be smaller than "
        f"{100 * POINT:g} point; {counts['undecided']} are undecided. Intervals are for each row by itself.{together}"
    )


def _rule(family: int, what: str) -> str:
    return (
        f"Shown: p < {LEVEL:g} after Holm's correction over {family} {what}."
        if family > 1
        else (f"Shown: p < {LEVEL:g}.")
    )


def _ends(score: Score, signed: bool = False) -> str:
    return with_interval(score.value, score.low, score.high, signed)
