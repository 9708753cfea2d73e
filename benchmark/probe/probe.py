"""The two faces of the probe: processing labels (every class in every photo) and acquisition labels (one per photo)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmark.compute import budget, exact_device, with_less_memory
from benchmark.probe.answers import ProbeAnswers, to_answers
from benchmark.probe.problem import (
    VALIDATION_SEED,
    Features,
    Fit,
    LabelledSplits,
    Problem,
    predict,
    stratified_split,
)
from benchmark.probe.protocols.registry import protocol_named
from benchmark.probe.readers.registry import LINEAR, read_with
from benchmark.probe.solver.projected import SharedSplits, is_worthwhile, project, project_shared
from benchmark.probe.solver.rows import Gathered, Rows, Stacked
from builders.errors import DataError

LABELLED_SEED = 42
"""Seed of the one run on acquisition labels, the study's."""

DEVICE_SHARE = 0.6
"""Of an accelerator's free memory, the default bound of the gathered training features; of a CPU's the usual half."""

GATHERED_FROM = 64 << 20
"""Bytes of one training set from which the rows of all banks are gathered once."""

GATHERED_FROM_ON_CPU = 4 << 20
"""The same on a CPU, which solves ten training sets of 10,000 photos x 768 numbers in 1.46 s so, and in 1.60 s where it
gathers each from the banks (processor time, one thread)."""


TURNING_BYTES = 32
"""For each value of an embedding, while they are turned: three copies in float64 and what is left of them."""


def processing_probe(
    train: Sequence[Rows],
    test: Sequence[Rows],
    assignments: Any,
    *,
    protocol: str = "converged",
    reader: str = LINEAR,
    device: str | torch.device = "cpu",
    seed: int = VALIDATION_SEED,
    memory_bytes: int | None = None,
    features: Features | None = None,
    **options: Any,
) -> ProbeAnswers:
    """Probe one processing parameter: fits that each see every training photo in one class, tested in all of them.

    The hyper-parameters are searched once, on the first assignment with a stratified fifth of its photos held out (the
    study, too, searches once), and shared by all S fits, which learn from all training photos.

    Args:
        train: C arrays [n_train, d], the embeddings of the same photos in each class. Anything that slices like an
            array will do; rows are L2-normalised here, a zero row stays zero.
        test: C arrays [n_test, d].
        assignments: int [S, n_train], the class of each training photo in each of S fits.
        protocol: a name in ``PROTOCOLS``, whose keyword arguments are the options.
        reader: a name in ``READERS``: the protocol's linear layer, or neighbours or a small network in its place, which
            take no options; they may answer for fewer assignments.
        device: where the products run; Apple's ``mps`` has no float64, there they run on the CPU.
        seed: of the validation split and, in ``iccv2025``, of everything random.
        memory_bytes: bound of the gathered training features. As many fits as it holds are solved together, each at
            n_train * d * 4 bytes (8 up to half a million values; plus n_train ** 2 * 32 where n_train is small enough
            to be rotated, and n_train ** 2 * 4 in ``iccv2025`` where n_train < 2 d). Where not even one fits, rows are
            read anew in each pass. Beside it a fit keeps its probabilities: n_train * C * 4 bytes, times the number of
            strengths in the search. Default: half of the free memory, or 60 % of the accelerator's.
        features: of a probe of more photos and the same assignments, where they are known; rows are taken from there.
        options: keyword arguments of the protocol (``benchmark.probe.protocols.converged.converged``,
            ``benchmark.probe.protocols.iccv2025.iccv2025``).

    Raises:
        UsageError: unknown protocol.
        DataError: an embedding is not finite, or there is no photo to train or test on.
        ValueError: shapes that do not agree, an assignment that is not a class.

    >>> rng = np.random.default_rng(0)
    >>> photos = rng.normal(size=(40, 8))
    >>> classes = [photos + shift for shift in rng.normal(size=(3, 8))]
    >>> answers = processing_probe(
    ...     [c[:30] for c in classes], [c[30:] for c in classes], rng.integers(0, 3, (10, 30)))
    >>> answers.predicted.shape, answers.chance < answers.accuracy
    ((10, 3, 10), True)
    """
    n_classes = len(train)
    assigned = np.atleast_2d(np.asarray(assignments)).astype(np.int64)
    _check_banks("train", train)
    _check_banks("test", test)
    if len(test) != n_classes:
        raise ValueError(f"{n_classes} training classes but {len(test)} test classes")
    if assigned.shape[1] != train[0].shape[0]:
        raise ValueError(f"{assigned.shape[1]} photos assigned, {train[0].shape[0]} embedded")
    if assigned.size and not 0 <= assigned.min() <= assigned.max() < n_classes:
        raise ValueError(f"assignments hold a class outside 0..{n_classes - 1}")
    validation = stratified_split(assigned[0], seed=seed)
    rows = np.flatnonzero(~validation), np.flatnonzero(validation)
    problem = Problem(train, assigned, assigned, n_classes, *rows, features=features)
    expected = np.repeat(np.arange(n_classes)[:, None], test[0].shape[0], axis=1)
    return _answers(problem, test, expected, protocol, reader, device, seed, memory_bytes, options)


