"""``evaluate`` metric: the kNN set-ups of one processing parameter, from one table of embedded views."""

import datasets
import evaluate

_DESCRIPTION = """
How far nearest neighbours follow processing instead of content. Each photo is there once under each of C processings.
In all-same, queries and collection share one processing, in all-diff they do not; in pos-same (neg-same) only
collection photos of the query's class (of other classes) share its processing; in uniform every collection photo has
a random processing, in uniform-test every query. spd = pos-same minus neg-same: 0 for an encoder that processing does
not sway.
"""

_INPUTS = """
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
    intervals (dict): [low, high] by the names above, 95 %, by resampling test photos.
    chance (float), n (int, test photos), train_photos (int), k (int).
Example:
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
"""

_CITATION = (
    "Ramos, Stojnić, Kordopatis-Zilos, Nakashima, Tolias, Garcia: Processing and acquisition traces in visual "
    "encoders: What does CLIP know about your camera? ICCV 2025, arXiv 2508.10637"
)


class KnnSetups(evaluate.Metric):
    """Accuracy of the six kNN set-ups and their signed difference."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=[
                datasets.Features(
                    {
                        "predictions": datasets.Sequence(datasets.Value("float32")),
                        "references": datasets.Value(label),
                        "photo_ids": datasets.Value("string"),
                        "classes": datasets.Value("int64"),
                        "splits": datasets.Value("string"),
                    }
                )
                for label in ("int64", "string")
            ],
            reference_urls=["https://arxiv.org/abs/2508.10637"],
        )

    def _compute(self, predictions, references, photo_ids, classes, splits, k=10, parameter=None, seeds=10):  # type: ignore[no-untyped-def]
        # Not at the top: evaluate would take the package's name from there and tell users to install another one.
        try:
            from benchmark.metrics.scores import knn_setup_scores
        except ImportError as error:
            raise ImportError("this metric needs the package camtrace: pip install camtrace") from error
        return knn_setup_scores(
            predictions, references, photo_ids, classes, splits, k=k, parameter=parameter, seeds=seeds
        )
