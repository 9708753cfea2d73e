"""Associations of each feature with the label, the split and the source, from counts; and the values that carry them.

P-values are by permutation: of tables with the same margins, or of numbers in the sample. Where owners are known, they
are of one photo from each owner, because photos of one owner share camera and software.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.audit.features import CONTENT_LAYERS, FEATURES
from benchmark.audit.pixel_features import PIXEL_FEATURES
from benchmark.audit.result import ALPHA, SMALLEST_EFFECT, TARGETS, Carrier, LayerScore, Question
from benchmark.audit.subjects import UNKNOWN
from benchmark.audit.tally import MAX_SOURCES, RARER, Tally
from benchmark.judgement import is_confounded
from benchmark.stats import ErrorUnits, correlation_ratio, error_units, holm, ratio_p_value, table_p_value
from builders.photos import CLUSTER
from builders.splits import cramers_v

CARRIERS = 6
"""Most values named for a question."""

EXAMPLES = 3
"""Ids of photos given for a value."""

CARRYING_RESIDUAL = 3.0
"""A value is named where its count is so many standard deviations above the count under independence."""


def questions_of(tally: Tally, seed: int) -> list[Question]:
    """The question of every feature with two values or more; p-values are not corrected."""
    questions: list[Question] = []
    for target in TARGETS:
        groups = list(tally.names[target])
        if len(groups) < 2 or (target == "source" and len(groups) > MAX_SOURCES):
            continue
        for name, feature in FEATURES.items():
            if feature.kind == "number":
                questions += _number(tally, target, name, feature.title, feature.layer, groups, seed)
            else:
                questions += _values(tally, target, name, feature.title, feature.layer, groups, seed)
        if target != "source":
            questions += _values(tally, target, "source", "source", "origin", groups, seed)
        if tally.pixels:
            questions += _pixel_questions(tally, target, groups, seed)
    return questions


def corrected(
    questions: Sequence[Question], layers: Sequence[LayerScore]
) -> tuple[tuple[Question, ...], tuple[LayerScore, ...]]:
    """Questions and layers with p-values after Holm's correction over all of them, flagged, the strongest first."""
    if not questions and not layers:
        return (), ()
    adjusted = holm([*(q.p_value for q in questions), *(s.p_value for s in layers)])
    tested = [
        dataclasses.replace(q, adjusted=float(p), flagged=_flagged(p, q.value))
        for q, p in zip(questions, adjusted[: len(questions)], strict=True)
    ]
    scored = [
        dataclasses.replace(s, adjusted=float(p), flagged=_flagged(p, s.advantage))
        for s, p in zip(layers, adjusted[len(questions) :], strict=True)
    ]
    order = {target: i for i, target in enumerate(TARGETS)}
    tested.sort(key=lambda q: (order[q.target], not q.flagged, q.content, -q.value, q.adjusted))
    return tuple(tested), tuple(scored)


def _flagged(p_value: float, effect: float) -> bool:
    return is_confounded(p_value, effect, level=ALPHA, smallest=SMALLEST_EFFECT)


def _one_per_owner(sample: pd.DataFrame) -> pd.DataFrame:
    """The photo of each owner with the smallest hash, and every photo without an owner."""
    units = units_of(sample, np.arange(len(sample)))
    return sample.iloc[np.sort(np.unique(units.index, return_index=True)[1])]


def owner_units(tally: Tally) -> ErrorUnits:
    """The error units of the sample: p-values and intervals are over owners, whatever their number, where any photos
    share one."""
    return units_of(tally.sample, np.arange(len(tally.sample)))


def units_of(sample: pd.DataFrame, at: np.ndarray) -> ErrorUnits:
    """The error units of the sampled photos ``at``: the column of owners is the given cluster."""
    return error_units({CLUSTER: sample["owner"].to_numpy(dtype=object)}, at)


def codes_of(column: pd.Series, groups: Sequence[str]) -> np.ndarray:
    """int [photos], class of each sampled photo; -1 where unknown."""
    return pd.Index(list(groups), dtype=object).get_indexer(column.astype(object))


