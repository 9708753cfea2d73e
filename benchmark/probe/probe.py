"""Probes of processing labels (every class in every photo) and of acquisition labels (one per photo)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
"""Default seed of a probe of acquisition labels, the study's."""

DEVICE_SHARE = 0.6
"""Default bound of the gathered training features: share of an accelerator's free memory; on a CPU the usual half."""

GATHERED_FROM = 64 << 20
"""Bytes of one training set above which an accelerator gathers the rows of all banks once."""

GATHERED_FROM_ON_CPU = 4 << 20
"""The same on a CPU. Ten training sets of 10,000 photos x 768 numbers take 1.46 s with one gathering, and 1.60 s if
each is gathered from the banks (processor time, one thread)."""

PROJECTION_BYTES = 32
"""Memory that a projection takes for each value of an embedding: three copies in float64, and the result."""


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
    clusters: np.ndarray | None = None,
    **options: Any,
) -> ProbeAnswers:
    """Probe one processing parameter: S fits see each training photo in one class and are tested in all classes.

    The hyper-parameters are searched once, on the first assignment with a stratified fifth of its photos held out (as
    in the study). All S fits share them and are trained on all training photos.

    Args:
        train: C arrays [n_train, d] (or objects that slice like arrays): embeddings of the same photos in each class.
            Rows are L2-normalised here; a zero row stays zero.
        test: C arrays [n_test, d].
        assignments: int [S, n_train], the class of each training photo in each of S fits.
        protocol: a name in ``PROTOCOLS``.
        reader: a name in ``READERS``: the protocol's linear layer, or neighbours or a small network instead, which take
            no options and may be fitted to fewer assignments.
        device: where matrix products run; for Apple's ``mps``, which has no float64, on the CPU.
        seed: of the validation split and, in ``iccv2025``, of everything random.
        memory_bytes: bound of the gathered training features. As many fits as it holds are solved together. Each takes
            n_train * d * 4 bytes (8 up to half a million values); plus n_train ** 2 * 32 if n_train is small enough for
            a rotation, and n_train ** 2 * 4 in ``iccv2025`` if n_train < 2 d. If not even one fits, rows are read again
            in each pass. The probabilities of a fit come on top: n_train * C * 4 bytes, times the number of strengths
            in the search. Default: half of the free memory, or 60 % of the accelerator's.
        features: rotated training sets of a probe of more photos and the same assignments; rows are taken from them.
        clusters: [n_train], the unit of each photo (``benchmark.stats.ErrorUnits.clusters``): whole units are held out.
        options: keyword arguments of the protocol (``benchmark.probe.protocols.converged.converged``,
            ``benchmark.probe.protocols.iccv2025.iccv2025``).

    Returns:
        Predictions [S, C, n_test], and how the fits went.

    Raises:
        UsageError: unknown protocol.
        DataError: an embedding is not finite, or there is no photo to train or test on.
        ValueError: shapes do not agree, or an assignment is not a class.

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
    validation = stratified_split(assigned[0], seed=seed, clusters=clusters)
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
    """Probe one label per photo (an acquisition attribute): search on train with val held out, refit on both, test.

    Args:
        splits: embeddings and labels, perhaps shared with other probes.
        protocol, reader, device, seed, memory_bytes, options: as in ``processing_probe``.

    Returns:
        Predictions [1, 1, n_test], and how the fit went.

    Raises:
        UsageError, DataError, ValueError: as ``processing_probe``.
    """
    plain = splits.splits if isinstance(splits, SharedSplits) else splits
    train_x, val_x, val_y, test_x = plain.train_x, plain.val_x, plain.val_y, plain.test_x
    n_classes = plain.n_classes
    _check_banks("train", [train_x])
    _check_banks("test", [test_x])
    if (val_x is None) != (val_y is None):
        raise ValueError("val_x and val_y go together")
    bank, labels = _with_validation(plain)
    if val_x is not None and val_x.shape[0]:
        is_validation = np.arange(bank.shape[0]) >= train_x.shape[0]
    else:
        is_validation = stratified_split(labels, seed=seed, clusters=plain.train_clusters)
    test_labels = np.asarray(plain.test_y).astype(np.int64)
    for name, targets, rows in (("training", labels, bank), ("test", test_labels, test_x)):
        if targets.shape != (rows.shape[0],):
            raise ValueError(f"{len(targets)} {name} labels for {rows.shape[0]} embeddings")
        if targets.size and not 0 <= targets.min() <= targets.max() < n_classes:
            raise ValueError(f"{name} labels hold a class outside 0..{n_classes - 1}")
    solver_splits = in_solver_space(splits, protocol=protocol, reader=reader, device=device, memory_bytes=memory_bytes)
    problem = Problem(
        [_with_validation(solver_splits)[0]],
        np.zeros((1, len(labels)), np.int64),
        labels[None],
        n_classes,
        np.flatnonzero(~is_validation),
        np.flatnonzero(is_validation),
        frame=solver_splits.frame,
    )
    return _answers(
        problem, [solver_splits.test_x], test_labels[None], protocol, reader, device, seed, memory_bytes, options
    )


def shuffled_accuracies(
    splits: LabelledSplits | SharedSplits,
    *,
    chosen: Mapping[str, float],
    protocol: str = "converged",
    permutations: int | None = None,
    shuffled: Callable[[int], tuple[np.ndarray, np.ndarray]] | None = None,
    device: str | torch.device = "cpu",
    seed: int = LABELLED_SEED,
    memory_bytes: int | None = None,
) -> np.ndarray:
    """Test accuracies of probes trained on train and val photos whose labels were shuffled among all of them.

    By symmetry their expectation is chance if every class has equally many photos, in training or in the test. Where
    photos err together, units are shuffled: the photos of each get the labels of another (``shuffled_by_unit``).

    Args:
        splits: as in ``labelled_probe``.
        chosen: hyper-parameters that the probe's search chose (``ProbeAnswers.chosen``); there is no other search.
        protocol: of the probe.
        permutations: number of shufflings; by default the protocol's.
        shuffled: P -> shuffled labels [P, train and val photos] and [P, test photos]; by default train and val photos
            are shuffled, and those of the test are left as they are.
        device, memory_bytes: as in ``processing_probe``.
        seed: of the shuffling.

    Returns:
        float64 [permutations].

    Raises:
        UsageError: unknown protocol.

    >>> x, y = np.random.default_rng(0).normal(size=(90, 5)), np.arange(90) % 3
    >>> splits = LabelledSplits(x[:60], y[:60], None, None, x[60:], y[60:], 3)
    >>> null = shuffled_accuracies(splits, chosen={"strength": 1e-3})
    >>> null.shape, bool(abs(null.mean() - 1 / 3) < 0.05)
    ((100,), True)
    """
    chosen_protocol = protocol_named(protocol)
    solver_splits = in_solver_space(splits, protocol=protocol, device=device, memory_bytes=memory_bytes)
    bank, labels = _with_validation(solver_splits)
    rng = np.random.default_rng(seed)
    count = chosen_protocol.permutations if permutations is None else permutations
    tested = np.asarray(solver_splits.test_y)[None]
    if shuffled is None:
        clusters = joined_clusters(solver_splits)
        trained = np.stack([shuffled_by_unit(labels, clusters, rng) for _ in range(count)])
    else:
        trained, tested = shuffled(count)
    resolved_device = usable_device(device)
    rows = np.arange(len(labels))
    problem = Problem(
        [bank], np.zeros_like(trained), trained, solver_splits.n_classes, rows, rows[:0], frame=solver_splits.frame
    )

    def accuracies(memory: int) -> np.ndarray:
        chunks: list[np.ndarray] = []
        with torch.inference_mode():
            for weights, bias in chosen_protocol.refit(problem, chosen, resolved_device, memory):
                predicted = predict([solver_splits.test_x], np.arange(solver_splits.test_x.shape[0]), weights, bias)[
                    :, 0
                ]
                first = sum(map(len, chunks))
                true = tested if len(tested) == 1 else tested[first : first + len(predicted)]
                chunks.append((predicted == true).mean(axis=1))
        return np.concatenate(chunks)

    return with_less_memory("permuted probe", accuracies, memory_bytes or default_memory(resolved_device))


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
    resolved_device = usable_device(device)
    if reader != LINEAR:
        return _read(problem, test, expected, reader, resolved_device, seed)
    if memory_bytes is None:
        memory_bytes = default_memory(resolved_device)

    def fit_and_predict(memory: int) -> tuple[Fit, np.ndarray]:
        with torch.inference_mode():
            gathered_problem, memory_left = _in_memory(problem, resolved_device, memory)
            fit = chosen.fit(gathered_problem, device=resolved_device, seed=seed, memory_bytes=memory_left, **options)
            return fit, predict(test, np.arange(test[0].shape[0]), fit.weights, fit.bias)

    fit, predicted = with_less_memory("probe", fit_and_predict, memory_bytes)
    return replace(
        to_answers(protocol, fit, predicted, problem.n, problem, expected, resolved_device, seed), features=fit.features
    )


def _read(
    problem: Problem, test: Sequence[Rows], expected: np.ndarray, reader: str, device: torch.device, seed: int
) -> ProbeAnswers:
    """Predictions of a reader that is not a linear layer."""
    with torch.inference_mode():
        read = read_with(reader, problem, test, device=device, seed=seed)
    return to_answers(reader, read, read.predicted, read.n_train, problem, expected, device, seed)


def _in_memory(problem: Problem, device: torch.device, memory_bytes: int) -> tuple[Problem, int]:
    """The problem with all its rows gathered, if memory holds them and two training sets; and the memory left.

    Every fit takes one row of each photo. If many fits share many banks, each row would otherwise be read and
    normalised several times. A CPU solves small training sets together and so gathers them only once anyway.
    """
    all_bytes = 4 * len(problem.banks) * problem.n * problem.dimension
    set_bytes = 4 * problem.n * problem.dimension
    threshold = GATHERED_FROM if device.type != "cpu" else GATHERED_FROM_ON_CPU
    if (
        len(problem.banks) < 2
        or len(problem.which) < 2
        or set_bytes < threshold
        or all_bytes + 2 * set_bytes > memory_bytes
    ):
        return problem, memory_bytes
    return replace(problem, gathered=Gathered(problem.banks, device)), memory_bytes - all_bytes


def _with_validation(splits: LabelledSplits) -> tuple[Rows, np.ndarray]:
    """Train photos and, after them, validation photos if there are any: embeddings [n, d] and int64 labels [n]."""
    labels = np.asarray(splits.train_y).astype(np.int64)
    if splits.val_x is None or not splits.val_x.shape[0]:
        return splits.train_x, labels
    return Stacked(splits.train_x, splits.val_x), np.concatenate([labels, np.asarray(splits.val_y).astype(np.int64)])


def joined_clusters(splits: LabelledSplits) -> np.ndarray | None:
    """int64 [n], the unit of each photo of ``_with_validation``; None if all photos are independent."""
    has_val = splits.val_x is not None and splits.val_x.shape[0] > 0
    given = [splits.train_clusters, *([splits.val_clusters] if has_val else [])]
    if all(clusters is None for clusters in given):
        return None
    sizes = [splits.train_x.shape[0], *([splits.val_x.shape[0]] if has_val and splits.val_x is not None else [])]
    codes: list[np.ndarray] = []
    for clusters, size in zip(given, sizes, strict=True):
        code = np.arange(size) if clusters is None else np.unique(clusters, return_inverse=True)[1]
        codes.append(code + (codes[-1].max() + 1 if codes and len(codes[-1]) else 0))
    return np.concatenate(codes).astype(np.int64)


def shuffled_by_unit(labels: np.ndarray, clusters: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Labels [n] shuffled among all photos, or, with clusters [n], among units.

    The photos of a unit get the labels of another one, in random order, repeated or cut to its size. So labels that
    units share stay shared.

    >>> shuffled_by_unit(np.array([0, 0, 1, 1]), np.array([5, 5, 7, 7]), np.random.default_rng(1)).tolist()
    [1, 1, 0, 0]
    """
    if clusters is None:
        return rng.permutation(labels)
    code = np.unique(clusters, return_inverse=True)[1]
    order, source = (np.lexsort((rng.random(len(labels)), code)) for _ in range(2))
    sizes = np.bincount(code)
    starts = np.cumsum(sizes) - sizes
    of_unit = rng.permutation(len(sizes))[code[order]]
    position = np.arange(len(labels)) - starts[code[order]]
    shuffled = np.empty_like(labels)
    shuffled[order] = labels[source][starts[of_unit] + position % sizes[of_unit]]
    return shuffled


