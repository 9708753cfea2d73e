"""Task ``probe/<group>``: how well a reader predicts the group of a photo whose cluster it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.results import Family, Metric
from benchmark.tasks.acquisition_probe import SplitPart, accuracy_and_ends, labelled_splits
from benchmark.tasks.facts import labelled_facts, read_labelled_probe
from benchmark.tasks.groups.data import (
    ClusterSplits,
    GroupData,
    Parts,
    cluster_splits,
    group_data,
    no_control,
    unfit_for_group,
)
from benchmark.tasks.processing_probe import OTHER_READERS, other_readers, plain_views, probe_outcome
from benchmark.tasks.scores import units_of
from benchmark.tasks.task import Task, TaskInput, TaskOutcome

if TYPE_CHECKING:
    from benchmark.probe import LabelledSplits, ProbeAnswers
    from benchmark.stats import ErrorUnits

PERMUTATION_SEED = 17
"""Seed of the shuffling of groups."""

GROUP_PROBES = Family(
    name="group-probe",
    title="Group probes",
    explain="Accuracy of a linear probe that reads a given group of a photo (scanner, site) from its embedding.",
    about="group",
    header="linear probe",
    layout="scores",
    whole="labelled",
    panel="intervals",
    panel_title="Groups: what the embedding tells",
    axes=("accuracy of a linear probe, %",),
    probed=True,
    hub_id="{subject}-group-probe",
)

ACCURACY = Metric(
    name="accuracy",
    title="accuracy",
    explain="Share of test photos whose group the probe names; no cluster is both in training and in the test.",
    kind="trace",
    chance="one over the number of groups",
    headline=True,
)


def run_group_probe(group: str, inputs: TaskInput) -> TaskOutcome:
    """Run ``probe/<group>`` with its controls: groups shuffled within labels, and cells of equal size."""
    data = group_data(group, inputs)
    splits = cluster_splits(data, inputs.photos, inputs.options)
    tested, classes = splits.tested, data.cells.groups
    units = units_of(inputs, data.photos[tested])
    problems = [_labelled(data, parts, inputs) for parts in splits.folds]
    answers = _joined([_labelled_probe_of(problem, inputs) for problem in problems])
    has_control = _can_be_shuffled(data, splits)

    def controls() -> dict[str, Any]:
        outcome: dict[str, Any] = {}
        if has_control:
            outcome["shuffled"] = _shuffled(data, splits, problems, answers, inputs)
        balanced = [{name: _balanced(data, at) for name, at in parts.items()} for parts in splits.folds]
        if all(
            len(np.unique(classes[at[name]])) == data.cells.n_groups for at in balanced for name in ("train", "test")
        ):
            equal = _joined([_labelled_probe_of(_labelled(data, at, inputs), inputs) for at in balanced])
            positions = np.concatenate([at["test"] for at in balanced])
            equal_units = units_of(inputs, data.photos[positions])
            outcome["balanced"] = accuracy_and_ends(equal, equal_units, inputs.options)
        return outcome

    further: dict[str, Any] = {} if inputs.brief else {"controls": controls()}
    if not has_control:
        further["notes"] = [*data.details().get("notes", []), f"Shuffled groups: {no_control(group)}"]
    others = {
        metric: _joined([_labelled_probe_of(problem, inputs, reader=reader) for problem in problems])
        for metric, reader in other_readers(inputs.options).items()
    }
    arrays = {
        "expected": answers.expected,
        "photos": data.photos[tested],
        "classes": np.array(data.cells.n_groups),
    }
    shared = {"class_names": list(data.group_names), "resampled": units.rule, "units": units.count}
    more = {
        **data.details(),
        **shared,
        "p_within_label": _p_within_label(answers.photo_accuracy, data, tested, units),
        "split": f"{len(splits.folds)} folds of clusters" if splits.drawn else "as given",
        **further,
    }
    readers = {ACCURACY.name: answers, **others}
    return probe_outcome(f"probe/{group}", inputs, units, readers, arrays, labelled_facts, shared, more)


def _labelled_probe_of(problem: LabelledSplits, inputs: TaskInput, **more: Any) -> ProbeAnswers:
    """The probe of one fold."""
    from benchmark.probe import labelled_probe

    return labelled_probe(problem, protocol=inputs.options.protocol, device=inputs.device, **more)


def _labelled(data: GroupData, parts: Parts, inputs: TaskInput) -> LabelledSplits:
    """Embeddings, groups and clusters of one fold."""
    from benchmark.views import ORIGINAL

    chosen = {name: SplitPart(data.photos[at], data.cells.groups[at]) for name, at in parts.items()}
    rows = {name: inputs.view(ORIGINAL, part.photos) for name, part in chosen.items()}
    clusters = {name: data.cells.clusters[at] for name, at in parts.items()}
    return labelled_splits(rows, chosen, data.cells.n_groups, clusters)


def _joined(folds: Sequence[ProbeAnswers]) -> ProbeAnswers:
    """The answers of all folds as one; photos and rounds of training are of the first."""
    if len(folds) == 1:
        return folds[0]
    return replace(
        folds[0],
        predicted=np.concatenate([fold.predicted for fold in folds], axis=2),
        expected=np.concatenate([fold.expected for fold in folds], axis=1),
        converged=np.logical_and.reduce([fold.converged for fold in folds]),
        search_s=sum(fold.search_s for fold in folds),
        fit_s=sum(fold.fit_s for fold in folds),
    )


def _balanced(data: GroupData, positions: np.ndarray) -> np.ndarray:
    """Some of the photos, equally many of each cell that has any of a label with all groups; ascending."""
    cell = data.cells.cell[positions]
    counts = np.bincount(cell, minlength=data.cells.n_cells).reshape(data.cells.n_labels, data.cells.n_groups)
    whole = (counts > 0).all(axis=1)
    if not whole.any():
        return positions[:0]
    each = int(counts[whole].min())
    order = np.random.default_rng(PERMUTATION_SEED).permutation(len(positions))
    remaining = [
        order[cell[order] == label * data.cells.n_groups + group][:each]
        for label in np.flatnonzero(whole)
        for group in range(data.cells.n_groups)
    ]
    return positions[np.sort(np.concatenate(remaining))]


def _p_within_label(values: np.ndarray, data: GroupData, tested: np.ndarray, units: ErrorUnits) -> float:
    """P-value of "the group is read no better than the label tells it", from right answers [n] of the tested photos.

    Every group of a label counts alike, so that an answer that follows from the label is right in one over the groups.
    """
    from benchmark.stats import against_chance

    labels = data.cells.labels[tested]
    counts = np.zeros((data.cells.n_labels, data.cells.n_groups), np.int64)
    np.add.at(counts, (labels, data.cells.groups[tested]), 1)
    present = (counts > 0).sum(axis=1)[labels]
    weights = np.where(present > 1, 1 / counts[labels, data.cells.groups[tested]], 0.0)
    if not weights.any():
        return 1.0
    above = (values - 1 / present) * weights
    return against_chance(above, 0.0, weights, clusters=units.clusters, bounds=(-1.0, 1.0))


def _can_be_shuffled(data: GroupData, splits: ClusterSplits) -> bool:
    """Whether shuffled groups differ enough from the true ones to be a control."""
    from benchmark.robustness import MOST_AGREEMENT, agreement_of_shuffles

    return agreement_of_shuffles(data.cells, _exchangeable(data, splits)) <= MOST_AGREEMENT


def _exchangeable(data: GroupData, splits: ClusterSplits) -> list[np.ndarray]:
    """Positions of photos whose clusters exchange groups: all in a cross-fit, else training and test by themselves."""
    if splits.drawn:
        return [np.arange(len(data.photos))]
    parts = splits.folds[0]
    return [np.concatenate([parts["train"], parts["val"]]), parts["test"]]


def _shuffled(
    data: GroupData,
    splits: ClusterSplits,
    problems: Sequence[LabelledSplits],
    answers: ProbeAnswers,
    inputs: TaskInput,
) -> dict[str, Any]:
    """Accuracies of probes whose groups were shuffled among the clusters of a label, in training and in the test."""
    from benchmark.probe import shuffled_accuracies
    from benchmark.robustness import shuffled_groups
    from benchmark.stats import null_range

    whole = _exchangeable(data, splits)
    nulls = []
    for parts, problem in zip(splits.folds, problems, strict=True):
        fits = np.concatenate([parts["train"], parts["val"]])

        def draw(
            count: int, fits: np.ndarray = fits, test: np.ndarray = parts["test"]
        ) -> tuple[np.ndarray, np.ndarray]:
            same = np.random.default_rng(PERMUTATION_SEED)  # every fold meets the same shufflings
            shuffled = [shuffled_groups(data.cells, whole, same) for _ in range(count)]
            return np.stack([groups[fits] for groups in shuffled]), np.stack([groups[test] for groups in shuffled])

        how: dict[str, Any] = {"protocol": inputs.options.protocol, "device": inputs.device}
        nulls.append(
            len(parts["test"]) * shuffled_accuracies(problem, chosen=dict(answers.chosen), shuffled=draw, **how)
        )
    return asdict(null_range(np.sum(nulls, axis=0) / len(splits.tested), answers.accuracy))


def group_probe(group: str) -> Task:
    """The probe of a group."""
    return Task(
        name=f"probe/{group}",
        family=GROUP_PROBES,
        title=group,
        explain=f"Which {group} a photo is from.",
        summary=f"can a linear probe read the {group}, a given group, from photos of unseen clusters?",
        metrics=(ACCURACY, *OTHER_READERS),
        recipe=plain_views,
        unfit=partial(unfit_for_group, group),
        run=partial(run_group_probe, group),
        read_answers=read_labelled_probe,
        read_facts=labelled_facts,
    )
