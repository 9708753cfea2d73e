"""Task ``knn/adversary``: plain kNN whose queries an adversary processes in one of 14 ways, or of those of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Family, Metric, PhotoValues
from benchmark.tasks.facts import adversary_facts, neighbour_chance
from benchmark.tasks.knn import QuerySet, query_set, tie_rule, unfit_for_plain_knn
from benchmark.tasks.processing_probe import upright
from benchmark.tasks.scores import outcome_of, units_of
from benchmark.tasks.task import Task, TaskInput, TaskOutcome, of_processings
from builders.photos import PhotoSet, hash64
from builders.pixels import STUDY_PROCESSINGS

if TYPE_CHECKING:
    from benchmark.bank import BankView
    from benchmark.erasing import ErasedView
    from benchmark.knn import TieRule, ViewAnswers
    from benchmark.views import ViewRecipe

NEIGHBOURS = 5
"""Neighbours that a strip names for each view; all k of the run vote."""

RANDOM, CHOSEN = 2, ("answer turned by most processings", "embedding moved most")
"""Photos of strips: some drawn by a hash, equal for every encoder; and the first photo under each of two rules."""


def _strip_details(
    inputs: TaskInput, queries: QuerySet, names: Sequence[str], right: np.ndarray, distances: np.ndarray, k: int
) -> dict[str, Any]:
    """``strips`` of a score: the neighbours of at most four queries under each processing.

    Args:
        inputs: of the task.
        queries: the collection and the queries.
        names: of the views; the last one is the unprocessed photo.
        right: [views, queries] in [0, 1].
        distances: [views but the last, queries], of each view's embedding from that of the unprocessed photo.
        k: neighbours that vote.
    """
    from benchmark.knn import nearest

    photos, chosen = inputs.photos, _chosen(inputs, queries, right, distances)
    places = np.array(list(chosen.values()))
    rows = np.concatenate([inputs.view(name, queries.test[places])[:] for name in names])
    neighbours = nearest(inputs.view(names[-1], queries.train), rows, k, device=inputs.device)
    shape = (len(names), len(places), k)
    near, similar = neighbours.indices.reshape(shape), neighbours.similarities.reshape(shape)
    labels = photos.labels.values[queries.train]
    strips = []
    for at, (why, place) in enumerate(chosen.items()):
        seen = list(dict.fromkeys(int(i) for view in near[:, at, :NEIGHBOURS] for i in view if i >= 0))
        strips.append(
            {
                "query": photos.ids[queries.test[place]],
                "class": photos.labels.names[photos.labels.values[queries.test[place]]],
                "why": why,
                "photos": [{"id": photos.ids[queries.train[i]], "class": photos.labels.names[labels[i]]} for i in seen],
                "views": [
                    {
                        "processing": name,
                        "distance": round(float(distances[v, place]), 6) if v < len(distances) else 0.0,
                        "answer": photos.labels.names[_winner(labels[near[v, at][near[v, at] >= 0]])],
                        "right": round(float(right[v, place]), 6),
                        "neighbours": [seen.index(int(i)) for i in near[v, at, :NEIGHBOURS] if i >= 0],
                        "similarities": [round(float(s), 4) for s in similar[v, at, :NEIGHBOURS] if np.isfinite(s)],
                    }
                    for v, name in enumerate(names)
                ],
            }
        )
    return {"strips": strips}


def _chosen(inputs: TaskInput, queries: QuerySet, right: np.ndarray, distances: np.ndarray) -> dict[str, int]:
    """By reason, the index of a query that is shown; each query once."""
    hashes = [hash64(f"strip\0{inputs.options.seed}\0{inputs.photos.ids[i]}") for i in queries.test]
    drawn = sorted(range(len(hashes)), key=hashes.__getitem__)
    changed = np.abs(right[:-1] - right[-1]).sum(axis=0)
    distance = distances.mean(axis=0)
    wanted = {}
    for why, amount in zip(CHOSEN, (changed, distance), strict=True):
        first = min(drawn, key=lambda q: -amount[q])  # among equal photos, the first by hash
        if amount[first] > 0:
            wanted[why] = first
    wanted |= {f"drawn at random, {i + 1}": q for i, q in enumerate(drawn[:RANDOM])}
    chosen: dict[str, int] = {}
    for why, q in wanted.items():
        if q not in chosen.values():
            chosen[why] = q
    return chosen


def _winner(labels: np.ndarray) -> int:
    """The label with most votes; among tied labels, that of the nearest neighbour. Labels are in order of distance.

    >>> _winner(np.array([2, 1, 1, 2, 0]))
    2
    """
    votes = Counter(labels.tolist())
    return max(votes, key=votes.__getitem__)


ADVERSARY = Family(
    name="adversary",
    title="A malicious agent",
    explain="Accuracy of nearest neighbours among photos as they are, where each query is processed to mislead.",
    about="processing",
    header="kNN, query processed",
    layout="metrics",
    panel="none",
    whole="labelled",
    counts="queries",
    hub_id="{subject}-knn",
)

_CHANCE = "a neighbour drawn blindly from the train photos, the same for every processing of a query"


def _metrics_of(count: int) -> tuple[Metric, ...]:
    """Metrics of ``knn/adversary`` with this number of processings; without processing there is ``knn/original``."""
    return (
        Metric(
            name="worst",
            title=f"worst of {count}",
            explain=f"A malicious agent gives each query the one of {_set_of(count)} that serves it worst. Jitter: the "
            f"same over {count} moves of its embedding in random directions, as far as processing moves it.",
            kind="accuracy",
            chance=_CHANCE,
            headline=True,
        ),
        Metric(
            name="average",
            title=f"average of {count}",
            explain=f"Every query under every one of the {count} processings: one who picks without knowing.",
            kind="accuracy",
            chance=_CHANCE,
            main=False,
        ),
        Metric(
            name="best",
            title=f"best of {count}",
            explain="Each query under the processing that serves it best.",
            kind="accuracy",
            chance=_CHANCE,
            main=False,
        ),
        Metric(
            name="flipped",
            title="flipped",
            explain="Share of queries that some processing flips: right under one of the "
            f"{count}, wrong under another.",
            kind="difference",
            chance="0",
            unit="points",
            difference_of=("best", "worst"),
        ),
    )


def _set_of(count: int) -> str:
    study = count == len(STUDY_PROCESSINGS)
    return f"the study's {count} processings" if study else f"the {count} processings of a file"


class _QueryViews(NamedTuple):
    """Embeddings of the photos under each processing, and without one."""

    queries: QuerySet
    names: tuple[str, ...]
    views: list[BankView | ErasedView]


def _views(processings: Sequence[str], inputs: TaskInput) -> _QueryViews:
    from benchmark.views import ORIGINAL

    queries, names = query_set(inputs), (*processings, ORIGINAL)
    return _QueryViews(queries, names, [inputs.view(name, queries.test) for name in names])


def _votes(inputs: TaskInput, of: _QueryViews, part: tuple[int, int] | None = None) -> tuple[ViewAnswers, ViewAnswers]:
    """The votes for each processing of a query, and for jitters in their place."""
    from benchmark.knn import jittered, knn_of_views

    train, labels = of.queries.train, inputs.photos.labels.values
    collection = inputs.view(of.names[-1], train)
    of_labels = labels[train], labels[of.queries.test]
    how: dict[str, Any] = {"k": inputs.options.neighbours or inputs.photos.neighbours, "device": inputs.device}
    keep = inputs.checkpoints
    answers = knn_of_views(collection, of.views, *of_labels, **how, keep=keep, part=part)
    jitters = jittered(of.views[:-1], of.views[-1], seed=inputs.options.seed)
    return answers, knn_of_views(collection, jitters, *of_labels, **how, keep=keep and keep / "jitter", part=part)


def _run_adversary_part(processings: Sequence[str], inputs: TaskInput, number: int, count: int) -> None:
    """Store part ``number`` of ``count`` of the queries of ``knn/adversary``."""
    _votes(inputs, _views(processings, inputs), (number, count))


def run_adversary(processings: Sequence[str], inputs: TaskInput) -> TaskOutcome:
    """Run ``knn/adversary``: an unprocessed collection, and queries under each of some processings."""
    from benchmark.knn import cosine_distances

    queries, names, views = given = _views(processings, inputs)
    labels = inputs.photos.labels.values
    answers, jittered = _votes(inputs, given)
    control = jittered.right(tie_rule(inputs.options))
    distances = np.stack([cosine_distances(view, views[-1]) for view in views[:-1]])
    right = answers.right(tie_rule(inputs.options))
    arrays = {"right": right, "jittered": control}
    if inputs.options.ties != "random":
        arrays = {name: array.astype(bool) for name, array in arrays.items()}
    arrays |= {"photos": queries.test, "processings": np.array(processings), "rule": np.array(inputs.options.ties)}
    arrays["chance"] = neighbour_chance(labels[queries.train], labels[queries.test])
    shared = {"k": answers.k, "train_photos": len(queries.train), **queries.sampled(inputs.options)}
    moves = dict(zip(names, [*distances.mean(axis=1), 0.0], strict=True))
    details: dict[str, dict[str, Any]] = {
        "": shared,
        "worst": _strip_details(inputs, queries, names, right, distances, answers.k),
        "average": {"by_processing": {name: {"distance": round(float(d), 6)} for name, d in moves.items()}},
    }
    for metric in _metrics_of(len(processings)):
        details.setdefault(metric.name, {})["ties"] = _ties(metric.name, answers)
    return outcome_of(
        "knn/adversary",
        inputs,
        arrays,
        units_of(inputs, queries.test),
        read_answers=_read_adversary,
        read_facts=adversary_facts,
        chances=dict.fromkeys(("worst", "average", "best"), answers.chance),
        details=details,
    )


def _read_adversary(arrays: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Values by photo of each metric, from ``right`` [14 processings and the unprocessed photo, photos].

    >>> right = np.array([[1, 0], [1, 1], [1, 1]], bool)  # two processings, and the unprocessed photo
    >>> values = _read_adversary({"right": right, "photos": np.array([3, 4])})
    >>> values["worst"].values.tolist(), values["flipped"].values.tolist()
    ([1.0, 0.0], [0.0, 1.0])
    """
    photos, clusters = arrays["photos"], arrays.get("clusters")
    values = _values(arrays["right"][:-1])
    return {name: PhotoValues(photos, v, (0.0, 1.0), clusters) for name, v in values.items()}


