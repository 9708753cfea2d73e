"""Scores and answers of real tasks on made-up embeddings of a small photo set, without pictures or an encoder."""

import dataclasses
import functools
from typing import Any, cast

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import SPLITS_KEY, Result, answer_key
from benchmark.scoring import Scored
from benchmark.scoring.estimating.task_costs import MadeUpBank
from benchmark.stats import METHODS
from benchmark.tasks import TaskInput, all_tasks
from builders.photos import Labels, PhotoSet
from builders.pixels import codec_canary, codec_versions

TASKS = ("probe/jpeg", "probe/make", "knn/jpeg", "knn/original", "knn/adversary", "linear/original", "retrieval/pairs")


def toy_set(train: int = 40, val: int = 24) -> PhotoSet:
    """Photos with classes, makes and pairs; bytes are never read."""
    n = train + val
    ids = {f"{i}.jpg": b"" for i in range(n)}
    photos = PhotoSet.of_bytes("toy", ids, [f"class {i % 4}" for i in range(n)], ["train"] * train + ["val"] * val)
    columns = {"pair_id": np.arange(n) // 2, "camera_type": np.array(["phone", "camera"])[np.arange(n) % 2]}
    make = Labels(("one", "two", "three"), (np.arange(n) % 5 % 3).astype(np.int32))
    return dataclasses.replace(photos, attributes={"make": make}, columns=columns)


@functools.cache
def toy_scored(tasks: tuple[str, ...] = TASKS) -> Scored:
    """What a run of these tasks writes, with complete provenance."""
    photos = toy_set()
    options = RunOptions(resamples=2000, assignment_seeds=3)
    bank = cast("Any", MadeUpBank(len(photos), 8))
    inputs = TaskInput(photos, np.ones(len(photos), dtype=bool), bank, options, "cpu")
    outcomes = {name: all_tasks()[name].run(inputs) for name in tasks}
    answers = {answer_key(t, name): a for t, outcome in outcomes.items() for name, a in outcome.answers.items()}
    result = Result(
        encoder={
            "id": "timm/resnet50.a1_in1k",
            "library": "timm",
            "revision": "a" * 40,
            "weights_sha256": "f" * 64,
            "dimension": 8,
            "preprocessing": {"crop": 224},
            "pooling": "average",
            "details": {},
        },
        data={
            "name": "imagenet",
            "photos": {"train": 40, "val": 24, "test": 0},
            "classes": 4,
            "question_hash": "9ue5",
            "ids_hash": "1d5",
            "bytes_hash": "b17e5",
            "smoke_test": False,
            "evidence": {"revision": "c" * 40},
        },
        environment={
            "versions": {"camtrace": "0.1.0", "torch": "2.13.0", "numpy": "2.4", "pillow": codec_versions()["pillow"]},
            "codec": codec_versions(),
            "codec_canary": codec_canary(),
            "statistics": METHODS,
            "device": "cpu",
            "dtype": "float32",
            "options": {"seed": 0, "protocol": "converged", "neighbours": 10, "mask_ratio": 0.9, "resamples": 2000},
        },
        scores=tuple(score for outcome in outcomes.values() for score in outcome.scores),
        failures=(),
        cost={"photos": 64},
        created="2026-11-20T10:00:00+00:00",
    )
    return Scored(result, {**answers, SPLITS_KEY: photos.splits.astype(np.int8)})
