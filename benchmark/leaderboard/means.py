"""Means over the tasks of one data set, for entries that have every task: a part never outranks a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean

from benchmark.leaderboard.columns import PARAMETERS, STUDY_ATTRIBUTES, meaning
from benchmark.leaderboard.entries import Observation
from benchmark.results import Score, Summary, log_odds_over_chance, summarise

Found = dict[tuple[str, str, str, str], dict[str, Observation]]
"""(data, task, metric, settings) -> entry's key -> observation."""


def means(data: str, found: Found) -> Found:
    """The summary columns of one data set, under each of its settings.

    Values are ``benchmark.results.summary``'s. The interval is the mean of the intervals' ends: no narrower than the
    truth, however the tasks' errors go together.
    """
    asked = {
        task.removeprefix("probe/") for _, task, metric, _ in found if meaning(task, metric).family == "acquisition"
    }
    attributes = whole_acquisition(asked)
    processing = [(f"probe/{p}", "accuracy") for p in PARAMETERS]
    acquisition = [(f"probe/{a}", "accuracy") for a in attributes]
    spd = [(f"knn/{p}", metric) for metric in ("spd", "pos-same", "neg-same") for p in PARAMETERS]
    plain = [(f"knn/{p}", "all-same") for p in PARAMETERS]
    pairs = [("retrieval/pairs", metric) for metric in ("spd", "same", "different")]
    wanted: tuple[tuple[str, list[tuple[str, str]], _Ends, _Number], ...] = (
        ("mp-processing", processing, _ends, lambda s: s.mp_processing),
        ("mp-acquisition", acquisition, _ends, lambda s: s.mp_acquisition),
        ("sp", plain, _ends, lambda s: s.sp),
        ("spd-processing", spd, _sizes, lambda s: s.spd_processing),
        ("spd-acquisition", pairs, _sizes, lambda s: s.spd_acquisition),
        ("spd-processing-signed", spd, _ends, lambda s: s.spd_processing_signed),
        ("log-odds-processing", processing, _log_odds, lambda s: s.log_odds_processing),
        ("log-odds-acquisition", acquisition, _log_odds, lambda s: s.log_odds_acquisition),
    )
    columns: Found = {}
    for name, parts, ends, number in wanted:
        for settings in sorted({key[3] for key in found}):
            held = [found.get((data, task, metric, settings), {}) for task, metric in parts]
            complete = [entry for entry in (held[0] if held else ()) if all(entry in h for h in held)]
            if complete:
                columns[data, f"summary/{name}", "mean", settings] = {
                    entry: _mean(f"summary/{name}", [h[entry] for h in held], ends, number) for entry in complete
                }
    return columns


def whole_acquisition(asked: set[str]) -> list[str]:
    """The attributes that make a data set's acquisition probes complete, of those that any encoder was asked.

    The study's, where there are any: an extra one must not make the others partial.
    """
    return [name for name in STUDY_ATTRIBUTES if name in asked] or sorted(asked)


_Ends = Callable[[Observation], tuple[float, float] | None]
_Number = Callable[[Summary], float | None]


def _mean(task: str, parts: Sequence[Observation], ends: _Ends, number: _Number) -> Observation:
    value = number(summarise(_score(o) for o in parts))
    assert value is not None  # every part is there
    # A mean of differences has its interval from the differences, not from the accuracies beside them.
    bearing = [o for o in parts if o.metric == "spd"] or list(parts)
    intervals = [ends(o) for o in bearing]
    known = [interval for interval in intervals if interval is not None]
    whole = len(known) == len(intervals)
    return Observation(
        task=task,
        metric="mean",
        photos=parts[0].photos,
        value=value,
        low=min(value, fmean(low for low, _ in known)) if whole else None,
        high=max(value, fmean(high for _, high in known)) if whole else None,
        n=min(o.n for o in parts),
        chance=fmean(o.chance for o in bearing) if ends is not _log_odds else 0.0,
        flags=tuple(dict.fromkeys(f for o in parts for f in o.flags if f == "protocol")),
    )


def _score(o: Observation) -> Score:
    return Score(o.task, o.photos.name, o.metric, o.value, o.value, o.value, o.n, o.chance)


def _ends(o: Observation) -> tuple[float, float] | None:
    return None if o.low is None or o.high is None else (o.low, o.high)


def _sizes(o: Observation) -> tuple[float, float] | None:
    ends = _ends(o)
    return None if ends is None else folded(*ends)


def _log_odds(o: Observation) -> tuple[float, float] | None:
    ends = _ends(o)
    if ends is None:
        return None
    low, high = (log_odds_over_chance(end, o.n, o.chance) for end in ends)
    return low, high


def folded(low: float, high: float) -> tuple[float, float]:
    """Interval of the size of a signed number.

    >>> folded(-0.2, 0.1), folded(-0.3, -0.1)
    ((0.0, 0.2), (0.1, 0.3))
    """
    if low <= 0 <= high:
        return 0.0, max(-low, high)
    sizes = sorted((math.fabs(low), math.fabs(high)))
    return sizes[0], sizes[1]