def _values(
    tally: Tally, target: str, name: str, title: str, layer: str, groups: list[str], seed: int
) -> list[Question]:
    if (target, name) not in tally.tables:
        return []
    values, counts = tally.tables[target, name].counts(len(groups))
    known = np.array([value != UNKNOWN for value in values], dtype=bool)
    values, counts = [v for v, k in zip(values, known, strict=True) if k], counts[known]
    if len(values) < 2 or (counts.sum(axis=0) > 0).sum() < 2:
        return []
    tested = counts
    if not owner_units(tally).alone:
        sample = tally.sample[tally.sample[name] != UNKNOWN]
        tested = _table(_one_per_owner(sample), name, target, groups)
    p_value = table_p_value(tested, seed=seed)
    value = cramers_v(counts)
    carriers = _carriers(values, counts, groups, lambda v, g: _examples(tally.sample, target, g, name, v))
    raw = cramers_v(counts, corrected=False)
    n = int(counts.sum())
    question = _question(target, name, title, layer, "V", (value, raw), p_value, n, len(values), carriers)
    return [dataclasses.replace(question, tested=int(tested.sum()))]


def _number(
    tally: Tally, target: str, name: str, title: str, layer: str, groups: list[str], seed: int
) -> list[Question]:
    moments = tally.moments.get((target, name))
    if moments is None or (moments.counts > 0).sum() < 2:
        return []
    value = _both_ratios(moments.counts, moments.sums, moments.squares)
    sample = _one_per_owner(tally.sample)
    n, means = int(moments.counts.sum()), (moments.counts, moments.sums)
    return _number_question(sample, target, name, title, layer, groups, seed, value, means, n)


def _number_question(
    sample: pd.DataFrame,
    target: str,
    name: str,
    title: str,
    layer: str,
    groups: list[str],
    seed: int,
    value: tuple[float, float],
    means: tuple[np.ndarray, np.ndarray],
    n: int,
) -> list[Question]:
    numbers, codes = sample[name].to_numpy(dtype=float), codes_of(sample[target], groups)
    known = np.isfinite(numbers) & (codes >= 0)
    numbers, codes = numbers[known], codes[known]
    if len(numbers) < 3 or np.ptp(numbers) < 1e-9:
        return []
    p_value = ratio_p_value(numbers, codes, seed=seed)
    carriers = _extremes(name, groups, *means)
    question = _question(target, name, title, layer, "eta", value, p_value, n, 0, carriers)
    return [dataclasses.replace(question, tested=len(numbers))]


def _both_ratios(counts: np.ndarray, sums: np.ndarray, squares: float) -> tuple[float, float]:
    return correlation_ratio(counts, sums, squares), correlation_ratio(counts, sums, squares, corrected=False)


def _question(
    target: str,
    name: str,
    title: str,
    layer: str,
    measure: str,
    value: tuple[float, float],
    p_value: float,
    n: int,
    distinct: int,
    carriers: tuple[Carrier, ...],
) -> Question:
    """A question whose p-value is not corrected; ``value`` is the measure without and with its bias."""
    content = layer in CONTENT_LAYERS and name != "earlier_quality"
    return Question(
        target, name, title, layer, measure, *value, p_value, p_value, n, distinct, content=content, carriers=carriers
    )


def _pixel_questions(tally: Tally, target: str, groups: list[str], seed: int) -> list[Question]:
    """Questions about the pixel features and the earlier JPEG quality of decoded photos."""
    frame = tally.pixels["frame"].copy()
    for k, name in enumerate([*PIXEL_FEATURES, "earlier_quality"]):
        frame[name] = tally.pixels["numbers"][:, k]
    frame["earlier_quality"] = [f"JPEG about {q:.0f}" if q else "none seen" for q in frame["earlier_quality"]]
    tested = frame if owner_units(tally).alone else _one_per_owner(frame)
    questions: list[Question] = []
    for name, feature in PIXEL_FEATURES.items():
        numbers, codes = frame[name].to_numpy(dtype=float), codes_of(frame[target], groups)
        known = np.isfinite(numbers) & (codes >= 0)
        counts = np.bincount(codes[known], minlength=len(groups)).astype(float)
        centred = numbers[known] - (numbers[known].mean() if known.any() else 0.0)
        sums = np.bincount(codes[known], weights=centred, minlength=len(groups))
        value = _both_ratios(counts, sums, float(np.square(centred).sum()))
        shown = np.bincount(codes[known], weights=numbers[known], minlength=len(groups))
        questions += _number_question(
            tested, target, name, feature.title, "pixels", groups, seed, value, (counts, shown), int(known.sum())
        )
    table, values = _table(frame, "earlier_quality", target, groups), sorted(frame["earlier_quality"].unique())
    if len(values) > 1:
        p_value = table_p_value(_table(tested, "earlier_quality", target, groups), seed=seed)
        carriers = _carriers(values, table, groups, lambda v, g: _examples(frame, target, g, "earlier_quality", v))
        value = (cramers_v(table), cramers_v(table, corrected=False))
        title, n = "earlier JPEG compression", int(table.sum())
        questions.append(
            dataclasses.replace(
                _question(target, "earlier_quality", title, "pixels", "V", value, p_value, n, len(values), carriers),
                tested=int(_table(tested, "earlier_quality", target, groups).sum()),
            )
        )
    return questions


