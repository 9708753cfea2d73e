"""What an adversary can do to nearest neighbours who processes the query in any of the study's 14 ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Family, Metric, PhotoValues, Score
from benchmark.tasks.knn import QuerySet, query_set, tie_rule, unfit_for_plain_knn
from benchmark.tasks.processing_probe import upright
from benchmark.tasks.scores import score_of, ungrouped
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.photos import PhotoSet, hash64
from builders.pixels import STUDY_PROCESSINGS

if TYPE_CHECKING:
    from benchmark.knn import TieRule, ViewAnswers
    from benchmark.views import ViewRecipe

NEIGHBOURS = 5
"""Named for each view; all k of the run vote."""

RANDOM, CHOSEN = 2, ("answer turned by most processings", "embedding moved most")
"""Photos that are told: drawn by a hash, the same for every encoder; and the first by either rule."""


def strip_details(
    given: TaskInput, asked: QuerySet, names: Sequence[str], right: np.ndarray, distances: np.ndarray, k: int
) -> dict[str, Any]:
    """``strips`` of a score: a list of four photos at most.

    Args:
        given: of the task.
        asked: the collection and the queries.
        names: of the views; the last is the photo as it is.
        right: [views, queries] in [0, 1].
        distances: [views but the last, queries], of each view's embedding to that of the photo as it is.
        k: neighbours that vote.
    """
    from benchmark.knn import nearest

    photos, chosen = given.photos, _chosen(given, asked, right, distances)
    places = np.array(list(chosen.values()))
    rows = np.concatenate([given.view(name, asked.test[places])[:] for name in names])
    found = nearest(given.view(names[-1], asked.train), rows, k, device=given.device)
    shape = (len(names), len(places), k)
    near, similar = found.indices.reshape(shape), found.similarities.reshape(shape)
    labels = photos.labels.values[asked.train]
    strips = []
    for at, (why, place) in enumerate(chosen.items()):
        seen = list(dict.fromkeys(int(i) for view in near[:, at, :NEIGHBOURS] for i in view if i >= 0))
        strips.append(
            {
                "query": photos.ids[asked.test[place]],
                "class": photos.labels.names[photos.labels.values[asked.test[place]]],
                "why": why,
                "photos": [{"id": photos.ids[asked.train[i]], "class": photos.labels.names[labels[i]]} for i in seen],
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


def _chosen(given: TaskInput, asked: QuerySet, right: np.ndarray, distances: np.ndarray) -> dict[str, int]:
    """Places of queries by why they are told; each once."""
    hashes = [hash64(f"strip\0{given.options.seed}\0{given.photos.ids[i]}") for i in asked.test]
    drawn = sorted(range(len(hashes)), key=hashes.__getitem__)
    turned = np.abs(right[:-1] - right[-1]).sum(axis=0)
    moved = distances.mean(axis=0)
    wanted = {}
    for why, amount in zip(CHOSEN, (turned, moved), strict=True):
        first = min(drawn, key=lambda q: -amount[q])  # the first by hash among equals
        if amount[first] > 0:
            wanted[why] = first
    wanted |= {f"drawn at random, {i + 1}": q for i, q in enumerate(drawn[:RANDOM])}
    once: dict[str, int] = {}
    for why, q in wanted.items():
        if q not in once.values():
            once[why] = q
    return once


def _winner(labels: np.ndarray) -> int:
    """The label with most votes of neighbours in their order; of tied ones that of the nearest.

    >>> _winner(np.array([2, 1, 1, 2, 0]))
    2
    """
    votes = Counter(labels.tolist())
    return max(votes, key=votes.__getitem__)


ADVERSARY = Family(
    name="adversary",
    title="A malicious agent",
    explain="Accuracy of nearest neighbours among photos as they are, where somebody processes each query to mislead.",
    about="processing",
    header="kNN, query processed",
    layout="metrics",
    panel="none",
    whole="asked",
    counts="queries",
    hub_id="{subject}-knn",
)

_CHANCE = "a neighbour drawn blindly from the train photos, the same for every processing of a query"

METRICS = (
    Metric(
        name="worst",
        title="worst of 14",
        explain="A malicious agent gives each query the one of the study's 14 processings that serves it worst.",
        kind="accuracy",
        chance=_CHANCE,
        headline=True,
    ),
    Metric(
        name="average",
        title="average of 14",
        explain="Every query under every one of the 14 processings: one who picks without knowing.",
        kind="accuracy",
        chance=_CHANCE,
        main=False,
    ),
    Metric(
        name="best",
        title="best of 14",
        explain="Each query under the processing that serves it best.",
        kind="accuracy",
        chance=_CHANCE,
        main=False,
    ),
    Metric(
        name="flipped",
        title="flipped",
        explain="Share of queries that some processing flips: right under one of the 14, wrong under another.",
        kind="difference",
        chance="0",
        unit="points",
        difference_of=("best", "worst"),
    ),
)
"""The numbers of ``knn/adversary``; the accuracy without any processing is ``knn/original``."""


def run_adversary(given: TaskInput) -> TaskOutcome:
    """``knn/adversary``: the collection as it is, the queries under each of the 14 processings."""
    from benchmark.knn import cosine_distances, knn_of_views
    from benchmark.views import ORIGINAL

    asked, names = query_set(given), (*STUDY_PROCESSINGS, ORIGINAL)
    labels = given.photos.labels.values
    collection = given.view(ORIGINAL, asked.train)
    views = [given.view(name, asked.test) for name in names]
    answers = knn_of_views(
        collection,
        views,
        labels[asked.train],
        labels[asked.test],
        k=given.options.neighbours or given.photos.neighbours,
        device=given.device,
        keep=given.keep,
    )
    distances = np.stack([cosine_distances(view, views[-1]) for view in views[:-1]])
    right = answers.right(tie_rule(given.options))
    values = _values(right[:-1])
    more: dict[str, dict[str, Any]] = {
        "worst": strip_details(given, asked, names, right, distances, answers.k),
        "average": {"by_processing": _by_view(names, right, distances)},
        "flipped": {"spoiled": float(((right[-1] > 0.5) & (values["worst"] < 0.5)).mean())},
    }
    scores = tuple(_score(metric, values[metric.name], answers, asked, given, more) for metric in METRICS)
    kept = {"right": right if given.options.ties == "random" else right.astype(bool), "photos": asked.test}
    return TaskOutcome(scores, {**kept, "rule": np.array(given.options.ties)})


def read_adversary(kept: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """The values by photo of each metric, from ``right`` [14 processings and the photo as it is, photos].

    >>> right = np.array([[1, 0], [1, 1], [1, 1]], bool)  # two processings, and the photo as it is
    >>> found = read_adversary({"right": right, "photos": np.array([3, 4])})
    >>> found["worst"].values.tolist(), found["flipped"].values.tolist()
    ([1.0, 0.0], [0.0, 1.0])
    """
    return {name: PhotoValues(kept["photos"], v, (0.0, 1.0)) for name, v in _values(kept["right"][:-1]).items()}


def _values(right: np.ndarray) -> dict[str, np.ndarray]:
    """float64 [photos] by metric, of [processings, photos]."""
    from benchmark.knn import flipped_by, worst_of

    table = np.asarray(right, np.float64)
    worst, flipped = worst_of(table), flipped_by(table)
    return {"worst": worst, "average": table.mean(axis=0), "best": table.max(axis=0), "flipped": flipped}


def _by_view(names: tuple[str, ...], right: np.ndarray, distances: np.ndarray) -> dict[str, dict[str, float]]:
    """Of each view over all queries: accuracy, and the mean distance of its embedding to that of the photo as it is."""
    means = [*distances.mean(axis=1), 0.0]
    rows = zip(names, right.mean(axis=1), means, strict=True)
    return {name: {"accuracy": round(float(a), 6), "distance": round(float(d), 6)} for name, a, d in rows}


def _score(
    metric: Metric,
    values: np.ndarray,
    answers: ViewAnswers,
    asked: QuerySet,
    given: TaskInput,
    more: Mapping[str, Mapping[str, Any]],
) -> Score:
    details: dict[str, Any] = {"k": answers.k, "train_photos": len(asked.train), **asked.sampled(given.options)}
    details |= {"processings": len(answers.correct) - 1, "ties": _ties(metric.name, answers)}
    return score_of(
        "knn/adversary",
        metric.name,
        given,
        values,
        ungrouped(given, asked.test),
        chance=0.0 if metric.signed else answers.chance,
        details={**details, "tie_rule": given.options.ties, **more.get(metric.name, {})},
    )


def _ties(name: str, answers: ViewAnswers) -> dict[str, float]:
    """What ties do to a score, as the other kNN tasks say it."""

    def under(rule: TieRule) -> np.ndarray:
        return answers.right(rule)[:-1]

    means = {rule: float(_values(under(rule))[name].mean()) for rule in ("least", "greatest", "random")}
    if name == "flipped":  # best under one rule less worst under another
        low, high = under("least"), under("greatest")
        means["least"] = float(np.maximum(0, low.max(axis=0) - high.min(axis=0)).mean())
        means["greatest"] = float((high.max(axis=0) - low.min(axis=0)).mean())
    return {"share": float(answers.tied[:-1].mean()), **means}


def _recipe(photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    from benchmark.views import ORIGINAL, ProcessingViews

    return ProcessingViews((*STUDY_PROCESSINGS, ORIGINAL), options.seed, upright(options))


ADVERSARY_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "knn/adversary": Task(
            name="knn/adversary",
            family=ADVERSARY,
            title="Adversary",
            explain="The picture's class, where somebody processes the query to mislead.",
            summary="can processing the query, in the worst of 14 ways, make plain kNN fail?",
            metrics=METRICS,
            recipe=_recipe,
            unfit=unfit_for_plain_knn,
            run=run_adversary,
            read_answers=read_adversary,
            growth="pairs",
        ),
    }
)
"""By name."""
