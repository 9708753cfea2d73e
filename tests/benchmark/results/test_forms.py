"""Every field of an untrusted result: values that are read and values that are refused, at both sides of each limit."""

import datetime
import math
from dataclasses import replace

import pytest

from benchmark.results import Failure, OutputScores
from benchmark.results.check import check_forms
from benchmark.results.forms import DETAILS, FIELDS

NOW = datetime.datetime(2026, 11, 21, 10, tzinfo=datetime.timezone.utc)

CURVE = {"share": [0.5, 1], "n_train": [5, 10], "accuracy": [0.1, 0.2], "low": [0, 0.1], "high": [1, 1], "rises": True}
GAIN = {"value": 0.1, "low": 0.0, "high": 0.2}
LONG = {name: [1] * 20 for name in ("share", "n_train", "accuracy", "low", "high")}
HISTOGRAM = {"query": "q", "class": "c", "processing": "p", "edges": [-1, 0, 1.1], "counts": {"a": [0, 2]}}
VIEW = {"processing": "p", "answer": "c", "distance": 0, "right": 1, "neighbours": [0, 1], "similarities": [0.1, 0.2]}
PHOTO = {"id": "i", "class": "c"}
STRIP = {"query": "q", "class": "c", "why": "w", "photos": [PHOTO, PHOTO], "views": [VIEW]}
BEYOND = {"value": 0, "low": 0, "high": 0, "p_value": 1}
JITTER = {"value": 0, "low": 0, "high": 0, "beyond": BEYOND}
SUMMARY = {"beats": {"value": 0.5}, "overlap": {"value": 0.5}, "n": 3, "queries": 2, "photos": 4, "chance": 0.5}
CONTROL = ("accuracy", "low", "high", "mean", "mean_low", "mean_high", "p_value")
EDGES = [k / 400 for k in range(401)]


def without(value, *names):
    return {name: part for name, part in value.items() if name not in names}


def each_missing(value, *optional):
    return [without(value, name) for name in value if name not in optional]


FLIPS = {"flips_low": 0.1, "flips": 0.2, "flips_high": 0.3}
BIAS = {"p_value": 0.1, "bias": 0.2, "low": 0.1, "high": 0.3}


def of_rows(value):
    """Rows that lack one of the others, but not the first."""
    return [{"a": part} for part in each_missing(value, next(iter(value)))]


NUMBERS = ([0, 1.5, -1], ["1", True, [1]])
COUNTS = ([0, 7], [-1, 1.0, True, "1"])
TEXTS = (["", "text"], [1, "a\x00b", ["text"]])

EFFECT = {"effect": "scene", **dict.fromkeys(("share", "low", "high", "estimate", "p_value", "cells"), 0.5)}

MATRIX = {
    "groups": ["a", "b"],
    "attributes": {"scanner": ["a", "b"]},
    "recall": {"1": [[None, 0.5], [0.5, None]]},
    **{key: [[None, 0.5], [0.5, 1]] for key in ("low", "high", "n", "chance", "cosine", "cosine_apart")},
}

ONE_GROUP = {
    "groups": ["a"],
    "attributes": {"scanner": ["a"]},
    "recall": {"1": [[1]]},
    **{key: [[1]] for key in ("low", "high", "n", "chance", "cosine", "cosine_apart")},
}

MARGIN_GROUP = {"flips": 0.5, "low": 0.1, "high": 0.9, "questions": 12}

