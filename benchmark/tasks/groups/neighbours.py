"""Tasks ``knn/<group>`` and ``robustness/<group>``: whether neighbours follow a given group instead of the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.results import AnswerFacts, Family, Metric, PhotoValues, Score
from benchmark.tasks.groups.data import GroupData, group_data, no_control, unfit_for_group
from benchmark.tasks.knn import SET_UPS, balanced_queries, tie_rule
from benchmark.tasks.processing_probe import plain_views
from benchmark.tasks.scores import WIDE, add_freedom, freedom_of, score_of_statistic
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.errors import DataError
from builders.processes import step_bar

if TYPE_CHECKING:
    from benchmark.robustness import Neighbours, Statistic

GROUP_KNN = Family(
    name="group-knn",
    title="kNN set-ups of groups",
    explain="Accuracy of nearest neighbours by content among photos of other clusters, when the given group of query "
    "and neighbours agrees or differs.",
    about="group",
    header="kNN accuracy %",
    layout="set-ups",
    panel="marks",
    panel_title="Neighbours: what the group does to semantics (kNN)",
    axes=("accuracy of the picture's class, %",),
    counts="queries",
    grouped=True,
    hub_id="{subject}-group-knn-spd",
)

_DRAWN = "k neighbours drawn at random from the photos that the set-up allows"

GROUP_SET_UPS = (
    *(
        Metric(m.name, m.name, explain, "accuracy", _DRAWN, main=m.main)
        for m, explain in zip(
            SET_UPS,
            (
                "All neighbours have the query's group.",
                "All neighbours have another group.",
                "Neighbours of the query's class have its group, all others do not: the group helps.",
                "Neighbours of other classes have the query's group, those of its class do not: the group misleads.",
                "Neighbours of any group.",
                "The collection has one group, drawn at random.",
            ),
            strict=False,
        )
    ),
    Metric(
        name="spd",
        title="SPD",
        explain="Semantic prediction distraction, signed: pos-same minus neg-same.",
        kind="difference",
        chance="that of neighbours drawn at random; 0 if all cells are equally large",
        unit="points",
        difference_of=("pos-same", "neg-same"),
        headline=True,
    ),
    Metric(
        name="spd-beyond-chance",
        title="SPD beyond chance",
        explain="SPD less the SPD of photos whose groups were shuffled among the clusters of their label: what the "
        "group does beyond the sizes of cells and its association with the label.",
        kind="difference",
        chance="0",
        unit="points",
        main=False,
        if_positive="kNN accuracy is higher if the right class shares the query's group than if wrong ones do",
    ),
)

ROBUSTNESS = Family(
    name="robustness",
    title="Robustness against groups",
    explain="Whether content or a given group decides which photos are neighbours, are learnt, or form clusters.",
    about="group",
    header="robustness",
    layout="metrics",
    panel="none",
    counts="queries",
    grouped=True,
    hub_id="{subject}-robustness",
)

ROBUSTNESS_METRICS = (
    Metric(
        name="index",
        title="index",
        explain="Robustness index, SO / (SO + OS): of the k nearest photos of other clusters that have either the "
        "label or the group of the query, the share that has the label. Compare it with its chance, not with 50 %.",
        kind="accuracy",
        chance="neighbours drawn at random",
        headline=True,
    ),
    Metric(
        name="balanced",
        title="balanced index",
        explain="The index with each neighbour counted as one over the candidates of its kind: chance is 50 %.",
        kind="accuracy",
        chance="one half",
    ),
    Metric(
        name="decides",
        title="share that decides",
        explain="Share of neighbours that the index rests on.",
        kind="accuracy",
        chance="neighbours drawn at random",
    ),
    Metric(
        name="pull",
        title="pull of the group",
        explain="1 minus twice the balanced index.",
        kind="difference",
        chance="0",
        unit="points",
        main=False,
        if_positive="the group attracts more than the class: photos of the query's group and another class are nearer "
        "than those of its class and another group",
        if_negative="the class attracts more than the group: photos of the query's class and another group are nearer "
        "than those of its group and another class",
    ),
    Metric(
        name="drop",
        title="performance drop",
        explain="Average performance drop: what a classifier of the label loses, as a share of its accuracy, where "
        "label and group are associated in its training photos.",
        kind="difference",
        chance="0",
        unit="points",
        main=False,
    ),
    Metric(
        name="clustering",
        title="clustering score",
        explain="Adjusted Rand index of k-means with the labels minus that with the groups.",
        kind="difference",
        chance="0",
        unit="points",
        main=False,
    ),
)
"""Metrics of ``robustness/<group>``."""


class Searched(NamedTuple):
    """The neighbours of a group's photos, shared by both tasks."""

    data: GroupData
    neighbours: Neighbours


