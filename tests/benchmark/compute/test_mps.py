"""Apple's MPS lacks float64 and has summed int64 wrongly: arithmetic asked for there is the CPU's.

There is no MPS on the machines that run this: whatever touched it would be an error, so that equal answers are the
CPU's own.
"""

import numpy as np
import pytest
import torch

from benchmark.knn import knn_setups, similarity_counts
from benchmark.options import RunOptions
from benchmark.probe import processing_probe
from benchmark.tasks import TaskInput, all_tasks
from builders.photos import PhotoSet

pytestmark = pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an MPS here")

RNG = np.random.default_rng(0)
TRAIN, TEST = ([RNG.normal(size=(n, 6)).astype(np.float32) for _ in range(2)] for n in (30, 12))
LABELS = [np.arange(n) % 3 for n in (30, 12)]


def test_nothing_can_be_sent_there():
    with pytest.raises((RuntimeError, AssertionError, NotImplementedError)):
        torch.zeros(1, device="mps") + 1


def test_knn__on_the_cpu_instead():
    drawn = [np.arange(n)[None] % 2 for n in (30, 12)]

    def answers(device):
        options = {"train_assignments": drawn[0], "test_assignments": drawn[1], "k": 3, "device": device}
        return knn_setups(TRAIN, TEST, *LABELS, **options).correct

    np.testing.assert_array_equal(answers("mps"), answers("cpu"))


def test_similarity_counts__on_the_cpu_instead():
    def counts(device):
        return similarity_counts(TRAIN, TEST[0], *LABELS, np.zeros(12, dtype=np.int64), device=device)

    np.testing.assert_array_equal(counts("mps"), counts("cpu"))


def test_probe__on_the_cpu_instead():
    drawn = np.arange(30)[None] % 2

    def predicted(device):
        return processing_probe(TRAIN, TEST, drawn, protocol="converged", device=device)

    measured, reference = (predicted(device) for device in ("mps", "cpu"))
    np.testing.assert_array_equal(measured.predicted, reference.predicted)


def test_retrieval__on_the_cpu_instead():
    """Its task decides, from the encoder's device."""
    ids = [f"{pair}-{camera}" for pair in range(6) for camera in "ab"]
    plain = PhotoSet.of_bytes("pairs", dict.fromkeys(ids, b""))
    columns = {"pair_id": np.arange(12) // 2, "camera_type": np.array(["phone", "camera"] * 6)}
    photos = PhotoSet(plain.name, plain.ids, plain.splits, plain.labels, plain.source, plain.rows, columns=columns)
    vectors = RNG.normal(size=(12, 5)).astype(np.float32)

    class Bank:
        def view(self, name, rows):
            return vectors[rows]

    def nearer(device):
        given = TaskInput(photos, np.ones(12, dtype=bool), Bank(), RunOptions(resamples=100), device)
        return all_tasks()["retrieval/pairs"].run(given).answers["nearer"]

    np.testing.assert_array_equal(nearer("mps"), nearer("cpu"))
