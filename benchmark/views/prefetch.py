"""Views that workers begin to make before it is certain that they are needed."""

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
    """The arguments of ``view_stream``."""

    photos: PhotoSet = field(compare=False)
    indices: tuple[int, ...]
    recipe: ViewRecipe
    preprocesses: tuple[Preprocess, ...]
    workers: int
    mode: str
    targets: tuple[torch.device, ...]
    gathers: tuple[int, ...]

    def same(self, other: StreamRequest) -> bool:
        """Whether both request the same views of the same photo set (the same object; sets are not compared)."""
        return self.photos is other.photos and self == other

    def stream(self) -> Generator[PhotoViews, None, None]:
        """The requested stream; workers begin at once."""
        return view_stream(
            self.photos,
            self.indices,
            self.recipe,
            self.preprocesses,
            workers=self.workers,
            mode=self.mode,
            targets=self.targets,
            gathers=self.gathers,
        )


class Prefetch:
    """At most one stream of views that is begun early and handed out to the first identical request.

    While encoders are tried, which decides whether their embeddings are needed, the workers already make the first
    views.
    """

    def __init__(self) -> None:
        self.begun_s = self.compiling_s = 0.0
        """Seconds that beginning the pending stream took, and the part of them in which kernels were compiled."""
        self._pending: tuple[StreamRequest, Generator[PhotoViews, None, None]] | None = None

    def begin(self, request: StreamRequest) -> None:
        """Begin a stream in place of the pending one, unless that is the same."""
        if self._pending is not None and self._pending[0].same(request):
            return
        self.close()
        started, compiled = time.perf_counter(), compiling_s()
        self._pending = request, request.stream()
        self.begun_s, self.compiling_s = time.perf_counter() - started, compiling_s() - compiled

    def stream(self, request: StreamRequest) -> Generator[PhotoViews, None, None]:
        """The pending stream if it is the requested one; else that is closed and a new one is begun."""
        if self._pending is not None and self._pending[0].same(request):
            (_, stream), self._pending = self._pending, None
            self.begun_s = self.compiling_s = 0.0
            return stream
        self.close()
        return request.stream()

    def close(self) -> None:
        """Close the pending stream, if there is one."""
        if self._pending is not None:
            self._pending[1].close()
        self._pending = None
        self.begun_s = self.compiling_s = 0.0
