"""Views of several photos as one batch: which photos are in it, what the copy waits for, what an encoder receives."""

from types import SimpleNamespace

import torch

from benchmark.bank.fill import batches
from benchmark.bank.fill.batches import Gathered, embed_gathered, gather
from benchmark.bank.fill.device_copy import DeviceCopy
from benchmark.views import PhotoViews


def photo(index, *arrays, ready=None):
    return PhotoViews(index, arrays, "", "", 0.0, ready=ready)


def test_gather__photos_with_views_in_their_order():
    empty, rows = torch.empty(0), torch.arange(24.0).reshape(6, 4)
    photos = [photo(7, rows[:2], empty), photo(3, empty, rows[2:3]), photo(5, rows[3:5], rows[5:])]
    batch = gather(photos, 0, DeviceCopy("cpu"))
    assert batch.indices == (7, 5)
    assert batch.views().tolist() == rows[[0, 1, 3, 4]].tolist()
    batch = gather(photos, 1, DeviceCopy("cpu"))
    assert batch.indices == (3, 5)
    assert batch.views().tolist() == rows[[2, 5]].tolist()


def test_gather__nothing_where_no_photo_has_views():
    batch = gather([photo(0, torch.empty(0)), photo(1, torch.empty(0))], 0, SimpleNamespace())
    assert batch.indices == ()
    assert batch.views().shape == (0,)


def test_gather__waits_once_for_each_event_of_a_photo_that_is_in_the_batch():
    first, second, unused = object(), object(), object()
    rows = torch.arange(4.0)[:, None]
    photos = [
        photo(0, rows[:1], ready=first), photo(1, rows[1:2], ready=first), photo(2, rows[2:3]),
        photo(3, torch.empty(0), ready=unused), photo(4, rows[3:], ready=second),
    ]  # fmt: skip
    started = []
    copy = SimpleNamespace(start=lambda parts, after: started.append((torch.cat(parts).flatten().tolist(), after)))
    assert gather(photos, 0, copy).indices == (0, 1, 2, 4)
    assert started == [([0.0, 1.0, 2.0, 3.0], [first, second])]


def test_embed__the_wanted_views_in_their_order_of_encoders_without_failure(monkeypatch):
    """An encoder that failed, that wants nothing or that has no photo is not started."""
    given, written = [], []
    table = torch.arange(12.0).reshape(6, 2)  # two photos of the views a, b, c

    class State:
        def __init__(self, name, failure=""):
            self.failure, self.name, self.begun_s = failure, name, 0.0
            self.encoder = SimpleNamespace(embed=self, info=SimpleNamespace(id=name))
            self.embed = self

        def patches_of(self, indices, count):
            return (indices, count)

        def start(self, views, patches):
            given.append((self.name, views.tolist(), patches))
            return lambda: views

    monkeypatch.setattr(batches, "_write_all", lambda started, counted: written.append(started))
    members = [
        SimpleNamespace(state=State("all"), which=0, wanted=("a", "b", "c")),
        SimpleNamespace(state=State("two"), which=0, wanted=("c", "a")),
        SimpleNamespace(state=State("turned"), which=0, wanted=("b", "a", "c")),
        SimpleNamespace(state=State("failed", "why"), which=0, wanted=("a",)),
        SimpleNamespace(state=State("nothing"), which=0, wanted=()),
        SimpleNamespace(state=State("empty"), which=1, wanted=("a",)),
    ]
    rows = SimpleNamespace(submit=lambda call, *args: call(*args))
    embed_gathered(members, ("a", "b", "c"), [Gathered((4, 9), lambda: table), Gathered((), lambda: table)], rows)
    assert given == [
        ("all", table.tolist(), ((4, 9), 3)), ("two", table[[2, 0, 5, 3]].tolist(), ((4, 9), 2)),
        ("turned", table[[1, 0, 2, 4, 3, 5]].tolist(), ((4, 9), 3)),
    ]  # fmt: skip
    ((first, second, _),) = written
    assert (first.state.name, first.wanted, first.indices) == ("all", ("a", "b", "c"), (4, 9))
    assert (second.state.name, second.wanted, second.indices) == ("two", ("c", "a"), (4, 9))
    assert [member.state.failure for member in members] == ["", "", "", "why", "", ""]
    assert [member.state.begun_s > 0 for member in members] == [True, True, True, False, False, False]
