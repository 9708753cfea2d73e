"""How far nearest neighbours follow each processing parameter instead of content, and plain kNN of untouched photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Family, Metric, PhotoValues, Score
from benchmark.tasks.processing_probe import (
    assignments,
    plain_views,
    processing_views,
    train_and_test,
    unfit_for_processing,
    unfit_for_splits,
)
from benchmark.tasks.scores import interval_of, score_of, ungrouped
from benchmark.tasks.similarity import similarity_details
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.photos import UNLABELLED, PhotoSet, hash64, rank_within
from builders.pixels import ALL_PARAMETERS, Parameter

if TYPE_CHECKING:
    from benchmark.knn import KnnAnswers, TieRule


class QuerySet(NamedTuple):
    """Whose neighbours, among whom; int64 indices of usable photos whose class is known."""

    train: np.ndarray
    test: np.ndarray
    """The queries."""
    all_test: np.ndarray
    """Those that queries were sampled from."""

    def sampled(self, options: RunOptions) -> dict[str, int]:
        """What a score's details say of it; empty where all were asked."""
        if len(self.test) == len(self.all_test):
            return {}
        counts = {"sampled_queries": len(self.test), "queries_from": len(self.all_test)}
        return {**counts, "query_seed": options.seed}


def query_set(given: TaskInput) -> QuerySet:
    """The collection and the queries of a kNN task."""
    train, every = (labelled(indices, given.photos) for indices in train_and_test(given))
    test = every if given.options.queries is None else balanced_queries(given.photos, every, given.options)
    return QuerySet(train, test, every)


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


def tie_rule(options: RunOptions) -> TieRule:
    """How the run counts tied votes."""
    return "random" if options.ties == "random" else "nearest"


def unfit_for_plain_knn(photos: PhotoSet) -> str:
    """Why photos as they are cannot be asked about their neighbours, or an empty string."""
    if photos.stored_views:
        return "it stores photos that are processed already"
    if len(photos.labels.names) < 2:
        return "its photos have no class labels (at least two classes are needed)"
    return unfit_for_splits(photos)


def labelled(indices: np.ndarray, photos: PhotoSet) -> np.ndarray:
    """Those of some photos whose class is known."""
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
        "averaged over which.",
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
        if_positive="photos of the right class are found more easily when they share the query's processing",
    ),
)
"""The numbers of every kNN task: the six set-ups, the worst that processing of the query can do, and the difference."""

