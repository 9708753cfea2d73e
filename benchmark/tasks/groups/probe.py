"""Task ``probe/<group>``: how well a reader predicts the group of a photo whose cluster it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.results import Family, Metric
from benchmark.tasks.acquisition_probe import SplitPart, accuracy_and_ends, labelled_splits, read_acquisition_probe
from benchmark.tasks.facts import labelled_facts, largest_share
from benchmark.tasks.groups.data import GroupData, cluster_splits, group_data, unfit_for_group
from benchmark.tasks.processing_probe import OTHER_READERS, other_readers, plain_views, reader_score
from benchmark.tasks.scores import p_of_chance, score_of, unit_answers, units_of
from benchmark.tasks.task import Task, TaskInput, TaskOutcome

if TYPE_CHECKING:
    from benchmark.probe import LabelledSplits

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
    from benchmark.probe import labelled_probe
    from benchmark.views import ORIGINAL

    data = group_data(group, inputs)
    splits = cluster_splits(data, inputs.photos, inputs.options)
    parts, classes = splits.parts, data.cells.groups
    units = units_of(inputs, data.photos[parts["test"]])
    how: dict[str, Any] = {"protocol": inputs.options.protocol, "device": inputs.device}

    def labelled(at: Mapping[str, np.ndarray]) -> LabelledSplits:
        chosen = {name: SplitPart(data.photos[positions], classes[positions]) for name, positions in at.items()}
        rows = {name: inputs.view(ORIGINAL, part.photos) for name, part in chosen.items()}
        clusters = {name: data.cells.clusters[positions] for name, positions in at.items()}
        return labelled_splits(rows, chosen, data.cells.n_groups, clusters)

    problem = labelled(parts)
    answers = labelled_probe(problem, **how)
    most_frequent = largest_share(classes[parts["test"]])
    chance = 1 / data.cells.n_groups

    def controls() -> dict[str, Any]:
        shuffled = _shuffled(data, parts, problem, dict(answers.chosen), answers.accuracy, inputs)
        outcome: dict[str, Any] = {"shuffled": shuffled} if shuffled else {}
        balanced = {name: _balanced(data, at) for name, at in parts.items()}
        if all(len(np.unique(classes[balanced[name]])) == data.cells.n_groups for name in ("train", "test")):
            equal = labelled_probe(labelled(balanced), **how)
            equal_units = units_of(inputs, data.photos[balanced["test"]])
            outcome["balanced"] = accuracy_and_ends(equal, equal_units, inputs.options)
        return outcome

    score = score_of(
        f"probe/{group}",
        ACCURACY.name,
        inputs,
        answers.photo_accuracy,
        units,
        value=answers.accuracy,
        chance=chance,
        details={
            **data.details(),
            "classes": data.cells.n_groups,
            "class_names": list(data.group_names),
            "most_frequent_class": most_frequent,
            "p_chance": p_of_chance(answers.photo_accuracy, units, max(chance, most_frequent)),
            "resampled": units.rule,
            "units": units.count,
            "split": "clusters drawn" if splits.drawn else "as given",
            **({} if inputs.brief else {"controls": controls()}),
            **answers.details(),
        },
    )
    arrays = {
        "predicted": answers.predicted,
        "expected": answers.expected,
        "photos": data.photos[parts["test"]],
        "classes": np.array(data.cells.n_groups),
        **unit_answers(units),
    }
    scores = [score]
    for metric, reader in other_readers(inputs.options).items():
        read = labelled_probe(problem, reader=reader, **how)
        scores.append(reader_score(score, metric, read, inputs, units))
        arrays[f"predicted-{reader}"] = read.predicted
    return TaskOutcome(tuple(scores), arrays)


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


def _shuffled(
    data: GroupData,
    parts: Mapping[str, np.ndarray],
    problem: LabelledSplits,
    chosen: Mapping[str, float],
    accuracy: float,
    inputs: TaskInput,
) -> dict[str, float]:
    """Accuracies of probes whose groups were shuffled among the clusters of a label, in training and in the test."""
    from benchmark.probe import shuffled_accuracies
    from benchmark.stats import null_range

    rng = np.random.default_rng(PERMUTATION_SEED)
    fits = np.concatenate([parts["train"], parts["val"]])

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        shuffled = [shuffled_groups(data, [fits, parts["test"]], rng) for _ in range(count)]
        return np.stack([groups[fits] for groups in shuffled]), np.stack([groups[parts["test"]] for groups in shuffled])

    first, second = draw(2)[0]
    if (first == second).all():  # one cluster of each kind: nothing to exchange
        return {}
    how: dict[str, Any] = {"protocol": inputs.options.protocol, "device": inputs.device}
    null = shuffled_accuracies(problem, chosen=chosen, shuffled=draw, **how)
    return asdict(null_range(null, accuracy))


def shuffled_groups(data: GroupData, parts: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """int64 [n]: groups of photos where clusters of one set of labels exchanged theirs, each part by itself.

    A cluster with photos of several groups keeps them: its group is no label of the cluster.
    """
    cells, result = data.cells, data.cells.groups.copy()
    pairs = np.unique(np.stack([cells.clusters, cells.groups]), axis=1)
    names, counts = np.unique(pairs[0], return_counts=True)
    single = np.zeros(cells.n_clusters, bool)
    single[names[counts == 1]] = True
    of_cluster = np.zeros(cells.n_clusters, np.int64)
    of_cluster[pairs[0]] = pairs[1]
    labels_of = np.zeros((cells.n_clusters, cells.n_labels), bool)
    labels_of[cells.clusters, cells.labels] = True
    kind = np.unique(labels_of, axis=0, return_inverse=True)[1].reshape(-1)
    for positions in parts:
        present = np.unique(cells.clusters[positions])
        present = present[single[present]]
        new = of_cluster.copy()
        for one in np.unique(kind[present]):
            members = present[kind[present] == one]
            new[members] = of_cluster[rng.permutation(members)]
        movable = positions[single[cells.clusters[positions]]]
        result[movable] = new[cells.clusters[movable]]
    return result


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
        read_answers=read_acquisition_probe,
        read_facts=labelled_facts,
    )
