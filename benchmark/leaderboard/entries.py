"""One entry per encoder, published or measured: its facts and its scores, each bound to the photos it was made on."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from benchmark.judgement import chance_of
from benchmark.options import CHOICES, STUDY_PRESET, preset_label
from benchmark.results import STUDY_GROUPS, PublishedEncoder, ResultFile, Score, contradiction, metric_of
from benchmark.tasks import all_tasks

MAX_COUNT = 10**12
"""Test photos behind a score."""

MAX_UNLISTED = 8
"""Scores of a known task under names that it does not list (retrieval names its directions after the cameras)."""


def objection(file: ResultFile) -> str:
    """Why a result is not shown on a board; "" if it is."""
    questions = all_tasks()
    unknown = sorted({score.task for score in file.result.scores} - questions.keys())
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return (
            f"it answers questions that this camtrace does not know ({unknown[0]}{more}); if a newer camtrace does, "
            "install that one (pip install -U camtrace)"
        )
    for task, question in questions.items():
        listed = {metric.name: metric for metric in question.metrics}
        own = [score for score in file.result.scores if score.task == task]
        if sum(score.metric not in listed for score in own) > MAX_UNLISTED:
            return f"{task} has more than {MAX_UNLISTED} scores under names that it does not list"
        for score in own:
            metric = listed.get(score.metric)
            if reason := _impossible(score, metric.kind if metric else "difference"):
                return f"{task} {score.metric}: {reason}"
    return contradiction(file, questions)


def _impossible(score: Score, kind: str) -> str:
    if not 1 <= score.n <= MAX_COUNT:
        return f"n is {score.n}"
    if kind != "difference" and not 0 <= score.low <= score.high <= 1:
        return "a share outside [0, 1]"
    if kind == "trace" and not 0 < score.chance < 1:
        return f"chance is {score.chance:g}: a guess between two classes or more is right sometimes"
    if kind == "accuracy" and not 0 <= score.chance <= 1:
        return f"chance is {score.chance:g}"
    return ""


def study_facts() -> Mapping[str, Mapping[str, Any]]:
    """What the package knows of the study's encoders, by published name."""
    from benchmark.encoders import STUDY

    return {
        row.published_name: {
            "id": row.spec,
            "library": row.library,
            "training": row.training_data,
            "input": row.input_px,
        }
        for row in STUDY
        if row.published_name
    }


