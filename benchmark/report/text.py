"""A result told to people: tables with what they mean, as text; the picture is in ``benchmark.report.figure``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmark.judgement import LEVEL, WEAK_BELOW, Verdict, is_positive, training_margin, verdicts
from benchmark.report.course import course_text, courses
from benchmark.report.layers import layers_text, maps_text
from benchmark.report.tables import interval, markdown_table, p_value, percent
from benchmark.report.training import accuracy_told, rows_of_curves, training_text
from benchmark.results import (
    Family,
    Layout,
    Metric,
    Questions,
    Result,
    Score,
    families,
    metric_of,
    score_label,
    subject_of,
)
from builders.untrusted import readable


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


MATTERS = 0.005
"""Least and greatest accuracy under any rule for ties that lie further apart are shown."""

_RULES = {
    "nearest": "our rule takes the nearest",
    "random": "the scores above are these expectations",
}
"""By ``RunOptions.ties``."""


def rows_of_ties(scores: Sequence[Score], questions: Questions) -> str:
    """A row a metric, a column a task: least to greatest, the expectation of a random tied label in brackets, the share
    of votes that tied.

    Empty where no score has ``details["ties"]`` whose ``least`` and ``greatest`` differ by more than half a point.
    """
    cells: dict[tuple[str, str], str] = {}
    for s in scores:
        ties = s.details.get("ties")
        if ties and ties["greatest"] - ties["least"] > MATTERS:
            signed = metric_of(questions, s.task, s.metric).signed
            ends = interval(ties["least"], ties["greatest"], signed)
            tied = percent(ties["share"])
            cells[s.metric, s.task] = f"{ends} ({percent(ties['random'], signed)}), {tied}"
    if not cells:
        return ""
    rule = next((str(s.details.get("tie_rule")) for s in scores if s.details.get("ties")), "")
    rule = rule if rule in _RULES else "nearest"
    tasks, shown = dict.fromkeys(task for _, task in cells), {metric for metric, _ in cells}
    metrics = [metric for metric in dict.fromkeys(s.metric for s in scores) if metric in shown]
    rows = [[metric, *(cells.get((metric, task), "-") for task in tasks)] for metric in metrics]
    told = (
        "Tied votes: the least and the greatest that any rule for ties would give, in brackets what is expected "
        "when a random tied label is taken, and the share of the votes that tied, all in %; "
        f"{_RULES[rule]}. Shown where they differ by more than {100 * MATTERS:g} points."
    )
    return f"{markdown_table(['with ties', *tasks], rows)}\n\n{told}"


def report_text(results: Sequence[Result], questions: Questions, unloaded: Mapping[str, str] | None = None) -> str:
    """The report of one or several results as Markdown that also reads well in a terminal.

    Args:
        results: of one run.
        questions: what the scores mean; a task that is not among them is told by its name.
        unloaded: reason by encoder that was asked for and could not be loaded.
    """
    parts = []
    if unloaded:
        parts.append(markdown_table(["not loaded", "because"], [[name, why] for name, why in unloaded.items()]))
    if len({str(r.encoder["id"]) for r in results}) > 1:
        parts.append(_summary(results, questions))
    parts += [course_text(course, questions) for course in courses(results)]
    parts += [_one(result, questions) for result in results]
    return "\n\n".join(parts) + "\n"


def _one(result: Result, questions: Questions) -> str:
    data = result.data
    counts = ", ".join(f"{n} {split}" for split, n in data["photos"].items() if n)
    parts = [f"## {result.encoder['id']} on {data['name']}", f"{counts} photos, {data['classes']} classes."]
    if random := (result.environment.get("trial") or {}).get("random"):
        parts.append(f"**The scores of one draw**: {random}.")
    if data.get("smoke_test"):
        parts.append("**A smoke test, not evidence**: these bundled photos show that the line runs, nothing more.")
    if data.get("simulated"):
        parts.append("Simulated cameras: labels are exact and causal; how far real cameras agree is not shown here.")
    if settings := settings_line([result], questions):
        parts.append(settings)
    found = verdicts(result, questions)
    for family in families(questions):
        own = [s for s in result.scores if s.task in questions and questions[s.task].family == family]
        if own and family.layout == "scores":
            parts.append(_rows_of_scores(own, family, questions, found))
        elif own:
            parts.append(_SECTIONS[family.layout](own, family, questions))
    strange = [s for s in result.scores if s.task not in questions]
    if strange:
        parts.append(_rows_of_metrics(strange, _STRANGE, questions))
    parts += [
        section
        for section in (
            layers_text(result, questions),
            maps_text(result, questions),
            _failures(result),
            _cost(result),
            _how_to_repeat(result),
        )
        if section
    ]
    return "\n\n".join(parts)


_STRANGE = Family("other", "Further scores", "Scores of questions that are not known here.", "processing", "score")


def _rows_of_scores(
    scores: Sequence[Score], family: Family, questions: Questions, found: Mapping[tuple[str, str], Verdict]
) -> str:
    """One row a score, against chance; controls in a table of their own."""
    main = [s for s in scores if metric_of(questions, s.task, s.metric).main]
    of = {id(s): found.get((s.task, s.metric)) for s in main}
    traces = [v.trace if (v := of[id(s)]) else "readable" for s in main]
    margins = [training_margin(s) for s in main]
    train = ["train photos"] if any(m is not None for m in margins) else []
    header = [family.header, "accuracy %", "95 % interval", *train, "chance %"]
    header += ["chance to 1, %", "p (Holm)", "classes", family.counts]
    rows = [
        [
            score_label(s.task, metric_of(questions, s.task, s.metric), questions),
            accuracy_told(s, trace),
            interval(s.low, s.high),
            *(["-" if margin is None else f"\u00b1 {percent(margin)}"] if train else []),
            percent(v.chance if (v := of[id(s)]) else s.chance),
            f"{percent(v.effect.value)} ({interval(v.effect.low, v.effect.high)})" if v and v.effect else "-",
            p_value(v.p_value) if v and v.p_value is not None else "-",
            str(s.details.get("classes", "-")),
            str(s.n),
        ]
        for s, trace, margin in zip(main, traces, margins, strict=True)
    ]
    sentence = " ".join(filter(None, [_score_text(main, found), training_text(main, traces)]))
    units = {
        (s.details["units"], s.details["resampled"]) for s in main if s.details.get("resampled", "photo") != "photo"
    }
    if units:
        clusters = " or ".join(f"{n} {unit}s" for n, unit in sorted(units))
        sentence += f" Intervals resample {clusters}: photos of one {min(u for _, u in units)} err together."
    text = "\n\n".join(filter(None, [markdown_table(header, rows), sentence, rows_of_curves(main)]))
    text += _rows_of_readers(scores, questions)
    controls = [
        [
            s.task,
            percent(s.value),
            *(_control(c) if (c := s.details["controls"].get(k)) else "-" for k in _CONTROLS),
        ]
        for s in main
        if s.details.get("controls")
    ]
    if controls:
        hidden = "masked" if main[0].details.get("mask_ratio") else "seen"
        names = ["accuracy % of", hidden, *(label for label in _CONTROLS.values())]
        text += f"\n\n{markdown_table(names, controls)}"
    return text


def _rows_of_readers(scores: Sequence[Score], questions: Questions) -> str:
    """A table of the metrics that are not the main one: who else read the trace; empty where nobody did."""
    known = [(s, metric_of(questions, s.task, s.metric)) for s in scores]
    others = list(dict.fromkeys(m.title for _, m in known if not m.main))
    if not others:
        return ""
    by = {(s.task, m.title): f"{percent(s.value)} ({interval(s.low, s.high)})" for s, m in known}
    main = {s.task: m.title for s, m in known if m.main}
    rows = [
        [s.task, by.get((s.task, main.get(s.task, "")), "-"), *(by.get((s.task, title), "-") for title in others)]
        for s in {s.task: s for s, _ in known}.values()
    ]
    header = ["accuracy % of", "linear", *(title.partition(", ")[2].removesuffix(" reads") for title in others)]
    return f"\n\n{markdown_table(header, rows)}\n\nA trace is out where no reader is above chance."


def _score_text(scores: Sequence[Score], found: Mapping[tuple[str, str], Verdict]) -> str:
    """Which traces are readable, which weak, which not there, and by what rule; what the columns are."""
    of = [(s, v) for s in scores if (v := found.get((s.task, s.metric)))]
    if not of:
        return ""
    by = {trace: ", ".join(subject_of(s.task) for s, v in of if v.trace == trace) for trace in _WORDS}
    parts = [f"{words}: {by[trace]}." for trace, words in _WORDS.items() if by[trace]]
    if not (by["readable"] or by["weak"]):
        parts = ["No trace is readable above chance here.", *parts]
    tests = sum(v.p_value is not None for v in found.values())
    asked = f"the {tests} probe{'s' if tests > 1 else ''} asked of this encoder here"
    rule = f"p < {LEVEL:g} against chance after Holm's correction over {asked}"
    if any(v.p_value is None for _, v in of):
        rule = "interval above chance" + (f", or {rule}" if tests else "")
    if any("shuffled" in s.details.get("controls", {}) for s, _ in of):
        rule += f", and at most {100 * LEVEL:g} % of the probes that learnt shuffled labels read as well"
    parts.append(f"Above chance: {rule}. Chance to 1: the share of the way from chance (0 %) to always right (100 %).")
    if any(v.most_frequent for _, v in of):
        parts.append("Chance is the share of the most frequent class where that is more than one over the classes.")
    return " ".join(parts)


_WORDS = {
    "readable": "Readable from the embedding",
    "weak": f"Weak, above chance by less than {100 * WEAK_BELOW:g} % of the way",
    "none": "Not told from chance",
}


def _control(control: Mapping[str, float]) -> str:
    """A control's accuracy; of shuffled labels the range of such probes too."""
    text = percent(control["accuracy"])
    return f"{text} ({interval(control['low'], control['high'])})" if "permutations" in control else text


