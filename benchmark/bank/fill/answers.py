"""One pass over the photos that fills a bank with a model's answers.

Threads read photos, make views and the model's inputs a few photos ahead; this thread runs the model and writes rows.
A batch holds views and questions of one photo, so that all views of a question are together. Blocks, their
markers and what happens after a kill are those of ``fill_banks``.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from benchmark.bank.asking import Asking, Put
from benchmark.bank.fill.fill import PassCost
from benchmark.bank.fill.members import Part, missing_parts
from benchmark.bank.fill.targets import StoreWriter
from benchmark.compute import blamed, foreign_code, out_of_memory
from benchmark.encoders import Answerer
from benchmark.views import ORIGINAL, PNG, ViewRecipe, describe_source, failure_reason
from builders.errors import CamtraceError, EncoderError
from builders.photos import PhotoSet, photo_digest
from builders.processes import in_this_context, progress_bar
from builders.untrusted import describe_error, readable


class Query(NamedTuple):
    """One question under one view of a photo."""

    view: str
    put: Put


@dataclass
class PhotoInputs:
    """The model's inputs of one photo under the views that are missing."""

    index: int
    batches: list[tuple[list[Query], Any]] = field(default_factory=list)
    """Questions of one batch, and the model's input."""
    failures: dict[str, str] = field(default_factory=dict)
    """By view, the reason why there is none."""
    source_jpeg: str = "unreadable"
    digest: bytes = b""
    seconds: float = 0.0


def fill_answers(
    photos: PhotoSet,
    recipe: ViewRecipe,
    answerer: Answerer,
    asking: Asking,
    store: StoreWriter,
    *,
    batch_size: int,
    workers: int,
    label: str = "answering",
    learn: Callable[[int, bytes], None] = lambda index, digest: None,
    blocks: Collection[int] | None = None,
    silent: bool = False,
) -> PassCost:
    """Fill a store with the answers that it lacks.

    Args:
        photos: the photo set.
        recipe: the views.
        answerer: the model.
        asking: the questions.
        store: a bank of ``answering``, or the blocks of a rank.
        batch_size: pictures per forward pass, fewer where memory runs out.
        workers: threads that make views and inputs.
        label, learn, blocks, silent: as of ``fill_banks``.

    Returns:
        What it cost.

    Raises:
        EncoderError: the model fails, or its logits are not finite.
    """
    started = time.perf_counter()
    parts = missing_parts(recipe.names, [store], blocks)
    count = sum(len(store.blocks.photos_of(block)) for part in parts for block in part.blocks)
    if count:
        answerer.check(asking.prompts())
    fits = _Fitting(answerer, asking.batch or batch_size)
    bar = progress_bar(total=count, desc=readable(label), unit="photo", delay=1, silent=silent)
    with bar, ThreadPoolExecutor(max(1, workers), thread_name_prefix="inputs") as pool:
        filling = _Filling(_MakeInputs(photos, answerer, asking, fits), store, learn, bar)
        for part in parts:
            # a copy as PNG is in one batch with all other views, as it was where only the first of them were stored
            filling.fill(part, recipe if PNG in part.names else recipe.only(part.names), pool, workers)
    return PassCost(
        count,
        filling.answers,
        time.perf_counter() - started,
        filling.waiting_s,
        filling.forward_s,
        filling.making_s,
    )


class _Filling:
    """Fills the blocks of one part of a pass after the other."""

    def __init__(
        self, make: _MakeInputs, store: StoreWriter, learn: Callable[[int, bytes], None], bar: tqdm[Any]
    ) -> None:
        self.answers = 0
        self.waiting_s = self.forward_s = self.making_s = 0.0
        self._make, self._store, self._learn, self._bar = make, store, learn, bar

    def fill(self, part: Part, recipe: ViewRecipe, pool: ThreadPoolExecutor, ahead: int) -> None:
        indices = [index for block in part.blocks for index in self._store.blocks.photos_of(block)]
        make = in_this_context(partial(self._make, recipe))
        made = _ahead(pool, make, indices, ahead)
        for block in part.blocks:
            wanted = [name for name in part.names if not self._store.is_finished(name, block)]
            failures: dict[str, dict[str, str]] = {name: {} for name in wanted}
            source_jpeg: Counter[str] = Counter()
            for index in self._store.blocks.photos_of(block):
                waited = time.perf_counter()
                inputs = next(made)
                self.waiting_s += time.perf_counter() - waited
                self.making_s += inputs.seconds
                source_jpeg[inputs.source_jpeg] += 1
                self._learn(index, inputs.digest)
                if wanted:
                    self._write(inputs, wanted, failures, partial(make, index))
                self._bar.update()
            for name in wanted:
                self._store.finish_block(name, block, failures[name], dict(source_jpeg))

    def _write(
        self,
        inputs: PhotoInputs,
        wanted: Sequence[str],
        failures: dict[str, dict[str, str]],
        again: Callable[[], PhotoInputs],
    ) -> None:
        began = time.perf_counter()
        rows = self._make.fits.rows(inputs, self._store.dim, again)
        self.forward_s += time.perf_counter() - began
        for name in wanted:
            if reason := inputs.failures.get(name, ""):
                failures[name][self._make.photos.ids[inputs.index]] = reason
            elif name in rows:  # a photo without a question has a row of zeros
                self._store.write_rows(name, inputs.index, rows[name])
                self.answers += 1


