"""``evaluate`` metric: what a linear probe read, with chance and an interval that resamples photos."""

import itertools

import datasets
import evaluate

_DESCRIPTION = """
Accuracy of predicted classes of processed or camera photos, beside what a guess scores, with a 95 % interval. All views
of a photo fail together, so the interval resamples photos, not rows: with V views of each photo an interval over rows
would be up to the square root of V too narrow.
"""

_INPUTS = """
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
Example:
    >>> import evaluate
    >>> probe = evaluate.load("camtrace/trace_probe")
    >>> scores = probe.compute(
    ...     predictions=[0, 1, 1, 1, 0, 0],
    ...     references=[0, 1, 0, 1, 0, 1],
    ...     photo_ids=["a", "a", "b", "b", "c", "c"],
    ... )
    >>> print({name: round(scores[name], 3) for name in ("accuracy", "balanced_accuracy", "chance", "n", "rows")})
    {'accuracy': 0.667, 'balanced_accuracy': 0.667, 'chance': 0.5, 'n': 3, 'rows': 6}
"""

_CITATION = (
    "Ramos, Stojnić, Kordopatis-Zilos, Nakashima, Tolias, Garcia: Processing and acquisition traces in visual "
    "encoders: What does CLIP know about your camera? ICCV 2025, arXiv 2508.10637"
)


class TraceProbe(evaluate.Metric):
    """Accuracy, balanced accuracy, chance and interval of a probe's predictions."""

    def _info(self) -> evaluate.MetricInfo:
        kinds = itertools.product(("int64", "string"), ("string", "int64"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=[
                datasets.Features(
                    {
                        "predictions": datasets.Value(label),
                        "references": datasets.Value(label),
                        "photo_ids": datasets.Value(photo),
                    }
                )
                for label, photo in kinds
            ],
            reference_urls=["https://arxiv.org/abs/2508.10637"],
        )

    def _compute(self, predictions, references, photo_ids, n_classes=None):  # type: ignore[no-untyped-def]
        # Not at the top: evaluate would take the package's name from there and tell users to install another one.
        try:
            from benchmark.metrics.scores import probe_scores
        except ImportError as error:
            raise ImportError("this metric needs the package camtrace: pip install camtrace") from error
        return dict(probe_scores(predictions, references, photo_ids, n_classes))
