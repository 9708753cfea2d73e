"""Rows of a board: an entry for each encoder, published or measured, with its facts and its scores by photo set."""

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

from benchmark.judgement import Flag, chance_flags
from benchmark.options import CHOICES, STUDY_PRESET, preset_label
from benchmark.results import (
    STUDY_GROUPS,
    PublishedEncoder,
    ResultFile,
    Score,
    failed_encoder,
    metric_of,
)
from benchmark.tasks import all_tasks


def study_facts() -> Mapping[str, Mapping[str, Any]]:
    """Facts of the study's encoders by published name."""
    from benchmark.encoders import STUDY  # imports what a board without published rows does not need

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
    """Facts of the encoder of a result; empty where they are absent or malformed."""
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
    """``eraser`` and the ``encoder`` whose embeddings it maps; empty without an eraser."""
    record = details.get("eraser") if isinstance(details, Mapping) else None
    if not isinstance(details, Mapping) or not isinstance(record, Mapping):
        return {}
    return {"eraser": text_of(record.get("name"))[:200], "encoder": text_of(details.get("encoder"))[:200]}


def _side(size: object) -> int | None:
    """Pixels of a side of the input, from any of the forms in which libraries record it."""
    if isinstance(size, list | tuple) and size:
        size = size[-1]
    if isinstance(size, Mapping):
        size = size.get("height", size.get("shortest_edge"))
    return count_of(size)


def text_of(value: object) -> str:
    """Untrusted text, cut to 500 characters; empty where it is no text."""
    return value[:500] if isinstance(value, str) else ""


def count_of(value: object) -> int | None:
    """An untrusted count; None where it is no count, or 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


GROUP_LABELS = {
    **STUDY_GROUPS,
    "distilled": "distilled",
    "autoregressive": "autoregressive",
    "control": "control",
    "unknown": "not stated",
}
"""Titles of the training types."""

STUDY_SETTINGS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {"imagenet": {"k": 10}, "inat2018": {"k": 1}, "flickrexif": {"mask_ratio": 0.9}, "paircams": {}}
)
"""Settings of the study by data set, in addition to its preset. A score with other settings has another question."""

ALIASES = {"hub:camtrace/flickrexif": "flickrexif", "hub:camtrace/paircams": "paircams"}
"""Data sets that camtrace rebuilt: those of the study, where the numbers of photos agree."""

SAME_WITHIN = 0.005
"""Largest difference between two runs with the same options: each machine rounds embeddings differently."""


@dataclass(frozen=True)
class Photos:
    """A photo set under a codec. Only scores with equal ``Photos`` may share a column."""

    name: str
    ids_hash: str = ""
    """Hash of the photo ids; empty for the photos of the study."""
    canary: str = ""
    """Canary of the codec; empty for the study, whose codec is unknown."""
    train_photos: int = 0
    """0 where the number is not recorded."""
    smoke_test: bool = False
    """Whether the scores show only that the software runs."""
    question_hash: str = ""
    """Hash of ids, labels and everything else that decides the question. Empty for the study, and for results of schema
    version 1, which share a column by ``ids_hash``."""


@dataclass(frozen=True)
class Observation:
    """One number of an entry."""

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
    """Further settings that change the question, such as ``k = 5``; empty where they are those of the study."""
    file: ResultFile | None = field(default=None, compare=False, repr=False)
    """The result that has the score; None for a published number and for a mean."""
    parts: tuple[Part, ...] = field(default=(), compare=False, repr=False)
    """The scores of a mean over tasks; empty for a score."""
    flag: Flag = field(default="", compare=False)
    """What the judge says of it against chance, together with all scores of its result. Means are judged on the board.
    """


@dataclass(frozen=True)
class Part:
    """One score of a mean over tasks."""

    observation: Observation
    slope: float
    """Derivative of the mean with respect to this score."""


@dataclass(frozen=True)
class Entry:
    """One row of a board, without its ranks."""

    key: str
    """Unique, safe in an address and in a file name."""
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
        flags = _published_flags(encoder)
        observations = tuple(
            Observation(
                *(s.task, s.metric, Photos(s.data), s.value, s.low, s.high, s.n, s.chance),
                flag=flags.get((s.data, s.task, s.metric), ""),
            )
            for s in encoder.scores
        )
        key = f"published-{_slug(encoder.name)}"
        entries.append(Entry(key, encoder.name, known.get("id", ""), "published", encoder.group, known, observations))
    return entries


def _published_flags(encoder: PublishedEncoder) -> dict[tuple[str, str, str], Flag]:
    """Flags of a published encoder's scores, each data set judged as a result is."""
    flags: dict[tuple[str, str, str], Flag] = {}
    for data in dict.fromkeys(s.data for s in encoder.scores):
        scores = [
            Score(s.task, s.data, s.metric, s.value, s.low, s.high, s.n, s.chance)
            for s in encoder.scores
            if s.data == data and s.low is not None and s.high is not None
        ]
        flags |= {(data, s.task, s.metric): flag for s, flag in zip(scores, _judged(scores), strict=True)}
    return flags


def _judged(scores: Sequence[Score]) -> list[Flag]:
    """Flags of the scores of one encoder on one photo set."""
    return chance_flags(scores, [metric_of(all_tasks(), s.task, s.metric).kind for s in scores])


