"""A probe protocol more is one file and one line: tried with nearest class means in a copy of the sources."""

import json

import pytest

from tests.support.source_copy import SourceCopy

FILE = '''
"""Nearest class mean: no search, no iteration."""

import numpy as np
import torch

from benchmark.probe.solver.rows import gather
from benchmark.probe.problem import Fit, Protocol


def means(problem, *, device, seed, memory_bytes):
    layers = list(_refit(problem, {}, device, memory_bytes))
    count = len(problem.labels)
    return Fit(
        weights=torch.cat([w for w, _ in layers]), bias=torch.cat([b for _, b in layers]), chosen={}, search=(),
        final_loss=np.zeros(count), gradient_norm=np.zeros(count), iterations=np.zeros(count, int),
        converged=np.ones(count, bool), constants={}, search_s=0.0, fit_s=0.0,
    )


def _refit(problem, chosen, device, memory_bytes):
    rows = np.arange(problem.n)
    for fit in range(len(problem.labels)):
        which = problem.which[min(fit, len(problem.which) - 1)][None]
        x = torch.from_numpy(np.concatenate(list(_blocks(gather(problem.banks, which, rows), problem.n))))
        centre = torch.stack([x[problem.labels[fit] == c].mean(0) for c in range(problem.n_classes)])
        yield centre.T[None], -(centre.square().sum(1) / 2)[None]


def _blocks(source, n):
    yield np.asarray(source(0, n)[0], dtype=np.float32)


MEANS = Protocol("means", "nearest class mean", means, _refit, permutations=10)
'''

SCORE = """
import io, json, sys
import numpy as np
from PIL import Image
from benchmark.cli.score import parser
from benchmark.probe import PROTOCOLS, LabelledSplits, labelled_probe, processing_probe, shuffled_accuracies

rng = np.random.default_rng(0)
photos = rng.normal(size=(60, 8)).astype(np.float32)
classes = [photos + shift for shift in 3 * rng.normal(size=(3, 8)).astype(np.float32)]
assigned = rng.integers(0, 3, (2, 40))
answers = processing_probe([c[:40] for c in classes], [c[40:] for c in classes], assigned, protocol="means")
x, y = np.concatenate(classes), np.repeat([0, 1, 2], 60)
order = rng.permutation(len(y))
x, y = x[order], y[order]
splits = LabelledSplits(x[:120], y[:120], None, None, x[120:], y[120:], 3)
one = labelled_probe(splits, protocol="means")
null = shuffled_accuracies(splits, chosen=one.chosen, protocol="means")

unit = x / np.linalg.norm(x, axis=1, keepdims=True)
centres = np.stack([unit[:120][y[:120] == c].mean(0) for c in range(3)])
distances = ((unit[120:, None] - centres[None]) ** 2).sum(-1)
print(json.dumps({
    "named": parser().parse_args(["--protocol", "means"]).protocol, "protocols": list(PROTOCOLS),
    "accuracy": one.accuracy, "by_hand": float((distances.argmin(1) == y[120:]).mean()),
    "processing": answers.accuracy, "recorded": answers.protocol, "null": len(null), "null_mean": float(null.mean()),
}))
"""


@pytest.mark.slow
def test_new_protocol__is_one_file_and_one_line(tmp_path):
    copy = SourceCopy(tmp_path / "copy")
    (copy.folder / "benchmark/probe/means.py").write_text(FILE)
    copy.insert(
        "benchmark/probe/protocols/registry.py", '"iccv2025": "benchmark', '"means": "benchmark.probe.means:MEANS", '
    )
    result = json.loads(copy.run(SCORE).splitlines()[-1])
    assert result["protocols"] == ["converged", "means", "iccv2025"]
    assert result["named"] == result["recorded"] == "means"
    assert result["accuracy"] == pytest.approx(result["by_hand"])
    assert result["accuracy"] > 0.8
    assert result["processing"] > 0.8
    assert result["null"] == 10
    assert result["null_mean"] < 0.6