def _table(frame: pd.DataFrame, name: str, target: str, groups: Sequence[str]) -> np.ndarray:
    codes = codes_of(frame[target], groups)
    values, indices = np.unique(frame[name].to_numpy(dtype=str), return_inverse=True)
    known = codes >= 0
    cells = np.bincount(indices[known] * len(groups) + codes[known], minlength=len(values) * len(groups))
    return cells.reshape(len(values), len(groups))


def _carriers(
    values: Sequence[str], counts: np.ndarray, groups: Sequence[str], examples: Callable[[str, str], list[str]]
) -> tuple[Carrier, ...]:
    """The cells with the largest standardised residuals from independence, each value once for a class."""
    total, of_value, of_group = counts.sum(), counts.sum(axis=1), counts.sum(axis=0)
    expected = np.outer(of_value, of_group) / total
    spread = expected * np.outer(1 - of_value / total, 1 - of_group / total)
    residuals = (counts - expected) / np.sqrt(np.maximum(spread, 1e-12))
    carriers: list[Carrier] = []
    for i, j in _largest(residuals, 4 * CARRIERS):
        if residuals[i, j] < CARRYING_RESIDUAL or len(carriers) >= CARRIERS:
            break
        if values[i] == RARER or any(c.value == values[i] and c.group == groups[j] for c in carriers):
            continue
        share = counts[i, j] / of_group[j]
        elsewhere = (of_value[i] - counts[i, j]) / max(1, total - of_group[j])
        carriers.append(
            Carrier(values[i], groups[j], float(share), float(elsewhere), tuple(examples(values[i], groups[j])))
        )
    return tuple(carriers)


def _largest(table: np.ndarray, count: int) -> Iterable[tuple[int, int]]:
    flat = np.argsort(-table, axis=None, kind="stable")[:count]
    return ((int(k) // table.shape[1], int(k) % table.shape[1]) for k in flat)


def _examples(sample: pd.DataFrame, target: str, group: str, name: str, value: str) -> list[str]:
    ids = sample.loc[(sample[target] == group) & (sample[name] == value), "id"]
    return [str(i) for i in ids.head(EXAMPLES)]


def _extremes(name: str, groups: Sequence[str], counts: np.ndarray, sums: np.ndarray) -> tuple[Carrier, ...]:
    """The classes with the largest and the smallest mean."""
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    if np.isfinite(means).sum() < 2:
        return ()
    return tuple(
        Carrier(f"{word} mean: {number_text(name, means[k])}", groups[k])
        for word, k in (("largest", int(np.nanargmax(means))), ("smallest", int(np.nanargmin(means))))
    )


def number_text(name: str, value: float) -> str:
    """A mean as text with its unit; those of sizes are geometric means.

    >>> number_text("bytes", 10.0), number_text("aspect", 0.0), number_text("brightness", 99.5)
    ('1.0 KB', '1.00', '99.5')
    """
    if name in _UNITS:
        divisor, unit, digits = _UNITS[name]
        return f"{2**value / divisor:,.{digits}f}{unit}"
    return f"{value:.1f}"


_UNITS: Mapping[str, tuple[float, str, int]] = {
    "bytes": (1024, " KB", 1),
    "pixels": (1e6, " megapixels", 3),
    "aspect": (1, "", 2),
    "bytes_per_pixel": (1, "", 2),
}
