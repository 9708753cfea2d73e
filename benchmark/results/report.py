"""A result told to people: tables with what they mean, as text; the picture is in ``benchmark.results.figure``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.results.schema import Result, Score
from benchmark.results.tables import interval, markdown_table, percent

SETUPS = ("all-same", "all-diff", "pos-same", "neg-same", "uniform", "uniform-test")

_SETUP_NOTES = (
    "all-same: query and neighbours under one processing; all-diff: neighbours under another; pos-same / neg-same: only"
    " neighbours of the query's class / of other classes share its processing; uniform: every train photo under a"
    " random one; uniform-test: every query under a random one; spd = pos-same minus neg-same."
)


def report_text(results: Sequence[Result], unloaded: Mapping[str, str] | None = None) -> str:
    """The report of one or several results as Markdown that also reads well in a terminal.

    Args:
        results: of one run.
        unloaded: reason by encoder that was asked for and could not be loaded.
    """
    parts = []
    if unloaded:
        parts.append(markdown_table(["not loaded", "because"], [[name, why] for name, why in unloaded.items()]))
    if len({str(r.encoder["id"]) for r in results}) > 1:
        parts.append(_summary(results))
    parts += [_one(result) for result in results]
    return "\n\n".join(parts) + "\n"


def _one(result: Result) -> str:
    data = result.data
    counts = ", ".join(f"{n} {split}" for split, n in data["photos"].items() if n)
    parts = [f"## {result.encoder['id']} on {data['name']}", f"{counts} photos, {data['classes']} classes."]
    if data.get("smoke_test"):
        parts.append("**A smoke test, not evidence**: these bundled photos show that the line runs, nothing more.")
    if data.get("simulated"):
        parts.append("Simulated cameras: labels are exact and causal; how far real cameras agree is not shown here.")
    parts += [
        section
        for section in (
            _probes([s for s in result.scores if s.task.startswith("probe/") and s.metric == "accuracy"]),
            _neighbours([s for s in result.scores if s.task.startswith("knn/")]),
            _retrieval([s for s in result.scores if s.task == "retrieval/pairs"]),
            _failures(result),
            _cost(result),
        )
        if section
    ]
    return "\n\n".join(parts)


def _probes(scores: Sequence[Score]) -> str:
    if not scores:
        return ""
    header = ["linear probe", "accuracy %", "95 % interval", "chance %", "x chance", "classes", "photos"]
    rows = [
        [
            s.task,
            percent(s.value),
            interval(s.low, s.high),
            percent(s.chance),
            f"{s.value / s.chance:.1f}" if s.chance else "-",
            str(s.details.get("classes", "-")),
            str(s.n),
        ]
        for s in scores
    ]
    readable = [s.task.removeprefix("probe/") for s in scores if _is_readable(s)]
    sentence = (
        f"Readable from the embedding (interval above chance): {', '.join(readable)}."
        if readable
        else "No trace is readable above chance here."
    )
    controls = [
        [
            s.task,
            percent(s.value),
            *(_control(c) if (c := s.details["controls"].get(k)) else "-" for k in _CONTROLS),
        ]
        for s in scores
        if s.details.get("controls")
    ]
    units = {
        (s.details["units"], s.details["resampled"]) for s in scores if s.details.get("resampled", "photo") != "photo"
    }
    if units:
        clusters = " or ".join(f"{n} {unit}s" for n, unit in sorted(units))
        sentence += f" Intervals resample {clusters}: photos of one {min(u for _, u in units)} err together."
    text = f"{markdown_table(header, rows)}\n\n{sentence}"
    if controls:
        hidden = "masked" if scores[0].details.get("mask_ratio") else "seen"
        names = ["accuracy % of", hidden, *(label for label in _CONTROLS.values())]
        text += f"\n\n{markdown_table(names, controls)}"
    return text


def _is_readable(score: Score) -> bool:
    """The interval lies above chance, and few probes that learnt shuffled labels do as well."""
    shuffled = score.details.get("controls", {}).get("shuffled", {})
    return score.low > score.chance and shuffled.get("p_value", 0.0) <= 0.05


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


def _neighbours(scores: Sequence[Score]) -> str:
    if not scores:
        return ""
    by = {(s.task, s.metric): s for s in scores}
    tasks = list(dict.fromkeys(s.task for s in scores))
    rows = []
    sentences = []
    for task in tasks:
        spd = by[task, "spd"]
        rows.append(
            [
                task,
                *(percent(by[task, m].value) for m in SETUPS),
                percent(spd.value, True),
                interval(spd.low, spd.high, True),
            ]
        )
        if spd.low > 0:
            sentences.append(
                f"{task}: photos of the right class are found more easily when they share the query's processing "
                f"({percent(spd.value, True)} points)."
            )
    k = scores[0].details.get("k", "?")
    chance = percent(by[tasks[0], "all-same"].chance)
    header = [f"kNN accuracy % (k = {k})", *SETUPS, "spd", "95 % interval of spd"]
    notes = " ".join([*sentences, f"Chance {chance} %, {scores[0].n} queries. {_SETUP_NOTES}"])
    return f"{markdown_table(header, rows)}\n\n{notes}"


def _retrieval(scores: Sequence[Score]) -> str:
    if not scores:
        return ""
    rows = [
        [
            s.metric,
            percent(s.value, s.metric == "spd"),
            interval(s.low, s.high, s.metric == "spd"),
            percent(s.chance),
            str(s.n),
        ]
        for s in scores
    ]
    return markdown_table(["pair retrieval", "value %", "95 % interval", "chance %", "pairs"], rows)


def _failures(result: Result) -> str:
    if not result.failures:
        return ""
    rows = [[f"{f.kind} {f.name}", f.reason] for f in result.failures[:20]]
    more = len(result.failures) - len(rows)
    text = markdown_table(["not in the result", "because"], rows)
    return text + (f"\n\n... and {more} more, all in result.json." if more else "")


def _cost(result: Result) -> str:
    cost, environment = result.cost, result.environment
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in cost["seconds"].items())
    speed = f"{cost['views']} views at {cost['views_per_second']:.0f} a second" if cost["views"] else "bank reused"
    return (
        f"{speed}; {seconds}; on {environment['device']} in {environment['dtype']}; "
        f"codec {environment['codec_canary']} (Pillow {environment['codec']['pillow']})."
    )


def _summary(results: Sequence[Result]) -> str:
    """One row per encoder and data set: the probes and the kNN set-up ``all-same``."""
    columns = list(
        dict.fromkeys(
            (s.task, s.metric)
            for r in results
            for s in r.scores
            if s.metric in ("accuracy", "spd", "same", "different")
        )
    )
    rows = []
    for result in results:
        by = {(s.task, s.metric): s for s in result.scores}
        cells = [percent(by[c].value, c[1] == "spd") if c in by else "" for c in columns]
        rows.append([str(result.encoder["id"]), str(result.data["name"]), *cells])
    names = [task if metric == "accuracy" else f"{task} {metric}" for task, metric in columns]
    return markdown_table(["encoder", "data", *names], rows)