_CONTROLS = {
    "whole": "whole picture",
    "complement": "border hidden",
    "metadata": "other labels only",
    "shuffled": "shuffled labels (95 % of them)",
}


def _rows_of_set_ups(scores: Sequence[Score], family: Family, questions: Questions) -> str:
    """One row a question, its metrics side by side, with the interval of its differences."""
    by = {(s.task, s.metric): s for s in scores}
    tasks = list(dict.fromkeys(s.task for s in scores))
    known = dict.fromkeys(m for task in tasks for m in questions[task].metrics if (task, m.name) in by)
    shown, differences = [m for m in known if not m.signed], [m for m in known if m.signed]
    rows, sentences = [], []
    for task in tasks:
        cells = [percent(by[task, m.name].value) if (task, m.name) in by else "-" for m in shown]
        for m in differences:
            s = by.get((task, m.name))
            cells += [percent(s.value, True), interval(s.low, s.high, True)] if s else ["-", "-"]
            if s and m.if_positive and is_positive(s):
                sentences.append(f"{task}: {m.if_positive} ({percent(s.value, True)} points).")
        rows.append([task, *cells])
    k = scores[0].details.get("k")
    names = [text for m in differences for text in (m.name, f"95 % interval of {m.name}")]
    header = [family.header + (f" (k = {k})" if k else ""), *(m.name for m in shown), *names]
    explained = " ".join(f"{m.name}: {m.explain}" for m in known)
    chance = "".join(f"Chance {percent(s.chance)} %, " for s in scores[:1] if s.chance)
    notes = " ".join([*sentences, f"{chance}{scores[0].n} queries. {explained}"])
    text = f"{markdown_table(header, rows)}\n\n{notes}"
    ties = rows_of_ties(scores, questions)
    return f"{text}\n\n{ties}" if ties else text


