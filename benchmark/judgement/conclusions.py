"""What the results of one encoder say in short: what it keeps, what it costs, and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from benchmark.judgement.deciding import INTERVAL_RULE, LEVEL
from benchmark.judgement.detectors import biases, reliance
from benchmark.judgement.differences import answer_moves, answer_texts, flip_shares
from benchmark.judgement.scores import find_score, rule_of
from benchmark.judgement.statement import Statement, is_detection, statements
from benchmark.judgement.traces import POINT, verdicts
from benchmark.judgement.units import UNIT_NAMES
from benchmark.judgement.words import BOUND
from benchmark.results import Questions, Result, Score, families, interval, metric_of, percent, with_interval
from builders.untrusted import readable

NAMED = 2
"""Most traces, and most differences, whose numbers are given."""


@dataclass(frozen=True)
class Conclusion:
    """A short answer."""

    head: str
    """What it is about: ``Keeps``."""
    title: str
    text: str
    """One to three sentences."""


@dataclass(frozen=True)
class Finding:
    """A statement about a trace or a difference, with the name by which short answers and figures call it."""

    name: str
    """``resizing``, with the data set where others have the same: ``resizing (sample)``."""
    data: str
    statement: Statement
    if_positive: str
    """Words of a report where the difference lies above 0; empty for traces."""

    @property
    def share(self) -> float:
        """Of a trace: the share of the way from chance to always right."""
        chance = self.statement.reference
        return (self.statement.value - chance) / (1 - chance) if chance < 1 else 0.0


@dataclass(frozen=True)
class Conclusions:
    """Short answers about one encoder, and the findings behind them."""

    keeps: Conclusion
    """What it keeps; of a detector of generated photos, how much it detects."""
    costs: Conclusion
    """What that costs; of a detector, what it rests on."""
    sure: Conclusion
    photos: str
    """Numbers of test photos and of independent units, as one sentence."""
    findings: tuple[Finding, ...]


def conclude(results: Sequence[Result], questions: Questions) -> Conclusions:
    """Short answers about one encoder.

    Args:
        results: of one encoder, one a data set.
        questions: what the scores mean.
    """
    judged = [
        (str(result.data["name"]), statement)
        for result in results
        for statement in statements(result, questions)
        if statement.kind in ("trace", "distraction")
        and not metric_of(questions, statement.task, statement.metric).if_negative
    ]
    names = [_name(statement, questions) for _, statement in judged]
    times = Counter((name, statement.kind) for name, (_, statement) in zip(names, judged, strict=True))
    findings = tuple(
        Finding(
            name if times[name, statement.kind] == 1 else f"{name} ({data})",
            data,
            statement,
            metric_of(questions, statement.task, statement.metric).if_positive,
        )
        for name, (data, statement) in zip(names, judged, strict=True)
    )
    traces = [f for f in findings if f.statement.kind == "trace"]
    differences = [f for f in findings if f.statement.kind == "distraction"]
    photos = f"Test photos: {'; '.join(filter(None, map(_photos, results)))}."
    detected = next((r for r in results if any(is_detection(s.task, questions) for s in r.scores)), None)
    if detected is not None and not findings:
        rests_on, sure = _rests_on(detected, questions), _sure_of(detected, questions)
        return Conclusions(_detects(detected), rests_on, sure, photos, ())
    answers = _of_answers(results)
    if answers and not findings:
        return Conclusions(*answers, photos, ())
    tasks = {score.task for result in results for score in result.scores}
    about = families({task: questions[task] for task in tasks if task in questions})
    short = [parts for family in about if family.short and (parts := family.short(results, questions))]
    if short and not findings:
        keeps, costs, sure = short[0]
        return Conclusions(keeps, costs, sure, photos, ())
    sure = _sure(findings, results, questions)
    if short or answers:
        more = [f"{part.head}: {part.title}." for parts in (*short, answers or ()) for part in parts]
        sure = replace(sure, text=" ".join(filter(None, [sure.text, *more])))
    return Conclusions(_keeps(traces), _costs(differences), sure, photos, findings)


def _name(statement: Statement, questions: Questions) -> str:
    """Title of the question, in small letters unless it is an abbreviation."""
    question = questions.get(statement.task)
    title = question.title if question else statement.subject
    return title if title[1:2].isupper() else f"{title[:1].lower()}{title[1:]}"


def _keeps(traces: Sequence[Finding]) -> Conclusion:
    if not traces:
        return Conclusion(KEEPS, "Traces were not scored", "This run has no probe that reads a trace.")
    there = sorted((f for f in traces if f.statement.answer == "yes"), key=lambda f: f.share, reverse=True)
    readable = [f for f in there if f.statement.level == "readable"]
    sentences = []
    if readable:
        sentences.append(f"Best read: {listed(_right(f) for f in readable[:NAMED])}.")
    if weak := [f.name for f in there if f.statement.level == "weak"]:
        sentences.append(f"Weakly read, less than {BOUND} from chance to always right: {listed(weak)}.")
    if absent := [f.name for f in traces if f.statement.answer == "no"]:
        sentences.append(f"Shown to be less than {BOUND} above chance: {listed(absent)}.")
    if not sentences:
        sentences.append("Of none it is shown that it is there, and of none that it is absent.")
    return Conclusion(KEEPS, f"{len(there)} of {_counted(len(traces), 'trace')} can be read", " ".join(sentences))


def _costs(differences: Sequence[Finding]) -> Conclusion:
    if not differences:
        return Conclusion(COSTS, "Costs were not scored", "This run has no search task that says what the traces cost.")
    moved = sorted(
        (f for f in differences if f.statement.answer == "yes"), key=lambda f: abs(f.statement.value), reverse=True
    )
    if moved:
        sentences = [_moved(f) for f in moved[:NAMED]]
        if others := [f.name for f in moved[NAMED:]]:
            sentences.append(f"Less, but shown: {listed(others)}.")
        most = percent(abs(moved[0].statement.value))
        title = f"Search moves by {'up to ' if len(moved) > 1 else ''}{most} percentage points"
        return Conclusion(COSTS, title, " ".join(sentences))
    small = [f.name for f in differences if f.statement.answer == "no"]
    bound = f"less than {100 * POINT:g} point"
    if len(small) == len(differences):
        return Conclusion(COSTS, f"Search moves by {bound}", f"Shown for {listed(small)}.")
    text = f"Shown to be {bound}: {listed(small)}." if small else f"Of {_counted(len(differences), 'difference')}."
    return Conclusion(COSTS, "No cost is shown", text if small else f"{text[:-1]}, none is shown to differ from 0.")


def _sure(findings: Sequence[Finding], results: Sequence[Result], questions: Questions) -> Conclusion:
    about = {"trace": "a trace can be read", "distraction": "it moves search"}
    counts = Counter(str(f.statement.kind) for f in findings)
    asked = [f"{counts[kind]} ask whether {words}" for kind, words in about.items() if counts[kind]]
    sentences = [f"{listed(asked)}."] if len(asked) > 1 else []
    for kind, question in (("trace", "whether {} can be read"), ("distraction", "whether search is moved by {}")):
        if names := [f.name for f in findings if (f.statement.kind, f.statement.answer) == (kind, "undecided")]:
            sentences.append(f"Undecided: {question.format(listed(names))}.")
    rising = sum(v.rises for r in results for (t, m), v in verdicts(r, questions).items() if _main(t, m, questions))
    if rising:
        verb = "accuracy still rises" if rising == 1 else "accuracies still rise"
        sentences.append(f"{rising} {verb} with more training photos.")
    decided = sum(f.statement.answer != "undecided" for f in findings)
    title = _decided(decided, len(findings))
    return Conclusion(SURE, title, " ".join(sentences))


def _detects(result: Result) -> Conclusion:
    """The AUC of a detector, for seen and unseen generators, and the floor that it has to exceed."""
    named = (
        ("detect", "Generated against real photos"),
        ("leave-one-out", "Generators that were not in training"),
        ("floor", "Real photos of one source against another"),
    )
    scores = [(words, s) for name, words in named if (s := find_score(result.scores, f"forensics/{name}", "auc"))]
    listed = [f"{words}: {with_interval(s.value, s.low, s.high)}." for words, s in scores]
    title = f"AUC {percent(scores[0][1].value)} %, chance 50 %" if scores else "No detector was scored"
    if scores:
        listed.insert(0, "AUC is how often a generated photo gets a higher score than a real one.")
    return Conclusion("Measured", title, " ".join(listed))


def _of_answers(results: Sequence[Result]) -> tuple[Conclusion, Conclusion, Conclusion] | None:
    """Flips, accuracy and noise floor of the answers of a model; None where there are none."""
    flips, accuracy, noise = [], [], []
    floor: list[float] = []
    moved = count = 0
    for result in results:
        texts, judged = answer_texts(result), answer_moves(result)
        if texts is None:
            continue
        data = f"{result.data['name']}: " if len(results) > 1 else ""
        name, share = max(flip_shares(result, "by_processing").items(), key=lambda item: item[1])
        flips.append((share, f"{data}{texts.flips} Most flip under {readable(name)}."))
        accuracy.append(f"{data}{texts.accuracy}")
        changes = judged.get("change", {})
        moved += sum(m.decision is not None and m.decision.answer == "yes" for m in changes.values())
        count += len(changes)
        of_noise = flip_shares(result, "noise")
        noise += [f"{data}{readable(view)} {percent(share)} %" for view, share in of_noise.items()]
        floor += of_noise.values()
    if not flips:
        return None
    return (
        Conclusion("Answers", f"Up to {percent(max(flips)[0])} % flip", " ".join(text for _, text in flips)),
        Conclusion("Accuracy", f"Moves under {moved} of {_counted(count, 'processing')}", " ".join(accuracy)),
        Conclusion(
            "Noise floor",
            f"Up to {percent(max(floor))} % flip without a processing" if floor else "Not measured",
            f"{listed(noise)}." if noise else "No view of it is there: saved as PNG, another batch, another precision.",
        ),
    )


_SHOWN = (("detect", "margin"), ("leave-one-out", "loss"))
"""Subjects and metrics of statements that the short answer repeats."""


def _rests_on(result: Result, questions: Questions) -> Conclusion:
    """What the controls say of a detector, then what was shown of it."""
    controls = reliance(result, questions)
    shown = [s for s in statements(result, questions) if s.kind == "detection" and s.answer == "yes"]
    sentences = list(controls.reasons) if controls else []
    named = dict.fromkeys(s.words.partition(": ")[2] for s in shown if (s.subject, s.metric) in _SHOWN)
    sentences += [f"{sentence[:1].upper()}{sentence[1:]}" for sentence in named]
    return Conclusion("Rests on", controls.title if controls else "Nothing was shown", " ".join(sentences))


def _sure_of(result: Result, questions: Questions) -> Conclusion:
    """How many answers about a detector are decided."""
    answers = [s.answer for s in statements(result, questions) if s.kind == "detection"]
    answers += [b.decision.answer for s in result.scores for b in biases(s).values()]
    decided = sum(answer != "undecided" for answer in answers)
    return Conclusion(
        SURE, _decided(decided, len(answers)), "Nothing here says whether one picture is real or generated."
    )


def _decided(decided: int, count: int) -> str:
    """To how many questions there is an answer, which may be *no*."""
    return f"Yes or no to {decided} of {_counted(count, 'question')}" if count else "Nothing was judged"


KEEPS, COSTS, SURE = "Keeps", "Costs", "How sure"

RULE = (
    f"Pale or hollow: not shown to be there. Lines are the intervals that decide ({INTERVAL_RULE}). "
    f"Shown: p < {LEVEL:g} after Holm's correction over the traces, and over the differences, of a data set."
)
"""The rule behind short answers, and how a figure of them marks those that are not shown."""


def _main(task: str, metric: str, questions: Questions) -> bool:
    return metric_of(questions, task, metric).main


def _right(finding: Finding) -> str:
    s = finding.statement
    return f"{finding.name} ({percent(s.value)} % right, chance {percent(s.reference)} %)"


def _moved(finding: Finding) -> str:
    s = finding.statement
    numbers = f"{percent(s.value, True)} points, 95 % interval {interval(s.low, s.high, True)}"
    what = finding.if_positive if s.value > 0 else "the difference is below 0"
    return f"{finding.name[:1].upper()}{finding.name[1:]}: {what} ({numbers})."


def _photos(result: Result) -> str:
    """``270 of simcams (10 scenes)``; empty without scores."""
    if not result.scores:
        return ""
    most = max(result.scores, key=lambda s: s.n)
    units = _units(most)
    return f"{most.n:,} of {result.data['name']}" + (f" ({units})" if units else "")


def _units(score: Score) -> str:
    rule, units = rule_of(score), score.details.get("units")
    if rule == "photo" or not isinstance(units, int):
        return ""
    return _counted(units, UNIT_NAMES.get(rule, rule))


def _counted(count: int, noun: str) -> str:
    plural = noun.replace("group", "groups", 1) if noun.startswith("group") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def listed(names: Iterable[str]) -> str:
    """``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
