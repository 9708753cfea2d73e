"""Scores of a network in training on fixed views, for ``TraceCallback``.

The training does not change: no mode of a module, no random number, no gradient (``untouched``).
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
from benchmark.encoders import has_class_token
from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.scoring import planned_passes, with_semantics
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
    """The views of tasks, made once: the tasks that ``patterns`` name, and plain kNN if photos have classes.

    Args:
        photos: all photos that are used.
        patterns: as ``--tasks`` takes them.
        preprocess: RGB ``PIL.Image`` -> input of the network.
        seed: of the run.
        batch_size: inputs per forward pass.

    Raises:
        DataError: the photos cannot answer a task, or none can be used.
    """
    chosen = fitting_tasks(select_tasks(patterns, all_tasks(), photos.groups), photos, named=True)
    options = RunOptions(seed=seed, device="cpu", workers=0, assignment_seeds=3, resamples=2000)
    return [
        FixedViews.of(photos, view_pass.recipe, view_pass.tasks, options, preprocess, batch_size)
        for view_pass in planned_passes(with_semantics(chosen, photos), photos, options)
    ]


@dataclass(frozen=True)
class FixedViews:
    """The views of one pass, made once, and the tasks that read them."""

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
            array = preprocess(image)
            return array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)

        usable = np.zeros(len(photos), dtype=bool)
        arrays: list[np.ndarray] = []
        for photo in iterate_views(photos, range(len(photos)), recipe, [as_array]):
            if not photo.failure and len(photo.arrays[0]):
                usable[photo.index] = True
                arrays.append(np.asarray(photo.arrays[0]))
        if not arrays:
            raise DataError(f"{photos.name}: none of the {len(photos)} photos can be used")
        stacked = np.stack(arrays)  # [photos, views, ...]
        views = {name: stacked[:, position] for position, name in enumerate(recipe.names)}
        return cls(photos, usable, views, tuple(tasks), options, batch_size)

    def scores(self, network: nn.Module, embed: Embed) -> list[Score]:
        """Scores of the tasks on the network's embeddings."""
        bank: Any = _MemoryBank({name: self._embedded(network, embed, inputs) for name, inputs in self.views.items()})
        task_input = TaskInput(self.photos, self.usable, bank, self.options, "cpu", brief=True)
        return [score for task in self.tasks for score in task.run(task_input).scores]

    def _embedded(self, network: nn.Module, embed: Embed, inputs: np.ndarray) -> np.ndarray:
        first = next((p for p in network.parameters() if p.is_floating_point()), None)
        device, dtype = (first.device, first.dtype) if first is not None else (torch.device("cpu"), torch.float32)
        parts = []
        for start in range(0, len(inputs), self.batch_size):
            batch = torch.from_numpy(np.ascontiguousarray(inputs[start : start + self.batch_size])).to(device)
            embeddings = embed(network, batch.to(dtype) if batch.is_floating_point() else batch)
            if not isinstance(embeddings, torch.Tensor) or embeddings.ndim != 2 or len(embeddings) != len(batch):
                shape = tuple(embeddings.shape) if isinstance(embeddings, torch.Tensor) else type(embeddings).__name__
                raise UsageError(f"the network gives {shape} for {len(batch)} pictures, not vectors: give embed=...")
            parts.append(embeddings.float().cpu().numpy())
        rows = np.zeros((len(self.photos), parts[0].shape[1]), dtype=np.float32)
        rows[self.usable] = np.concatenate(parts)
        if not np.isfinite(rows).all():
            raise DataError("the network's embeddings are not finite: its training has diverged")
        return rows


class _MemoryBank:
    """Embeddings by view in memory, with the interface of a bank."""

    def __init__(self, views: dict[str, np.ndarray]) -> None:
        self._views = views
        self.names = tuple(views)
        self.dim = next(iter(views.values())).shape[1]

    def view(self, name: str, rows: np.ndarray) -> BankView:
        return BankView(self._views[name], np.asarray(rows, dtype=np.int64))


def default_embedding(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Inputs of a network's last linear layer, if it returns that layer's output; else what it returns, pooled.

    Args:
        network: in evaluation mode.
        batch: of its inputs.

    Returns:
        [n, dimension], by the first that applies: the input of the last linear layer, ``image_embeds``,
        ``pooler_output``, of a sequence the class token where the network has one, the mean over positions, the vector.

    Raises:
        UsageError: it is the mean of two linear layers, as distilled classifiers return it: class scores.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3))
    >>> default_embedding(network, torch.zeros(2, 3, 2, 2)).shape
    torch.Size([2, 4])
    """
    read: list[tuple[torch.Tensor, torch.Tensor]] = []
    hooks = [
        part.register_forward_hook(lambda _, inputs, output: read.append((inputs[0], output)))
        for part in network.modules()
        if isinstance(part, nn.Linear)
    ]
    try:
        output = network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    returned = getattr(output, "logits", output)
    if isinstance(returned, tuple | list):
        returned = returned[0]
    for inputs, outputs in reversed(read):
        if outputs is returned and inputs.ndim == 2:
            return inputs
    for name in ("image_embeds", "pooler_output"):
        if isinstance(embeddings := getattr(output, name, None), torch.Tensor):
            return embeddings.flatten(1)
    hidden = getattr(output, "last_hidden_state", returned)
    if not isinstance(hidden, torch.Tensor):
        return hidden
    heads = [outputs for _, outputs in read if outputs.shape == hidden.shape][-2:]
    if len(heads) == 2 and torch.allclose((heads[0] + heads[1]) / 2, hidden, atol=1e-5):
        raise UsageError(
            f"the network returns {hidden.shape[1]} numbers for each picture, the mean of two linear layers: those are "
            "class scores; give embed=..."
        )
    if hidden.ndim == 3:
        return hidden[:, 0] if has_class_token(network) else hidden.mean(1)
    return hidden.mean((2, 3)) if hidden.ndim == 4 else hidden


@contextlib.contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """A context in which a network is in evaluation mode and without gradients; afterwards everything is restored.

    That is the mode of each module, the random states of Python, NumPy and torch (on every device in use), and
    gradients. A buffer that changed is restored with a warning.

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
