"""``retrieval/pairs`` of any number of groups: every pair of them in both directions, and medians by what differs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.results import AnswerFacts, Answers, Metric, PhotoValues, Score
from benchmark.tasks.scenes.cost import similarities
from benchmark.tasks.scenes.scene_table import SceneTable, blocks_of, scene_inputs
from benchmark.tasks.scores import WIDE, add_freedom, freedom_of, score_of, score_of_statistic, unit_answers
from benchmark.tasks.task import TaskInput, TaskOutcome
from builders.processes import step_bar

if TYPE_CHECKING:
    from benchmark.retrieval import GroupRecall, Median

TASK = "retrieval/pairs"

MATRIX = "group_matrix"
"""Detail of ``at-1``: every pair of groups."""

COVERS = "new scenes as queries; the groups and the collection that is searched stay (jackknife)"

_K_CHANCE = "k of the photos that are searched, median over pairs of groups"

GROUP_METRICS = (
    *(
        Metric(
            name=f"at-{k}",
            title=f"Recall@{k}, median",
            explain=f"Recall@{k} of the photo of the query's scene by another group, median over pairs of groups, both "
            "directions averaged.",
            kind="accuracy",
            chance=_K_CHANCE,
            main=k in (1, 10),
        )
        for k in (1, 3, 5, 10)
    ),
    Metric(
        name="cosine",
        title="cosine of pairs, median",
        explain="Mean cosine of the photos of one scene by two groups, median over pairs of groups.",
        kind="difference",
        chance="photos of different scenes",
        unit="points",
        main=False,
    ),
)
"""Metrics that only sets of groups have. Where several groups are given, further ones, ``other-GROUP-at-K``, are of the
pairs that differ in these groups alone."""

MEANS = ("same", "different", "spd", "all")
"""Metrics that are means over scenes, as with two types of cameras."""


def run_group_retrieval(inputs: TaskInput) -> TaskOutcome:
    """Run ``retrieval/pairs`` on all groups that share scenes.

    Raises:
        DataError: as ``scene_table``.
    """
    from benchmark.compute import exact_device
    from benchmark.retrieval import group_recall
    from benchmark.views import ORIGINAL

    table = scene_inputs(inputs)
    units = table.units(inputs.photos)
    blocks, rows = blocks_of(units), table.rows
    with step_bar(total=int(similarities(rows >= 0)), desc=TASK, unit="pair", unit_scale=True) as bar:
        recall = group_recall(
            inputs.view(ORIGINAL, table.used),
            rows,
            blocks,
            distractors=inputs.options.distractors,
            device=exact_device(inputs.device),
            progress=bar.update,
        )
    shared = {
        "groups": len(table.groups),
        "distractors": inputs.options.distractors,
        "photos_left_out": table.left_out,
        "unit": units.rule,
    }
    scores: list[Score] = []
    arrays: dict[str, np.ndarray] = {"scenes": np.array(table.scenes), "blocks": blocks, **unit_answers(units)}
    means = {name: (values, recall.mean_chances[name]) for name, values in recall.by_scene.items()}
    means["spd"] = (means["same"][0] - means["different"][0], 0.0)
    for name in (name for name in MEANS if name in means):
        values, chance = means[name]
        scores.append(score_of(TASK, name, inputs, values, units, chance=chance, details=shared, bounds=_bounds(name)))
        arrays |= {f"value-{name}": values, f"chance-{name}": np.array(chance)}
    for name, median, chance in _medians(table, recall):
        more = {MATRIX: _matrix_details(table, recall)} if name == "at-1" and not inputs.brief else {}
        score, values, freedom = _score(name, median, chance, inputs, blocks, {**shared, **more})
        scores.append(score)
        arrays |= {f"median-{name}": values, f"chance-{name}": np.array(chance)}
        add_freedom(arrays, name, freedom)
    return TaskOutcome(tuple(scores), arrays)


def _score(
    name: str, median: Median, chance: float, inputs: TaskInput, blocks: np.ndarray, details: Mapping[str, Any]
) -> tuple[Score, np.ndarray, int]:
    from benchmark.robustness import Statistic

    statistic = Statistic(median.value, median.without, None, chance)
    more = {"pairs": median.pairs, "resampled": details["unit"], "units": int(blocks.max()) + 1, "covers": COVERS}
    one = np.zeros(int(blocks.max()) + 1, np.int64)
    scored = score_of_statistic(
        TASK, name, inputs, statistic, one, blocks, details={**details, **more}, bounds=_bounds(name)
    )
    return scored.score, scored.values, scored.freedom


def _medians(table: SceneTable, recall: GroupRecall) -> Iterator[tuple[str, Median, float]]:
    """(metric, median, chance) of all pairs, then of those that differ in the same given groups."""
    from benchmark.retrieval import RANKS, median_chance, median_cosine, median_recall

    for prefix, among in pairs_by_difference(table).items():
        if not (recall.scenes.sum(axis=-1)[among] > 0).any():
            continue
        for i, k in enumerate(RANKS):
            yield f"{prefix}at-{k}", median_recall(recall, i, among), median_chance(recall.chances[i], among)
        apart = min(max(median_chance(recall.apart, among), -1.0), 1.0)
        yield f"{prefix}cosine", median_cosine(recall, among), apart


def pairs_by_difference(table: SceneTable) -> dict[str, np.ndarray]:
    """Pairs of groups, bool [G, G], by the beginning of their metrics' names: all, then by what differs.

    ``other-scanner-``: another scanner and the same staining; ``other-scanner-staining-``: both are others.
    """
    codes = [np.unique(values, return_inverse=True)[1] for values in table.attributes.values()]
    differs = [code[:, None] != code[None] for code in codes]
    pairs = {"": ~np.eye(len(table.groups), dtype=bool)}
    if len(codes) < 2:
        return pairs
    names = list(table.attributes)
    for count in range(1, len(names) + 1):
        for chosen in itertools.combinations(range(len(names)), count):
            among = np.logical_and.reduce([d if i in chosen else ~d for i, d in enumerate(differs)])
            if among.any():
                pairs[f"other-{'-'.join(names[i] for i in chosen)}-"] = among
    return pairs


def _matrix_details(table: SceneTable, recall: GroupRecall) -> dict[str, Any]:
    """Every pair of groups, rows by the query's group: recall, the interval of recall@1, n, chance and mean cosine."""
    from benchmark.retrieval import RANKS
    from benchmark.stats import photo_interval

    n = recall.scenes.sum(axis=-1)
    ends = np.full((2, *n.shape), np.nan)
    for first, second in np.argwhere(n > 0):
        sums, counts = recall.sums[0, first, second], recall.scenes[first, second]
        values = np.repeat(sums / np.maximum(counts, 1), counts)  # the interval needs sums by block alone
        interval = photo_interval(values, clusters=np.repeat(np.arange(len(counts)), counts))
        ends[:, first, second] = interval.low, interval.high
    return {
        "groups": list(table.groups),
        "attributes": {name: list(values) for name, values in table.attributes.items()},
        "recall": {str(k): _listed(values) for k, values in zip(RANKS, recall.recall, strict=True)},
        "low": _listed(ends[0]),
        "high": _listed(ends[1]),
        "n": n.tolist(),
        "chance": _listed(recall.chances[0], 6),
        "cosine": _listed(recall.cosine),
        "cosine_apart": _listed(recall.apart),
    }


def _listed(values: np.ndarray, digits: int = 4) -> list[list[float | None]]:
    return [[None if np.isnan(v) else round(float(v), digits) for v in row] for row in values]


def read_group_retrieval(arrays: Answers) -> dict[str, PhotoValues]:
    """Values by scene of ``run_group_retrieval``."""
    scenes, blocks, clusters = arrays["scenes"], arrays["blocks"], arrays.get("clusters")
    read = {}
    for name, values in arrays.items():
        kind, _, metric = name.partition("-")
        if kind == "value":
            read[metric] = PhotoValues(scenes, values, _bounds(metric), clusters)
        elif kind == "median":
            read[metric] = PhotoValues(scenes, values, WIDE, blocks, freedom_of(arrays, metric), _bounds(metric))
    return read


def _bounds(metric: str) -> tuple[float, float]:
    return (-1.0, 1.0) if metric == "spd" or metric.endswith("cosine") else (0.0, 1.0)


def group_retrieval_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Chance of each metric."""
    named = {name.partition("-")[2]: value for name, value in arrays.items() if name.startswith("chance-")}
    return {name: AnswerFacts(float(chance), None, {}) for name, chance in named.items()}
