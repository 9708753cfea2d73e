"""How far nearest neighbours follow each processing parameter instead of content."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Family, Metric, PhotoValues, Score
from benchmark.tasks.processing import assignments, processing_views, train_and_test, unfit_for_processing
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.photos import UNLABELLED, PhotoSet, hash64, rank_within
from builders.pixels import PARAMETERS, Parameter

NEIGHBOURS = Family(
    name="knn",
    title="kNN set-ups",
    explain="Accuracy of nearest neighbours by content, when the processing of query and neighbours agrees or differs.",
    about="processing",
    header="kNN accuracy %",
    layout="set-ups",
    panel="marks",
    panel_title="Neighbours: what processing does to semantics (kNN)",
    axes=("accuracy of the picture's class, %",),
    grouped=True,
    hub_id="{subject}-knn-spd",
)


def _set_up(name: str, explain: str, **more: str) -> Metric:
    chance = "a neighbour drawn blindly from the train photos"
    return Metric(name, name, explain, "accuracy", chance, main=name == "all-same", **more)  # type: ignore[arg-type]


SET_UPS = (
    _set_up("all-same", "Every photo has the query's processing: semantic prediction (SP).", summary="SP"),
    _set_up("all-diff", "Every other photo has one processing, not the query's."),
    _set_up("pos-same", "Photos of the query's class share its processing, all others do not: processing helps."),
    _set_up(
        "neg-same", "Photos of other classes share the query's processing, its own class does not: processing misleads."
    ),
    _set_up("uniform", "Every photo of the collection has a random processing."),
    _set_up("uniform-test", "Every query has a random processing, the collection has one."),
    Metric(
        name="spd",
        title="SPD",
        explain="Semantic prediction distraction, signed: pos-same minus neg-same, what processing moves.",
        kind="difference",
        chance="0",
        unit="points",
        summary="SPD",
        difference_of=("pos-same", "neg-same"),
        headline=True,
        if_positive="photos of the right class are found more easily when they share the query's processing",
    ),
)
"""The numbers of every kNN task: the six set-ups and their difference."""


def run_knn(parameter: Parameter, given: TaskInput) -> TaskOutcome:
    """``knn/<parameter>``: accuracy of the picture's class in the six set-ups."""
    from benchmark.knn import knn_setups
    from benchmark.stats import photo_interval

    train, asked = (_labelled(indices, given.photos) for indices in train_and_test(given))
    test = asked if given.options.queries is None else balanced_queries(given.photos, asked, given.options)
    k = given.options.neighbours or given.photos.neighbours
    seeds = given.options.assignment_seeds
    answers = knn_setups(
        [given.view(name, train) for name in parameter.processings],
        [given.view(name, test) for name in parameter.processings],
        given.photos.labels.values[train],
        given.photos.labels.values[test],
        train_assignments=assignments(given.photos, train, parameter, seeds),
        test_assignments=assignments(given.photos, test, parameter, seeds),
        k=k,
        device=given.device,
        keep=given.keep,
    )
    known = {metric.name: metric for metric in SET_UPS}
    ties = answers.ties
    scores = []
    for name, values in answers.per_photo().items():
        metric = known[name]
        ends = photo_interval(values, bounds=metric.bounds, resamples=given.options.resamples)
        details: dict[str, object] = {"k": k, "train_photos": len(train)}
        if len(test) < len(asked):
            details |= {"sampled_queries": len(test), "queries_from": len(asked), "query_seed": given.options.seed}
        if name in answers.tied_share:
            details["tied_votes"] = answers.tied_share[name]
        if name in ties:
            details["ties"] = ties[name]._asdict()
        if name in answers.seed_values:
            details["accuracy_by_seed"] = [round(float(v), 6) for v in answers.seed_values[name]]
        scores.append(
            Score(
                task=f"knn/{parameter.name}",
                data=given.photos.name,
                metric=name,
                value=float(values.mean()),
                low=ends.low,
                high=ends.high,
                n=len(test),
                chance=0.0 if metric.signed else answers.chance,
                details=details,
            )
        )
    return TaskOutcome(
        tuple(scores), {"correct": answers.correct, "combinations": answers.combinations, "photos": test}
    )


def balanced_queries(photos: PhotoSet, test: np.ndarray, options: RunOptions) -> np.ndarray:
    """int64, rising: ``options.queries`` of the photos at indices ``test``, the same for every encoder and parameter.

    Photos are ranked within their class by a hash of (seed, id) and taken rank by rank, so that classes differ by one
    photo at most where they have enough, and more queries contain fewer.
    """
    hashes = np.array([hash64(f"queries\0{options.seed}\0{photos.ids[i]}") for i in test], dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    rank = np.empty(len(test), dtype=np.int64)
    rank[order] = rank_within(photos.labels.values[test[order]])
    return np.sort(test[np.lexsort((hashes, rank))[: options.queries]])


def read_knn(kept: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Accuracy by photo of each set-up of ``run_knn``, and their difference."""
    from benchmark.knn import setup_shares

    known = {metric.name: metric for metric in SET_UPS}
    shares = setup_shares(kept["correct"], kept["combinations"])
    return {name: PhotoValues(kept["photos"], values, known[name].bounds) for name, values in shares.items()}


def _labelled(indices: np.ndarray, photos: PhotoSet) -> np.ndarray:
    return indices[photos.labels.values[indices] != UNLABELLED]


def _unfit_for_knn(parameter: Parameter, photos: PhotoSet) -> str:
    if len(photos.labels.names) < 2:
        return "its photos have no class labels (at least two classes are needed)"
    return unfit_for_processing(parameter, photos)


NEIGHBOUR_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        f"knn/{p.name}": Task(
            name=f"knn/{p.name}",
            family=NEIGHBOURS,
            title=p.title or p.name,
            explain=p.explain or f"Which class of {p.name}.",
            summary=f"does {p.name} decide which photos are nearest?",
            metrics=SET_UPS,
            recipe=partial(processing_views, p),
            unfit=partial(_unfit_for_knn, p),
            run=partial(run_knn, p),
            read_answers=read_knn,
            growth="pairs",
        )
        for p in PARAMETERS.values()
    }
)
"""The kNN set-ups under every processing parameter, by name."""