def _values(right: np.ndarray) -> dict[str, np.ndarray]:
    """By metric, float64 [photos], from ``right`` [processings, photos]."""
    from benchmark.knn import flipped_by, worst_of

    table = np.asarray(right, np.float64)
    worst, flipped = worst_of(table), flipped_by(table)
    return {"worst": worst, "average": table.mean(axis=0), "best": table.max(axis=0), "flipped": flipped}


def _ties(name: str, answers: ViewAnswers) -> dict[str, float]:
    """Effect of ties on a score, in the form of the other kNN tasks."""

    def under(rule: TieRule) -> np.ndarray:
        return answers.right(rule)[:-1]

    means = {rule: float(_values(under(rule))[name].mean()) for rule in ("least", "greatest", "random")}
    if name == "flipped":  # best under one rule minus worst under the other
        low, high = under("least"), under("greatest")
        means["least"] = float(np.maximum(0, low.max(axis=0) - high.min(axis=0)).mean())
        means["greatest"] = float((high.max(axis=0) - low.min(axis=0)).mean())
    return {"share": float(answers.tied[:-1].mean()), **means}


def _recipe(processings: Sequence[str], photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    from benchmark.views import ORIGINAL, ProcessingViews

    return ProcessingViews((*processings, ORIGINAL), options.seed, upright(options))


def _adversary_task(processings: tuple[str, ...]) -> Task:
    """``knn/adversary`` with these processings, by name."""
    return Task(
        name="knn/adversary",
        family=ADVERSARY,
        title="Adversary",
        explain="The picture's class, where the query is processed to mislead.",
        summary=f"can processing the query, in the worst of {len(processings)} ways, make plain kNN fail?",
        metrics=_metrics_of(len(processings)),
        recipe=partial(_recipe, processings),
        unfit=unfit_for_plain_knn,
        with_processings=of_processings(_adversary_task),
        run=partial(run_adversary, processings),
        run_part=partial(_run_adversary_part, processings),
        read_answers=_read_adversary,
        read_facts=adversary_facts,
        growth="pairs",
    )


ADVERSARY_TASKS: Mapping[str, Task] = MappingProxyType({"knn/adversary": _adversary_task(STUDY_PROCESSINGS)})
"""The adversary's task, by name."""