def measured_entries(files: Sequence[ResultFile]) -> list[Entry]:
    """One entry for each encoder; another revision, weights, preprocessing or pooling is another entry.

    Of several results with the same score on the same photos the newest counts, with the flag ``conflict`` where they
    disagree.
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
    """Each score of several results once, from the newest result that has it."""
    newest: dict[tuple[str, str, Photos, str], Observation] = {}
    options_of: dict[tuple[str, str, Photos, str], str] = {}
    for file in newest_first:
        if failed_encoder(file.result):  # no rank, and no part of a mean
            continue
        options = json.dumps(file.result.environment.get("options"), sort_keys=True)
        for score, flag in zip(file.result.scores, _judged(file.result.scores), strict=True):
            observation = _observation(score, file, flag)
            key = (score.task, score.metric, observation.photos, observation.settings)
            if key not in newest:
                newest[key], options_of[key] = observation, options
            elif _disagree(newest[key], observation, same_options=options_of[key] == options):
                newest[key] = replace(newest[key], flags=tuple(dict.fromkeys((*newest[key].flags, "conflict"))))
    return tuple(_with_consistency(o, newest) for o in newest.values())


def _disagree(a: Observation, b: Observation, *, same_options: bool) -> bool:
    """Whether two results of one score contradict each other.

    With the same options another machine changes a score by rounding alone; with another seed or protocol the two
    intervals overlap.
    """
    if a.n != b.n or _differ(a.chance, b.chance):
        return True
    if same_options:
        return _differ(a.value, b.value)
    low, high, other_low, other_high = (end if end is not None else math.nan for end in (a.low, a.high, b.low, b.high))
    return high < other_low or other_high < low


def _differ(a: float, b: float) -> bool:
    return abs(a - b) > SAME_WITHIN


def _with_consistency(o: Observation, newest: Mapping[tuple[str, str, Photos, str], Observation]) -> Observation:
    """The observation, with the flag ``inconsistent`` where a difference is not that of its two metrics."""
    ends = metric_of(all_tasks(), o.task, o.metric).difference_of
    more, less = (newest.get((o.task, end, o.photos, o.settings)) for end in ends or ("", ""))
    if not more or not less or abs(more.value - less.value - o.value) < 1e-6:
        return o
    return replace(o, flags=(*o.flags, "inconsistent"))


def _observation(score: Score, file: ResultFile, flag: Flag) -> Observation:
    """The observation of a score in a result file."""
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
        flag=flag,
    )


def _settings(score: Score, options: object) -> str:
    """Preset, k, mask and sampled queries where they are not those of the study; each has a separate column."""
    name = ALIASES.get(score.data, score.data)
    of_study = STUDY_SETTINGS.get(name, {})
    preset = _preset(score, options if isinstance(options, Mapping) else {})
    recorded = {setting: score.details.get(setting) for setting in ("k", "mask_ratio", "sampled_queries", "query_seed")}
    numbers = [
        f"{setting.replace('_', ' ')} = {value:g}"
        for setting, value in recorded.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value != of_study.get(setting)
    ]
    presets = [] if name in STUDY_SETTINGS and preset == f"preset {STUDY_PRESET}" else [preset]
    over = score.details.get("over")
    held = [f"over {' '.join(text_of(n)[:40] for n in over[:50])}"] if isinstance(over, list) and over else []
    return ", ".join([*presets, *numbers, *held])


def _preset(score: Score, options: Mapping[str, Any]) -> str:
    """The preset of a score with the choices that differ from it, of those that affect the score."""
    recorded = {name: text_of(options.get(name))[:40] or None for name in ("preset", *CHOICES)}
    recorded["protocol"] = text_of(score.details.get("protocol"))[:40] or None
    task = all_tasks().get(score.task)
    relevant = ["protocol", "preprocess"]
    relevant += ["ties"] if "ties" in score.details else []
    relevant += ["orientation"] if task and task.family.about == "processing" else []
    return f"preset {preset_label(recorded, tuple(relevant))}"


def _metadata_accuracy(details: Mapping[str, Any]) -> float | None:
    """Accuracy of the control that predicts the label from the other labels; None without such a control."""
    controls = details.get("controls")
    control = controls.get("metadata") if isinstance(controls, Mapping) else None
    accuracy = control.get("accuracy") if isinstance(control, Mapping) else None
    return float(accuracy) if isinstance(accuracy, int | float) else None


def encoder_of(entry: Entry, entries: Iterable[Entry]) -> str:
    """Key of the row of the same encoder (id and weights) without its eraser; empty where there is none."""
    if not entry.facts.get("eraser"):
        return ""
    for other in entries:
        same = other.id == entry.facts["encoder"] and other.facts.get("weights_sha256") == entry.facts["weights_sha256"]
        if other.origin == entry.origin and same and not other.facts.get("eraser"):
            return other.key
    return ""


def _identity(encoder: Mapping[str, Any]) -> str:
    """Fields whose values make a separate entry, as JSON."""
    named = ("id", "revision", "weights_sha256", "preprocessing", "pooling", "dimension", "dtype")
    return json.dumps({name: encoder.get(name) for name in named}, sort_keys=True, ensure_ascii=False)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("×", "x")).strip("-")[:60]
