"""``TraceCallback``: how much of the camera and the codec a network keeps, while it is trained.

Its faces: transformers' ``Trainer``, Lightning, any loop. What is measured stands in ``measuring.py``.
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
from builders.errors import UsageError
from builders.photos import PhotoSet

if TYPE_CHECKING:
    _Base = object
else:
    try:
        from transformers import TrainerCallback as _Base
    except ImportError:
        _Base = object

Log = Callable[[dict[str, float]], object]
"""What numbers by name are handed to: ``trainer.log``, ``wandb.log``, your own."""


class TraceCallback(_Base):
    """Score a network on a few fixed photos every so many steps.

    Of transformers' ``Trainer``, of Lightning (``for_lightning()``), or of any loop: ``trace(network, step)``.

    Args:
        data: photos as ``--data`` takes them, or a photo set; a folder of classes serves well.
        every_steps: between two measurements; the first is at step 0 where the loop tells of it.
        photos: how many are used, seeded and balanced over classes; the same in every measurement.
        tasks: patterns as ``--tasks`` takes them. Plain kNN is asked too where photos have classes.
        preprocess: RGB ``PIL.Image`` -> tensor or array of one shape, as the network takes it in evaluation. By default
            the trainer's image processor, or the network's own attribute ``preprocess``.
        embed: (network, batch) -> [n, dimension]. By default what the last linear layer reads, where the network
            returns what that layer gives (classifiers); else ``pooler_output``, the class token or mean of
            ``last_hidden_state``, or the vector that it returns.
        log: handed the numbers of each measurement, beside what a trainer logs to.
        file: a file of JSON lines that each measurement is added to; by default ``trace.jsonl`` in the trainer's
            ``output_dir``, else none.
        seed: of splits and of the choice of photos.
        batch_size: inputs per forward pass.

    Numbers have stable names: ``trace/TASK/METRIC``, and ``_low``, ``_high`` for the ends of its 95 % interval;
    ``trace/seconds``. ``history`` keeps them all. With few photos intervals are wide: read the course, not a point.

    Raises:
        UsageError: a name is wrong, or it is not known how a picture becomes an input.
        DataError: photos cannot be opened, or cannot answer the tasks.
    """

    def __init__(
        self,
        data: str | PhotoSet = "sample",
        *,
        every_steps: int = 1000,
        photos: int = 200,
        tasks: str | Sequence[str] = WATCHED,
        preprocess: Callable[[Any], Any] | None = None,
        embed: Embed | None = None,
        log: Log | None = None,
        file: str | Path | None = None,
        seed: int = 0,
        batch_size: int = 32,
    ) -> None:
        if every_steps < 1 or photos < 1 or batch_size < 1:
            raise UsageError("every_steps, photos and batch_size are at least 1")
        self.every_steps = every_steps
        self.log = log
        self.file = Path(file) if file is not None else None
        self.history: list[dict[str, float]] = []
        """The numbers of each measurement, with its ``step``."""
        self.scores: list[tuple[int, tuple[Score, ...]]] = []
        """The same as scores: (step, scores)."""
        self._asked = [tasks] if isinstance(tasks, str) else list(tasks)
        select_tasks(self._asked, all_tasks())
        self._data, self._count, self._seed, self._batch_size = data, photos, seed, batch_size
        self._preprocess, self._embed = preprocess, embed
        self._fixed: list[FixedViews] | None = None
        self._board: Any = None

    def __call__(self, network: nn.Module, step: int) -> dict[str, float] | None:
        """Measure if it is time to: the numbers by name, or None."""
        return self.measure(network, step) if step % self.every_steps == 0 else None

    def measure(self, network: nn.Module, step: int) -> dict[str, float]:
        """Measure now, log, and keep; the network and the random state are as before."""
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

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **given: Any) -> None:
        if self.file is None and getattr(args, "output_dir", None) and state.is_world_process_zero:
            self.file = Path(args.output_dir) / "trace.jsonl"
        self._of_trainer(args, state, model, given)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **given: Any) -> None:
        self._of_trainer(args, state, model, given)

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._board is not None:
            self._board.close()
            self._board = None

    def _of_trainer(self, args: Any, state: Any, model: Any, given: dict[str, Any]) -> None:
        step = state.global_step
        known = any(measured["step"] == step for measured in self.history[-1:])
        if model is None or not state.is_world_process_zero or step % self.every_steps or known:
            return
        if self._preprocess is None:
            self._preprocess = _of_processor(given.get("processing_class"))
        numbers = self.measure(model, step)
        state.log_history.append({**numbers, "step": step})
        reports = getattr(args, "report_to", None) or ()
        if self.log is None:  # else it is the trainer's own, which tells them all
            self._report([reports] if isinstance(reports, str) else reports, args, numbers, step)

    def _report(self, names: Sequence[str], args: Any, numbers: dict[str, float], step: int) -> None:
        """To TensorBoard and Weights and Biases, where the trainer logs to them."""
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
            """Measures after batches, and logs what it finds."""

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
        return fixed_views(photos, self._asked, preprocess, seed=self._seed, batch_size=self._batch_size)


def run_folder(args: Any) -> Path:
    """Where a trainer's TensorBoard looks for one run: the folder of the newest event file that this process writes.

    Args:
        args: a trainer's; of transformers 5 they do not say the folder, which has the time in its name.
    """
    named = os.environ.get("TENSORBOARD_LOGGING_DIR") or getattr(args, "logging_dir", None)
    place = Path(named).expanduser() if named else Path(args.output_dir) / "runs"
    own = sorted(place.rglob(f"events.out.tfevents.*.{os.getpid()}.*"), key=lambda path: path.stat().st_mtime_ns)
    return own[-1].parent if own else place


def _wraps(network: nn.Module) -> bool:
    """Whether it only distributes another network, which lies whole in its ``module``."""
    return type(network).__name__ in ("DataParallel", "DistributedDataParallel")


def _of_processor(processor: Any) -> Callable[[Any], Any] | None:
    """How an image processor of transformers makes an input of a picture; None where there is none."""
    processor = getattr(processor, "image_processor", processor)
    if processor is None or not hasattr(processor, "image_mean"):
        return None
    return lambda image: processor(images=image, return_tensors="np")["pixel_values"][0]
