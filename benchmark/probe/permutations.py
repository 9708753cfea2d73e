"""What a probe makes of shuffled labels: the same estimator at the same setting, each photo with another photo's class.

The accuracies are the null distribution of a permutation test (Ojala and Garriga, JMLR 11, 2010). They say how far a
probe that cannot know anything strays from chance on these very test photos, whatever groups these come in.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from benchmark.compute import with_less_memory
from benchmark.probe.problem import LabelledSplits, Problem, predict
from benchmark.probe.protocols import LABELLED_SEED, as_learnt, default_memory, usable_device, with_validation
from benchmark.probe.registry import protocol_named
from benchmark.probe.together import SharedSplits


def shuffled_accuracies(
    splits: LabelledSplits | SharedSplits,
    *,
    chosen: Mapping[str, float],
    protocol: str = "converged",
    permutations: int | None = None,
    device: str | torch.device = "cpu",
    seed: int = LABELLED_SEED,
    memory_bytes: int | None = None,
) -> np.ndarray:
    """Test accuracies of probes that learnt from train and val photos whose labels were shuffled among all of them.

    By symmetry their expectation is chance where every class has equally many photos, in training or in the test.

    Args:
        splits: as in ``labelled_probe``.
        chosen: what the probe's own search chose (``ProbeAnswers.chosen``); it is not searched again.
        protocol: the probe's.
        permutations: how many; by default what the protocol says.
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
    learnt = as_learnt(splits, protocol=protocol, device=device, memory_bytes=memory_bytes)
    bank, labels = with_validation(learnt)
    rng = np.random.default_rng(seed)
    count = chosen_protocol.permutations if permutations is None else permutations
    shuffled = np.stack([rng.permutation(labels) for _ in range(count)])
    where = usable_device(device)
    rows = np.arange(len(labels))
    problem = Problem([bank], np.zeros_like(shuffled), shuffled, learnt.n_classes, rows, rows[:0], frame=learnt.frame)

    def accuracies(now: int) -> np.ndarray:
        found = []
        with torch.inference_mode():
            for weights, bias in chosen_protocol.refit(problem, chosen, where, now):
                predicted = predict([learnt.test_x], np.arange(learnt.test_x.shape[0]), weights, bias)[:, 0]
                found.append((predicted == np.asarray(learnt.test_y)).mean(axis=1))
        return np.concatenate(found)

    return with_less_memory("permuted probe", accuracies, memory_bytes or default_memory(where))