def searched(group: str, inputs: TaskInput) -> Searched:
    """The neighbours of the photos of a group; the second task that needs them reads those of the first."""
    return inputs.shared.get(("group neighbours", group), lambda: _searched(group, inputs))


def _searched(group: str, inputs: TaskInput) -> Searched:
    from benchmark.knn import Box
    from benchmark.robustness import neighbours_of
    from benchmark.views import ORIGINAL

    data = group_data(group, inputs)
    queries = np.flatnonzero((data.cells.candidates[[Box.SO, Box.OS]] > 0).all(axis=0))
    if not len(queries):
        raise DataError(
            f"{inputs.photos.name}: no photo has both photos of its label in another {group} and of another label in "
            f"its {group}, in other clusters: nothing tells what the {group} does from what the label does"
        )
    if inputs.options.queries is not None:
        sample = np.searchsorted(data.photos, balanced_queries(inputs.photos, data.photos, inputs.options))
        queries = np.intersect1d(sample, queries)
    neighbours = neighbours_of(
        inputs.view(ORIGINAL, data.photos),
        data.cells,
        k=inputs.options.neighbours or inputs.photos.neighbours,
        queries=queries,
        random_ties=tie_rule(inputs.options) == "random",
        device=inputs.device,
    )
    return Searched(data, neighbours)


def _run_group_knn(group: str, inputs: TaskInput) -> TaskOutcome:
    """Run ``knn/<group>``: the six set-ups from the four boxes of neighbours, and SPD."""
    from benchmark.knn import Setup
    from benchmark.robustness import setup_accuracy, setup_chances, shuffled_spd, spd, spd_beyond_chance
    from benchmark.views import ORIGINAL

    search = searched(group, inputs)
    chances = setup_chances(search.neighbours)
    expected = chances[Setup.POS_SAME] - chances[Setup.NEG_SAME]
    statistics = {setup.label: setup_accuracy(search.neighbours, setup, chances[setup]) for setup in Setup}
    statistics["spd"] = spd(search.neighbours, expected)
    more: dict[str, dict[str, Any]] = {
        setup.label: {"tied_votes": float(search.neighbours.tied[setup])} for setup in Setup
    }
    notes = []
    shuffled = shuffled_spd(
        inputs.view(ORIGINAL, search.data.photos),
        search.data.cells,
        k=search.neighbours.k,
        queries=search.neighbours.queries,
        random_ties=tie_rule(inputs.options) == "random",
        device=inputs.device,
    )
    if shuffled is None:
        notes.append(f"SPD beyond chance: {no_control(group)}")
    else:
        statistics["spd-beyond-chance"] = spd_beyond_chance(statistics["spd"], shuffled.mean)
        control = {"accuracy": _rounded(shuffled.mean), "p_value": shuffled.p_value}
        more["spd-beyond-chance"] = {"controls": {"shuffled": control}}
    return _outcome(f"knn/{group}", GROUP_SET_UPS, statistics, search, inputs, more, notes)


