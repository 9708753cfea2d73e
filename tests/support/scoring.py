"""Toy encoders, and runs of one encoder on some tasks."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmark.encoders import Encoder, EncoderInfo
from benchmark.options import RunOptions
from benchmark.results import Result
from benchmark.scoring import Scored, score_encoders
from benchmark.tasks import all_tasks, fitting_tasks, select_tasks
from builders.photos import PhotoSet


def as_floats(batch: torch.Tensor) -> torch.Tensor:
    """An embedding that is the prepared views, of any shape."""
    return batch.float()


def as_rows(batch: torch.Tensor) -> torch.Tensor:
    """An embedding [n, d] that is the prepared views in one row each."""
    return batch.float().flatten(1)


def toy_encoder(
    embed: Callable[[torch.Tensor], torch.Tensor],
    preprocess: Callable[..., Any],
    dimension: int,
    *,
    name: str = "toy",
    weights: str | None = "0" * 64,
    preprocessing: Mapping[str, Any] | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    **more: Any,
) -> Encoder:
    """An encoder of two functions; ``weights`` None says that its embeddings may not be cached."""
    info = EncoderInfo(name, "callable", None, weights, dimension, preprocessing or {}, "none", 0)
    return Encoder(info, preprocess, embed, device, dtype, **more)


class CountingEncoder:
    """``encoder`` embeds views as they are and counts them in ``views``."""

    def __init__(self, name: str, preprocess: Callable[..., Any], dimension: int, **more: Any) -> None:
        self.encoder = toy_encoder(self.embed, preprocess, dimension, name=name, **more)
        self.views = 0

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        self.views += len(batch)
        return as_rows(batch)


def score_tasks(
    encoder: Encoder, photos: PhotoSet, patterns: Iterable[str], cache: Path, *, fails: bool = False, **options: Any
) -> Scored:
    """One encoder's scores on the tasks that fit the photos, or on those that ``patterns`` name."""
    named = list(patterns)
    tasks = fitting_tasks(select_tasks(named, all_tasks(), photos.groups), photos, named=bool(named))
    chosen = RunOptions(**{"cache": cache, "workers": 0, "resamples": 300, **options})
    (scored,) = score_encoders([encoder], photos, tasks, chosen)
    assert bool(scored.result.failures) is fails, scored.result.failures
    return scored


def values_of(result: Result) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Value and interval by task and metric."""
    return {(s.task, s.metric): (s.value, s.low, s.high) for s in result.scores}
