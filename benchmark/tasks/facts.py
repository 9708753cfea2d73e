"""What stored answers determine besides the values by photo: chance, accuracies by seed, curves, ties, counts.

Readers of untrusted results recompute these and refuse a result that says otherwise (``benchmark/results/proof.py``).
Arrays that an older version did not store determine nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.results import AnswerFacts, Answers, PhotoValues

if TYPE_CHECKING:
    from benchmark.probe import FitStatistics
    from benchmark.retrieval import PairAnswers

CURVE, CURVE_FITS = "curve", "curve_fits"
"""Arrays of a learning curve (``LearningCurve.arrays``): accuracy by photo of each part, float32 [parts, photos], and
the number of assignments of each."""

JITTER_SAMPLE = "jitter_sample"
"""Array of ``knn/<parameter>``: int64 [sample], positions of the queries that have jitters."""


def read_probe(arrays: Answers) -> dict[str, PhotoValues]:
    """Accuracy by photo of each reader of a probe. Without true classes view i of a photo has class i.

    >>> predicted = np.array([[[0, 1], [1, 1]]], dtype=np.uint8)  # one fit, two classes, two photos
    >>> read_probe({"predicted": predicted, "photos": np.array([4, 7])})["accuracy"].values.tolist()
    [1.0, 0.5]
    """
    photos, clusters = arrays["photos"], arrays.get("clusters")
    return {name: PhotoValues(photos, fits.by_photo, (0.0, 1.0), clusters) for name, fits in _fits(arrays).items()}


def read_labelled_probe(arrays: Answers) -> dict[str, PhotoValues]:
    """``read_probe`` of a probe of labels; empty without true classes, as older versions have it."""
    return read_probe(arrays) if "expected" in arrays else {}


def processing_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Facts of ``run_processing_probe``: view i of a photo has class i.

    >>> predicted = np.array([[[0, 1], [1, 1]]], dtype=np.uint8)  # one fit, two classes, two photos
    >>> facts = processing_facts({"predicted": predicted, "photos": np.array([4, 7])})["accuracy"]
    >>> facts.chance, facts.details["accuracy_by_seed"]
    (0.5, [0.75])
    """
    classes = arrays["predicted"].shape[1]
    return {
        metric: AnswerFacts(1 / classes, 1 / classes, {"classes": classes, **_probe_details(arrays, metric, fits)})
        for metric, fits in _fits(arrays).items()
    }


def labelled_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Facts of probes of labels, which store the true class of each photo."""
    if "expected" not in arrays:
        return {}
    largest = largest_share(np.atleast_2d(arrays["expected"])[0])
    classes = int(arrays["classes"]) if "classes" in arrays else None
    chance, guess = (None, None) if classes is None else (1 / classes, max(1 / classes, largest))
    shared = {"most_frequent_class": largest, **({} if classes is None else {"classes": classes})}
    return {
        metric: AnswerFacts(chance, guess, {**_probe_details(arrays, metric, fits), **shared})
        for metric, fits in _fits(arrays).items()
    }


def largest_share(classes: np.ndarray) -> float:
    """Share of the most frequent class: the best score of a constant answer.

    >>> largest_share(np.array([2, 0, 2, 2]))
    0.75
    """
    return float(np.unique(classes, return_counts=True)[1].max() / len(classes))


def _fits(arrays: Answers) -> dict[str, FitStatistics]:
    """Statistics of the predictions of each reader, by metric."""
    from benchmark.probe import fit_statistics

    names = {name: f"accuracy{name.removeprefix('predicted')}" for name in arrays if name.startswith("predicted")}
    expected = arrays.get("expected", np.arange(arrays["predicted"].shape[1])[:, None])
    return {metric: fit_statistics(arrays[name], expected) for name, metric in names.items()}


def _probe_details(arrays: Answers, metric: str, fits: FitStatistics) -> dict[str, Any]:
    details = fits.details()
    if metric == "accuracy" and CURVE in arrays:
        details["learning_curve"] = _curve(arrays, fits.correct)
    return details


def _curve(arrays: Answers, correct: np.ndarray) -> dict[str, Any]:
    """The numbers of ``LearningCurve`` that follow from accuracies by photo."""
    from benchmark.probe import LearningCurve

    used = int(arrays[CURVE_FITS])
    answered = correct[:used]
    rows = [*_shares(arrays[CURVE].astype(np.float64), answered[..., 0].size), answered.mean(axis=(0, 1))]
    return LearningCurve(np.array(rows), used, clusters=arrays.get("clusters")).numbers()


def _shares(stored: np.ndarray, count: int) -> np.ndarray:
    """Shares of so many answers, as they were before float32 rounded them: photos that are all alike stay so."""
    shares = np.rint(stored * count) / count
    return np.where(np.abs(stored - shares) < np.finfo(np.float32).eps, shares, stored)


def knn_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Facts of ``run_knn``: chance, accuracies by seed, ties, and the share that processing flips."""
    from benchmark.knn import setup_shares

    chance = _mean(arrays, "chance")
    rules = {rule: setup_shares(arrays[rule], arrays["combinations"]) for rule in _RULES if rule in arrays}
    details: dict[str, dict[str, Any]] = {name: {} for name in next(iter(rules.values()), {})}
    if len(rules) == len(_RULES):
        for name, of_metric in details.items():
            if name != "spd":
                of_metric["ties"] = {rule: float(rules[rule][name].mean()) for rule in _RULES}
            else:
                of_metric["ties"] = _ties_of_difference(rules)
    if "by_seed" in arrays:
        by_seed = arrays["by_seed"].mean(axis=2) / int(arrays["combinations"][0])
        for name, row in zip(("uniform", "uniform-test"), by_seed, strict=True):
            details.setdefault(name, {})["accuracy_by_seed"] = [round(float(v), 6) for v in row]
    if "flipped" in arrays and "worst" in arrays:
        details["worst"] = _worst_details(arrays)
        if JITTER_SAMPLE not in arrays:  # an older version, whose interval was of the run's number of resamples
            details["worst"] = {"flipped": {"value": details["worst"]["flipped"]["value"]}}
    for facts in details.values():
        facts |= _tie_rule(arrays)
    return {name: AnswerFacts(0.0 if name == "spd" else chance, None, facts) for name, facts in details.items()}


