"""kNN tasks: how far nearest neighbours follow a processing parameter instead of content, and plain kNN."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Family, Metric, PhotoValues
from benchmark.tasks.facts import JITTER_SAMPLE, knn_facts, neighbour_chance, plain_knn_facts
from benchmark.tasks.processing_probe import (
    assignments,
    plain_views,
    processing_views,
    train_and_test,
    unfit_for_processing,
    unfit_for_splits,
)
from benchmark.tasks.scores import outcome_of, units_of
from benchmark.tasks.similarity import sampled_queries, similarity_details
from benchmark.tasks.task import Task, TaskInput, TaskOutcome, of_each_parameter
from builders.photos import UNLABELLED, PhotoSet, hash64, rank_within
from builders.pixels import BUILT_IN, Parameter

if TYPE_CHECKING:
    from benchmark.knn import KnnAnswers, TieRule


class QuerySet(NamedTuple):
    """The collection and the queries of a kNN task: int64 indices of usable photos whose class is known."""

    train: np.ndarray
    """The collection, in which neighbours are searched."""
    test: np.ndarray
    """The queries."""
    all_test: np.ndarray
    """All test photos, from which the queries were sampled."""

    def sampled(self, options: RunOptions) -> dict[str, int]:
        """Details of a score about the sampling; empty if all test photos are queries."""
        if len(self.test) == len(self.all_test):
            return {}
        counts = {"sampled_queries": len(self.test), "queries_from": len(self.all_test)}
        return {**counts, "query_seed": options.seed}


def query_set(inputs: TaskInput) -> QuerySet:
    """The collection and the queries of a kNN task; ``options.queries`` limits the queries."""
    train, all_test = (labelled(indices, inputs.photos) for indices in train_and_test(inputs))
    sampled = inputs.options.queries is not None
    test = balanced_queries(inputs.photos, all_test, inputs.options) if sampled else all_test
    return QuerySet(train, test, all_test)


def balanced_queries(photos: PhotoSet, test: np.ndarray, options: RunOptions) -> np.ndarray:
    """int64, ascending: ``options.queries`` of the photos at indices ``test``, equal for every encoder and parameter.

    Photos are ranked within their class by a hash of (seed, id) and taken rank by rank. Classes with enough photos
    therefore differ by at most one photo, and a larger sample contains every smaller one.
    """
    hashes = np.array([hash64(f"queries\0{options.seed}\0{photos.ids[i]}") for i in test], dtype=np.uint64)
    order = np.argsort(hashes)
    rank = np.empty(len(test), dtype=np.int64)
    rank[order] = rank_within(photos.labels.values[test[order]])
    return np.sort(test[np.lexsort((hashes, rank))[: options.queries]])


def tie_rule(options: RunOptions) -> TieRule:
    """The rule by which the run counts tied votes."""
    return "random" if options.ties == "random" else "nearest"


def unfit_for_plain_knn(photos: PhotoSet) -> str:
    """Why plain kNN cannot be run on these photos; empty if it can."""
    if photos.stored_views:
        return "it stores photos that are processed already"
    if len(photos.labels.names) < 2:
        return "its photos have no class labels (at least two classes are needed)"
    return unfit_for_splits(photos)


def labelled(indices: np.ndarray, photos: PhotoSet) -> np.ndarray:
    """The indices of photos whose class is known."""
    return indices[photos.labels.values[indices] != UNLABELLED]


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
    _set_up("all-same", "Every photo has the query's processing.", summary="all-same"),
    _set_up("all-diff", "Every other photo has one processing, not the query's."),
    _set_up("pos-same", "Photos of the query's class share its processing, all others do not: processing helps."),
    _set_up(
        "neg-same", "Photos of other classes share the query's processing, its own class does not: processing misleads."
    ),
    _set_up("uniform", "Every photo of the collection has a random processing."),
    _set_up("uniform-test", "Every query has a random processing, the collection has one."),
    Metric(
        name="worst",
        title="worst",
        explain="A malicious agent gives each query the processing that serves it worst; the collection has one, "
        "averaged over which. Jitter: the same if moves of the query in random directions, as far as processing moves "
        "it, take the place of processings.",
        kind="accuracy",
        chance="a neighbour drawn blindly from the train photos, the same for every processing of a query",
        main=False,
    ),
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
        if_positive="kNN accuracy is higher if the right class shares the query's processing than if wrong ones do",
    ),
)
"""Metrics of every kNN task: the six set-ups, the worst processing of each query, and the difference."""

PLAIN = Family(
    name="plain",
    title="Plain photos",
    explain="Accuracy of nearest neighbours by content, photos as they are, without processing.",
    about="processing",
    header="plain kNN",
    layout="metrics",
    panel="none",
    whole="labelled",
    hub_id="{subject}-knn",
)

SP = Metric(
    name="accuracy",
    title="SP",
    explain="Semantic prediction (SP, arXiv 2608.05424): accuracy of plain kNN, photos as they are.",
    kind="accuracy",
    chance="a neighbour drawn blindly from the train photos",
    summary="SP",
    headline=True,
)
"""Metric of ``knn/original``."""


def run_knn(parameter: Parameter, inputs: TaskInput) -> TaskOutcome:
    """Run ``knn/<parameter>``: accuracy of the picture's class in the six set-ups."""
    queries = query_set(inputs)
    seeds = inputs.options.assignment_seeds
    drawn = [assignments(inputs.photos, part, parameter, seeds) for part in (queries.train, queries.test)]
    answers = _answers(inputs, queries, parameter.processings, drawn)
    rule = tie_rule(inputs.options)
    arrays = {name: getattr(answers, name) for name in ("correct", "least", "greatest", "random", "combinations")}
    arrays |= {"worst": answers.of_worst(rule), "flipped": answers.flipped(rule)}
    arrays |= {
        "by_seed": answers.random_by_seed if rule == "random" else answers.by_seed,
        "chance": _chances(queries, inputs),
    }
    arrays["photos"] = queries.test
    if len(parameter.processings) > 1 and not inputs.brief:
        arrays |= _jitter_answers(inputs, queries, parameter.processings)
    arrays["rule"] = np.array(inputs.options.ties)
    details = _details(answers, queries, inputs)
    details["spd"] |= similarity_details(inputs, queries.train, queries.test, parameter.processings)
    return outcome_of(
        f"knn/{parameter.name}",
        inputs,
        arrays,
        units_of(inputs, queries.test),
        read_answers=read_knn,
        read_facts=knn_facts,
        chances={name: answers.chance for name in answers.ties if name != "spd"},
        details=details,
    )


