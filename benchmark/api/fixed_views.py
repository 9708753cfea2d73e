"""What ``TraceCallback`` measures: the embeddings that a network in training gives of fixed views, and their scores.

Nothing of the training changes: not the mode of any module, no random number, no gradient (``untouched``).
"""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmark.bank import BankView
from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.scoring import planned_passes
from benchmark.tasks import Task, TaskInput, all_tasks, fitting_tasks, select_tasks
from benchmark.views import iterate_views
from builders.errors import DataError, UsageError
from builders.photos import PhotoSet

Embed = Callable[[Any, torch.Tensor], torch.Tensor]
"""(network, batch of inputs on its device) -> [n, dimension]."""


def fixed_views(
    photos: PhotoSet,
    patterns: Sequence[str],
    preprocess: Callable[[Any], Any],
    *,
    seed: int,
    batch_size: int,
) -> list[FixedViews]:
    """The views that some tasks need, made once: those that ``patterns`` name, and plain kNN where photos have classes.

    Args:
        photos: all that are used.
        patterns: as ``--tasks`` takes them.
        preprocess: RGB ``PIL.Image`` -> input of the network.
        seed: of the run.
        batch_size: inputs per forward pass.

    Raises:
        DataError: the photos cannot answer a task, or none can be used.
    """
    asked = fitting_tasks(select_tasks(patterns, all_tasks()), photos, named=True)
    plain = [t for t in all_tasks().values() if any(m.summary == "SP" for m in t.metrics) and not t.unfit(photos)]
    options = RunOptions(seed=seed, device="cpu", workers=0, assignment_seeds=3, resamples=2000)
    tasks = [*asked, *(task for task in plain if task not in asked)]
    return [
        FixedViews.of(photos, one.recipe, one.tasks, options, preprocess, batch_size)
        for one in planned_passes(tasks, photos, options)
    ]


@dataclass(frozen=True)
class FixedViews:
    """The views of one pass, made once, and what is asked of them."""

    photos: PhotoSet
    usable: np.ndarray
    views: dict[str, np.ndarray]
    """By name, inputs [usable photos, ...]."""
    tasks: tuple[Task, ...]
    options: RunOptions
    batch_size: int

    @classmethod
    def of(
        cls,
        photos: PhotoSet,
        recipe: Any,
        tasks: Sequence[Task],
        options: RunOptions,
        preprocess: Callable[[Any], Any],
        batch_size: int,
    ) -> FixedViews:
        def as_array(image: Any) -> np.ndarray:
            made = preprocess(image)
            return made.detach().cpu().numpy() if isinstance(made, torch.Tensor) else np.asarray(made)

        usable = np.zeros(len(photos), dtype=bool)
        made: list[np.ndarray] = []
        for photo in iterate_views(photos, range(len(photos)), recipe, [as_array]):
            if not photo.failure and len(photo.arrays[0]):
                usable[photo.index] = True
                made.append(np.asarray(photo.arrays[0]))
        if not made:
            raise DataError(f"{photos.name}: none of the {len(photos)} photos can be used")
        together = np.stack(made)  # [photos, views, ...]
        views = {name: together[:, place] for place, name in enumerate(recipe.names)}
        return cls(photos, usable, views, tuple(tasks), options, batch_size)

    def scores(self, network: nn.Module, embed: Embed) -> list[Score]:
        """What the tasks find in the network's embeddings."""
        bank: Any = _MemoryBank({name: self._embedded(network, embed, inputs) for name, inputs in self.views.items()})
        given = TaskInput(self.photos, self.usable, bank, self.options, "cpu", brief=True)
        return [score for task in self.tasks for score in task.run(given).scores]

    def _embedded(self, network: nn.Module, embed: Embed, inputs: np.ndarray) -> np.ndarray:
        first = next((p for p in network.parameters() if p.is_floating_point()), None)
        device, dtype = (first.device, first.dtype) if first is not None else (torch.device("cpu"), torch.float32)
        parts = []
        for start in range(0, len(inputs), self.batch_size):
            batch = torch.from_numpy(np.ascontiguousarray(inputs[start : start + self.batch_size])).to(device)
            found = embed(network, batch.to(dtype) if batch.is_floating_point() else batch)
            if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(batch):
                shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
                raise UsageError(f"the network gives {shape} for {len(batch)} pictures, not vectors: give embed=...")
            parts.append(found.float().cpu().numpy())
        rows = np.zeros((len(self.photos), parts[0].shape[1]), dtype=np.float32)
        rows[self.usable] = np.concatenate(parts)
        if not np.isfinite(rows).all():
            raise DataError("the network's embeddings are not finite: its training has diverged")
        return rows


class _MemoryBank:
    """Embeddings by view, read as those of a bank on disk."""

    def __init__(self, views: dict[str, np.ndarray]) -> None:
        self._views = views
        self.names = tuple(views)
        self.dim = next(iter(views.values())).shape[1]

    def view(self, name: str, rows: np.ndarray) -> BankView:
        return BankView(self._views[name], np.asarray(rows, dtype=np.int64))


def default_embedding(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """What a network's last linear layer reads, where it returns what that layer gives; else what it returns, pooled.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3))
    >>> default_embedding(network, torch.zeros(2, 3, 2, 2)).shape
    torch.Size([2, 4])
    """
    read: list[tuple[torch.Tensor, torch.Tensor]] = []
    hooks = [
        part.register_forward_hook(lambda _, given, output: read.append((given[0], output)))
        for part in network.modules()
        if isinstance(part, nn.Linear)
    ]
    try:
        output = network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    given = getattr(output, "logits", output)
    if isinstance(given, tuple | list):
        given = given[0]
    for inputs, made in reversed(read):
        if made is given and inputs.ndim == 2:
            return inputs
    for name in ("image_embeds", "pooler_output"):
        if isinstance(found := getattr(output, name, None), torch.Tensor):
            return found.flatten(1)
    hidden = getattr(output, "last_hidden_state", given)
    if isinstance(hidden, torch.Tensor) and hidden.ndim == 3:
        return hidden.mean(1)
    return hidden.mean((2, 3)) if isinstance(hidden, torch.Tensor) and hidden.ndim == 4 else hidden


@contextlib.contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """Within, a network is in evaluation mode and keeps no gradients; afterwards everything is as it was.

    The mode of each of its modules, the random states of Python, NumPy and torch (on every device in use), and
    gradients. Buffers are compared with what they were; one that changed is put back, with a warning.

    >>> network = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
    >>> with untouched(network):
    ...     network.training, network[0].training
    (False, False)
    >>> network[0].training
    True
    """
    modes = {part: part.training for part in network.modules()}
    buffers = {name: buffer.detach().clone() for name, buffer in network.named_buffers()}
    of_numpy = np.random.get_state()  # noqa: NPY002 - what a training loop may draw from
    states: tuple[Any, Any, Any] = random.getstate(), of_numpy, torch.get_rng_state()
    cards = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    device = next((p.device.type for p in network.parameters()), "cpu")
    try:
        for part in modes:
            part.training = False
        with torch.no_grad(), torch.autocast(device, enabled=False):
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
        for name, buffer in network.named_buffers():
            if name in buffers and not torch.equal(buffer, buffers[name]):
                with torch.no_grad():
                    buffer.copy_(buffers[name])
                warnings.warn(f"the buffer {name} changes in evaluation; it was put back", stacklevel=3)
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
        if cards:
            torch.cuda.set_rng_state_all(cards)
        if mps is not None:
            torch.mps.set_rng_state(mps)
