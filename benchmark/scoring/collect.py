"""The state of one encoder while it is scored: its tasks, their outcomes, and its result."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from benchmark.answers import AnswerSource
from benchmark.bank import Bank, PassCost, PrecisionVerdict, RuntimeVerdict, key_hash
from benchmark.encoders import Encoder, Output, StoredEmbeddings
from benchmark.erasing import Eraser
from benchmark.judgement import AGAINST_FINAL
from benchmark.options import RunOptions
from benchmark.results import Failure, OutputScores, PhotoValues, Result, Score, answer_key, read_answers
from benchmark.scoring.reproduce import encoder_record, environment_record, peak_memory
from benchmark.scoring.tasks_run import NO_OUTCOMES, CachedOutcome, Done, Job, OutcomesOfRanks, cached_outcome
from benchmark.scoring.trial import Trial, constant_embedding, too_few_usable, trial_failures
from benchmark.stats import METHODS, paired_difference
from benchmark.tasks import Task, TaskInput, all_tasks
from builders.errors import DataError
from builders.kernels import compiling_s
from builders.photos import SPLITS, PhotoSet
from builders.untrusted import redacted


@dataclass
class EncoderRun:
    """The state of one encoder while it is scored: what is known so far."""

    seconds: dict[str, float]
    scores: list[Score] = field(default_factory=list)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    retried: dict[str, str] = field(default_factory=dict)
    """Reason of the first failure by task that succeeded when it was run once more."""
    answers: dict[str, np.ndarray] = field(default_factory=dict)
    source_jpeg: Mapping[str, int] = field(default_factory=dict)
    photos: int = 0
    views: int = 0
    embedding_s: float = 0.0
    encoders_in_pass: int = 1
    storage: str = ""
    gate: PrecisionVerdict | None = None
    trial: Trial = field(default_factory=Trial)
    runtime: RuntimeVerdict | None = None
    outputs: dict[str, OutputCollected] = field(default_factory=dict)
    """By name, in order. All other fields are of the embedding."""

    def add_seconds(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def add_compiling(self, seconds: float) -> None:
        """Add the stage, if kernels were compiled."""
        if seconds:
            self.add_seconds("compiling kernels", seconds)

    def put_in_order(self, tasks: Sequence[str]) -> None:
        """Bring scores and values into the order of tasks, whichever of them came from the cache."""
        self.scores.sort(key=lambda score: tasks.index(score.task))
        keys = [key for task in tasks for key in self.answers if key.startswith(answer_key(task, ""))]
        self.answers = {key: self.answers[key] for key in keys}
        for output in self.outputs.values():
            output.state.put_in_order(tasks)


class Stopwatch:
    """Time of a stage from now on. Compiling kernels, which a machine does once, is counted as another stage."""

    def __init__(self) -> None:
        self._started, self._compiled = time.perf_counter(), compiling_s()

    def record(self, stage: str, state: EncoderRun, encoders: int = 1) -> None:
        """Add the time until now, divided by the encoders that share it."""
        compiling = compiling_s() - self._compiled
        state.add_seconds(stage, (time.perf_counter() - self._started - compiling) / encoders)
        state.add_compiling(compiling / encoders)


@dataclass(frozen=True)
class OutputCollected:
    """The state of one output besides the embedding. Its values by photo are dropped."""

    output: Output
    state: EncoderRun = field(default_factory=lambda: EncoderRun({}))

    def scores(self, photos: PhotoSet) -> OutputScores:
        """The scores as a result holds them."""
        output, scores = self.output, tuple(replace(s, data=photos.name) for s in self.state.scores)
        return OutputScores(
            name=output.name,
            title=output.title,
            layer=output.layer,
            layers=output.layers,
            pooling=output.pooling,
            dimension=output.dimension,
            read=output.read,
            scores=scores,
        )

    def failures(self) -> dict[tuple[str, str], str]:
        """Failures of the output, without photos, which fail in every output and are recorded once."""
        kinds = {"encoder": "output", "task": "task"}
        return {
            (kinds[kind], self.output.name if kind == "encoder" else f"{name} of {self.output.name}"): reason
            for (kind, name), reason in self.state.failures.items()
            if kind in kinds
        }


def record_pass(cost: PassCost, encoders: int, state: EncoderRun) -> None:
    """Add the cost of a pass for one of its encoders (``PassOutcome.own``)."""
    state.photos = max(state.photos, cost.photos)
    state.views += cost.views
    state.embedding_s += cost.wall_s
    state.encoders_in_pass = max(state.encoders_in_pass, encoders if cost.views else 1)
    state.add_compiling(cost.compiling_s)
    state.add_seconds("embedding", cost.wall_s)
    state.add_seconds("of which waiting for views", cost.waiting_s)
    state.add_seconds("of which forward", cost.forward_s)


def record(job: Job, done: Done, state: EncoderRun) -> None:
    """Add the outcome of a job, or the reason of its failure."""
    if done.outcome is None:
        state.failures["task", job.task.name] = done.reason
        return
    if done.retried:
        state.retried[job.task.name] = done.retried
    state.scores += done.outcome.scores
    state.answers.update({answer_key(job.task.name, name): values for name, values in done.outcome.answers.items()})
    state.add_seconds(job.task.name.split("/")[0], done.seconds)


def compare_with_embedding(output: EncoderRun, final: Mapping[tuple[str, str], PhotoValues]) -> None:
    """Add to each score of an output how it differs from that of the embedding, paired by photo (``AGAINST_FINAL``).

    Args:
        output: state of the output, whose answers are still there.
        final: values by photo of the embedding, by task and metric.
    """
    of_output = read_answers(output.answers, all_tasks()).values
    for at, score in enumerate(output.scores):
        first, second = (values.get((score.task, score.metric)) for values in (of_output, final))
        if first is None or second is None or not np.array_equal(first.photos, second.photos):
            continue
        pair = paired_difference(first.values, second.values, **first.pairing)
        ends = {name: round(getattr(pair, name), 6) for name in ("value", "low", "high", "p_value")}
        output.scores[at] = replace(score, details={**score.details, AGAINST_FINAL: ends})


class StoredPassAnswers(Protocol):
    """The answers of a model in banks, which ``benchmark.scoring.answers`` fills."""

    def key(self) -> Mapping[str, str]:
        """Hashes of the keys of the banks."""
        ...

    def usable(self, usable: np.ndarray) -> np.ndarray:
        """bool [photos], those of ``usable`` about which no answer lacks."""
        ...


@dataclass(frozen=True)
class Computation:
    """How tasks are computed on one bank."""

    name: str
    """Id of the encoder."""
    key: Mapping[str, Any] | None
    """Key of the embeddings that tasks read, an eraser included; None if the encoder is not identified."""
    device: str
    """Device of the arithmetic on embeddings."""
    input_size: tuple[int, int] | None = None
    """Height and width of the encoder's input in pixels; None if it is unknown."""
    output: Output | None = None
    eraser: Eraser | None = None
    given: StoredEmbeddings | None = None
    """Scores of a detector, in place of embeddings."""
    source: AnswerSource | None = None
    """The answers of a vision-language model that tasks read."""
    answers: StoredPassAnswers | None = None
    """Its banks of answers; None for other encoders, and answers of a file."""
    reads_answers: bool = False
    """Whether there are answers for the tasks that read them."""
    has_embeddings: bool = True
    """False if the bank holds zeros, because the file of a model has answers alone."""


