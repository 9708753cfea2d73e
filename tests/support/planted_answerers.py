"""Answerers in Python with known answers: tests compute by hand what they say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from benchmark.encoders import Prompt


@dataclass
class MeanAnswerer:
    """The logit of option i is the mean of all pixels plus i times the length of the question's first line."""

    id: str = "vlm:planted"
    revision: str | None = None
    weights_sha256: str | None = "0" * 64
    processor: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    dtype: str = "float32"
    offset: float = 0.0
    most: int = 1 << 30
    """Pictures that memory holds."""
    stop_after: int = 1 << 30
    """Calls after which Ctrl-C is pressed."""
    batches: list[int] = field(default_factory=list)
    """Pictures of each call."""
    checked: int = 0
    """Number of calls of ``check``."""

    @property
    def identity(self) -> dict[str, Any]:
        names = ("id", "revision", "weights_sha256", "processor")
        return {"library": "transformers", **{name: getattr(self, name) for name in names}}

    def check(self, prompts: Sequence[Prompt]) -> None:
        self.checked += 1

    def prepare(self, pictures: Sequence[Image.Image], prompts: Sequence[Prompt]) -> Any:
        return [(np.asarray(picture), prompt) for picture, prompt in zip(pictures, prompts, strict=True)]

    def logits(self, prepared: Any) -> list[np.ndarray]:
        if len(self.batches) >= self.stop_after:
            raise KeyboardInterrupt
        if len(prepared) > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        self.batches.append(len(prepared))
        return [self.of_picture(pixels, prompt) for pixels, prompt in prepared]

    def of_picture(self, pixels: np.ndarray, prompt: Prompt) -> np.ndarray:
        length = len(prompt.text.partition("\n")[0].partition("? ")[0].rstrip("?")) + 1
        mean = np.float32(pixels.astype(np.float64).mean()) + np.float32(self.offset)
        return np.array([mean + at * length for at in range(len(prompt.words))], np.float32)

    def in_dtype(self, dtype: str) -> MeanAnswerer:
        return dataclasses.replace(self, dtype=dtype)

    def release(self) -> None:
        """Nothing to give back."""


@dataclass
class PixelAnswerer(MeanAnswerer):
    """Says the first option (*yes*) where a number of the picture is positive; the logits are that number and 0."""

    number: Callable[[np.ndarray], float] = lambda pixels: 1.0

    def of_picture(self, pixels: np.ndarray, prompt: Prompt) -> np.ndarray:
        return np.array([self.number(pixels), *[0.0] * (len(prompt.words) - 1)], np.float32)
