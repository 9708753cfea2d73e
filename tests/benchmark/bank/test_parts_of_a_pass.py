"""One part of a pass: its blocks in order, when it ends, what a marker says of its photos, and the time by encoder."""

from types import SimpleNamespace

import pytest
import torch

from benchmark.bank.fill.batches import embed_gathered
from benchmark.bank.fill.fill import _begin_block, _BlockNotes, _end_block, _forward_s, _PartPass
from benchmark.views import PhotoViews

PHOTOS = SimpleNamespace(ids=("a", "b", "c", "d"))


def seen(index, failure="", view_failures=(), seconds=0.5, source="q75 4:2:0", arrays=None):
    arrays = (torch.full((1, 2), float(index)),) if arrays is None else arrays
    return PhotoViews(index, arrays, failure, source, seconds, view_failures, digest=bytes([index]))


class Thread:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def submit(self, call, *args):
        self.log.append((self.name, call, args))

    def wait(self):
        self.log.append((self.name, "wait"))


class Ahead:
    def __init__(self, photos):
        self.photos, self.closed = photos, False

    def stream(self, request):
        self.request = request
        try:
            yield from self.photos
        finally:
            self.closed = True


def part_pass(log, members):
    views = SimpleNamespace(
        recipe=SimpleNamespace(names=("v",)), preprocesses=(None,),
        copies=[SimpleNamespace(start=lambda parts, after: lambda: torch.cat(parts))],
    )  # fmt: skip
    bar = SimpleNamespace(update=lambda: log.append("bar"))
    learn = lambda index, digest: log.append((index, digest))  # noqa: E731
    plan = SimpleNamespace(members=members, views=views)
    return _PartPass(PHOTOS, plan, Thread("forward", log), Thread("rows", log), bar, learn)


def member(failure=""):
    return SimpleNamespace(state=SimpleNamespace(failure=failure))


def test_fill__views_of_another_shape_than_those_of_the_first_photo_fail():
    log = []
    request = SimpleNamespace(stream=None, blocks=((0, (2,)), (1, (1,))))
    ahead = Ahead([seen(0), seen(1, arrays=(torch.zeros(1, 3),)), seen(2, arrays=(torch.zeros(1, 4),))])
    part_pass(log, [member()]).fill(request, ahead)
    calls = [(call, args) for thread, call, args in (entry for entry in log if len(entry) == 3 and entry != "bar")]
    assert [args[2][0].indices for call, args in calls if call is embed_gathered] == [(0,), ()]
    notes = [args[2] for call, args in calls if call is _end_block]
    assert [list(of_block.failures(0, "v")) for of_block in notes] == [["b"], ["c"]]


@pytest.mark.parametrize(("failures", "blocks"), [(("why", "why"), 1), (("why", ""), 2), (("", ""), 2)])
def test_fill__ends_where_every_encoder_failed(failures, blocks):
    log = []
    request = SimpleNamespace(stream=None, blocks=((0, (1,)), (1, (1,))))
    ahead = Ahead([seen(0), seen(1)])
    assert part_pass(log, [member(failure) for failure in failures]).fill(request, ahead) == blocks / 2
    assert sum(entry[1] is _begin_block for entry in log if entry != "bar") == blocks
    assert log[-2:] == [("forward", "wait"), ("rows", "wait")]


def test_notes__reasons_by_preprocessing_and_view_compressions_and_seconds():
    notes = _BlockNotes(PHOTOS, ("v", "w"), 2)
    notes.add(seen(0))
    notes.add(seen(1, "gone", view_failures=({"v": "odd"}, {}), source=""))
    notes.add(seen(3, view_failures=({"w": "too small"}, {}), seconds=1.5, source="png"))
    notes.add(seen(2, view_failures=({}, {"v": "odd", "w": ""})))
    assert notes.failures(0, "v") == {"b": "gone"}
    assert notes.failures(0, "w") == {"b": "gone", "d": "too small"}
    assert notes.failures(1, "v") == {"b": "gone", "c": "odd"}
    assert notes.failures(1, "w") == {"b": "gone"}
    assert dict(notes.source_jpeg) == {"q75 4:2:0": 2, "": 1, "png": 1}
    assert notes.seconds == 3.0


@pytest.mark.parametrize(
    ("busy", "expected"), [(10.0, (3.0, 5.0)), (8.0, (3.0, 5.0)), (4.0, (1.5, 2.5)), (0.0, (0.0, 0.0))]
)
def test_forward__time_of_each_encoder_is_no_more_than_elapsed(busy, expected):
    states = [SimpleNamespace(begun_s=1.0, waited_s=2.0), SimpleNamespace(begun_s=4.0, waited_s=1.0)]
    assert _forward_s(states, busy) == pytest.approx(expected)
    assert _forward_s([], busy) == ()
