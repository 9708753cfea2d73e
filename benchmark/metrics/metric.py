"""The ``evaluate`` class of a metric, from its definition."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import datasets
import evaluate

from benchmark.metrics import scores
from benchmark.metrics.definitions import CITATION, DEFINITIONS, VECTOR


def metric_class(name: str, repo: str) -> type[Any]:
    """The class of a metric, for ``evaluate.load`` and for ``from benchmark.metrics import ...``.

    Args:
        name: a key of ``DEFINITIONS``.
        repo: Space or folder from which its example loads it.

    >>> metric_class("trace_probe", "camtrace/trace_probe")().compute(
    ...     predictions=[0, 1], references=[0, 0], photo_ids=["a", "b"], n_classes=2
    ... )["accuracy"]
    0.5
    """
    definition = DEFINITIONS[name]
    compute = getattr(scores, definition.scores)

    class Metric(evaluate.Metric):
        def _info(self) -> evaluate.MetricInfo:
            return evaluate.MetricInfo(
                description=definition.description,
                citation=CITATION,
                inputs_description=definition.inputs(repo),
                features=_forms(definition.columns),
                reference_urls=["https://arxiv.org/abs/2508.10637"],
            )

        def _compute(self, **values: Any) -> dict[str, Any]:
            columns = [values.pop(column) for column in definition.columns]
            return dict(compute(*columns, **values))

    Metric.__name__ = Metric.__qualname__ = definition.class_name
    Metric.__doc__ = definition.description
    return Metric


def _forms(columns: Mapping[str, tuple[str, ...]]) -> list[datasets.Features]:
    """All combinations of column types, the most usual first; columns of one kind have the same type."""
    kinds = list(dict.fromkeys(columns.values()))
    return [
        datasets.Features({column: _feature(types[kinds.index(kind)]) for column, kind in columns.items()})
        for types in itertools.product(*kinds)
    ]


def _feature(name: str) -> Any:
    return datasets.Sequence(datasets.Value("float32")) if name in VECTOR else datasets.Value(name)