class _Fitting:
    """Runs the model on as many pictures at a time as memory holds."""

    def __init__(self, answerer: Answerer, batch: int) -> None:
        self.batch = _even(batch)
        self._answerer = answerer

    def rows(self, inputs: PhotoInputs, width: int, again: Callable[[], PhotoInputs]) -> dict[str, np.ndarray]:
        """By view, float32 [1, width]; inputs are made again in smaller batches where memory runs out."""
        name = str(self._answerer.identity["id"])
        while True:
            rows: dict[str, np.ndarray] = {}
            try:
                with blamed(name), foreign_code():
                    for queries, prepared in inputs.batches:
                        for (view, put), logits in zip(queries, self._answerer.logits(prepared), strict=True):
                            if not np.isfinite(logits).all():
                                raise EncoderError(f"{name}: gave logits that are not finite (try --dtype float32)")
                            rows.setdefault(view, np.zeros((1, width), np.float32))[0, put.columns] = logits
                return rows
            except CamtraceError:
                raise
            except Exception as error:  # of the library
                largest = max(len(queries) for queries, _ in inputs.batches)
                if not out_of_memory(error):
                    raise EncoderError(f"{name}: cannot answer ({describe_error(error)})") from error
                if largest == 1:
                    raise EncoderError(
                        f"{name}: the memory does not hold one picture and its question; use another --device, another "
                        "--dtype or a smaller model"
                    ) from error
            if largest // 2 < self.batch:  # else photos that were prepared before
                self.batch = _even(largest // 2)
                print(f"camtrace: {name}: {largest} pictures do not fit, {self.batch} at a time now", file=sys.stderr)
            inputs.batches.clear()
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            inputs = again()


@dataclass(frozen=True)
class _MakeInputs:
    """Reads a photo, makes its views and the model's inputs, in any thread."""

    photos: PhotoSet
    answerer: Answerer
    asking: Asking
    fits: _Fitting

    def __call__(self, recipe: ViewRecipe, index: int) -> PhotoInputs:
        started = time.perf_counter()
        made, photo_id = PhotoInputs(index), self.photos.ids[index]
        try:
            data = self.photos.read(index)
            made.digest = photo_digest(data)
            made.source_jpeg = describe_source(data)
            puts = self.asking.by_photo.get(photo_id, ())
            pictures = self._pictures(data, photo_id, recipe, made.failures) if puts else {}
            first = [view for view in (ORIGINAL, PNG) if view in pictures]
            queries = [Query(view, put) for put in puts for view in first]
            queries += [Query(view, put) for view in pictures if view not in first for put in puts]
            size = self.fits.batch
            for start in range(0, len(queries), size):
                together = queries[start : start + size]
                views = [pictures[one.view] for one in together]
                with foreign_code():
                    made.batches.append((together, self.answerer.prepare(views, [one.put.prompt for one in together])))
        except Exception as error:  # whatever a processor raises
            made = replace(made, batches=[], failures=dict.fromkeys(recipe.names, failure_reason(error)))
        made.seconds = time.perf_counter() - started
        return made

    def _pictures(
        self, data: bytes, photo_id: str, recipe: ViewRecipe, failures: dict[str, str]
    ) -> dict[str, Image.Image]:
        """Pictures by view; a view that cannot be made is a failure of its own."""
        try:
            pictures: list[Any] = _views(recipe, data, photo_id)
            return dict(zip(recipe.names, pictures, strict=True))
        except Exception:
            made: dict[str, Image.Image] = {}
            for name in recipe.names:
                try:
                    made[name] = _views(recipe.only((name,)), data, photo_id)[-1]
                except Exception as error:
                    failures[name] = failure_reason(error)
            return made


def _even(batch: int) -> int:
    """A batch in which a picture and its copy as PNG are together, or one for each."""
    return batch - batch % 2 if batch > 1 else batch


def _as_it_is(picture: Image.Image) -> Any:
    """Preprocessing that keeps a view as a picture: the model has its own."""
    return picture


def _views(recipe: ViewRecipe, data: bytes, photo_id: str) -> list[Any]:
    made: Any = recipe.make(data, photo_id, [_as_it_is])
    return list(made[0])


def _ahead(
    pool: ThreadPoolExecutor, make: Callable[[int], PhotoInputs], indices: Sequence[int], count: int
) -> Iterator[PhotoInputs]:
    """``make`` of every photo in order, up to ``count`` photos ahead; with 0, each when it is needed."""
    if not count:
        yield from map(make, indices)
        return
    waiting: deque[Future[PhotoInputs]] = deque()
    try:
        for index in indices:
            waiting.append(pool.submit(make, index))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
