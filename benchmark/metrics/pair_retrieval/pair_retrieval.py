"""``evaluate`` metric: does a photo find the other photo of its subject, or the photos of its own kind of camera?"""

import datasets
import evaluate

_DESCRIPTION = """
Photos come in pairs: one subject, two types of camera. Each photo looks for the other photo of its pair, by cosine. In
`same` the distractors were taken with the target's type of camera, in `different` with the query's own; both are
recall@1 averaged over both directions. An encoder that the camera does not sway scores equal on both; spd = same minus
different.
"""

_INPUTS = """
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
Example:
    >>> import evaluate
    >>> pairs = evaluate.load("camtrace/pair_retrieval")
    >>> scores = pairs.compute(
    ...     predictions=[[1, 0, 0], [3, 4, 0], [4, 0, 3], [0, 0, 1]],
    ...     references=["7", "7", "8", "8"],
    ...     camera_types=["phone", "camera", "phone", "camera"],
    ... )
    >>> print({name: scores[name] for name in ("same", "different", "spd", "n")})
    {'same': 1.0, 'different': 0.5, 'spd': 0.5, 'n': 2}
"""

_CITATION = (
    "Ramos, Stojnić, Kordopatis-Zilos, Nakashima, Tolias, Garcia: Processing and acquisition traces in visual "
    "encoders: What does CLIP know about your camera? ICCV 2025, arXiv 2508.10637"
)


class PairRetrieval(evaluate.Metric):
    """Recall with distractors of the target's and of the query's type of camera."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=[
                datasets.Features(
                    {
                        "predictions": datasets.Sequence(datasets.Value("float32")),
                        "references": datasets.Value(pair),
                        "camera_types": datasets.Value("string"),
                    }
                )
                for pair in ("string", "int64")
            ],
            reference_urls=["https://arxiv.org/abs/2508.10637"],
        )

    def _compute(self, predictions, references, camera_types):  # type: ignore[no-untyped-def]
        # Not at the top: evaluate would take the package's name from there and tell users to install another one.
        try:
            from benchmark.metrics.scores import pair_scores
        except ImportError as error:
            raise ImportError("this metric needs the package camtrace: pip install camtrace") from error
        return pair_scores(predictions, references, camera_types)