def labelled_probe(
    splits: LabelledSplits | SharedSplits,
    *,
    protocol: str = "converged",
    reader: str = LINEAR,
    device: str | torch.device = "cpu",
    seed: int = LABELLED_SEED,
    memory_bytes: int | None = None,
    **options: Any,
) -> ProbeAnswers:
    """Probe one label per photo (an acquisition attribute): search on train against val, refit on both, test.

    Args:
        splits: embeddings and labels, perhaps shared with other probes.
        protocol, reader, device, seed, memory_bytes, options: as in ``processing_probe``.

    Raises:
        as ``processing_probe``.
    """
    plain = splits.splits if isinstance(splits, SharedSplits) else splits
    train_x, val_x, val_y, test_x = plain.train_x, plain.val_x, plain.val_y, plain.test_x
    n_classes = plain.n_classes
    _check_banks("train", [train_x])
    _check_banks("test", [test_x])
    if (val_x is None) != (val_y is None):
        raise ValueError("val_x and val_y go together")
    bank, labels = with_validation(plain)
    if val_x is not None and val_x.shape[0]:
        held = np.arange(bank.shape[0]) >= train_x.shape[0]
    else:
        held = stratified_split(labels, seed=seed)
    truth = np.asarray(plain.test_y).astype(np.int64)
    for name, y, x in (("training", labels, bank), ("test", truth, test_x)):
        if y.shape != (x.shape[0],):
            raise ValueError(f"{len(y)} {name} labels for {x.shape[0]} embeddings")
        if y.size and not 0 <= y.min() <= y.max() < n_classes:
            raise ValueError(f"{name} labels hold a class outside 0..{n_classes - 1}")
    learnt = in_solver_space(splits, protocol=protocol, reader=reader, device=device, memory_bytes=memory_bytes)
    problem = Problem(
        [with_validation(learnt)[0]],
        np.zeros((1, len(labels)), np.int64),
        labels[None],
        n_classes,
        np.flatnonzero(~held),
        np.flatnonzero(held),
        frame=learnt.frame,
    )
    return _answers(problem, [learnt.test_x], truth[None], protocol, reader, device, seed, memory_bytes, options)


def _answers(
    problem: Problem,
    test: Sequence[Rows],
    expected: np.ndarray,
    protocol: str,
    reader: str,
    device: str | torch.device,
    seed: int,
    memory_bytes: int | None,
    options: Mapping[str, Any],
) -> ProbeAnswers:
    chosen = protocol_named(protocol)
    where = usable_device(device)
    if reader != LINEAR:
        return _read(problem, test, expected, reader, where, seed)
    if memory_bytes is None:
        memory_bytes = default_memory(where)

    def work(now: int) -> tuple[Fit, np.ndarray]:
        with torch.inference_mode():
            at_hand, left = _in_memory(problem, where, now)
            fit = chosen.fit(at_hand, device=where, seed=seed, memory_bytes=left, **options)
            return fit, predict(test, np.arange(test[0].shape[0]), fit.weights, fit.bias)

    fit, predicted = with_less_memory("probe", work, memory_bytes)
    return replace(
        to_answers(protocol, fit, predicted, problem.n, problem, expected, where, seed), features=fit.features
    )