def facts_of(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a result's encoder; what is absent, or not of its form, is empty."""
    preprocessing = encoder.get("preprocessing")
    size = preprocessing.get("crop", preprocessing.get("size")) if isinstance(preprocessing, Mapping) else None
    return {
        "library": text_of(encoder.get("library")),
        "training": text_of(encoder.get("training_data")) if encoder.get("training_data") != "unknown" else "",
        "input": _side(size),
        "parameters": count_of(encoder.get("parameters")),
        "dimension": count_of(encoder.get("dimension")),
        "revision": text_of(encoder.get("revision")),
        "weights_sha256": text_of(encoder.get("weights_sha256")),
        **_eraser(encoder.get("details")),
    }


def _eraser(details: object) -> dict[str, str]:
    """``eraser`` and the ``encoder`` whose embeddings it maps; nothing where none is in place."""
    record = details.get("eraser") if isinstance(details, Mapping) else None
    if not isinstance(details, Mapping) or not isinstance(record, Mapping):
        return {}
    return {"eraser": text_of(record.get("name"))[:200], "encoder": text_of(details.get("encoder"))[:200]}


def _side(size: object) -> int | None:
    """Pixels of a square input, however it is written down."""
    if isinstance(size, list | tuple) and size:
        size = size[-1]
    if isinstance(size, Mapping):
        size = size.get("height", size.get("shortest_edge"))
    return count_of(size)


def text_of(value: object) -> str:
    """A stranger's text, within bounds; empty where it is none."""
    return value[:500] if isinstance(value, str) else ""


def count_of(value: object) -> int | None:
    """A stranger's count; None where it is none, or 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


GROUP_LABELS = {
    **STUDY_GROUPS,
    "distilled": "distilled",
    "autoregressive": "autoregressive",
    "control": "control",
    "unknown": "not stated",
}
"""Every training type of the board with its name."""

STUDY_SETTINGS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {"imagenet": {"k": 10}, "inat2018": {"k": 1}, "flickrexif": {"mask_ratio": 0.9}, "paircams": {}}
)
"""What the study used by data set, beside its preset; a score with other settings answers another question."""

ALIASES = {"hub:camtrace/flickrexif": "flickrexif", "hub:camtrace/paircams": "paircams"}
"""Our rebuilt data sets are the study's, if their photos are as many."""

SAME_WITHIN = 0.005
"""How far two runs of the same options lie apart at most: embeddings are rounded differently by each machine."""


@dataclass(frozen=True)
class Photos:
    """Which photos, under which codec: only scores with equal ``Photos`` may share a column."""

    name: str
    ids_hash: str = ""
    """Of the photo ids; empty for the study's own photos."""
    canary: str = ""
    """Of the codec; unknown for the study."""
    train_photos: int = 0
    """0 where it is not said."""
    smoke_test: bool = False
    """Scores that show only that the software runs."""
    question_hash: str = ""
    """Of everything that decides what the photos ask; empty for the study, and for results of schema version 1, which
    share a column with each other by ``ids_hash``."""


@dataclass(frozen=True)
class Observation:
    """One number on its way into a cell."""

    task: str
    metric: str
    photos: Photos
    value: float
    low: float | None
    """Lower end of the 95 % interval; None where there is none."""
    high: float | None
    n: int
    chance: float
    flags: tuple[str, ...] = ()
    settings: str = ""
    """What else changes the question, such as ``k = 5``; empty where it is as in the study."""
    file: ResultFile | None = field(default=None, compare=False, repr=False)
    """Whose score it is; None of a published number, or of a mean."""
    parts: tuple[Part, ...] = field(default=(), compare=False, repr=False)
    """What a mean over tasks is made of; empty of a score."""
    guess: float | None = field(default=None, compare=False)
    """What a guess gets where the most frequent class is counted; None of published numbers and of means, whose
    classes are not known: then ``chance``."""


@dataclass(frozen=True)
class Part:
    """One score of a mean over tasks."""

    observation: Observation
    slope: float
    """How far the mean moves with this score."""


@dataclass(frozen=True)
class Entry:
    """One row before it knows the board."""

    key: str
    """Unique, fit for an address and a file name."""
    name: str
    id: str
    origin: str
    """``published`` or ``measured``."""
    group: str
    """A key of ``GROUP_LABELS``."""
    facts: Mapping[str, Any]
    """``library``, ``training``, ``input``, ``parameters``, ``dimension``, ``revision``, ``weights_sha256``."""
    observations: tuple[Observation, ...]
    files: tuple[ResultFile, ...] = ()
    """Newest first; empty for published entries."""


def published_entries(encoders: Iterable[PublishedEncoder], facts: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    """The study's encoders; ``facts`` by published name."""
    entries = []
    for encoder in encoders:
        known = facts.get(encoder.name, {})
        observations = tuple(
            Observation(s.task, s.metric, Photos(s.data), s.value, s.low, s.high, s.n, s.chance) for s in encoder.scores
        )
        key = f"published-{_slug(encoder.name)}"
        entries.append(Entry(key, encoder.name, known.get("id", ""), "published", encoder.group, known, observations))
    return entries


def measured_entries(files: Sequence[ResultFile]) -> list[Entry]:
    """One entry for each encoder as loaded: another revision, weights, preprocessing or pooling is another entry.

    Where several results hold the same score on the same photos, the newest counts, with the flag ``conflict`` if
    they disagree.
    """
    by_encoder: dict[str, list[ResultFile]] = defaultdict(list)
    for file in files:
        by_encoder[_identity(file.result.encoder)].append(file)
    ids = [json.loads(identity)["id"] for identity in by_encoder]
    entries = []
    for identity, members in sorted(by_encoder.items()):
        newest_first = sorted(members, key=lambda f: (f.result.created, f.file), reverse=True)
        encoder = newest_first[0].result.encoder
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        name = encoder["id"] if ids.count(encoder["id"]) == 1 else f"{encoder['id']} #{digest[:4]}"
        entries.append(
            Entry(
                key=f"measured-{_slug(encoder['id'])}-{digest}",
                name=name,
                id=encoder["id"],
                origin="measured",
                group=group if (group := encoder.get("group")) in GROUP_LABELS else "unknown",
                facts=facts_of(encoder),
                observations=_newest(newest_first),
                files=tuple(newest_first),
            )
        )
    return entries


def _newest(newest_first: Iterable[ResultFile]) -> tuple[Observation, ...]:
    kept: dict[tuple[str, str, Photos, str], Observation] = {}
    made_with: dict[tuple[str, str, Photos, str], str] = {}
    for file in newest_first:
        options = json.dumps(file.result.environment.get("options"), sort_keys=True)
        for score in file.result.scores:
            observation = _observation(score, file)
            key = (score.task, score.metric, observation.photos, observation.settings)
            if key not in kept:
                kept[key], made_with[key] = observation, options
            elif _disagree(kept[key], observation, same_options=made_with[key] == options):
                kept[key] = replace(kept[key], flags=tuple(dict.fromkeys((*kept[key].flags, "conflict"))))
    return tuple(_marked(o, kept) for o in kept.values())


def _disagree(one: Observation, other: Observation, *, same_options: bool) -> bool:
    """Whether two numbers for one thing cannot both stand: another machine moves a score by rounding alone, another
    seed or protocol within what its interval says."""
    if one.n != other.n or abs(one.chance - other.chance) > SAME_WITHIN:
        return True
    if same_options:
        return abs(one.value - other.value) > SAME_WITHIN
    ends = (one.low, one.high, other.low, other.high)
    low, high, other_low, other_high = (end if end is not None else math.nan for end in ends)
    return high < other_low or other_high < low


def _marked(o: Observation, kept: Mapping[tuple[str, str, Photos, str], Observation]) -> Observation:
    """The observation with a flag where a difference is not that of the two numbers that it subtracts."""
    ends = metric_of(all_tasks(), o.task, o.metric).difference_of
    more, less = (kept.get((o.task, end, o.photos, o.settings)) for end in ends or ("", ""))
    if not more or not less or abs(more.value - less.value - o.value) < 1e-6:
        return o
    return replace(o, flags=(*o.flags, "inconsistent"))


def _observation(score: Score, file: ResultFile) -> Observation:
    data, environment, details = file.result.data, file.result.environment, score.details
    splits = data.get("photos")
    photos = Photos(
        score.data,
        text_of(data.get("ids_hash")),
        text_of(environment.get("codec_canary")),
        (count_of(splits.get("train")) or 0) if isinstance(splits, Mapping) else 0,
        bool(data.get("smoke_test")),
        text_of(data.get("question_hash")),
    )
    flags = []
    metadata = _metadata_accuracy(details)
    if metadata is not None and metadata >= score.value:
        flags.append("metadata")
    return Observation(
        task=score.task,
        metric=score.metric,
        photos=photos,
        value=score.value,
        low=score.low,
        high=score.high,
        n=score.n,
        chance=score.chance,
        flags=tuple(flags),
        settings=_settings(score, environment.get("options")),
        file=file,
        guess=chance_of(score),
    )


def _settings(score: Score, options: object) -> str:
    """Preset, k, mask and sampled queries, where not the study's: scores of two presets never share a column."""
    name = ALIASES.get(score.data, score.data)
    usual = STUDY_SETTINGS.get(name, {})
    preset = _preset(score, options if isinstance(options, Mapping) else {})
    found = {setting: score.details.get(setting) for setting in ("k", "mask_ratio", "sampled_queries", "query_seed")}
    numbers = [
        f"{setting.replace('_', ' ')} = {value:g}"
        for setting, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value != usual.get(setting)
    ]
    return ", ".join([*([] if name in STUDY_SETTINGS and preset == f"preset {STUDY_PRESET}" else [preset]), *numbers])


def _preset(score: Score, options: Mapping[str, Any]) -> str:
    """The preset of a score, and what of it another choice took the place of; only choices that the score hangs on."""
    recorded = {name: text_of(options.get(name))[:40] or None for name in ("preset", *CHOICES)}
    recorded["protocol"] = text_of(score.details.get("protocol"))[:40] or None
    task = all_tasks().get(score.task)
    relevant = ["protocol", "preprocess"]
    relevant += ["ties"] if "ties" in score.details else []
    relevant += ["orientation"] if task and task.family.about == "processing" else []
    return f"preset {preset_label(recorded, tuple(relevant))}"


def _metadata_accuracy(details: Mapping[str, Any]) -> float | None:
    """Accuracy of the control that predicts the label from the other labels, if the task ran it."""
    controls = details.get("controls")
    control = controls.get("metadata") if isinstance(controls, Mapping) else None
    accuracy = control.get("accuracy") if isinstance(control, Mapping) else None
    return float(accuracy) if isinstance(accuracy, int | float) else None


def encoder_of(entry: Entry, entries: Iterable[Entry]) -> str:
    """Key of the measured row of the encoder under an eraser: same id, same weights; empty where there is none."""
    if not entry.facts.get("eraser"):
        return ""
    for other in entries:
        same = other.id == entry.facts["encoder"] and other.facts.get("weights_sha256") == entry.facts["weights_sha256"]
        if other.origin == entry.origin and same and not other.facts.get("eraser"):
            return other.key
    return ""


def _identity(encoder: Mapping[str, Any]) -> str:
    named = ("id", "revision", "weights_sha256", "preprocessing", "pooling", "dimension", "dtype")
    return json.dumps({name: encoder.get(name) for name in named}, sort_keys=True, ensure_ascii=False)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("×", "x")).strip("-")[:60]