def jobs_on(
    bank: Bank,
    how: Computation,
    photos: PhotoSet,
    tasks: Sequence[Task],
    options: RunOptions,
    state: EncoderRun,
    outcomes: OutcomesOfRanks = NO_OUTCOMES,
    *,
    single: bool = False,
) -> list[tuple[Job, EncoderRun]]:
    """The tasks on a complete bank that have no cached outcome; those that have one are recorded.

    Args:
        bank: complete.
        how: the tasks are computed.
        photos: the photo set.
        tasks: that read the views of the bank.
        options: of the run.
        state: records outcomes and failures.
        outcomes: of ranks.
        single: whether the encoder is the only one, so that a set without usable photos is an error.

    Raises:
        DataError: no photo has an embedding.
    """
    usable, name = usable_photos(how.name, bank, photos, state), how.name
    if how.has_embeddings and (reason := constant_embedding(name, bank, np.flatnonzero(usable))):
        state.failures["encoder", name] = reason
        return []
    if ("encoder", name) in state.failures:
        return []
    if not usable.any():
        first = next(iter(bank.failures().values()))
        reason = f"{photos.name}: none of the {len(photos)} photos can be used (the first: {first})"
        if single:
            raise DataError(reason)
        state.failures["encoder", name] = reason
        return []
    if reason := too_few_usable(photos, usable, options.min_usable):
        state.failures |= {("task", task.name): reason for task in tasks}
        return []
    jobs: list[tuple[Job, EncoderRun]] = []
    task_input = TaskInput(
        photos,
        usable,
        bank,
        options,
        how.device,
        how.input_size,
        eraser=how.eraser,
        brief=how.output is not None,
        given=how.given,
        answers=how.source,
        has_embeddings=how.has_embeddings,
    )
    by_name = {task.name: task for task in tasks}
    for name, cached in cached_outcomes(how, usable, photos, tasks, options, outcomes).items():
        outcome = None if cached is None or options.fresh else cached.load()
        task = by_name[name]
        given = replace(
            task_input, usable=_usable_by(task, how.answers, usable), checkpoints=cached.parts if cached else None
        )
        job = Job(task, given, cached)
        if outcome is not None:
            record(job, Done(outcome, "", 0.0), state)
            continue
        if cached is not None and options.fresh:
            cached.forget()
        jobs.append((job, state))
    return jobs


