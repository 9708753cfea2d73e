"""Which rows a repair writes into which split, and what decides whether finished shards are written again."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.audit import repairs
from benchmark.audit.repair_plan import Repair, RepairPlan
from builders.errors import DataError
from builders.photos import Labels, PhotoSet

LABELS = np.array([0, 1, 1, 0])


def write(monkeypatch, tmp_path, labels=LABELS, splits=(0, 0, 1, 1), evidence=None, rows=1):
    """The jobs of ``write_shards``, and what ``finish_folder`` receives."""
    photos = PhotoSet("folder:x", tuple("abcd"), np.array(splits), Labels(("no", "yes"), labels), None, np.arange(4),
                      evidence=evidence or {})  # fmt: skip
    plan = RepairPlan(Repair("reencode", 75, "4:2:0"), np.arange(4), 4, {}, ("bytes",))
    subject = SimpleNamespace(label=SimpleNamespace(names=["no", "yes"]))
    jobs, finished = [], []
    monkeypatch.setattr(repairs, "prepare_folder", lambda output, configs: None)
    monkeypatch.setattr(repairs, "carried_columns", lambda photos: {"owner": np.array(["o", "p", "q", "r"], object)})
    monkeypatch.setattr(repairs, "codec_canary", lambda: "canary")
    monkeypatch.setattr(
        repairs, "write_shards", lambda job, workers: jobs.append((job, workers)) or SimpleNamespace(rows=rows)
    )
    monkeypatch.setattr(repairs, "finish_folder", lambda output, **given: finished.append((output, given)))
    repairs._write_shards(plan, photos, labels, subject, tmp_path, 3)
    return jobs, finished


def test_write_shards__labels_of_each_split_decide_its_shards(monkeypatch, tmp_path):
    jobs, finished = write(monkeypatch, tmp_path)
    assert [(job.split, job.ids, workers) for job, workers in jobs] == [
        ("train", ("a", "b"), 3), ("validation", ("c", "d"), 3),
    ]  # fmt: skip
    assert [(job.make_rows.labels.tolist(), list(job.make_rows.columns["owner"])) for job, _ in jobs] == [
        ([0, 1], ["o", "p"]), ([1, 0], ["q", "r"]),
    ]  # fmt: skip
    for (job, _), at in zip(jobs, (slice(0, 2), slice(2, 4)), strict=True):
        assert job.recipe["labels"] == hashlib.sha256(LABELS[at].astype("<i4").tobytes()).hexdigest()
        assert (job.recipe["matched"], job.recipe["codec_canary"], job.recipe["quality"]) == (["bytes"], "canary", 75)
        assert list(job.features) == ["image", "photo_id", "label", "source_sha256", "owner"]
    ((output, given),) = finished
    assert (output, given["kind"], len(given["splits"])) == (tmp_path, "repaired", 2)
    assert (given["recipe"]["source"], "labels" in given["recipe"]) == ("folder:x", False)
    changed, _ = write(monkeypatch, tmp_path, np.array([0, 1, 0, 1]))
    same = [first[0].recipe == second[0].recipe for first, second in zip(jobs, changed, strict=True)]
    assert same == [True, False]


def test_write_shards__drawn_splits_are_one(monkeypatch, tmp_path):
    jobs, _ = write(monkeypatch, tmp_path, evidence={"splits": "seeded draw"})
    assert [(job.split, job.ids) for job, _ in jobs] == [("train", tuple("abcd"))]


def test_write_shards__refused_where_nothing_could_be_repaired(monkeypatch, tmp_path):
    with pytest.raises(DataError, match=r"^folder:x: not one photo could be repaired$"):
        write(monkeypatch, tmp_path, rows=0)