def _run_knn_part(parameter: Parameter, inputs: TaskInput, number: int, count: int) -> None:
    """Store part ``number`` of ``count`` of the queries of ``knn/<parameter>``."""
    queries, seeds = query_set(inputs), inputs.options.assignment_seeds
    drawn = [assignments(inputs.photos, part, parameter, seeds) for part in (queries.train, queries.test)]
    _answers(inputs, queries, parameter.processings, drawn, (number, count))


def run_plain_knn(inputs: TaskInput) -> TaskOutcome:
    """Run ``knn/original``: accuracy of the picture's class among unprocessed photos (SP)."""
    from benchmark.views import ORIGINAL

    queries = query_set(inputs)
    drawn = [np.zeros((1, len(part)), np.int64) for part in (queries.train, queries.test)]
    answers = _answers(inputs, queries, (ORIGINAL,), drawn)
    arrays = {name: getattr(answers, name)[0] for name in ("correct", "least", "greatest", "random")}
    arrays |= {"chance": _chances(queries, inputs), "rule": np.array(inputs.options.ties), "photos": queries.test}
    details = _details(answers, queries, inputs)
    return outcome_of(
        "knn/original",
        inputs,
        arrays,
        units_of(inputs, queries.test),
        read_answers=read_plain_knn,
        read_facts=plain_knn_facts,
        chances={SP.name: answers.chance},
        details={"": details[""], SP.name: details["all-same"]},
    )


def _details(answers: KnnAnswers, queries: QuerySet, inputs: TaskInput) -> dict[str, dict[str, Any]]:
    """By metric, and under ``""`` of all, what the stored answers do not determine: settings, and shares of ties."""
    details: dict[str, dict[str, Any]] = {
        "": {"k": answers.k, "train_photos": len(queries.train), **queries.sampled(inputs.options)}
    }
    for name, ties in answers.ties.items():
        details[name] = {"ties": ties._asdict(), "tie_rule": inputs.options.ties}
        if name in answers.tied_share:
            details[name]["tied_votes"] = answers.tied_share[name]
    return details


JITTERED = 1000
"""Most queries, and no more than a tenth of them, that are jittered where all of them are too much work."""