def _run_robustness(group: str, inputs: TaskInput) -> TaskOutcome:
    """Run ``robustness/<group>``: the index with its chance, its balanced form, and what it rests on."""
    from benchmark.robustness import (
        balanced_index,
        deciding_share,
        group_pull,
        index_curve,
        older_index,
        robustness_index,
        simulated_chance,
    )

    search = searched(group, inputs)
    statistics = {
        "index": robustness_index(search.neighbours),
        "balanced": balanced_index(search.neighbours),
        "decides": deciding_share(search.neighbours),
        "pull": group_pull(search.neighbours),
    }
    curve = index_curve(search.neighbours)
    table = zip(curve.k, curve.index, curve.balanced, curve.decides, strict=True)
    older = older_index(search.neighbours)
    more: dict[str, dict[str, Any]] = {
        "index": {
            "curve": [
                {"k": int(k), "index": _rounded(a), "balanced": _rounded(b), "decides": _rounded(c)}
                for k, a, b, c in table
            ],
            "older_form": _rounded(older),
        }
    }
    notes: list[str] = []
    if not inputs.brief:
        for name, (statistic, details) in _slow_measures(search.data, inputs, notes).items():
            statistics[name], more[name] = statistic, details
        mean, deviation = simulated_chance(search.data.cells, search.neighbours.k, draws=20)
        more["index"]["simulated_chance"] = {"mean": _rounded(mean), "deviation": _rounded(deviation)}
    return _outcome(f"robustness/{group}", ROBUSTNESS_METRICS, statistics, search, inputs, more, notes)


def _slow_measures(data: GroupData, inputs: TaskInput, notes: list[str]) -> dict[str, tuple[Statistic, dict[str, Any]]]:
    """Performance drop and clustering score with their details; a note for each that these photos cannot answer."""
    from benchmark.robustness import Statistic, clustering_score, performance_drop
    from benchmark.views import ORIGINAL

    def rows(positions: np.ndarray) -> np.ndarray:
        return np.asarray(inputs.view(ORIGINAL, data.photos[positions])[:])

    measures: dict[str, tuple[Statistic, dict[str, Any]]] = {}
    with step_bar(desc=f"robustness/{data.name}", unit="fit") as bar:
        drop = performance_drop(rows, data.cells, seed=inputs.options.seed, progress=bar.update)
        clustering = clustering_score(rows, data.cells, seed=inputs.options.seed, progress=bar.update)
    if drop is None:
        notes.append("Performance drop: no two labels have three clusters in each of two groups.")
    else:
        measures["drop"] = (
            Statistic(drop.value, drop.left_out, None, 0.0),
            {
                "associations": [_rounded(v) for v in drop.associations],
                "accuracies": [_rounded(v) for v in drop.accuracies],
                "other_groups": None if drop.other_groups is None else _rounded(drop.other_groups),
                "spread": _rounded(drop.spread),
                "repeats": drop.repeats,
                "pairs": drop.pairs,
                "possible_pairs": drop.possible,
                "train_photos": drop.train_photos,
                "covers": "new test clusters; classifiers are not fitted again (spread: draws of training clusters)",
            },
        )
    if clustering is None:
        notes.append("Clustering score: no two labels have photos in two groups.")
    else:
        value = min(max(clustering.value, -1.0), 1.0)  # a Rand index below chance may carry the difference beyond
        measures["clustering"] = (
            Statistic(value, clustering.left_out, None, 0.0),
            {
                "ari_label": _rounded(clustering.label),
                "ari_group": _rounded(clustering.group),
                "spread": _rounded(clustering.spread),
                "numbers": np.bincount(clustering.numbers.ravel()).tolist(),
                "seeds": clustering.numbers.shape[1],
                "pairs": clustering.pairs,
                "possible_pairs": clustering.possible,
                "photos": clustering.photos,
                "covers": "new clusters in the comparison; k-means is not run again (spread: over seeds)",
            },
        )
    return measures


