"""``TraceCallback``: how much of the camera and the codec a network keeps while it is trained.

It works with transformers' ``Trainer``, Lightning, and any loop. ``fixed_views.py`` computes the scores.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from benchmark.api.fixed_views import Embed, FixedViews, default_embedding, fixed_views, untouched
from benchmark.encoders import is_module
from benchmark.results import Score, metric_of
from benchmark.tasks import WATCHED, all_tasks, select_tasks
from builders.data_specs import open_photos
from builders.errors import UsageError, notice_of_old_spelling
from builders.photos import PhotoSet

if TYPE_CHECKING:
    _Base = object
else:
    try:
        from transformers import TrainerCallback as _Base
    except ImportError:
        _Base = object

Log = Callable[[dict[str, float]], object]
"""Receives numbers by name: ``trainer.log``, ``wandb.log``, or a function of yours."""


class TraceCallback(_Base):
    """Score a network on a few fixed photos every so many steps.

    For transformers' ``Trainer``, for Lightning (``for_lightning()``), and for any loop: ``trace(network, step)``.

    Args:
        data: photos as ``--data`` takes them, or a photo set; a folder of classes serves well.
        every_steps: steps between two measurements; the first is at step 0 if the loop calls it there.
        limit: how many photos are used, seeded and balanced over classes; the same in every measurement.
        tasks: patterns as ``--tasks`` takes them. Plain kNN is added if photos have classes.
        preprocess: RGB ``PIL.Image`` -> tensor or array of one shape, as the network takes it in evaluation. By default
            the trainer's image processor, or the network's own attribute ``preprocess``.
        embed: (network, batch) -> [n, dimension]. By default the input of the last linear layer, if the network
            returns that layer's output (classifiers); else ``image_embeds``, ``pooler_output``, of
            ``last_hidden_state`` the class token where the network has one and the mean where it has none, or the
            vector that it returns. The mean of two heads is refused: it needs ``embed``.
        log: called with the numbers of each measurement, besides the trainer's own logging.
        file: a file of JSON lines to which each measurement is added; by default ``trace.jsonl`` in the trainer's
            ``output_dir``, else none.
        seed: of splits and of the choice of photos.
        batch_size: inputs per forward pass.
        photos: the earlier name of ``limit``.

    Numbers have stable names: ``trace/TASK/METRIC``, and ``_low``, ``_high`` for the ends of its 95 % interval;
    ``trace/seconds``. ``history`` holds them all. With few photos intervals are wide: read the course, not a point.

    Raises:
        UsageError: a name is wrong, or no preprocessing is known.
        DataError: photos cannot be opened, or cannot answer the tasks.
    """

    def __init__(
        self,
        data: str | PhotoSet = "sample",
        *,
        every_steps: int = 1000,
        limit: int = 200,
        tasks: str | Sequence[str] = WATCHED,
        preprocess: Callable[[Any], Any] | None = None,
        embed: Embed | None = None,
        log: Log | None = None,
        file: str | Path | None = None,
        seed: int = 0,
        batch_size: int = 32,
        photos: int | None = None,
    ) -> None:
        if photos is not None:
            notice_of_old_spelling("TraceCallback(photos=...)", "is now limit=...")
            limit = photos
        if every_steps < 1 or limit < 1 or batch_size < 1:
            raise UsageError("every_steps, limit and batch_size are at least 1")
        self.every_steps = every_steps
        self.log = log
        self.file = Path(file) if file is not None else None
        self.history: list[dict[str, float]] = []
        """The numbers of each measurement, with its ``step``."""
        self.scores: list[tuple[int, tuple[Score, ...]]] = []
        """The same as scores: (step, scores)."""
        self._patterns = [tasks] if isinstance(tasks, str) else list(tasks)
        select_tasks(self._patterns, all_tasks(), None if isinstance(data, str) else data.groups)
        self._data, self._count, self._seed, self._batch_size = data, limit, seed, batch_size
        self._preprocess, self._embed = preprocess, embed
        self._fixed: list[FixedViews] | None = None
        self._board: Any = None

    def __call__(self, network: nn.Module, step: int) -> dict[str, float] | None:
        """Measure at every ``every_steps``-th step. The numbers by name, or None."""
        return self.measure(network, step) if step % self.every_steps == 0 else None

    def measure(self, network: nn.Module, step: int) -> dict[str, float]:
        """Measure now, log, and add to ``history``. The network and the random state do not change."""
        if not is_module(network):
            raise UsageError(f"a torch.nn.Module can be measured, not {type(network).__name__}")
        started = time.perf_counter()
        network = getattr(network, "module", network) if _wraps(network) else network
        with untouched(network):
            if self._fixed is None:
                self._fixed = self._prepared(network)
            scores = tuple(
                score for fixed in self._fixed for score in fixed.scores(network, self._embed or default_embedding)
            )
        numbers: dict[str, float] = {}
        for score in scores:
            if metric_of(all_tasks(), score.task, score.metric).main:
                name = f"trace/{score.task}/{score.metric}"
                numbers |= {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}
        numbers["trace/seconds"] = round(time.perf_counter() - started, 3)
        self.history.append({"step": step, **numbers})
        self.scores.append((step, scores))
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(self.history[-1]) + "\n")
        if self.log is not None:
            self.log(dict(numbers))
        return numbers

    # -- transformers.Trainer ------------------------------------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        if self.file is None and getattr(args, "output_dir", None) and state.is_world_process_zero:
            self.file = Path(args.output_dir) / "trace.jsonl"
        self._of_trainer(args, state, model, more)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        self._of_trainer(args, state, model, more)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self._board is not None:
            self._board.close()
            self._board = None

    def _of_trainer(self, args: Any, state: Any, model: Any, more: dict[str, Any]) -> None:
        step = state.global_step
        known = any(measured["step"] == step for measured in self.history[-1:])
        if model is None or not state.is_world_process_zero or step % self.every_steps or known:
            return
        if self._preprocess is None:
            self._preprocess = _of_processor(more.get("processing_class"))
        numbers = self.measure(model, step)
        state.log_history.append({**numbers, "step": step})
        reports = getattr(args, "report_to", None) or ()
        if self.log is None:  # else it may be the trainer's, which logs to all of them
            self._report(reports, args, numbers, step)

    def _report(self, names: Sequence[str], args: Any, numbers: dict[str, float], step: int) -> None:
        """Log to TensorBoard and Weights and Biases, if the trainer does."""
        if "tensorboard" in names:
            if self._board is None:
                from torch.utils.tensorboard import SummaryWriter

                self._board = SummaryWriter(log_dir=str(run_folder(args)))
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)
        if "wandb" in names:
            import wandb

            if wandb.run is not None:
                wandb.log({**numbers, "train/global_step": step})

    # -- Lightning -----------------------------------------------------------------------------------------------------

    def for_lightning(self) -> Any:
        """This callback as one of Lightning's: ``Trainer(callbacks=[TraceCallback(...).for_lightning()])``.

        Numbers go to the loggers of the trainer.

        Raises:
            UsageError: Lightning is not installed.
        """
        try:
            from lightning.pytorch import Callback
        except ImportError:
            try:
                from pytorch_lightning import Callback
            except ImportError:
                raise UsageError("TraceCallback.for_lightning needs Lightning: pip install lightning") from None
        trace = self

        class LightningTrace(Callback):
            """Measures after batches, and logs the numbers."""

            def on_train_start(self, trainer: Any, pl_module: Any) -> None:
                self._measure(trainer, pl_module)

            def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any, **__: Any) -> None:
                self._measure(trainer, pl_module)

            def _measure(self, trainer: Any, pl_module: Any) -> None:
                step = trainer.global_step
                known = any(measured["step"] == step for measured in trace.history[-1:])
                if not trainer.is_global_zero or known:
                    return
                numbers = trace(pl_module, step)
                for logger in trainer.loggers if numbers else ():
                    logger.log_metrics(numbers, step=step)

        return LightningTrace()

    # ------------------------------------------------------------------------------------------------------------------

    def _prepared(self, network: nn.Module) -> list[FixedViews]:
        preprocess = self._preprocess or getattr(network, "preprocess", None)
        if preprocess is None:
            raise UsageError(
                "how does a picture become an input of the network? give preprocess=..., as for its evaluation"
            )
        opened = open_photos(self._data, seed=self._seed) if isinstance(self._data, str) else self._data
        photos = opened.limited(self._count, self._seed)
        return fixed_views(photos, self._patterns, preprocess, seed=self._seed, batch_size=self._batch_size)


def run_folder(args: Any) -> Path:
    """Folder of a run in a trainer's TensorBoard: that of the newest event file that this process writes.

    Args:
        args: of the trainer. Those of transformers 5 do not name the folder, whose name holds the time.
    """
    named = os.environ.get("TENSORBOARD_LOGGING_DIR") or getattr(args, "logging_dir", None)
    folder = Path(named).expanduser() if named else Path(args.output_dir) / "runs"
    event_files = sorted(
        folder.rglob(f"events.out.tfevents.*.{os.getpid()}.*"), key=lambda path: path.stat().st_mtime_ns
    )
    newest = max(event_files, key=lambda path: path.stat().st_mtime_ns, default=None)
    return newest.parent if newest else folder


def _wraps(network: nn.Module) -> bool:
    """True if a network only distributes another one, its ``module``."""
    return type(network).__name__ in ("DataParallel", "DistributedDataParallel")


def _of_processor(processor: Any) -> Callable[[Any], Any] | None:
    """Preprocessing by an image processor of transformers; None if there is none."""
    processor = getattr(processor, "image_processor", processor)
    if processor is None or not hasattr(processor, "image_mean"):
        return None
    return lambda image: processor(images=image, return_tensors="np")["pixel_values"][0]
