"""Definitions of the ``evaluate`` metrics: the single source of class, script, card and page on the Hub.

No large package is imported here. ``metric.py`` makes the class; ``benchmark.metrics.scores`` computes the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VECTOR, INTEGER, TEXT = ("float32 list",), ("int64",), ("string",)

LABEL, ID = ("int64", "string"), ("string", "int64")
"""Types of a column: the first that fits, the same in all columns of one kind."""

CITATION = (
    "Ramos, Stojnić, Kordopatis-Zilos, Nakashima, Tolias, Garcia: Processing and acquisition traces in visual "
    "encoders: What does CLIP know about your camera? ICCV 2025, arXiv 2508.10637"
)


@dataclass(frozen=True)
class Definition:
    """One metric: its names, its documentation and its function."""

    name: str
    """Name of its folder, its script and its Space."""
    class_name: str
    title: str
    short: str
    """Short description on the Hub, at most 60 characters."""
    description: str
    arguments: str
    """Arguments and results, in the form of a docstring's sections."""
    example: str
    """A Python session that loads the metric from ``camtrace/NAME``, with what it prints."""
    limits: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    """Columns of ``compute`` with their types, in the order of the function's parameters."""
    scores: str
    """Name of its function in ``benchmark.metrics.scores``, whose keywords are the options of ``compute``."""

    def inputs(self, repo: str) -> str:
        """Arguments, results and the example, which loads the metric from ``repo``."""
        return f"{self.arguments}Example:\n{self.example_from(repo)}"

    def example_from(self, repo: str) -> str:
        """The example, loading from another Space or folder."""
        return self.example.replace(f"camtrace/{self.name}", repo)


