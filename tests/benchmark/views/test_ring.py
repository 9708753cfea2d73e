"""The ring of slots: layout by hand, which slots are free, and pinned memory on a driver that is written here."""

import gc
import pickle
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.views.workers import ring as module
from benchmark.views.workers.ring import Ring, Row, SlotPlan, shared_folder

BYTES, FLOATS = np.dtype(np.uint8), np.dtype(np.float32)


@pytest.mark.parametrize(
    ("photos", "rows", "decoded", "offsets", "size"),
    [
        (3, (), 0, (0,), 0),
        (3, (), 1, (0,), 4096),
        (2, ((2048,),), 0, (0, 4096), 4096),
        (2, ((2049,),), 0, (0, 8192), 8192),
        (3, ((5, 2), (1000, 2)), 7, (0, 4096, 12288), 16384),
        (1, ((4096,), (1,)), 4097, (0, 4096, 8192), 16384),
    ],
)
def test_slot_plan__every_part_begins_at_a_whole_page(photos, rows, decoded, offsets, size):
    plan = SlotPlan(photos, tuple(Row(shape, BYTES) for shape in rows), decoded)
    assert (plan.offsets, plan.nbytes) == (offsets, size)


def test_slot_plan__views_and_pixels_lie_side_by_side():
    plan = SlotPlan(2, (Row((2, 3), BYTES), Row((2,), FLOATS)), decoded_bytes=12)
    assert [row.nbytes for row in plan.rows] == [6, 8]
    slot = np.zeros(plan.nbytes, np.uint8)
    plan.views(slot, 0)[1] = [[1, 2, 3], [4, 5, 6]]
    plan.views(slot, 1)[0] = [0.5, 1.0]
    assert slot[6:12].tolist() == [1, 2, 3, 4, 5, 6]
    assert slot[4096:4104].view(np.float32).tolist() == [0.5, 1.0]
    assert (plan.views(slot, 0).shape, plan.views(slot, 1).shape) == ((2, 2, 3), (2, 2))
    for place in (0, 1):
        plan.pixels(slot, place, (2, 2, 3))[...] = place + 7  # 12 bytes fit
        plan.pixels(slot, place, (1, 1, 3))[...] = place + 1
        assert plan.pixels(slot, place, (13,)) is None
    assert slot[8192:8216].tolist() == [1] * 3 + [7] * 9 + [2] * 3 + [8] * 9
    assert np.count_nonzero(slot) == 6 + 3 + 24  # 0.5 has one byte that is not zero, 1.0 two


def test_ring__slots_are_leased_in_order_and_come_back_last():
    freed = []
    plan = SlotPlan(2, (Row((3,), BYTES),), decoded_bytes=4)
    ring = Ring(plan, 3, forked=True, freed=lambda: freed.append(len(ring._free)))
    leases = [ring.take() for _ in range(4)]
    assert [None if lease is None else lease.number for lease in leases] == [0, 1, 2, None]
    for number in range(3):
        assert ring.memory(number).shape == (8192,)
        ring.memory(number)[:] = number + 1
    assert [lease.tensors()[0].unique().tolist() for lease in leases[:3]] == [[1], [2], [3]]
    pixels = leases[1].pixels(1, (2, 2))
    assert pixels.tolist() == [[2, 2], [2, 2]]
    ring.memory(1)[4096 + 4] = 9
    assert pixels.tolist() == [[9, 2], [2, 2]]
    leases[1] = None
    gc.collect()
    assert (freed, ring.take()) == ([], None)  # its pixels are held
    del pixels
    leases[0] = None
    gc.collect()
    assert freed == [1, 2]
    assert [ring.take().number, ring.take().number] == [1, 0]
    assert ring.path is None


def test_ring__a_copy_in_another_process_sees_the_same_memory_and_leases_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "shared_folder", lambda size: sizes.append(size) or tmp_path)
    sizes = []
    ring = Ring(SlotPlan(1, (Row((5,), BYTES),), 0), 2, forked=False)
    assert (sizes, ring.path.parent, ring.path.stat().st_size) == ([8192], tmp_path, 8192)
    copy = pickle.loads(pickle.dumps(ring))
    assert sorted(set(vars(copy))) == ["_bytes", "path", "plan", "slots"]
    copy.memory(1)[:] = 6
    assert (ring.memory(1).min(), ring.memory(0).max()) == (6, 0)
    ring.close()
    ring.close()
    assert (list(tmp_path.iterdir()), int(ring.memory(1)[0])) == ([], 6)


@pytest.mark.parametrize(("free", "shared"), [(99, False), (100, True), (101, True), (None, False)])
def test_shared_folder__in_memory_if_that_has_the_space_now(monkeypatch, tmp_path, free, shared):
    def usage(folder):
        if free is None:
            raise FileNotFoundError(folder)
        return SimpleNamespace(total=10**9, used=10**9 - free, free=free)

    monkeypatch.setattr(module, "SHARED_FOLDER", tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", usage)
    assert shared_folder(100) == (tmp_path if shared else Path(tempfile.gettempdir()))