def in_solver_space(
    splits: LabelledSplits | SharedSplits,
    *,
    protocol: str = "converged",
    reader: str = LINEAR,
    device: str | torch.device = "cpu",
    memory_bytes: int | None = None,
) -> LabelledSplits:
    """The splits in the coordinates that the solver uses: projected if the protocol allows it and it saves time.

    To use the same splits several times (the probe, shuffled labels, parts), call this once and pass on its result: it
    is not projected again. On an accelerator splits stay as they are.

    Args:
        splits, protocol, reader, device, memory_bytes: as in ``labelled_probe``.

    Returns:
        Equivalent splits; the photos of ``SharedSplits`` may be projected together with those of other probes.
    """
    resolved_device = usable_device(device)
    is_projectable = protocol_named(protocol).rotation_invariant and reader == LINEAR and resolved_device.type == "cpu"
    plain = splits.splits if isinstance(splits, SharedSplits) else splits
    if not is_projectable or plain.is_subset or plain.frame is not None:
        return plain
    available = memory_bytes or budget(resolved_device)
    n, dimension = _with_validation(plain)[0].shape
    if isinstance(splits, SharedSplits):
        shared_rows = splits.among.shared
        if shared_rows.is_worthwhile(n) and PROJECTION_BYTES * shared_rows.values <= available:
            return project_shared(splits)
    projection_bytes = PROJECTION_BYTES * n * dimension
    if not is_worthwhile(n, dimension, plain.test_x.shape[0], plain.n_classes) or projection_bytes > available:
        return plain
    return project(plain)


def usable_device(device: str | torch.device) -> torch.device:
    """Device that a probe runs on: the CPU instead of Apple's ``mps``, which has no float64."""
    return exact_device(device)


def default_memory(device: torch.device) -> int:
    """Default bound of the gathered training features in bytes."""
    return budget(device, DEVICE_SHARE) if device.type == "cuda" else budget(device)


def _check_banks(name: str, banks: Sequence[Rows]) -> None:
    shapes = {tuple(int(side) for side in bank.shape) for bank in banks}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"{name} banks must be [n, d] and alike, not {sorted(shapes)}")
    n, dimension = shapes.pop()
    if n == 0 or dimension == 0:
        raise DataError(f"there is no {name} photo to probe")