def _jitter_answers(inputs: TaskInput, queries: QuerySet, views: Sequence[str]) -> dict[str, np.ndarray]:
    """Answers of the adversary who has jitters, of all queries or of a sample."""
    from benchmark.knn import extremes_of_jitters

    train, least = queries.train, min(JITTERED, len(queries.test) // 10)
    sample = sampled_queries(inputs, queries.test, len(views), len(train), least=least)
    labels = inputs.photos.labels.values
    jitters = extremes_of_jitters(
        [inputs.view(name, train) for name in views],
        [inputs.view(name, sample) for name in views],
        labels[train],
        labels[sample],
        k=inputs.options.neighbours or inputs.photos.neighbours,
        rule=tie_rule(inputs.options),
        seed=inputs.options.seed,
        device=inputs.device,
    )
    at = np.searchsorted(queries.test, sample)
    return {JITTER_SAMPLE: at, "jitter_worst": jitters.worst, "jitter_flipped": jitters.flipped}


def _chances(queries: QuerySet, inputs: TaskInput) -> np.ndarray:
    """For each query, the chance that a neighbour drawn blindly has its label."""
    labels = inputs.photos.labels.values
    return neighbour_chance(labels[queries.train], labels[queries.test])


def read_knn(arrays: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Values by photo of each metric of ``run_knn`` from its answers, under the run's rule for ties."""
    from benchmark.knn import WORST, setup_shares

    known = {metric.name: metric for metric in SET_UPS}
    shares = setup_shares(_right(arrays), arrays["combinations"])
    if WORST in arrays:  # not stored by older versions
        shares[WORST] = arrays[WORST]
    photos, clusters = arrays["photos"], arrays.get("clusters")
    return {name: PhotoValues(photos, values, known[name].bounds, clusters) for name, values in shares.items()}


def read_plain_knn(arrays: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Whether each photo was right in ``run_plain_knn``, from its answers, under the run's rule for ties."""
    values = _right(arrays).astype(np.float64)
    return {SP.name: PhotoValues(arrays["photos"], values, SP.bounds, arrays.get("clusters"))}


def _right(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Right answers under the run's rule for ties; older runs stored only those of the nearest tied label."""
    return arrays["random"] if "rule" in arrays and str(arrays["rule"]) == "random" else arrays["correct"]


def _answers(
    inputs: TaskInput,
    queries: QuerySet,
    views: Sequence[str],
    drawn: Sequence[np.ndarray],
    part: tuple[int, int] | None = None,
) -> KnnAnswers:
    """The votes of neighbours; ``drawn`` are the assignments of train and test photos to ``views``."""
    from benchmark.knn import knn_setups, part_of

    return knn_setups(
        [inputs.view(name, queries.train) for name in views],
        [inputs.view(name, queries.test) for name in views],
        inputs.photos.labels.values[queries.train],
        inputs.photos.labels.values[queries.test],
        train_assignments=drawn[0],
        test_assignments=drawn[1],
        k=inputs.options.neighbours or inputs.photos.neighbours,
        device=inputs.device,
        keep=inputs.checkpoints,
        only=part and part_of(len(queries.test), *part),
    )


def _unfit_for_knn(parameter: Parameter, photos: PhotoSet) -> str:
    if len(photos.labels.names) < 2:
        return "its photos have no class labels (at least two classes are needed)"
    return unfit_for_processing(parameter, photos)


@functools.lru_cache(maxsize=1024)
def parameter_knn(p: Parameter) -> Task:
    """``knn/<parameter>``."""
    return Task(
        name=f"knn/{p.name}",
        family=NEIGHBOURS,
        title=p.title or p.name,
        explain=p.explain or f"Which class of {p.name}.",
        summary=f"does {p.name} decide which photos are nearest?",
        metrics=SET_UPS,
        recipe=partial(processing_views, p),
        unfit=partial(_unfit_for_knn, p),
        with_processings=of_each_parameter(parameter_knn),
        by_name=p.by_name,
        run=partial(run_knn, p),
        run_part=partial(_run_knn_part, p),
        read_answers=read_knn,
        read_facts=knn_facts,
        growth="pairs",
    )


NEIGHBOUR_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "knn/original": Task(
            name="knn/original",
            family=PLAIN,
            title="Original",
            explain="The picture's class among photos as they are.",
            summary="does plain kNN find the picture's class, photos as they are (SP)?",
            metrics=(SP,),
            recipe=plain_views,
            unfit=unfit_for_plain_knn,
            run=run_plain_knn,
            read_answers=read_plain_knn,
            read_facts=plain_knn_facts,
        ),
    }
    | {f"knn/{name}": parameter_knn(parameter) for name, parameter in BUILT_IN.items()}
)
"""Plain kNN, and the kNN set-ups of every built-in parameter, by name."""
