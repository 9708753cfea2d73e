"""What a probe passes on to its protocol, what it refuses in whole sentences, and what it records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.probe import LabelledSplits, labelled_probe, processing_probe
from benchmark.probe.problem import Fit, Problem
from builders.errors import DataError, UsageError

CPU = torch.device("cpu")
RNG = np.random.default_rng(7)
TRAIN, TEST = ([RNG.normal(size=(n, 5)).astype(np.float32) for _ in range(3)] for n in (20, 6))
ASSIGNED = np.arange(40).reshape(2, 20) % 3


def splits_of(val: int = 0, **more: Any) -> LabelledSplits:
    x, y = np.concatenate(TRAIN), np.arange(60) % 4
    held = (x[30 : 30 + val], y[30 : 30 + val]) if val else (None, None)
    return LabelledSplits(x[:30], y[:30], *held, x[50:], y[50:], 4, **more)


def constant_fit(problem: Problem, **more: Any) -> Fit:
    """A fit that always predicts class 1."""
    fits, classes = len(problem.which), problem.n_classes
    bias = torch.zeros(fits, classes)
    bias[:, 1] = 1
    given: dict[str, Any] = {
        "weights": torch.zeros(fits, problem.dimension, classes),
        "bias": bias,
        "chosen": {"strength": 0.5},
        "search": ({"strength": 0.5, "validation_accuracy": 0.25},),
        "final_loss": np.array([0.5, np.inf])[:fits],
        "gradient_norm": np.array([np.nan, 0.125])[:fits],
        "iterations": np.array([3, 4])[:fits],
        "converged": np.array([True, False])[:fits],
        "constants": {"path": [0.5], "seed": 99},
        "search_s": 1.23456,
        "fit_s": 0.0049,
    }
    return Fit(**{**given, **more})


def problem_of(banks: int, fits: int) -> Problem:
    rows = np.arange(20)
    table = np.zeros((fits, 20), np.int64)
    return Problem(TRAIN[:banks], table, table, 3, rows, rows[:0])


def refusals() -> dict[str, tuple[Any, type[Exception], str]]:
    good = splits_of()
    x, y = good.train_x, good.train_y
    return {
        "protocol": (
            lambda: labelled_probe(good, protocol="conv"),
            UsageError,
            "unknown probe protocol 'conv': did you mean 'converged'?",
        ),
        "test classes": (
            lambda: processing_probe(TRAIN, TEST[:2], ASSIGNED),
            ValueError,
            "3 training classes but 2 test classes",
        ),
        "photos": (
            lambda: processing_probe(TRAIN, TEST, ASSIGNED[:, :19]),
            ValueError,
            "19 photos assigned, 20 embedded",
        ),
        "above": (
            lambda: processing_probe(TRAIN, TEST, ASSIGNED + (ASSIGNED == 2)),
            ValueError,
            "assignments hold a class outside 0..2",
        ),
        "below": (
            lambda: processing_probe(TRAIN, TEST, -ASSIGNED),
            ValueError,
            "assignments hold a class outside 0..2",
        ),
        "unlike train": (
            lambda: processing_probe([*TRAIN[:2], TRAIN[2][:, :4]], TEST, ASSIGNED),
            ValueError,
            "train banks must be [n, d] and alike, not [(20, 4), (20, 5)]",
        ),
        "flat test": (
            lambda: processing_probe(TRAIN, [t[0] for t in TEST], ASSIGNED),
            ValueError,
            "test banks must be [n, d] and alike, not [(5,)]",
        ),
        "no train": (
            lambda: processing_probe([t[:0] for t in TRAIN], TEST, ASSIGNED[:, :0]),
            DataError,
            "there is no train photo to probe",
        ),
        "no dimension": (
            lambda: processing_probe(TRAIN, [t[:, :0] for t in TEST], ASSIGNED),
            DataError,
            "there is no test photo to probe",
        ),
        "train labels": (
            lambda: labelled_probe(replace(good, train_y=y[:29])),
            ValueError,
            "29 training labels for 30 embeddings",
        ),
        "test labels": (
            lambda: labelled_probe(replace(good, test_y=y[:9])),
            ValueError,
            "9 test labels for 10 embeddings",
        ),
        "train classes": (
            lambda: labelled_probe(replace(good, n_classes=3)),
            ValueError,
            "training labels hold a class outside 0..2",
        ),
        "test classes below": (
            lambda: labelled_probe(replace(good, test_y=-np.asarray(good.test_y))),
            ValueError,
            "test labels hold a class outside 0..3",
        ),
        "val without labels": (
            lambda: labelled_probe(replace(good, val_x=x)),
            ValueError,
            "val_x and val_y go together",
        ),
        "labels without val": (
            lambda: labelled_probe(replace(good, val_y=y)),
            ValueError,
            "val_x and val_y go together",
        ),
        "no train photo": (
            lambda: labelled_probe(replace(good, train_x=x[:0], train_y=y[:0])),
            DataError,
            "there is no train photo to probe",
        ),
        "no test photo": (
            lambda: labelled_probe(replace(good, test_x=x[:0], test_y=y[:0])),
            DataError,
            "there is no test photo to probe",
        ),
    }


@pytest.mark.parametrize("case", refusals())
def test_probe__refuses_in_a_sentence(case: str) -> None:
    call, kind, sentence = refusals()[case]
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == sentence


def test_labelled_probe__a_val_part_without_photos_holds_out_a_fifth() -> None:
    empty = replace(splits_of(), val_x=np.zeros((0, 5), np.float32), val_y=np.zeros(0, np.int64))
    one, other = labelled_probe(empty, strengths=[1e-2, 1e-3]), labelled_probe(splits_of(), strengths=[1e-2, 1e-3])
    assert one.n_validation == other.n_validation == 6  # 2 of 8 twice, 1 of 7 twice
    assert one.search == other.search