def _rows_of_metrics(scores: Sequence[Score], family: Family, questions: Questions) -> str:
    """One row a metric; the task is named where there are several."""
    several = len({s.task for s in scores}) > 1 or family is _STRANGE
    rows, sentences = [], []
    for s in scores:
        metric = metric_of(questions, s.task, s.metric)
        signed = metric.signed
        cells = [percent(s.value, signed), interval(s.low, s.high, signed), percent(s.chance), str(s.n)]
        rows.append([f"{s.task} {s.metric}" if several else s.metric, *cells])
        if signed and metric.if_positive and is_positive(s):
            sentences.append(f"{s.task}: {metric.if_positive} ({percent(s.value, True)} points).")
    table = markdown_table([family.header, "value %", "95 % interval", "chance %", family.counts], rows)
    known = [metric_of(questions, s.task, s.metric) for s in scores if s.task in questions]
    sentences += dict.fromkeys(f"{m.name}: {m.explain}" for m in known if m.main)
    parts = [table, " ".join(sentences), rows_of_ties(scores, questions)]
    return "\n\n".join(part for part in parts if part)


_SECTIONS: Mapping[Layout, Callable[[Sequence[Score], Family, Questions], str]] = {
    "set-ups": _rows_of_set_ups,
    "metrics": _rows_of_metrics,
}