OF_DETAILS = {
    "group_matrix": (
        [MATRIX],
        [1, {}, ONE_GROUP, {**MATRIX, "groups": ["a"]}, {**MATRIX, "low": [[0.5, 0.5]]}, {**MATRIX, "attributes": {}}],
    ),
    "pairs": ([0, 3, []], [-1, "3", {}]),
    "components": ([[], [EFFECT]], [1, {}, [1], [{}], [{**EFFECT, "share": "1"}], [{**EFFECT, "effect": 1}]]),
    "distractors": TEXTS,
    "photos_left_out": COUNTS,
    "collection": ([0, 220], [-1, 2.5, "many"]),
    "copies": ([14], [-1, "14"]),
    "by_copy": ([{"turned": 0.5}], [[0.5], {"turned": "half"}]),
    "threshold": ([0.5, 1], ["0.5", True]),
    "threshold_low": ([0.5], ["0.5"]),
    "threshold_high": ([0.5], [[0.5]]),
    "stated_rate": ([0.01], ["1 %"]),
    "chosen_on": ([99], [-1, 0.5]),
    "matches": ([0, 3], [-1, 0.5]),
    "expected_matches": ([[0, 5]], [[0], [0, 5, 6], [0, "5"], [0, 0.5], "05"]),
    **dict.fromkeys(("protocol", "resampled"), TEXTS),
    **dict.fromkeys(("k", "classes", "units", "train_photos", "processings", "questions"), COUNTS),
    **dict.fromkeys(
        ("mask_ratio", "effective_units", "p_chance", "p_within_label", "most_frequent_class", "tied_votes", "spoiled"),
        NUMBERS,
    ),
    "ties": (
        [dict.fromkeys(("least", "greatest", "random", "share"), 0.5)],
        [{}, {"least": 0.5}, dict.fromkeys(("least", "greatest", "random", "share"), "b"), [1], 1],
    ),
    "flipped": ([{}, {"a": 0.5}], [{"a": "b"}, {"a\x00": 1}, [1], 1]),
    "against_final": ([GAIN, {**GAIN, "p_value": 0.1}], [{}, 1, *each_missing(GAIN), {**GAIN, "low": "0"}]),
    **dict.fromkeys(("guess_flips", "no_option"), NUMBERS),
    "noise": ([{"png": {"flips": 0}}, {"png": FLIPS}], [{"png": 1}, {"png": {"flips": "none"}}, *of_rows(FLIPS)]),
    "by_margin": (
        [{}, {"0 to 10": MARGIN_GROUP}],
        [{"timid": MARGIN_GROUP}, {"0 to 10": {**MARGIN_GROUP, "low": None}}, {"0 to 10": 1}],
    ),
    "movement": ([{"value": 0.5, "low": 0.1, "high": 0.7}], [{}, {"value": 0.5}, 1]),
    "by_processing": (
        [{"a": {"b": 1}}, {"a": FLIPS, "b": BIAS}, {"a": without(BIAS, "p_value")}],
        [{"a": 1}, {"a": {"b": "c"}}, *of_rows(FLIPS), *of_rows(BIAS)],
    ),
    "controls": ([{}, {"a": {}}, {"a": dict.fromkeys(CONTROL, 0.5)}], [{"a": 1}, *({"a": {n: "1"}} for n in CONTROL)]),
    "learning_curve": (
        [CURVE, {**CURVE, "gain": GAIN}, {**CURVE, "gain": {**GAIN, "p_value": 0.1}}, {**LONG, "rises": False}],
        [
            *each_missing(CURVE),
            *({**CURVE, name: [1]} for name in LONG),
            *({**CURVE, name: ["1", 1]} for name in LONG),
            *({**CURVE, "gain": gain} for gain in (1, *each_missing(GAIN), {**GAIN, "p_value": "0.1"})),
            {**{name: [1] * 21 for name in LONG}, "rises": False},
            {**{name: [] for name in LONG}, "rises": False},
            {**CURVE, "rises": 1},
            {**CURVE, "low": (0, 1)},
        ],
    ),
    "training_spread": ([{"deviation": 0.1, "probes": 2}], [{"deviation": 0.1}, {"probes": 2}, 1]),
    "similarities": (
        [
            [],
            [HISTOGRAM] * 50,
            [without(HISTOGRAM, "query", "class", "processing")],
            [{**HISTOGRAM, "edges": [0, 1], "counts": {"a": [1]}}],
            [{**HISTOGRAM, "edges": EDGES, "counts": {"a": [0] * 400}}],
            [{**HISTOGRAM, "counts": {kind: [0, 0] for kind in "abcd"}}],
            [{**HISTOGRAM, "why": "w", "beats": 0.1, "overlap": 0.2}],
        ],
        [
            [HISTOGRAM] * 51,
            HISTOGRAM,
            [1],
            *([{**HISTOGRAM, name: 1}] for name in ("query", "class", "processing", "why", "edges", "counts")),
            *([{**HISTOGRAM, name: "1"}] for name in ("beats", "overlap")),
            [{**HISTOGRAM, "edges": [0], "counts": {}}],
            [{**HISTOGRAM, "edges": [*EDGES, 1.05], "counts": {"a": [0] * 401}}],
            [{**HISTOGRAM, "edges": [0, 0, 1]}],
            [{**HISTOGRAM, "edges": [-1.01, 0, 1]}],
            [{**HISTOGRAM, "edges": [0, 1, 1.11]}],
            [{**HISTOGRAM, "edges": [0, "1", 2]}],
            [{**HISTOGRAM, "counts": {kind: [0, 0] for kind in "abcde"}}],
            [{**HISTOGRAM, "counts": {"a": [0, 0, 0]}}],
            [{**HISTOGRAM, "counts": {"a": [0]}}],
            [{**HISTOGRAM, "counts": {"a": [0, -1]}}],
            [{**HISTOGRAM, "counts": {1: [0, 0]}}],
            [{**HISTOGRAM, "counts": {"a": "00"}}],
        ],
    ),
    "similarity_summary": (
        [SUMMARY, without(SUMMARY, "n", "queries", "photos", "chance")],
        [
            1,
            *each_missing(SUMMARY, "n", "queries", "photos", "chance"),
            *({**SUMMARY, name: {"value": "1"}} for name in ("beats", "overlap")),
            *({**SUMMARY, name: 0.5} for name in ("n", "queries", "photos")),
            {**SUMMARY, "chance": "1"},
        ],
    ),
    "jitter": (
        [JITTER],
        [1, *each_missing(JITTER), *({**JITTER, "beyond": bad} for bad in each_missing(BEYOND))],
    ),
    "strips": (
        [
            [],
            [STRIP] * 20,
            [{**STRIP, "views": [VIEW] * 100}],
            [{**STRIP, "photos": [PHOTO] * 2000}],
            [{**STRIP, "photos": [], "views": [{**VIEW, "neighbours": [], "similarities": []}]}],
        ],
        [
            [STRIP] * 21,
            STRIP,
            [1],
            *([bad] for bad in each_missing(STRIP)),
            *([{**STRIP, name: 1}] for name in STRIP),
            [{**STRIP, "views": [VIEW] * 101}],
            [{**STRIP, "views": []}],
            [{**STRIP, "photos": [PHOTO] * 2001}],
            *([{**STRIP, "photos": [bad, PHOTO]}] for bad in (1, *each_missing(PHOTO))),
            *([{**STRIP, "views": [bad]}] for bad in (1, *each_missing(VIEW))),
            *(
                [{**STRIP, "views": [{**VIEW, name: 1}]}]
                for name in ("processing", "answer", "neighbours", "similarities")
            ),
            *([{**STRIP, "views": [{**VIEW, name: "1"}]}] for name in ("distance", "right")),
            [{**STRIP, "views": [{**VIEW, "neighbours": [0, 2]}]}],
            [{**STRIP, "views": [{**VIEW, "neighbours": [0, -1]}]}],
            [{**STRIP, "views": [{**VIEW, "neighbours": [0]}]}],
            [{**STRIP, "views": [{**VIEW, "similarities": [0.1, "0.2"]}]}],
        ],
    ),
}