def _rounded(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _outcome(
    task: str,
    metrics: tuple[Metric, ...],
    statistics: Mapping[str, Statistic],
    search: Searched,
    inputs: TaskInput,
    more: Mapping[str, Mapping[str, Any]],
    notes: Sequence[str] = (),
) -> TaskOutcome:
    """Scores of statistics that exist, and their values by photo."""
    neighbours, data = search.neighbours, search.data
    from benchmark.knn import Box

    blocks = data.cells.blocks
    by_query = blocks.index[neighbours.queries]
    shared = {
        **data.details(),
        "k": neighbours.k,
        "train_photos": len(data.cells),
        "units": len(np.unique(by_query)),
        "covers": "new clusters of the same cells, as queries and as neighbours (jackknife)",
        "short_lists": round(neighbours.short, 6),
    }
    if (left := int((data.cells.candidates[[Box.SO, Box.OS]] == 0).any(axis=0).sum())) > 0:
        notes = [
            *notes,
            f"{left} of {len(data.cells)} photos are no queries: no other cluster has their label or group.",
        ]
    if notes:
        shared["notes"] = [*shared.get("notes", []), *notes]
    scores: list[Score] = []
    arrays = {"photos": data.photos[neighbours.queries], "clusters": by_query}
    for metric in metrics:
        statistic = statistics.get(metric.name)
        if statistic is None:
            continue
        if not np.isfinite(statistic.value):
            shared["notes"] = [*shared.get("notes", []), f"{metric.title}: no neighbour decides."]
            continue
        scored = score_of_statistic(
            task,
            metric.name,
            inputs,
            statistic,
            blocks.strata,
            by_query,
            details={**shared, **more.get(metric.name, {})},
            bounds=metric.bounds,
        )
        scores.append(scored.score)
        arrays[metric.name] = scored.values
        add_freedom(arrays, metric.name, scored.freedom)
        arrays[f"chance-{metric.name}"] = np.array(statistic.chance)
    return TaskOutcome(tuple(scores), arrays)


def read_statistics(metrics: tuple[Metric, ...], arrays: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Values by photo of each metric: their mean is the score, and their spread over clusters is its error."""
    photos, clusters, read = arrays["photos"], arrays["clusters"], {}
    for metric in metrics:
        if metric.name in arrays:
            freedom = freedom_of(arrays, metric.name)
            read[metric.name] = PhotoValues(photos, arrays[metric.name], WIDE, clusters, freedom, metric.bounds)
    return read


def statistic_facts(metrics: tuple[Metric, ...], arrays: Mapping[str, np.ndarray]) -> dict[str, AnswerFacts]:
    """Chance of each metric."""
    chances = {metric.name: arrays.get(f"chance-{metric.name}") for metric in metrics}
    return {name: AnswerFacts(float(chance), None, {}) for name, chance in chances.items() if chance is not None}


def group_knn(group: str) -> Task:
    """The kNN set-ups of a group."""
    return Task(
        name=f"knn/{group}",
        family=GROUP_KNN,
        title=group,
        explain=f"Which {group} query and neighbours are from.",
        summary=f"does the {group}, a given group, decide which photos of other clusters are nearest?",
        metrics=GROUP_SET_UPS,
        recipe=plain_views,
        unfit=partial(unfit_for_group, group, labels=True),
        run=partial(_run_group_knn, group),
        read_answers=partial(read_statistics, GROUP_SET_UPS),
        read_facts=partial(statistic_facts, GROUP_SET_UPS),
        growth="pairs",
    )


def robustness(group: str) -> Task:
    """The robustness index of a group and what belongs to it."""
    return Task(
        name=f"robustness/{group}",
        family=ROBUSTNESS,
        title=group,
        explain=f"Whether content or the {group} prevails.",
        summary=f"do neighbours follow content or the {group}, a given group: the robustness index and its chance",
        metrics=ROBUSTNESS_METRICS,
        recipe=plain_views,
        unfit=partial(unfit_for_group, group, labels=True),
        run=partial(_run_robustness, group),
        read_answers=partial(read_statistics, ROBUSTNESS_METRICS),
        read_facts=partial(statistic_facts, ROBUSTNESS_METRICS),
        growth="pairs",
    )
