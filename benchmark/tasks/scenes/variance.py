"""Task ``variance/components``: how much of the embedding's variance is the scene, the groups, and both together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.results import Family, Metric, PhotoValues
from benchmark.tasks.groups.neighbours import read_statistics, statistic_facts
from benchmark.tasks.processing_probe import plain_views
from benchmark.tasks.scenes.cost import variance_cost
from benchmark.tasks.scenes.scene_table import blocks_of, known_scenes, scene_units, unfit_for_scenes
from benchmark.tasks.scores import SHARES, add_freedom, score_of_statistic
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.errors import DataError

if TYPE_CHECKING:
    from benchmark.robustness import Components

TASK = "variance/components"

VARIANCE = Family(
    name="variance",
    title="Components of variance",
    explain="Shares of the embedding's variance that are the scene, the given groups, and what only both together do.",
    about="acquisition",
    header="share of variance",
    panel="none",
    counts="photos",
    hub_id="variance-{subject}",
)

_NOTHING = "0: embeddings that have nothing to do with it"

METRICS = (
    Metric(
        name="scene",
        title="scene",
        explain="Share of the variance that is the scene, whatever the group.",
        kind="accuracy",
        chance=_NOTHING,
        headline=True,
    ),
    Metric(
        name="groups",
        title="groups",
        explain="Share of the variance that is the given groups and their combinations, whatever the scene.",
        kind="difference",
        chance=_NOTHING,
        unit="points",
    ),
    Metric(
        name="interactions",
        title="scene by group",
        explain="Share of the variance that is what a group does to some scenes and not to others.",
        kind="difference",
        chance=_NOTHING,
        unit="points",
    ),
    Metric(
        name="rest",
        title="rest",
        explain="Share of the variance of single photos: noise, and all factors together if a cell has one photo.",
        kind="accuracy",
        chance="1: embeddings that have nothing to do with scenes and groups",
        main=False,
    ),
)
"""Metrics of the task. Further metrics, ``by-device`` and ``by-scene-x-device``, are of one effect each."""

MOST_BLOCKS = 100
"""Most parts of the scenes that are left out one at a time."""

COVERS = "new scenes; the groups are those of the set (jackknife)"


class _Sum(NamedTuple):
    """A metric, and the positions of the effects that it is the sum of."""

    metric: str
    effects: list[int]


def _run_variance(inputs: TaskInput) -> TaskOutcome:
    """Run ``variance/components`` on the usable photos whose scene and groups are known.

    Raises:
        DataError: scenes or groups have one value, there are too many groups, or too few cells have photos.
    """
    from benchmark.robustness import REST, Statistic, variance_components
    from benchmark.views import ORIGINAL

    photos = inputs.photos
    known = known_scenes(photos, inputs.usable)
    units = scene_units(photos, known.photos)
    if units.alone:
        raise DataError(f"{photos.name}: two scenes, and two photos of one, are needed to tell scenes from the rest")
    blocks = blocks_of(units, most=MOST_BLOCKS)
    components = variance_components(inputs.view(ORIGINAL, known.photos), known.factors(photos), blocks)
    details = {
        "variance": round(components.variance, 6),
        "resampled": units.rule,
        "units": int(blocks.max()) + 1,
        "covers": COVERS,
        "photos_left_out": int(inputs.usable.sum()) - len(known.photos),
        "merged": dict(components.merged),
    }
    scores, arrays = [], {"photos": known.photos, "clusters": blocks}
    strata = np.zeros(int(blocks.max()) + 1, np.int64)
    for metric, at in _sums(components):
        share, chance = float(components.shares[at].sum()), 1.0 if metric == REST else 0.0
        statistic = Statistic(min(max(share, 0.0), 1.0), components.without[:, at].sum(axis=1), None, chance)
        more = {"estimate": round(share, 6)} | (
            {"components": _listed(components, strata)} if metric == "scene" else {}
        )
        scored = score_of_statistic(
            TASK, metric, inputs, statistic, strata, blocks, details={**details, **more}, bounds=SHARES
        )
        scores.append(scored.score)
        arrays[metric] = scored.values
        add_freedom(arrays, metric, scored.freedom)
        arrays[f"chance-{metric}"] = np.array(chance)
    return TaskOutcome(tuple(scores), arrays)


def _sums(components: Components) -> Iterator[_Sum]:
    """The metrics of all effects of a kind, then those of single effects besides scene and rest."""
    effects = list(enumerate(components.effects[:-1]))
    of_scene = [i for i, names in effects if "scene" in names and len(names) > 1]
    of_groups = [i for i, names in effects if "scene" not in names]
    yield _Sum("scene", [components.effects.index(("scene",))])
    yield _Sum("groups", of_groups)
    if of_scene:
        yield _Sum("interactions", of_scene)
    yield _Sum("rest", [len(effects)])
    for i in (*of_groups, *of_scene):
        yield _Sum(f"by-{'-x-'.join(components.effects[i])}", [i])


def _listed(components: Components, strata: np.ndarray) -> list[dict[str, Any]]:
    """Every effect with its share, the interval, and the p-value of a share of 0."""
    from benchmark.stats import jackknife

    rows = []
    for i, names in enumerate(components.effects):
        estimate = float(components.shares[i])
        share = min(max(estimate, 0.0), 1.0)
        result = jackknife(share, components.without[:, i], strata)  # as the score of the effect has it
        ends = result.interval(len(strata), SHARES)
        rows.append(
            {
                "effect": " x ".join(names),
                "share": round(share, 6),
                "low": round(ends.low, 6),
                "high": round(ends.high, 6),
                "estimate": round(estimate, 6),
                "p_value": result.p_value(0.0, greater=True),
                "cells": components.cells[i],
            }
        )
    return rows


def _metrics_of(arrays: Mapping[str, np.ndarray]) -> tuple[Metric, ...]:
    """The listed metrics, and those of single effects."""
    single = [name for name in arrays if name.startswith("by-")]
    return (*METRICS, *(Metric(name, name, name, "accuracy", _NOTHING, main=False) for name in single))


def _read(arrays: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Values by photo of each metric, all of which are shares."""
    read = read_statistics(_metrics_of(arrays), arrays)
    return {name: replace(values, limits=SHARES) for name, values in read.items()}


VARIANCE_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        TASK: Task(
            name=TASK,
            family=VARIANCE,
            title="Components",
            explain="Scene, given groups, and their combinations.",
            summary="how much of the embedding's variance is scene, device, setting, and their interactions?",
            metrics=METRICS,
            recipe=plain_views,
            unfit=unfit_for_scenes,
            run=_run_variance,
            most_unlisted=30,  # effects of five factors
            cost=lambda inputs, dimension, clocked: variance_cost(inputs, dimension, clocked, MOST_BLOCKS),
            read_answers=_read,
            read_facts=lambda arrays: statistic_facts(_metrics_of(arrays), arrays),
        )
    }
)
"""Every task about variance, by name."""