OBJECTS = ([{}, {"a": [1]}], [1, [], "a"])
SCALARS = ([{}, {"a": 1, "b": None, "c": True, "d": "e"}], [{"a": [1]}, {"a": {}}, {"a": "\x00"}, [1]])
SENTENCES = ([{}, {"a": "b"}], [{"a": 1}, "a"])
FLAGS = ([True, False], [0, 1, "true"])
RUNTIME = {"name": "torch", "version": "2", "reason": "", "relative_error": 0.1, "on_photos": {}}

MACHINE = {"ranks": "0", "host": "h", "device": "cpu", "python": "3", "versions": {"numpy": "2"}, "seconds": 1.5}
BAD_MACHINES = [[{**MACHINE, name: bad}] for name, bad in (("host", 1), ("versions", {"numpy": 2}), ("seconds", "1"))]

OF_FIELDS = {
    "encoder": {
        "preprocessing": OBJECTS,
        "details": OBJECTS,
        "dimension": COUNTS,
        "parameters": COUNTS,
        **dict.fromkeys(
            ("library", "revision", "weights_sha256", "pooling", "group", "training_data", "dtype", "definition"), TEXTS
        ),
    },
    "data": {
        "photos": ([{"train": 0}], [{"train": -1}, {"train": "1"}, 1]),
        "source_jpeg": ([{}, {"75": 3}], [{"75": 0.5}, []]),
        "classes": COUNTS,
        "smoke_test": FLAGS,
        "evidence": SCALARS,
        **dict.fromkeys(("question_hash", "ids_hash", "bytes_hash"), TEXTS),
    },
    "environment": {
        **dict.fromkeys(("versions", "codec", "options", "trial", "cudnn"), SCALARS),
        "ranks": ([[], [MACHINE] * 2], [MACHINE, [1], *([bad] for bad in each_missing(MACHINE)), *BAD_MACHINES]),
        **dict.fromkeys(("processings_by", "local", "retried"), SENTENCES),
        "precision_gate": OBJECTS,
        "runtime": (
            [RUNTIME, {"name": "openvino"}],
            [
                1,
                {},
                {"name": "other"},
                {**RUNTIME, "version": 2},
                {**RUNTIME, "reason": 2},
                {**RUNTIME, "relative_error": "0"},
                {**RUNTIME, "on_photos": 1},
            ],
        ),
        "compiled": FLAGS,
        **dict.fromkeys(("devices", "statistics"), COUNTS),
        **dict.fromkeys(
            ("preprocessing_by", "python", "platform", "codec_canary", "device", "dtype", "storage", "command"), TEXTS
        ),
        "answers_sha256": TEXTS,
    },
    "cost": {
        **dict.fromkeys(("bytes_read", "photos", "views", "encoders_in_pass"), COUNTS),
        "views_per_second": NUMBERS,
        "seconds": ([{}, {"a": 0.5}], [{"a": "1"}, 1]),
        "peak_memory_bytes": ([5, {"cpu": 5}, {}], [0.5, {"cpu": 0.5}, [5], -1]),
    },
}