def _tie_rule(arrays: Answers) -> dict[str, str]:
    return {"tie_rule": str(arrays["rule"])} if "rule" in arrays else {}


_RULES = ("least", "greatest", "random")


def _ties_of_difference(rules: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Ties of ``spd``: the least is pos-same under the worst rule minus neg-same under the best one."""
    pos, neg = ({rule: float(rules[rule][name].mean()) for rule in _RULES} for name in ("pos-same", "neg-same"))
    return {
        "least": pos["least"] - neg["greatest"],
        "greatest": pos["greatest"] - neg["least"],
        "random": pos["random"] - neg["random"],
    }


def plain_knn_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Facts of ``run_plain_knn``: chance and ties."""
    ties = {rule: float(arrays[rule].mean()) for rule in _RULES if rule in arrays}
    details = {**({"ties": ties} if ties else {}), **_tie_rule(arrays)}
    return {"accuracy": AnswerFacts(_mean(arrays, "chance"), None, details)}


def retrieval_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Facts of ``run_retrieval``: chance, which follows from the number of pairs, and queries that are lost."""
    pairs = pair_answers(arrays)
    details: dict[str, dict[str, Any]] = {name: {"queries": 2 * pairs.n} for name in pairs.chance}
    details["different"]["lost"] = lost_counts(pairs)
    return {name: AnswerFacts(chance, None, details[name]) for name, chance in pairs.chance.items()}


def lost_counts(pairs: PairAnswers) -> dict[str, int]:
    """Queries with a nearer distractor of their camera type than the target, and those lost only by the camera."""
    return {
        "queries": 2 * pairs.n,
        "lost": int(pairs.lost.sum()),
        "by_camera": int(pairs.lost_by_camera.sum()),
    }


def pair_answers(arrays: Answers) -> PairAnswers:
    """Ranks of the targets; older versions do not store the types of cameras, which name directions."""
    from benchmark.retrieval import PairAnswers

    first, second = arrays.get("camera_types", ("a", "b"))
    return PairAnswers(tuple(arrays["pair_ids"].tolist()), (str(first), str(second)), arrays["nearer"], arrays["tied"])


def adversary_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Facts of ``run_adversary``: chance, accuracies by processing, and answers that processing spoils."""
    right = np.asarray(arrays["right"], np.float64)
    spoiled = float(((right[-1] > 0.5) & (right[:-1].min(axis=0) < 0.5)).mean())
    chance = _mean(arrays, "chance")
    details: dict[str, dict[str, Any]] = {"worst": {}, "average": {}, "best": {}, "flipped": {"spoiled": spoiled}}
    if "jittered" in arrays:
        for name, jitter in jitter_details(right, arrays["jittered"], arrays.get("clusters")).items():
            details[name] |= jitter
    if "processings" in arrays:  # not stored by older versions
        names = [*map(str, arrays["processings"]), "original"]
        means = zip(names, right.mean(axis=1), strict=True)
        of_each = {name: {"accuracy": round(float(mean), 6)} for name, mean in means}
        details["average"]["by_processing"] = of_each
    shared = {"processings": len(right) - 1, **_tie_rule(arrays)}
    return {
        name: AnswerFacts(0.0 if name == "flipped" else chance, None, {**shared, **of_metric})
        for name, of_metric in details.items()
    }


def jitter_details(right: np.ndarray, jittered: np.ndarray, clusters: np.ndarray | None) -> dict[str, dict[str, Any]]:
    """``details["jitter"]`` of each extreme of ``knn/adversary``: the same extreme over jitters, and what is beyond it.

    Args:
        right: [processings and the unprocessed photo, queries], whether each answer is right.
        jittered: [processings, queries], the same under jitters of equal size.
        clusters: [queries], which of them err together.

    >>> right, jittered = np.array([[0, 0, 1], [1, 1, 1], [1, 1, 1]]), np.ones((2, 3))
    >>> details = jitter_details(right, jittered, None)
    >>> [round(details[name]["jitter"]["beyond"]["value"], 2) for name in ("worst", "flipped")]
    [0.67, 0.67]
    """
    from benchmark.knn import flipped_by, worst_of

    details = {}
    for name, extreme in (("worst", worst_of), ("best", lambda table: table.max(axis=0)), ("flipped", flipped_by)):
        of_processing, of_jitter = extreme(np.asarray(right)[:-1]), extreme(np.asarray(jittered))
        further = (of_jitter, of_processing) if name == "worst" else (of_processing, of_jitter)
        details[name] = {"jitter": _against_jitter(of_jitter, further, len(jittered), clusters)}
    return details


def _worst_details(arrays: Answers) -> dict[str, Any]:
    """Details ``flipped`` and ``jitter`` of ``worst`` of ``knn/<parameter>``; jitter may be of a sample of queries."""
    from benchmark.stats import photo_interval

    clusters = arrays.get("clusters")
    ends = photo_interval(arrays["flipped"], clusters=clusters)
    flipped = {"value": ends.value, "low": ends.low, "high": ends.high}
    if JITTER_SAMPLE not in arrays:
        return {"flipped": flipped}
    at, of_jitter = arrays[JITTER_SAMPLE], arrays["jitter_worst"]
    of_sample = None if clusters is None else clusters[at]
    further = (of_jitter, np.asarray(arrays["worst"])[at])
    jitter = _against_jitter(of_jitter, further, int(arrays["combinations"][0]) - 1, of_sample)
    if len(at) < len(arrays["photos"]):
        units = at if of_sample is None else of_sample
        jitter |= {"queries": len(at), "units": len(np.unique(units))}
    return {"flipped": {**flipped, "under_jitter": float(arrays["jitter_flipped"].mean())}, "jitter": jitter}


def _against_jitter(
    of_jitter: np.ndarray, further: tuple[np.ndarray, np.ndarray], jitters: int, clusters: np.ndarray | None
) -> dict[str, Any]:
    """An extreme over jitters with its interval, and the paired difference of ``further``, first less second."""
    from benchmark.stats import paired_difference, photo_interval

    ends, beyond = photo_interval(of_jitter, clusters=clusters), paired_difference(*further, clusters=clusters)
    return {
        **{end: getattr(ends, end) for end in ("value", "low", "high")},
        "jitters": jitters,
        "beyond": {end: getattr(beyond, end) for end in ("value", "low", "high", "p_value")},
    }


def _mean(arrays: Answers, name: str) -> float | None:
    return float(arrays[name].mean()) if name in arrays else None


def neighbour_chance(collection: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """float32 [queries], the share of the collection that has the label of each query: its array ``chance``.

    Args:
        collection: labels of the collection.
        queries: labels of the queries.

    >>> neighbour_chance(np.array([0, 0, 1, 2]), np.array([0, 2])).tolist()
    [0.5, 0.25]
    """
    labels, counts = np.unique(collection, return_counts=True)
    at = np.minimum(np.searchsorted(labels, queries), len(labels) - 1)
    return (np.where(labels[at] == queries, counts[at], 0) / len(collection)).astype(np.float32)
