"""The form of every field of a score's details that anybody computes with or shows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from benchmark.results.plain_forms import NUMBER, TEXT, WHOLE, Form, is_count, is_number, is_text, of_each

MAX_STEPS = 20
"""Of a learning curve: ours has four."""

MAX_QUERIES, MAX_EDGES = 50, 401
"""Whose similarities a score shows, and the edges of a histogram: ours are 6 and 49."""

MAX_STRIPS, MAX_VIEWS, MAX_NEIGHBOURS = 20, 100, 2000
"""Of photos shown under all processings: ours are 4, 15, and 75 at most."""


def _control(value: object) -> bool:
    return isinstance(value, Mapping) and all(value.get(n) is None or is_number(value[n]) for n in _CONTROL_NUMBERS)


def _curve(value: object) -> bool:
    """As ``LearningCurve.details`` gives it."""
    if not isinstance(value, Mapping) or not isinstance(value.get("rises"), bool):
        return False
    lists = [value.get(name) for name in ("share", "n_train", "accuracy", "low", "high")]
    if not all(isinstance(one, list) and 0 < len(one) <= MAX_STEPS and all(map(is_number, one)) for one in lists):
        return False
    gain = value.get("gain")
    return len({len(one) for one in lists if isinstance(one, list)}) == 1 and (
        gain is None or (isinstance(gain, Mapping) and all(is_number(gain.get(n)) for n in ("value", "low", "high")))
    )


def _training_spread(value: object) -> bool:
    return isinstance(value, Mapping) and is_number(value.get("deviation")) and is_count(value.get("probes"))


def _similarities(value: object) -> bool:
    """Histograms as a kNN task writes them: ``edges``, and ``counts`` of as many bins by kind."""
    return isinstance(value, list) and len(value) <= MAX_QUERIES and all(map(_histogram, value))


def _histogram(value: object) -> bool:
    if not isinstance(value, Mapping) or not all(is_text(value.get(n, "")) for n in ("query", "class", "processing")):
        return False
    edges, counts = value.get("edges"), value.get("counts")
    if not isinstance(edges, list) or not 2 <= len(edges) <= MAX_EDGES or not all(map(is_number, edges)):
        return False
    if not all(a < b for a, b in itertools.pairwise(edges)) or not -1 <= edges[0] <= edges[-1] <= 1.1:
        return False
    if not is_text(value.get("why", "")) or not all(is_number(value.get(n, 0)) for n in ("beats", "overlap")):
        return False
    return (
        isinstance(counts, Mapping)
        and len(counts) <= 4
        and all(
            is_text(kind) and isinstance(bins, list) and len(bins) == len(edges) - 1 for kind, bins in counts.items()
        )
        and all(is_count(n) for bins in counts.values() for n in bins)
    )


def _similarity_summary(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and all(of_each(is_number)(value.get(name)) for name in ("beats", "overlap"))
        and all(is_count(value.get(name, 0)) for name in ("n", "queries", "photos"))
        and is_number(value.get("chance", 0))
    )


def _strips(value: object) -> bool:
    """Photos under all processings, as ``knn/adversary`` writes them; views name neighbours by their place."""
    return isinstance(value, list) and len(value) <= MAX_STRIPS and all(map(_strip, value))


def _strip(value: object) -> bool:
    if not isinstance(value, Mapping) or not all(is_text(value.get(n)) for n in ("query", "class", "why")):
        return False
    photos, views = value.get("photos"), value.get("views")
    if not isinstance(photos, list) or not isinstance(views, list) or len(photos) > MAX_NEIGHBOURS:
        return False
    if not all(isinstance(one, Mapping) and is_text(one.get("id")) and is_text(one.get("class")) for one in photos):
        return False
    return 1 <= len(views) <= MAX_VIEWS and all(_strip_view(one, len(photos)) for one in views)


def _strip_view(value: object, photos: int) -> bool:
    if not isinstance(value, Mapping) or not all(is_text(value.get(n)) for n in ("processing", "answer")):
        return False
    near, similar = value.get("neighbours"), value.get("similarities")
    if not isinstance(near, list) or not isinstance(similar, list) or len(near) != len(similar):
        return False
    numbers = all(is_number(value.get(name)) for name in ("distance", "right"))
    return numbers and all(map(is_number, similar)) and all(is_count(place) and place < photos for place in near)


_CONTROL_NUMBERS = ("accuracy", "low", "high", "mean", "mean_low", "mean_high", "p_value")

DETAILS: Mapping[str, tuple[Form, str]] = {
    "protocol": TEXT,
    "resampled": TEXT,
    "k": WHOLE,
    "mask_ratio": NUMBER,
    "classes": WHOLE,
    "units": WHOLE,
    "train_photos": WHOLE,
    "p_chance": NUMBER,
    "most_frequent_class": NUMBER,
    "tied_votes": NUMBER,
    "ties": (of_each(is_number), "an object of numbers"),
    "controls": (of_each(_control), "an object of controls"),
    "learning_curve": (_curve, "a learning curve: lists of numbers of one length, a gain, and whether it rises"),
    "training_spread": (_training_spread, "a deviation, and of how many probes"),
    "flipped": (of_each(is_number), "a share with its interval"),
    "similarities": (_similarities, f"a list of at most {MAX_QUERIES} histograms"),
    "strips": (_strips, f"a list of at most {MAX_STRIPS} photos under their processings"),
    "by_processing": (of_each(of_each(is_number)), "numbers by processing"),
    "spoiled": NUMBER,
    "processings": WHOLE,
    "similarity_summary": (_similarity_summary, "two shares with their intervals, and counts"),
}