@pytest.fixture
def plain(make):
    return make.result("a", make.probes(0.5))


def with_details(result, details):
    return replace(result, scores=(replace(result.scores[0], details=details),))


@pytest.mark.parametrize("name", OF_DETAILS)
def test_details__of_a_score(plain, name):
    good, bad = OF_DETAILS[name]
    for value in (*good, None):
        check_forms(with_details(plain, {name: value}), NOW)
    for value in bad:
        with pytest.raises(ValueError, match=f"{name}"):
            check_forms(with_details(plain, {name: value}), NOW)


def test_details__all_have_a_case():
    assert set(OF_DETAILS) == set(DETAILS)
    assert {part: set(fields) for part, fields in OF_FIELDS.items()} == {p: set(f) for p, f in FIELDS.items()}


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, fields in OF_FIELDS.items() for name in fields])
def test_fields__of_a_result(plain, part, name):
    good, bad = OF_FIELDS[part][name]
    for value in (*good, None):
        check_forms(replace(plain, **{part: {**getattr(plain, part), name: value}}), NOW)
    for value in bad:
        with pytest.raises(ValueError, match=rf"^{part}\.{name} is not "):
            check_forms(replace(plain, **{part: {**getattr(plain, part), name: value}}), NOW)
    with pytest.raises(ValueError, match=f"{part}"):
        check_forms(replace(plain, **{part: [1]}), NOW)


OUTPUT = OutputScores("layer-1.cls", "t", 0, 2, "cls", 8, "r", ())


