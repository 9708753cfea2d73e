"""Runs of one probe whose answers are known, for comparisons."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from benchmark.results import Result, Run, Score, read_runs
from benchmark.scoring import Scored, write_scored
from benchmark.stats import photo_interval
from benchmark.tasks import all_tasks

N = 300


def true_score(score: Score, arrays) -> Score:
    """The score with the interval and the chance that its answers give; unchanged where they cannot be read."""
    question = all_tasks()[score.task]
    try:
        values, facts = question.read_answers(arrays)[score.metric], question.read_facts(arrays).get(score.metric)
    except (KeyError, ValueError, IndexError):
        return score
    ends = photo_interval(values.values, clusters=values.clusters, bounds=values.bounds)
    chance = score.chance if facts is None or facts.chance is None else facts.chance
    return dataclasses.replace(score, value=ends.value, low=ends.low, high=ends.high, chance=chance)


def probe_run(encoder, right, *, photos=None, ids="same", question="q", canary="c", data="toy"):
    """A run of one probe of two classes whose answers are right for the photos in ``right`` [n]."""
    predicted = np.stack([np.where(right, 0, 1), np.where(right, 1, 0)])[None].astype(np.uint8)
    value = float(right.mean())
    score = Score(
        "probe/jpeg", data, "accuracy", value, max(0.0, value - 0.05), min(1.0, value + 0.05), len(right), 0.5
    )
    at = np.arange(len(right)) if photos is None else photos
    score = true_score(score, {"predicted": predicted, "photos": at})
    result = Result(
        encoder={"id": encoder},
        data={"name": data, "question_hash": question, "ids_hash": ids, "bytes_hash": "b"},
        environment={"codec_canary": canary, "options": {"protocol": "converged"}},
        scores=(score,),
        failures=(),
        cost={},
        created="2026-11-20T10:00:00+00:00",
    )
    return Scored(result, {"probe/jpeg/predicted": predicted, "probe/jpeg/photos": at})


def read_run(folder: Path) -> Run:
    """The first run of a folder in which no file is refused."""
    read = read_runs(folder, all_tasks())
    assert read.refused == (), read.refused
    return read.runs[0]


def unseal(folder: Path) -> None:
    """Make a result one of an older version, without a checksum of its values, so that a test may change them."""
    raw = json.loads((folder / "result.json").read_text())
    del raw["environment"]["values_sha256"]
    (folder / "result.json").write_text(json.dumps(raw, indent=2))


def write(folder: Path, **runs) -> list[Path]:
    return [write_scored(run, folder / name, single=True) for name, run in runs.items()]


UNDER_PRESET = {
    "options": {
        "preset": "iccv2025",
        "protocol": "iccv2025",
        "preprocess": "study",
        "ties": "random",
        "orientation": "stored",
    }
}
"""The environment of a run under the study's preset, as far as a comparison asks."""