def _read(
    problem: Problem, test: Sequence[Rows], expected: np.ndarray, reader: str, device: torch.device, seed: int
) -> ProbeAnswers:
    """The answers of a reader that is no linear layer."""
    with torch.inference_mode():
        read = read_with(reader, problem, test, device=device, seed=seed)
    return to_answers(reader, read, read.predicted, read.n_train, problem, expected, device, seed)


def _in_memory(problem: Problem, device: torch.device, memory_bytes: int) -> tuple[Problem, int]:
    """The problem with all its rows gathered, if the memory holds them beside a training set; and what is left of it.

    Every fit takes one row of each photo: where many fits share many banks, each row would be read from the bank and
    brought to unit length several times. Small training sets are solved together on a CPU, and gathered once anyway.
    """
    every = 4 * len(problem.banks) * problem.n * problem.dimension
    each = 4 * problem.n * problem.dimension
    least = GATHERED_FROM if device.type != "cpu" else GATHERED_FROM_ON_CPU
    if len(problem.banks) < 2 or len(problem.which) < 2 or each < least or every + 2 * each > memory_bytes:
        return problem, memory_bytes
    return replace(problem, gathered=Gathered(problem.banks, device)), memory_bytes - every


def with_validation(splits: LabelledSplits) -> tuple[Rows, np.ndarray]:
    """Train photos and, after them, validation photos if there are any: embeddings [n, d] and int64 labels [n]."""
    labels = np.asarray(splits.train_y).astype(np.int64)
    if splits.val_x is None or not splits.val_x.shape[0]:
        return splits.train_x, labels
    return Stacked(splits.train_x, splits.val_x), np.concatenate([labels, np.asarray(splits.val_y).astype(np.int64)])


def in_solver_space(
    splits: LabelledSplits | SharedSplits,
    *,
    protocol: str = "converged",
    reader: str = LINEAR,
    device: str | torch.device = "cpu",
    memory_bytes: int | None = None,
) -> LabelledSplits:
    """The splits in the coordinates that a probe learns in: turned where its protocol allows it and it pays.

    Whoever asks several things of the same splits (the probe, shuffled labels, parts) gives all of them what this
    returns: it is not turned again. An accelerator takes them as they are.

    Args:
        splits, protocol, reader, device, memory_bytes: as in ``labelled_probe``.
    """
    where = usable_device(device)
    may = protocol_named(protocol).turns and reader == LINEAR and where.type == "cpu"
    plain = splits.splits if isinstance(splits, SharedSplits) else splits
    if not may or plain.of_others or plain.frame is not None:
        return plain
    memory = memory_bytes or budget(where)
    n, dimension = with_validation(plain)[0].shape
    if isinstance(splits, SharedSplits):
        of = splits.among.of
        if of.pays(n) and TURNING_BYTES * of.values <= memory:
            return project_shared(splits)
    held = TURNING_BYTES * n * dimension
    if not is_worthwhile(n, dimension, plain.test_x.shape[0], plain.n_classes) or held > memory:
        return plain
    return project(plain)


def usable_device(device: str | torch.device) -> torch.device:
    """Where a probe can run: Apple's ``mps`` has no float64."""
    return exact_device(device)


def default_memory(device: torch.device) -> int:
    """Bound of the gathered training features in bytes."""
    return budget(device, DEVICE_SHARE) if device.type == "cuda" else budget(device)


def _check_banks(name: str, banks: Sequence[Rows]) -> None:
    shapes = {tuple(int(side) for side in bank.shape) for bank in banks}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"{name} banks must be [n, d] and alike, not {sorted(shapes)}")
    n, dimension = shapes.pop()
    if n == 0 or dimension == 0:
        raise DataError(f"there is no {name} photo to probe")
