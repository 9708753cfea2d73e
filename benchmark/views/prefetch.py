"""Views that workers begin with before it is certain that they are wanted."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field

import torch

from benchmark.views.recipe import PhotoViews, Preprocess, ViewRecipe
from benchmark.views.stream import view_stream
from builders.kernels import compiling_s
from builders.photos import PhotoSet


@dataclass(frozen=True)
class StreamRequest:
    """What ``view_stream`` is asked for."""

    photos: PhotoSet = field(compare=False)
    indices: tuple[int, ...]
    recipe: ViewRecipe
    preprocesses: tuple[Preprocess, ...]
    workers: int
    way: str
    homes: tuple[torch.device, ...]
    gathers: tuple[int, ...]

    def same(self, other: StreamRequest) -> bool:
        """Whether the two give the same views of the same photo set, whatever else is equal about it."""
        return self.photos is other.photos and self == other

    def stream(self) -> Generator[PhotoViews, None, None]:
        """Workers begin at once."""
        return view_stream(
            self.photos,
            self.indices,
            self.recipe,
            self.preprocesses,
            workers=self.workers,
            way=self.way,
            homes=self.homes,
            gathers=self.gathers,
        )


class Prefetch:
    """One stream of views, begun early and given to the first who asks for exactly it.

    While one core asks an encoder what decides whether its embeddings are wanted, the other makes the first views.
    """

    def __init__(self) -> None:
        self.begun_s = self.compiling_s = 0.0
        """Time that beginning took, of the stream that is held; and the part of it that kernels had to be compiled."""
        self._held: tuple[StreamRequest, Generator[PhotoViews, None, None]] | None = None

    def begin(self, asked: StreamRequest) -> None:
        """Begin it, instead of what is held, unless that is the same."""
        if self._held is not None and self._held[0].same(asked):
            return
        self.close()
        started, compiled = time.perf_counter(), compiling_s()
        self._held = asked, asked.stream()
        self.begun_s, self.compiling_s = time.perf_counter() - started, compiling_s() - compiled

    def stream(self, asked: StreamRequest) -> Generator[PhotoViews, None, None]:
        """What is held, if it is this; else a new one, and what is held ends."""
        if self._held is not None and self._held[0].same(asked):
            (_, stream), self._held = self._held, None
            self.begun_s = self.compiling_s = 0.0
            return stream
        self.close()
        return asked.stream()

    def close(self) -> None:
        """End what nobody asked for."""
        if self._held is not None:
            self._held[1].close()
        self._held = None
        self.begun_s = self.compiling_s = 0.0