_METRICS = (
    Definition(
        name="trace_probe",
        class_name="TraceProbe",
        title="Trace probe",
        short="What a probe reads of camera and codec",
        description="""
Accuracy of predicted classes of processed or camera photos, with what a guess scores, with a 95 % interval. All views
of a photo fail together, so the interval resamples photos, not rows: with V views of each photo an interval over rows
would be up to the square root of V too narrow.
""",
        arguments="""
Args:
    predictions (list of int or str): the class that a probe gave to each view.
    references (list of int or str): the true class of each view.
    photo_ids (list of str or int): which photo each view shows.
    n_classes (int, optional): classes that could have been answered; by default as many as references hold.
Returns:
    accuracy (float): share of views that are right.
    balanced_accuracy (float): mean over classes of the share of their views that are right.
    low, high (float): 95 % interval of accuracy, by resampling photos.
    chance (float): one over the number of classes.
    n (int): photos.
    rows (int): views.
""",
        example="""
>>> import evaluate
>>> probe = evaluate.load("camtrace/trace_probe")
>>> scores = probe.compute(
...     predictions=[0, 1, 1, 1, 0, 0],
...     references=[0, 1, 0, 1, 0, 1],
...     photo_ids=["a", "a", "b", "b", "c", "c"],
... )
>>> print({name: round(scores[name], 3) for name in ("accuracy", "balanced_accuracy", "chance", "n", "rows")})
{'accuracy': 0.667, 'balanced_accuracy': 0.667, 'chance': 0.5, 'n': 3, 'rows': 6}
""",
        limits=(
            "An accuracy says how well a trace can be *read*, not that anything downstream uses it.",
            "A few photos give a wide interval, however many views of each there are.",
            "`chance` takes classes as equally likely; where they are not, look at `balanced_accuracy`.",
        ),
        columns={"predictions": LABEL, "references": LABEL, "photo_ids": ID},
        scores="probe_scores",
    ),
    Definition(
        name="knn_setups",
        class_name="KnnSetups",
        title="kNN set-ups",
        short="Do neighbours follow processing or content?",
        description="""
How far nearest neighbours follow processing instead of content. Each photo is there once under each of C processings.
In all-same, queries and collection share one processing, in all-diff they do not; in pos-same (neg-same) only
collection photos of the query's class (of other classes) share its processing; in uniform every collection photo has
a random processing, in uniform-test every query. spd = pos-same minus neg-same: 0 for an encoder that processing does
not sway. worst: the collection has one processing, and each query the one that serves it worst, as a malicious agent
would choose.
""",
        arguments="""
Args:
    predictions (list of list of float): the embedding of each view.
    references (list of int or str): what each view's photo shows.
    photo_ids (list of str): which photo each view shows.
    classes (list of int): class of the processing that made the view, 0 to C - 1.
    splits (list of str): "train" (the collection) or "test" (the queries).
    k (int, optional): neighbours that vote, 10 by default.
    parameter (str, optional): jpeg, sharpening, resizing or interpolation: with it, the random classes of uniform and
        uniform-test are exactly the benchmark's.
    seeds (int, optional): random assignments that uniform and uniform-test are averaged over, 10 by default.
Returns:
    all-same, all-diff, pos-same, neg-same, uniform, uniform-test (float): accuracy.
    spd (float): pos-same minus neg-same, signed.
    worst (float): accuracy under the worst processing of each query.
    worst_jitter (float): the same of as many random moves of its embedding, as large as those of processing: the least
        of several is low whatever they are.
    intervals (dict): [low, high] by the names above, 95 %, by resampling test photos.
    ties (dict): by the names above, share of tied votes, least and greatest accuracy that any rule for ties gives,
        and random, the expectation where one of the tied labels is taken at random.
    chance (float), n (int, test photos), train_photos (int), k (int).
""",
        example="""
>>> import evaluate
>>> setups = evaluate.load("camtrace/knn_setups")
>>> scores = setups.compute(  # an encoder that sees only the processing, not the two things that photos show
...     predictions=[[1, 0], [0, 1], [1, 0], [0, 1], [1, 0], [0, 1], [1, 0], [0, 1]],
...     references=[0, 0, 1, 1, 0, 0, 1, 1],
...     photo_ids=["a", "a", "b", "b", "c", "c", "d", "d"],
...     classes=[0, 1, 0, 1, 0, 1, 0, 1],
...     splits=["train"] * 4 + ["test"] * 4,
...     k=1,
... )
>>> print({name: scores[name] for name in ("all-same", "pos-same", "neg-same", "spd", "chance", "n")})
{'all-same': 0.5, 'pos-same': 1.0, 'neg-same': 0.0, 'spd': 1.0, 'chance': 0.5, 'n': 2}
""",
        limits=(
            "`pos-same` and `neg-same` use the query's true class to build the collection: a stress test, not a "
            "classifier that could be deployed.",
            "A tied vote goes to the tied label of the nearest neighbour; `ties` says how much hangs on that.",
            "Similarities are exact and computed block by block on the CPU; the command line does the same on a GPU.",
        ),
        columns={"predictions": VECTOR, "references": LABEL, "photo_ids": TEXT, "classes": INTEGER, "splits": TEXT},
        scores="knn_setup_scores",
    ),
    Definition(
        name="pair_retrieval",
        class_name="PairRetrieval",
        title="Pair retrieval",
        short="Do distractors of the same camera win?",
        description="""
Photos come in pairs: one subject, two types of camera. Each photo looks for the other photo of its pair, by cosine. In
`same` the distractors were taken with the target's type of camera, in `different` with the query's own; both are
recall@1 averaged over both directions. An encoder that the camera does not sway scores equal on both; spd = same minus
different.
""",
        arguments="""
Args:
    predictions (list of list of float): the embedding of each photo.
    references (list of str or int): which pair each photo belongs to.
    camera_types (list of str): one of two types per photo; each pair has one photo of each.
Returns:
    same, different (float): recall@1.
    spd (float): same minus different, signed.
    same-at-5, different-at-5, same-mrr, different-mrr, same-to-TYPE, different-to-TYPE (float): recall@5, mean
        reciprocal rank, and recall@1 of the direction whose targets are of that type.
    intervals (dict): [low, high] by the names above, 95 %, by resampling pairs.
    chance (dict): by the names above.
    n (int): pairs.
""",
        example="""
>>> import evaluate
>>> pairs = evaluate.load("camtrace/pair_retrieval")
>>> scores = pairs.compute(
...     predictions=[[1, 0, 0], [3, 4, 0], [4, 0, 3], [0, 0, 1]],
...     references=["7", "7", "8", "8"],
...     camera_types=["phone", "camera", "phone", "camera"],
... )
>>> print({name: scores[name] for name in ("same", "different", "spd", "n")})
{'same': 1.0, 'different': 0.5, 'spd': 0.5, 'n': 2}
""",
        limits=(
            "Recall depends on the number of pairs: compare numbers of one set of pairs only.",
            "Equally similar candidates count as in random order: an encoder that gives all photos the same embedding "
            "scores what guessing scores.",
        ),
        columns={"predictions": VECTOR, "references": ID, "camera_types": TEXT},
        scores="pair_scores",
    ),
)

DEFINITIONS: Mapping[str, Definition] = {metric.name: metric for metric in _METRICS}
"""Every metric by its name."""
