"""Would the check notice? Faults are planted one at a time on a card that is only pretended, and the rows are counted.

The pretended card (``tests/support/card.py``) lets its tensors lie in the memory of the computer, and does what a card
does: it copies late, rounds to TF32 where torch allows it, and refuses mixed devices.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch

from benchmark.report.tables import markdown_table
from scripts.checks.gpu.__main__ import LIMITS_S, Part, run_part
from scripts.checks.gpu.answers import CHECKS, answers
from scripts.speed.measure import Row
from tests.support import card as fake_card

Plant = Callable[[pytest.MonkeyPatch], object]


class Fault(NamedTuple):
    """Something wrong that a card, a driver, torch or this package could do."""

    name: str
    plant: Plant
    parts: tuple[str, ...]
    """Parts of which at least one row each must find it."""


def _nothing(patch: pytest.MonkeyPatch) -> None:
    """A card without a fault."""


def _without_normalisation(patch: pytest.MonkeyPatch, *, everywhere: bool) -> None:
    from benchmark.encoders.network import Normalisation

    right = Normalisation.__call__

    def plain(self: Normalisation, pixels: torch.Tensor) -> torch.Tensor:
        if not (everywhere or pixels.is_cuda):
            return right(self, pixels)
        return pixels.float().div_(255).permute(0, 3, 1, 2)

    patch.setattr(Normalisation, "__call__", plain)


def _furthest(patch: pytest.MonkeyPatch) -> None:
    right = torch.Tensor.topk

    def topk(self: torch.Tensor, k: int, dim: int = -1, largest: bool = True, **options: Any) -> Any:
        return right(self, k, dim, largest=largest != self.is_cuda, **options)

    patch.setattr(torch.Tensor, "topk", topk)


def _tf32(patch: pytest.MonkeyPatch) -> None:
    """Products of the card may round, as in a user's module, and the guard against it does nothing."""
    from benchmark.encoders import network

    torch.backends.cuda.matmul.allow_tf32 = True
    patch.setattr(network, "tf32_only_if_requested", lambda place: contextlib.nullcontext())


def _no_wait_for_copies(patch: pytest.MonkeyPatch) -> None:
    """A batch is used before its copy has arrived."""
    patch.setattr(fake_card.Stream, "wait_event", lambda self, event: None)


def _no_wait_for_reading(patch: pytest.MonkeyPatch) -> None:
    """Embeddings are read before they have been copied back."""
    patch.setattr(fake_card.Event, "synchronize", lambda self: None)


def _memory_used_again(patch: pytest.MonkeyPatch) -> None:
    """The memory that a copy reads is written again before the copy is made."""
    from benchmark.bank.fill.device_copy import DeviceCopy

    right = DeviceCopy.start

    def start(self: DeviceCopy, parts: Any, after: Any = ()) -> Any:
        pinned = [part.pin_memory() for part in parts]
        started = right(self, pinned, after)
        for part in pinned if self.device.type == "cuda" else ():
            part.fill_(0)
        return started

    patch.setattr(DeviceCopy, "start", start)


def _wrong_pixels(patch: pytest.MonkeyPatch) -> None:
    from scripts.checks.gpu import answers as module

    right = module.torch_views

    def views(photos: torch.Tensor, *arguments: Any, **options: Any) -> list[torch.Tensor]:
        made = right(photos, *arguments, **options)
        return [one + (one == 100).to(one.dtype) if one.is_cuda else one for one in made]

    patch.setattr(module, "torch_views", views)


def _wrong_sums(patch: pytest.MonkeyPatch) -> None:
    """Products of float64 lose what float32 does not hold."""
    right = torch.Tensor.__matmul__

    def product(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        made = right(self, other)
        return made * 1.001 if made.is_cuda else made

    patch.setattr(torch.Tensor, "__matmul__", product)


def _broken_kernel(patch: pytest.MonkeyPatch) -> None:
    """One operation is not there for this card, such as of a build without its architecture."""
    right = torch.nn.functional.gelu

    def gelu(pixels: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        if pixels.is_cuda:
            raise NotImplementedError("no kernel image is available for execution on the device")
        return right(pixels, *arguments, **options)

    patch.setattr(torch.nn.functional, "gelu", gelu)


FAULTS = (
    Fault("none", _nothing, ()),
    Fault("normalisation removed on the card", partial(_without_normalisation, everywhere=False), ("embeddings",)),
    Fault("normalisation removed everywhere", partial(_without_normalisation, everywhere=True), ("embeddings",)),
    Fault("furthest neighbours", _furthest, ("neighbours", "score")),
    Fault("TF32 in products", _tf32, ("embeddings",)),
    Fault("race: a batch is used before its copy has arrived", _no_wait_for_copies, ("copies", "score")),
    Fault("race: embeddings are read before they are there", _no_wait_for_reading, ("copies",)),
    Fault("race: memory is used again before it is copied", _memory_used_again, ("copies", "score")),
    Fault("pixels of views off by one", _wrong_pixels, ("views",)),
    Fault("products of solvers off by 0.1 %", _wrong_sums, ("retrieval",)),
    Fault("an operation that the card does not have", _broken_kernel, ("embeddings",)),
)


def self_test(faults: tuple[Fault, ...] = FAULTS) -> int:
    """Print the table of planted faults. The exit status is 1 if one is missed, or reported without being there."""
    cells, missed = [], False
    for fault in faults:
        print(f"  {fault.name}", file=sys.stderr, flush=True)
        rows = rows_with(fault)
        wrong = [(part, row) for part, row in rows if row.wrong]
        parts = list(dict.fromkeys(part for part, _ in wrong))
        right = set(fault.parts) <= set(parts) and bool(wrong) == bool(fault.parts)
        missed = missed or not right
        first = f"{wrong[0][1].what} {wrong[0][1].note}".strip() if wrong else ""
        cells.append(
            [fault.name, f"{len(wrong)} of {len(rows)}", ", ".join(parts) or "-", first, "yes" if right else "NO"]
        )
    print(markdown_table(["planted fault", "wrong rows", "in", "the first", "as expected"], cells))
    return int(missed)


def rows_with(fault: Fault, parts: Collection[str] = tuple(CHECKS)) -> list[tuple[str, Row]]:
    """(part, row) of every check of answers of these parts, in tiny sizes, with a fault."""
    rows: list[tuple[str, Row]] = []
    with pytest.MonkeyPatch.context() as patch, _pretended(patch) as device:
        fault.plant(patch)
        for name in parts:
            skipped: list[str] = []
            run_part(name, Part(partial(answers, name, device, quick=True), LIMITS_S[name] * 10), rows, skipped)
            rows += [(name, Row(reason, float("nan"), "", wrong=True)) for reason in skipped]
    return rows


@contextlib.contextmanager
def _pretended(patch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A card, and nothing that was made once for an earlier one."""
    from benchmark.encoders import network
    from benchmark.views.device import dct, jpeg
    from benchmark.views.device.views import equals_pillow

    once: tuple[Any, ...] = (jpeg._on, dct._matrix, network._constants, equals_pillow)
    for made in once:
        made.cache_clear()
    before = torch.backends.cuda.matmul.allow_tf32
    fake_card.card(patch)
    try:
        yield torch.device("cuda", 0)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
        for made in once:
            made.cache_clear()
        gc.collect()
