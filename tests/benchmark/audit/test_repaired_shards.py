"""Which rows a repair writes into which split, and what decides whether finished shards are written again."""

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


def test_write_shards__refused_where_nothing_could_be_repaired(monkeypatch, tmp_path):
    with pytest.raises(DataError, match="folder:x"):
        write(monkeypatch, tmp_path, rows=0)
