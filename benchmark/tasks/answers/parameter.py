"""Tasks ``answers/<parameter>``: does a vision-language model answer otherwise when a photo was processed?"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import AnswerFacts, Answers, Family, Metric, PhotoValues
from benchmark.tasks.answers.table import AnswerTable, details_of, metric_values
from benchmark.tasks.processing_probe import upright
from benchmark.tasks.scores import outcome_of, units_of
from benchmark.tasks.task import Task, TaskInput, TaskOutcome, of_each_parameter
from builders.errors import DataError
from builders.photos import PhotoSet
from builders.pixels import BUILT_IN, Parameter
from builders.untrusted import readable

if TYPE_CHECKING:
    from benchmark.answers import AnswerSource, ClosedQuestion
    from benchmark.views import ViewRecipe

ANSWERS = Family(
    name="answers",
    title="Answers of the model",
    explain="Whether the answers of a vision-language model to closed questions change when a photo was processed.",
    about="processing",
    header="answers",
    layout="section",
    panel="none",
    whole="labelled",
    grouped=True,
    hub_id="answers-{subject}",
    tagline="Whether the answers of a vision-language model change when a photo is processed.",
)

NO_CHANGE = "0: every answer stays"

METRICS = (
    Metric(
        name="flips",
        title="flips",
        explain="Share of answers that are others than on the unprocessed photo, mean over processings.",
        kind="difference",
        chance=NO_CHANGE,
        headline=True,
    ),
    Metric(
        name="right-to-wrong",
        title="right to wrong",
        explain="Share of answers that were right on the unprocessed photo and are wrong.",
        kind="difference",
        chance=NO_CHANGE,
        main=False,
    ),
    Metric(
        name="wrong-to-right",
        title="wrong to right",
        explain="Share of answers that were wrong on the unprocessed photo and are right.",
        kind="difference",
        chance=NO_CHANGE,
        main=False,
    ),
    Metric(
        name="accuracy",
        title="accuracy",
        explain="Share of right answers about processed photos.",
        kind="accuracy",
        chance="one over the number of options",
        main=False,
    ),
    Metric(
        name="accuracy-original",
        title="accuracy, unprocessed",
        explain="Share of right answers about unprocessed photos.",
        kind="accuracy",
        chance="one over the number of options",
        main=False,
    ),
    Metric(
        name="change",
        title="change of accuracy",
        explain="Accuracy about processed photos minus accuracy about unprocessed ones.",
        kind="difference",
        chance="0",
        unit="points",
        difference_of=("accuracy", "accuracy-original"),
    ),
    Metric(
        name="margin",
        title="margin shift",
        explain="Mean change of the probability of the right option among the options.",
        kind="difference",
        chance="0",
        unit="points",
        main=False,
    ),
    Metric(
        name="beyond-noise",
        title="flips beyond noise",
        explain="Flips minus those of the unprocessed photo where nothing changes but the file, the batch or the "
        "precision, whichever flips most.",
        kind="difference",
        chance="0",
        unit="points",
    ),
)


def _run_answers(parameter: Parameter, inputs: TaskInput) -> TaskOutcome:
    """Run ``answers/<parameter>``. A file of answers may lack some processings.

    Raises:
        DataError: there is no question, or a question has no answer under a view that is held.
    """
    from benchmark.answers import NOISE_VIEWS, answers_of
    from benchmark.views import ORIGINAL

    source = inputs.answers
    assert source is not None
    photos = inputs.photos
    position = {photo_id: at for at, photo_id in enumerate(photos.ids)}
    questions = [q for q in source.rule.questions(photos, inputs.options.seed) if inputs.usable[position[q.photo]]]
    if not questions:
        raise DataError(f"{photos.name}: no photo with a question can be used")
    index = np.array([position[question.photo] for question in questions])
    at, of_photo = np.unique(index, return_inverse=True)
    held = [name for name in parameter.processings if name in source.views]
    noise = [name for name in NOISE_VIEWS if name in source.views]
    logits = np.stack([_complete(source, view, questions) for view in (ORIGINAL, *held, *noise)])
    right = np.array([question.right for question in questions], np.int8)
    answers = answers_of(logits, right, graded=source.graded)
    units = units_of(inputs, at)
    arrays = {
        "photos": at,
        "question_photo": of_photo.reshape(-1).astype(np.int32),
        "right": right,
        "options": np.array([len(question.options) for question in questions], np.int8),
        "views": np.array(held),
        "noise": np.array(noise, dtype=str),
        "chosen": answers.chosen,
    }
    if answers.probability is not None and answers.margin is not None:
        arrays |= {"probability": answers.probability[: 1 + len(held)], "margin": answers.margin}
    if (moved := _moved(inputs, at, held)) is not None:
        arrays["moved"] = moved
    lacking = [name for name in parameter.processings if name not in held]
    shared = {"rule": source.rule.name, **({"without": lacking} if lacking else {})}
    return outcome_of(
        f"answers/{parameter.name}",
        inputs,
        arrays,
        units,
        read_answers=read_answers,
        read_facts=answer_facts,
        details={"": shared},
    )


def _bounds(metric: str) -> tuple[float, float]:
    """The range of a value by photo: shares, or their differences."""
    return (-1.0, 1.0) if metric in ("change", "margin", "beyond-noise") else (0.0, 1.0)


def _complete(source: AnswerSource, view: str, questions: list[ClosedQuestion]) -> np.ndarray:
    """Logits of all questions under one view.

    Raises:
        DataError: one has no answer. A model that may leave questions out would choose its own test.
    """
    logits = source.logits(view, questions)
    missing = np.flatnonzero(np.isnan(logits).all(axis=1))
    if len(missing):
        first = questions[int(missing[0])]
        raise DataError(
            f"{source.name}: {len(missing)} of {len(questions)} questions have no answer under {view} (the first: "
            f"{readable(first.id)} about {readable(first.photo)}); each question about a test photo needs one"
        )
    return logits


def _moved(inputs: TaskInput, at: np.ndarray, views: list[str]) -> np.ndarray | None:
    """float32 [V, P], how far the embedding of each photo moves; None where there are no embeddings."""
    from benchmark.knn import cosine_distances
    from benchmark.views import ORIGINAL

    if not inputs.has_embeddings or not set(views) <= set(inputs.bank.names):
        return None
    original = inputs.view(ORIGINAL, at)[:]
    return np.stack([cosine_distances(inputs.view(view, at)[:], original) for view in views]).astype(np.float32)


def read_answers(arrays: Answers) -> dict[str, PhotoValues]:
    """Values by photo of each metric, from the answers of ``_run_answers``."""
    table = AnswerTable.of(arrays)
    over = tuple(table.processed)
    return {
        name: PhotoValues(table.photos, values, _bounds(name), table.clusters, over=over)
        for name, values in metric_values(table).items()
    }


def answer_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Chance of each metric, and the numbers by processing, noise and margin."""
    table = AnswerTable.of(arrays)
    more, processings = details_of(table), {"processings": len(table.processed)}
    signed = {metric.name: metric.signed for metric in METRICS}
    return {
        name: AnswerFacts(
            0.0 if signed[name] else table.chance(), None, {**processings, **(more if name == "flips" else {})}
        )
        for name in metric_values(table)
    }


def _recipe(parameter: Parameter, photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    from benchmark.views import ORIGINAL, ProcessingViews

    return ProcessingViews((*parameter.processings, ORIGINAL), options.seed, upright(options))


def _unfit(photos: PhotoSet) -> str:
    return "it stores photos that are processed already" if photos.stored_views else ""


@functools.lru_cache(maxsize=1024)
def parameter_answers(p: Parameter) -> Task:
    """``answers/<parameter>``."""
    return Task(
        name=f"answers/{p.name}",
        family=ANSWERS,
        title=p.title or p.name,
        explain=p.explain or f"Which class of {p.name}.",
        summary=f"do answers of a vision-language model change under {', '.join(p.classes)}?",
        metrics=METRICS,
        recipe=partial(_recipe, p),
        unfit=_unfit,
        run=partial(_run_answers, p),
        read_answers=read_answers,
        read_facts=answer_facts,
        with_processings=of_each_parameter(parameter_answers),
        by_name=True,
        by_family=not p.by_name,
        reads_answers=True,
    )


ANSWER_TASKS: Mapping[str, Task] = MappingProxyType({f"answers/{n}": parameter_answers(p) for n, p in BUILT_IN.items()})
"""A task of every built-in parameter, by name."""