def _failures(result: Result) -> str:
    if not result.failures:
        return ""
    rows = [[readable(f"{f.kind} {f.name}"), readable(f.reason)] for f in result.failures[:20]]
    more = len(result.failures) - len(rows)
    text = markdown_table(["not in the result", "because"], rows)
    return text + (f"\n\n... and {more} more, all in result.json." if more else "")


def _cost(result: Result) -> str:
    cost, environment = result.cost, result.environment
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in cost["seconds"].items())
    speed = f"{cost['views']} views at {cost['views_per_second']:.0f} a second" if cost["views"] else "bank reused"
    by = environment.get("preprocessing_by")
    pixels = f"preprocessed by {'the ' if by == 'exact engine' else ''}{by}; " if by else ""
    shared = ""
    if (encoders := cost.get("encoders_in_pass", 1)) > 1:
        shared = (
            f" {encoders} encoders shared the pass: the forward time is this one's own, what they share (making views, "
            "waiting for them) is divided by the number of views of each."
        )
    several = f"{environment['devices']} x " if environment.get("devices") else ""
    where = f"{several}{environment['device']} in {environment['dtype']}{_runtime(environment)}"
    return (
        f"{speed}; {seconds}; {pixels}on {where}; "
        f"codec {environment['codec_canary']} (Pillow {environment['codec']['pillow']}).{shared}"
    )


def _runtime(environment: Mapping[str, Any]) -> str:
    """Which library computed the network, and how far from torch."""
    by = environment.get("runtime") or {}
    if not by:
        return ""
    error = f", relative error {by['relative_error']:.0e} against torch" if by.get("relative_error") else ""
    return f" by {by['name']} {by.get('version', '')}".rstrip() + error


def _how_to_repeat(result: Result) -> str:
    """The command, and what of it only its author has; empty where nobody recorded it."""
    command = result.environment.get("command")
    if not command:
        return ""
    needed = " ".join(str(sentence) for sentence in (result.environment.get("local") or {}).values())
    return f"To repeat this result:\n\n    {command}" + (f"\n\n{needed}" if needed else "")


def _summary(results: Sequence[Result], questions: Questions) -> str:
    """One row per encoder and data set: the main metrics of every question that any of them answered."""

    def main(score: Score) -> Metric | None:
        metric = metric_of(questions, score.task, score.metric)
        return metric if metric.main else None

    columns = dict.fromkeys((s.task, m) for r in results for s in r.scores if (m := main(s)))
    rows = []
    for result in results:
        by = {(s.task, s.metric): s for s in result.scores}
        cells = [percent(by[task, m.name].value, m.signed) if (task, m.name) in by else "" for task, m in columns]
        rows.append([str(result.encoder["id"]), str(result.data["name"]), *cells])
    return markdown_table(["encoder", "data", *(score_label(task, m, questions) for task, m in columns)], rows)