PLAIN = Family(
    name="plain",
    title="Plain photos",
    explain="Accuracy of nearest neighbours by content, photos as they are: no processing of ours.",
    about="processing",
    header="plain kNN",
    layout="metrics",
    panel="none",
    whole="asked",
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
"""The number of ``knn/original``."""


def run_knn(parameter: Parameter, given: TaskInput) -> TaskOutcome:
    """``knn/<parameter>``: accuracy of the picture's class in the six set-ups."""
    asked = query_set(given)
    seeds = given.options.assignment_seeds
    drawn = [assignments(given.photos, part, parameter, seeds) for part in (asked.train, asked.test)]
    answers = _answers(given, asked, parameter.processings, drawn)
    rule = tie_rule(given.options)
    kept = {name: getattr(answers, name) for name in ("correct", "least", "greatest", "random", "combinations")}
    kept |= {"worst": answers.of_worst(rule), "flipped": answers.flipped(rule)}
    values = answers.per_photo(rule)
    more: dict[str, dict[str, Any]] = {"spd": similarity_details(given, asked.train, asked.test, parameter.processings)}
    more["worst"] = {"flipped": _flipped(answers, asked, given)}
    scores = tuple(
        _score(f"knn/{parameter.name}", name, SET_UPS, values[name], answers, asked, given, more.get(name, {}))
        for name in values
    )
    return TaskOutcome(scores, {**kept, "rule": np.array(given.options.ties), "photos": asked.test})


def run_plain_knn(given: TaskInput) -> TaskOutcome:
    """``knn/original``: accuracy of the picture's class among photos without any processing of ours: SP."""
    from benchmark.views import ORIGINAL

    asked = query_set(given)
    answers = _answers(given, asked, (ORIGINAL,), [np.zeros((1, len(p)), np.int64) for p in (asked.train, asked.test)])
    values = answers.per_photo(tie_rule(given.options))["all-same"]
    score = _score("knn/original", "all-same", (SP,), values, answers, asked, given)
    kept = {name: getattr(answers, name)[0] for name in ("correct", "least", "greatest", "random")}
    return TaskOutcome((score,), {**kept, "rule": np.array(given.options.ties), "photos": asked.test})


def read_knn(kept: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Accuracy by photo of each set-up of ``run_knn``, and their difference, under the rule for ties of the run."""
    from benchmark.knn import WORST, setup_shares

    known = {metric.name: metric for metric in SET_UPS}
    shares = setup_shares(_right(kept), kept["combinations"])
    if WORST in kept:  # runs of older versions did not keep it
        shares[WORST] = kept[WORST]
    return {name: PhotoValues(kept["photos"], values, known[name].bounds) for name, values in shares.items()}


def read_plain_knn(kept: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Right or not by photo of ``run_plain_knn``, under the rule for ties of the run."""
    return {SP.name: PhotoValues(kept["photos"], _right(kept).astype(np.float64), SP.bounds)}


def _right(kept: Mapping[str, np.ndarray]) -> np.ndarray:
    """Right answers under the rule of the run; older runs kept only those of the nearest tied label."""
    return kept["random"] if "rule" in kept and str(kept["rule"]) == "random" else kept["correct"]


def _answers(given: TaskInput, asked: QuerySet, views: Sequence[str], drawn: Sequence[np.ndarray]) -> KnnAnswers:
    """What neighbours answer; ``drawn`` are the assignments of train and test photos."""
    from benchmark.knn import knn_setups

    return knn_setups(
        [given.view(name, asked.train) for name in views],
        [given.view(name, asked.test) for name in views],
        given.photos.labels.values[asked.train],
        given.photos.labels.values[asked.test],
        train_assignments=drawn[0],
        test_assignments=drawn[1],
        k=given.options.neighbours or given.photos.neighbours,
        device=given.device,
        keep=given.keep,
    )


def _score(
    task: str,
    name: str,
    metrics: Sequence[Metric],
    values: np.ndarray,
    answers: KnnAnswers,
    asked: QuerySet,
    given: TaskInput,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Score:
    """The score of one set-up (or of ``spd``) from its values by photo; it is called as the only or the same metric.
    ``more`` are further details."""
    metric = next((m for m in metrics if m.name == name), metrics[0])
    random = given.options.ties == "random"
    by_seed = answers.random_seed_values if random else answers.seed_values
    details: dict[str, Any] = {"k": answers.k, "train_photos": len(asked.train), **asked.sampled(given.options)}
    if name in answers.tied_share:
        details["tied_votes"] = answers.tied_share[name]
    if name in answers.ties:
        details["ties"] = answers.ties[name]._asdict()
        details["tie_rule"] = given.options.ties
    if name in by_seed:
        details["accuracy_by_seed"] = [round(float(v), 6) for v in by_seed[name]]
    return score_of(
        task,
        metric.name,
        given,
        values,
        ungrouped(given, asked.test),
        chance=0.0 if metric.signed else answers.chance,
        details={**details, **more},
        bounds=metric.bounds,
    )


def _flipped(answers: KnnAnswers, asked: QuerySet, given: TaskInput) -> dict[str, float]:
    """The share of answers that some processing of the query changes from right to wrong, with its interval."""
    found = interval_of(answers.flipped(tie_rule(given.options)), ungrouped(given, asked.test), given.options)
    return {"value": found.value, "low": found.low, "high": found.high}


def _unfit_for_knn(parameter: Parameter, photos: PhotoSet) -> str:
    if len(photos.labels.names) < 2:
        return "its photos have no class labels (at least two classes are needed)"
    return unfit_for_processing(parameter, photos)


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
        ),
    }
    | {
        f"knn/{p.name}": Task(
            name=f"knn/{p.name}",
            family=NEIGHBOURS,
            title=p.title or p.name,
            explain=p.explain or f"Which class of {p.name}.",
            summary=f"does {p.name} decide which photos are nearest?",
            metrics=SET_UPS,
            recipe=partial(processing_views, p),
            unfit=partial(_unfit_for_knn, p),
            by_name=p.by_name,
            run=partial(run_knn, p),
            read_answers=read_knn,
            growth="pairs",
        )
        for p in ALL_PARAMETERS.values()
    }
)
"""Plain kNN, and the kNN set-ups under every processing parameter, by name."""