def usable_photos(name: str, bank: Bank, photos: PhotoSet, state: EncoderRun) -> np.ndarray:
    """bool [photos], those with an embedding in every view. Failures of the others, or of the encoder, are recorded."""
    failed = bank.failures()
    if reason := trial_failures(name, failed, len(photos)):
        state.failures["encoder", name] = reason
    state.failures.update({("photo", photo_id): reason for photo_id, reason in failed.items()})
    state.source_jpeg = state.source_jpeg or bank.source_jpeg()
    return np.array([photo_id not in failed for photo_id in photos.ids])


def cached_outcomes(
    how: Computation,
    usable: np.ndarray,
    photos: PhotoSet,
    tasks: Sequence[Task],
    options: RunOptions,
    of_ranks: OutcomesOfRanks,
) -> dict[str, CachedOutcome | None]:
    """Cache entry of each task's outcome, by name; None for an encoder that is not identified."""
    tasks = [task for task in tasks if how.reads_answers or not task.reads_answers]
    if how.key is None:
        return dict.fromkeys(task.name for task in tasks)
    outcomes: dict[str, CachedOutcome | None] = {}
    for task in tasks:
        answers = how.answers if task.reads_answers else None
        decides = how.key if answers is None else {**how.key, "answers": answers.key()}
        decided_by = (photos, _usable_by(task, how.answers, usable), decides, options, how.device, how.output)
        outcomes[task.name] = of_ranks.get((key_hash(decides), task.name)) or cached_outcome(task, *decided_by)
    return outcomes


def _usable_by(task: Task, answers: StoredPassAnswers | None, usable: np.ndarray) -> np.ndarray:
    """bool [photos], those that a task can use: an answer may lack where there is an embedding."""
    return answers.usable(usable) if answers is not None and task.reads_answers else usable


def result_of(
    encoder: Encoder,
    photos: PhotoSet,
    bytes_hash: str,
    options: RunOptions,
    state: EncoderRun,
    eraser: Eraser | None = None,
    *,
    bytes_read: int | None = None,
) -> Result:
    """The result of one encoder on one photo set.

    Args:
        encoder, photos, options, state, eraser: of the run.
        bytes_hash: of the photos' bytes.
        bytes_read: photos whose bytes the run has read for that hash; None if that is unknown.
    """
    failures, retried = dict(state.failures), dict(state.retried)
    for output in state.outputs.values():
        failures |= output.failures()
        retried |= {f"{task} of {output.output.name}": reason for task, reason in output.state.retried.items()}
    failed = sorted(failures.items(), key=lambda failure: failure[0][0] == "photo")  # photos last
    return Result(
        encoder=encoder_record(encoder, eraser),
        data={
            "name": photos.name,
            "photos": {split: len(photos.indices(split)) for split in SPLITS},
            "classes": len(photos.labels.names),
            "question_hash": photos.question_hash(),
            "ids_hash": photos.ids_hash(),
            "bytes_hash": bytes_hash,
            "source_jpeg": dict(state.source_jpeg),
            "smoke_test": photos.smoke_test,
            "evidence": dict(photos.evidence),
        },
        environment={
            **environment_record(encoder, photos, options, state.gate, state.runtime),
            "statistics": METHODS,
            "trial": state.trial.record(),
            **({"retried": retried} if retried else {}),
        },
        scores=tuple(replace(s, data=photos.name) for s in state.scores),
        outputs=tuple(o.scores(photos) for o in state.outputs.values() if o.state.scores),
        failures=tuple(Failure(kind, name, redacted(reason)) for (kind, name), reason in failed),
        cost={
            **({} if bytes_read is None else {"bytes_read": bytes_read}),
            "photos": state.photos,
            "views": state.views,
            "encoders_in_pass": state.encoders_in_pass,
            "views_per_second": state.views / state.embedding_s if state.embedding_s else 0.0,
            "seconds": {stage: round(value, 3) for stage, value in state.seconds.items()},
            "peak_memory_bytes": peak_memory(encoder.device),
        },
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