def refusals(plain):
    score = plain.scores[0]
    yield {"encoder": {**plain.encoder, "id": "i" * 200}}, ""
    yield {"encoder": {**plain.encoder, "id": "i" * 201}}, "the encoder id has 201 characters, more than 200"
    yield {"encoder": without(plain.encoder, "id")}, "the encoder id is missing or not text"
    for markup in ("<b", "b>", "a\x00", "a\u200bb"):
        yield {"data": {**plain.data, "name": markup}}, "the data name holds markup, control or invisible characters"
    yield {"data": {**plain.data, "name": "  "}}, "the data name is missing or not text"
    yield {"created": "2026-11-22T10:00:00Z"}, ""
    yield {"created": "2026-11-22T10:00:00"}, ""
    yield {"created": "2026-11-22T10:00:01+00:00"}, "created 2026-11-22T10:00:01+00:00 lies in the future"
    yield {"created": "2026-11-22T10:00:01"}, "created 2026-11-22T10:00:01 lies in the future"
    yield {"created": "yesterday"}, "created is not an ISO 8601 time"
    yield {"created": "2026-11-20T10:00:00+00:00" + " " * 16}, "created is not an ISO 8601 time"
    yield {"created": 5}, "created is not an ISO 8601 time"
    for wrong in ({"kind": 1}, {"name": 1}, {"reason": 1}):
        yield (
            {"failures": (replace(Failure("photo", "a", "b"), **wrong),)},
            "a failure's kind, name or reason is not text",
        )
    yield {"failures": (Failure("photo", "a", "b"),)}, ""
    yield {"scores": ()}, "it holds no score"
    yield {"scores": (score, score)}, "probe/jpeg toy accuracy is there 2 times"
    yield {"scores": (score, *(replace(score, metric=f"m{i}") for i in range(1999)))}, ""
    yield {"scores": tuple(replace(score, metric=f"m{i}") for i in range(2001))}, "2001 scores, more than 2000"
    yield {"scores": (replace(score, value=score.high + 1e-10),)}, ""
    yield {"scores": (replace(score, value=score.low - 1e-10),)}, ""
    for value in (score.high + 1e-8, score.low - 1e-8, math.nan):
        yield {"scores": (replace(score, value=value),)}, "probe/jpeg accuracy: the value is outside its own interval"
    yield {"scores": (replace(score, details=[]),)}, "probe/jpeg accuracy: details is not an object"
    for kind in ("task", "data", "metric"):
        yield {"scores": (replace(score, **{kind: 1}),)}, f"the {kind} is missing or not text"
    yield {"outputs": tuple(replace(OUTPUT, name=f"o{i}") for i in range(2000))}, ""
    yield {"outputs": tuple(replace(OUTPUT, name=f"o{i}") for i in range(2001))}, "2001 outputs, more than 2000"
    yield {"outputs": (OUTPUT, OUTPUT)}, "an output is there twice"
    for part, name in (("name", "output"), ("title", "output's title"), ("pooling", "pooling")):
        yield {"outputs": (replace(OUTPUT, **{part: ""}),)}, f"the {name} is missing or not text"
    yield {"outputs": (replace(OUTPUT, read="r" * 200),)}, ""
    for read in ("r" * 201, 1):
        yield {"outputs": (replace(OUTPUT, read=read),)}, "layer-1.cls: read is not text of at most 200 characters"
    no_layer = "layer-1.cls: layer, layers or dimension is not a count, or there is no such layer"
    for wrong in ({"layer": 2}, {"layer": -1}, {"layers": 0.5}, {"dimension": "8"}):
        yield {"outputs": (replace(OUTPUT, **wrong),)}, no_layer
    yield {"outputs": (replace(OUTPUT, layer=1),)}, ""
    yield {"outputs": (replace(OUTPUT, scores=(replace(score, metric=""),)),)}, "the metric is missing or not text"


def test_results__limits_of_names_dates_scores_and_outputs(plain):
    for changed, reason in refusals(plain):
        result = replace(plain, **changed)
        if not reason:
            check_forms(result, NOW)
            continue
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            check_forms(result, NOW)
        assert str(caught.value).startswith(reason), changed


def test_results__the_clock_of_this_machine_is_the_default(plain):
    now = datetime.datetime.now(datetime.timezone.utc)
    check_forms(replace(plain, created=(now + datetime.timedelta(hours=23)).isoformat()))
    with pytest.raises(ValueError, match="future"):
        check_forms(replace(plain, created=(now + datetime.timedelta(hours=25)).isoformat()))
