"""``report.md``: results as Markdown tables, each with sentences that say what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmark.judgement import (
    Verdict,
    extremes,
    extremes_text,
    jitter_of,
    moves,
    moves_text,
    readers_text,
    traces_text,
    training_margin,
    units_text,
    verdicts,
)
from benchmark.report.answers import answers_section
from benchmark.report.course import course_text, courses
from benchmark.report.detection import audit_text, controls_text, detection_text, detectors_text
from benchmark.report.groups import facts_text, groups_text
from benchmark.report.layers import layers_text, maps_text
from benchmark.report.scenes import by_difference, scenes_text
from benchmark.report.tables import interval, markdown_table, p_value, percent, score_cell
from benchmark.report.training import accuracy_text, curves_table, training_text
from benchmark.report.variance import of_one_effect, variance_text
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
)
from builders.untrusted import readable


def report_text(results: Sequence[Result], questions: Questions, unloaded: Mapping[str, str] | None = None) -> str:
    """The report of one or several results as Markdown that also reads well in a terminal.

    Args:
        results: of one run.
        questions: what the scores mean; a task that is not among them is shown under its name.
        unloaded: reason by encoder that could not be loaded.
    """
    parts = []
    if unloaded:
        table = markdown_table(["not loaded", "because"], [[name, why] for name, why in unloaded.items()])
        parts += ["## Encoders that could not be loaded", table]
    if detectors := detectors_text(results, questions):
        parts += ["## Detectors side by side", detectors]
    if len({str(r.encoder["id"]) for r in results}) > 1:
        parts += ["## Side by side", _summary(results, questions)]
    parts += [course_text(course, questions) for course in courses(results)]
    parts += [_result_text(result, questions) for result in results]
    return "\n\n".join(parts) + "\n"


def settings_line(results: Sequence[Result], questions: Questions) -> str:
    """Options that affect the scores, in one line; empty where nothing is recorded."""
    options = [r.environment.get("options") or {} for r in results]
    scores = [s for r in results for s in r.scores]

    def recorded(name: str) -> list[Any]:
        return sorted({s.details[name] for s in scores if s.details.get(name) is not None})

    def chosen(name: str) -> list[Any]:
        return list(dict.fromkeys(o[name] for o in options if o.get(name)))

    of_processing = any(s.task in questions and questions[s.task].family.about == "processing" for s in scores)
    choices = ["preset", "preprocess"]
    choices += ["ties"] if any("ties" in s.details for s in scores) else []
    choices += ["orientation"] if of_processing else []
    parts = [f"{name} {value}" for name in choices for value in chosen(name)]
    parts += [f"probes: {', '.join(protocols)}"] if (protocols := recorded("protocol")) else []
    parts += [f"k = {k}" for k in recorded("k")]
    parts += [f"kNN queries: {n} test photos, drawn by class" for n in recorded("sampled_queries")]
    parts += [f"{100 * hidden:g} % hidden" for hidden in recorded("mask_ratio")]
    if of_processing:
        parts += [f"{seeds} assignment{'s' if seeds > 1 else ''}" for seeds in chosen("assignment_seeds")]
    line = "; ".join(parts)
    return f"{line[0].upper()}{line[1:]}." if line else ""


def _result_text(result: Result, questions: Questions) -> str:
    """The section of one encoder on one data set."""
    data = result.data
    counts = ", ".join(f"{n} {split}" for split, n in (data.get("photos") or {}).items() if n)
    known = [f"{counts} photos"] if counts else []
    known += [f"{data['classes']} classes"] if data.get("classes") is not None else []
    parts = [f"## {result.encoder['id']} on {data['name']}"]
    parts += [f"{', '.join(known)}."] if known else []
    if random := (result.environment.get("trial") or {}).get("random"):
        parts.append(f"**The scores of one draw**: {random}.")
    if data.get("smoke_test"):
        parts.append("**A smoke test, not evidence**: bundled photos show that the installation works, nothing more.")
    parts += [text for text in (facts_text(data.get("evidence") or {}),) if text]
    parts += [text for text in (audit_text(result), controls_text(result, questions)) if text]
    judged, moved, further = verdicts(result, questions), moves(result, questions), extremes(result)
    for family in families(questions):
        scores = [s for s in result.scores if s.task in questions and questions[s.task].family == family]
        scores = [s for s in scores if not (by_difference(s) or of_one_effect(s))]
        if not scores or family.layout == "section":
            continue
        parts.append(f"### {family.title}")
        if family.layout == "scores":
            parts.append(_scores_section(scores, family, questions, judged))
        else:
            texts = moves_text(scores, moved, questions), extremes_text(scores, further, questions)
            sentences = " ".join(filter(None, texts))
            parts.append(_SECTIONS[family.layout](scores, family, questions, sentences))
    if unknown := [s for s in result.scores if s.task not in questions]:
        parts += [f"### {_UNKNOWN.title}", _metrics_section(unknown, _UNKNOWN, questions, "")]
    sections = {
        "Answers of the model": answers_section(result),
        "Generated photos": detection_text(result, questions),
        "Groups": groups_text(result),
        **{title: text(result) for title, text in (f.section for f in families(questions) if f.section)},
        "Scenes in several groups": scenes_text(result),
        "What the variance is": variance_text(result),
        "Layers": layers_text(result, questions),
        "Parts of the picture": maps_text(result, questions),
        "Not in the result": _failures(result),
        "Controls of the probes": _controls(result, questions),
        "Tied votes": _ties(result, questions),
        "How it was measured": _measured(result, questions),
    }
    for title, text in sections.items():
        parts += [f"### {title}", text] if text else []
    return "\n\n".join(parts)


def _measured(result: Result, questions: Questions) -> str:
    """Settings, units, cost and command."""
    texts = settings_line([result], questions), units_text(result.scores), _cost(result), _reproduce(result)
    return "\n\n".join(filter(None, texts))


_UNKNOWN = Family("other", "Further scores", "Scores of questions that are not known here.", "processing", "score")


def _scores_section(
    scores: Sequence[Score], family: Family, questions: Questions, judged: Mapping[tuple[str, str], Verdict]
) -> str:
    """A row for each main score, against chance; then learning curves and other readers as further tables."""
    main = [s for s in scores if metric_of(questions, s.task, s.metric).main]
    verdict_of = {id(s): judged.get((s.task, s.metric)) for s in main}
    margins = [training_margin(s) for s in main]
    train = ["train photos"] if any(m is not None for m in margins) else []
    header = [family.header, "accuracy %", "95 % interval", *train, "chance %"]
    header += ["chance to 1, %", "p (Holm)", "classes", family.counts]
    rows = [
        [
            score_label(s.task, metric_of(questions, s.task, s.metric), questions),
            accuracy_text(s, verdict_of[id(s)]),
            interval(s.low, s.high),
            *(["-" if margin is None else f"\u00b1 {percent(margin)}"] if train else []),
            percent(v.chance if (v := verdict_of[id(s)]) else s.chance),
            f"{percent(v.effect.value)} ({interval(v.effect.low, v.effect.high)})" if v and v.effect else "-",
            p_value(v.p_value) if v and v.p_value is not None else "-",
            str(s.details.get("classes", "-")),
            str(s.n),
        ]
        for s, margin in zip(main, margins, strict=True)
    ]
    sentence = " ".join(filter(None, [traces_text(main, judged), training_text(main, list(verdict_of.values()))]))
    text = "\n\n".join(filter(None, [markdown_table(header, rows), sentence, curves_table(main)]))
    return text + _readers_table(scores, questions, judged)


def _readers_table(scores: Sequence[Score], questions: Questions, judged: Mapping[tuple[str, str], Verdict]) -> str:
    """Table of the accuracies of further readers of each trace; empty where there is only the main one."""
    pairs = [(s, metric_of(questions, s.task, s.metric)) for s in scores]
    others = list(dict.fromkeys(m.title for _, m in pairs if not m.main))
    if not others:
        return ""
    cells = {(s.task, m.title): score_cell(s) for s, m in pairs}
    main = {s.task: m.title for s, m in pairs if m.main}
    rows = [
        [task, *(cells.get((task, title), "-") for title in (main.get(task, ""), *others))]
        for task in dict.fromkeys(s.task for s in scores)
    ]
    header = ["accuracy % of", "linear", *(title.partition(", ")[2].removesuffix(" reads") for title in others)]
    return f"\n\n{markdown_table(header, rows)}\n\n{readers_text(scores, judged, questions)}"


def _controls(result: Result, questions: Questions) -> str:
    """Table of the controls of the main scores, one for each share of the picture that is hidden; empty without any."""
    main = [s for s in result.scores if s.details.get("controls") and metric_of(questions, s.task, s.metric).main]
    tables = []
    for hidden in dict.fromkeys(bool(s.details.get("mask_ratio")) for s in main):
        rows = [
            [
                s.task,
                percent(s.value),
                *(_control(c) if (c := s.details["controls"].get(k)) else "-" for k in _CONTROLS),
            ]
            for s in main
            if bool(s.details.get("mask_ratio")) == hidden
        ]
        tables.append(markdown_table(["accuracy % of", "masked" if hidden else "seen", *_CONTROLS.values()], rows))
    return "\n\n".join(tables)


def _control(control: Mapping[str, float]) -> str:
    """Accuracy of a control; for shuffled labels with the range of the probes."""
    text = percent(control["accuracy"])
    return f"{text} ({interval(control['low'], control['high'])})" if "permutations" in control else text


_CONTROLS = {
    "whole": "whole picture",
    "complement": "border hidden",
    "metadata": "other labels only",
    "shuffled": "shuffled labels (95 % of them)",
}


def _set_ups_section(scores: Sequence[Score], family: Family, questions: Questions, judged: str) -> str:
    """A row for each question with its metrics side by side, and the intervals of its differences."""
    table = {(s.task, s.metric): s for s in scores}
    tasks = list(dict.fromkeys(s.task for s in scores))
    metrics = dict.fromkeys(m for task in tasks for m in questions[task].metrics if (task, m.name) in table)
    set_ups, differences = [m for m in metrics if not m.signed], [m for m in metrics if m.signed]
    rows = []
    for task in tasks:
        cells = [_set_up_cell(table.get((task, m.name))) for m in set_ups]
        for m in differences:
            s = table.get((task, m.name))
            cells += [percent(s.value, True), interval(s.low, s.high, True)] if s else ["-", "-"]
        rows.append([task, *cells])
    k = scores[0].details.get("k")
    names = [text for m in differences for text in (m.name, f"95 % interval of {m.name}")]
    header = [family.header + (f" (k = {k})" if k else ""), *(m.name for m in set_ups), *names]
    explained = " ".join(f"{m.name}: {m.explain}" for m in metrics)
    chance = "".join(f"Chance {percent(s.chance)} %, " for s in scores[:1] if s.chance)
    notes = " ".join(filter(None, [judged, f"{chance}{scores[0].n} queries. {explained}"]))
    return "\n\n".join(filter(None, [markdown_table(header, rows), notes]))


def _set_up_cell(score: Score | None) -> str:
    """Accuracy in a set-up, and that under jitter where there is one."""
    if score is None:
        return "-"
    jitter = jitter_of(score)
    return percent(score.value) + (f" (jitter {percent(jitter['value'])})" if jitter else "")


def _metrics_section(scores: Sequence[Score], family: Family, questions: Questions, judged: str) -> str:
    """A row for each metric; the task is named where there are several."""
    several = len({s.task for s in scores}) > 1 or family is _UNKNOWN
    with_jitter = any(jitter_of(s) is not None for s in scores)
    rows = []
    for s in scores:
        metric = metric_of(questions, s.task, s.metric)
        signed = metric.signed
        cells = [percent(s.value, signed), interval(s.low, s.high, signed), percent(s.chance), str(s.n)]
        if with_jitter:
            jitter = jitter_of(s)
            ends = f" ({interval(jitter['low'], jitter['high'])})" if jitter else ""
            cells.insert(2, f"{percent(jitter['value'])}{ends}" if jitter else "-")
        rows.append([f"{s.task} {s.metric}" if several else s.metric, *cells])
    jitters = ["under jitter %"] if with_jitter else []
    header = [family.header, "value %", "95 % interval", *jitters, "chance %", family.counts]
    table = markdown_table(header, rows)
    known = [metric_of(questions, s.task, s.metric) for s in scores if s.task in questions]
    sentences = [*filter(None, [judged]), *dict.fromkeys(f"{m.title}: {m.explain}" for m in known if m.main)]
    parts = [table, " ".join(sentences)]
    return "\n\n".join(part for part in parts if part)


_SECTIONS: Mapping[Layout, Callable[[Sequence[Score], Family, Questions, str], str]] = {
    "set-ups": _set_ups_section,
    "metrics": _metrics_section,
}


TIES_MATTER = 0.005
"""Ties are shown where the least and the greatest accuracy under any rule for ties lie further apart than this."""

_TIE_RULES = {
    "nearest": "the nearest label is taken",
    "random": "the scores above are these expectations",
}
"""By ``RunOptions.ties``."""


def _ties(result: Result, questions: Questions) -> str:
    """Tables of tied votes, one a family: a row for each metric, a column for each task; empty where ties matter to no
    score."""
    by_family: dict[str, list[Score]] = {}
    for s in result.scores:
        by_family.setdefault(questions[s.task].family.name if s.task in questions else "", []).append(s)
    tables = [_ties_table(scores, questions) for scores in by_family.values()]
    if not any(tables):
        return ""
    rule = next((str(s.details.get("tie_rule")) for s in result.scores if s.details.get("ties")), "")
    note = (
        "The least and the greatest that any rule for ties would give, in brackets what is expected when a random tied "
        "label is taken, and the share of the votes that tied, all in %; "
        f"{_TIE_RULES.get(rule, _TIE_RULES['nearest'])}. Shown where they differ by more than "
        f"{100 * TIES_MATTER:g} points."
    )
    return "\n\n".join([*filter(None, tables), note])


def _ties_table(scores: Sequence[Score], questions: Questions) -> str:
    cells: dict[tuple[str, str], str] = {}
    for s in scores:
        ties = s.details.get("ties")
        if ties and ties["greatest"] - ties["least"] > TIES_MATTER:
            signed = metric_of(questions, s.task, s.metric).signed
            ends = interval(ties["least"], ties["greatest"], signed)
            tied = percent(ties["share"])
            cells[s.metric, s.task] = f"{ends} ({percent(ties['random'], signed)}), {tied}"
    tasks, with_ties = dict.fromkeys(task for _, task in cells), {metric for metric, _ in cells}
    metrics = [metric for metric in dict.fromkeys(s.metric for s in scores) if metric in with_ties]
    rows = [[metric, *(cells.get((metric, task), "-") for task in tasks)] for metric in metrics]
    return markdown_table(["with ties", *tasks], rows) if rows else ""


def _failures(result: Result) -> str:
    """Table of the first failures with their reasons; empty where there are none."""
    if not result.failures:
        return ""
    rows = [[readable(f"{f.kind} {f.name}"), readable(f.reason)] for f in result.failures[:20]]
    more = len(result.failures) - len(rows)
    text = markdown_table(["not in the result", "because"], rows)
    return text + (f"\n\n... and {more} more, all in result.json." if more else "")


def _cost(result: Result) -> str:
    """Time, speed, device and codec of a run, in one line, as far as they are recorded; else empty."""
    cost, environment = result.cost, result.environment
    parts = []
    if cost.get("views"):
        speed = cost.get("views_per_second")
        parts.append(f"{cost['views']} views" + (f" at {speed:.0f} a second" if speed is not None else ""))
    elif "views" in cost:
        parts.append("bank reused")
    parts += [", ".join(f"{name} {value:.1f} s" for name, value in (cost.get("seconds") or {}).items())]
    parts.append(_processed_by(environment))
    if by := environment.get("preprocessing_by"):
        parts.append(f"preprocessed by {'the ' if by == 'exact engine' else ''}{by}")
    if device := environment.get("device"):
        several = f"{environment['devices']} x " if environment.get("devices") else ""
        dtype = f" in {environment['dtype']}" if environment.get("dtype") else ""
        parts.append(f"on {several}{device}{dtype}{_runtime(environment)}")
    if canary := environment.get("codec_canary"):
        pillow = (environment.get("codec") or {}).get("pillow")
        parts.append(f"codec {canary}" + (f" (Pillow {pillow})" if pillow else ""))
    line = "; ".join(filter(None, parts))
    if (encoders := cost.get("encoders_in_pass") or 1) > 1:
        line += (
            f". {encoders} encoders shared the pass: the forward time is this one's own, what they share (making "
            "views, waiting for them) is divided by the number of views of each"
        )
    return f"{line}." if line else ""


def _processed_by(environment: Mapping[str, Any]) -> str:
    """What made each processing of a file; empty without a file."""
    by: dict[str, list[str]] = {}
    for name, maker in (environment.get("processings_by") or {}).items():
        by.setdefault(maker, []).append(name)
    parts = [f"{', '.join(names)} by {maker.replace('exact', 'the exact', 1)}" for maker, names in sorted(by.items())]
    return f"processed: {'; '.join(parts)}" if parts else ""


def _runtime(environment: Mapping[str, Any]) -> str:
    """Library that computed the network, with its relative error against torch."""
    by = environment.get("runtime") or {}
    if not by:
        return ""
    error = f", relative error {by['relative_error']:.0e} against torch" if by.get("relative_error") else ""
    return f" by {by['name']} {by.get('version', '')}".rstrip() + error


def _reproduce(result: Result) -> str:
    """The command, and what only its author has of it; empty where no command was recorded."""
    command = result.environment.get("command")
    if not command:
        return ""
    needed = " ".join(str(sentence) for sentence in (result.environment.get("local") or {}).values())
    return f"To repeat this result:\n\n    {command}" + (f"\n\n{needed}" if needed else "")


def _summary(results: Sequence[Result], questions: Questions) -> str:
    """A row for each encoder and data set: the main metrics of every question that any of them has scores of."""

    def main(score: Score) -> Metric | None:
        metric = metric_of(questions, score.task, score.metric)
        return metric if metric.main else None

    columns = dict.fromkeys((s.task, m) for r in results for s in r.scores if (m := main(s)))
    rows = []
    for result in results:
        scores = {(s.task, s.metric): s for s in result.scores}
        cells = [percent(s.value, m.signed) if (s := scores.get((task, m.name))) else "" for task, m in columns]
        rows.append([str(result.encoder["id"]), str(result.data["name"]), *cells])
    return markdown_table(["encoder", "data", *(score_label(task, m, questions) for task, m in columns)], rows)
