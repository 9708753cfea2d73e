"""A search by doubles of what it calls: slices in which order, what is stored of each, outages, the dry run."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from builders.flickrexif.assemble import collect as collecting
from builders.flickrexif.assemble import inspect_files as inspecting
from builders.flickrexif.cli import steps
from builders.flickrexif.search import search as module
from builders.flickrexif.search.plan import SearchPlan, Slice
from builders.flickrexif.search.read_slice import SliceReading
from builders.flickrexif.search.search import PILOT_PLAN, pilot, search
from builders.flickrexif.store.store import State
from tests.support.clocks import SimulatedClock
from tests.support.flickr_samples import DAY, FEBRUARY, JANUARY, MARCH, NOW, result

PLAN = SearchPlan(JANUARY, MARCH, 2, (4, 7), seed=3)
MIDDLE = (JANUARY + FEBRUARY) // 2


@pytest.fixture
def searching(tmp_path, monkeypatch):
    """A state, answers by (start, end) of a slice (a list: in turn), and what was called."""
    made = SimpleNamespace(calls=[], answers={}, samples=[])
    made.state = State(tmp_path / "state", create=True, clock=SimulatedClock(NOW))

    def read(client, piece, subject):
        made.calls.append((client, piece, subject, made.state.clock.now() - NOW))
        answer = made.answers.get((piece.start, piece.end), SliceReading(0))
        return answer.pop(0) if isinstance(answer, list) else answer

    def exif(state, client, month, connections, tick):
        assert (state, client, connections) == (made.state, "client", 5)
        ids = [
            row[0] for row in state.rows("SELECT id FROM photos WHERE month = ? AND selected = 1 ORDER BY id", month)
        ]
        made.calls.append(("exif", month, ids))
        state.rows("UPDATE photos SET exif_status = 'ok' WHERE month = ?", month)
        tick()

    class Progress:
        def __init__(self, state, seconds_per_call):
            made.calls.append(("progress", state is made.state, seconds_per_call))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            made.calls.append("end")

        def show(self):
            made.calls.append("show")

    class Sample:
        def __init__(self, state, client, plan, *, connections, tick):
            made.samples.append((state is made.state, client, plan, connections))
            self._tick = tick

        def run(self, pilot=None):
            made.samples.append(("run", pilot))
            self._tick()

    monkeypatch.setattr(module, "read_slice", read)
    monkeypatch.setattr(module, "request_exif_of_month", exif)
    monkeypatch.setattr(module, "SearchProgress", Progress)
    monkeypatch.setattr(module, "Sample", Sample)
    monkeypatch.setattr(module, "start_search", lambda *given: made.calls.append(("start", *given)))
    yield made
    made.state.close()


def reads(made):
    return [(call[1].start, call[1].end, call[2], call[3]) for call in made.calls if call[0] == "client"]


def slices(made, columns):
    return [tuple(row) for row in made.state.rows(f"SELECT {columns} FROM slices ORDER BY id")]


def test_search__months_first_then_parts_then_exif_of_each_month(searching):
    parts = (Slice("2012-01", JANUARY, MIDDLE, (4, 7), 50.0), Slice("2012-01", MIDDLE, FEBRUARY, (4, 7), 50.0))
    searching.answers = {
        (JANUARY, FEBRUARY): SliceReading(9000, parts=parts),
        (JANUARY, MIDDLE): SliceReading(60, (result(1), result(2))),
        (MIDDLE, FEBRUARY): SliceReading(40, (result(3, uploaded=MIDDLE),), complete=False),
        (FEBRUARY, MARCH): SliceReading(30, (result(4, uploaded=FEBRUARY),)),
    }
    search(searching.state, "client", PLAN, connections=5, seconds_per_call=2.0)
    assert searching.calls[:2] == [("start", searching.state, "client", PLAN, 1800.0), ("progress", True, 2.0)]
    assert reads(searching) == [
        (JANUARY, FEBRUARY, "slice 1", 0), (FEBRUARY, MARCH, "slice 2", 0), (JANUARY, MIDDLE, "slice 3", 0),
        (MIDDLE, FEBRUARY, "slice 4", 0),
    ]  # fmt: skip
    assert searching.calls[2][1] == Slice("2012-01", JANUARY, FEBRUARY, (4, 7), 0.0)
    assert searching.calls[6][1] == parts[0]
    assert [call for call in searching.calls if call[0] == "exif"] == [
        ("exif", "2012-01", [1, 2, 3]), ("exif", "2012-02", [4]),
    ]  # fmt: skip
    assert searching.calls[-1] == "end"
    assert searching.calls.count("show") == 4 + 2
    assert slices(searching, "root, status, total, found, estimate, doubted, trusted") == [
        (1, "split", 9000, 0, 0, None, 0), (1, "done", 30, 1, 0, None, 0), (0, "done", 60, 2, 50, None, 0),
        (0, "truncated", 40, 1, 50, None, 0),
    ]  # fmt: skip
    before = len(searching.calls)
    search(searching.state, "client", PLAN, connections=5)  # nothing is left
    assert searching.calls[before:] == [
        ("start", searching.state, "client", PLAN, 3600.0), ("progress", True, 1.0), "end",
    ]  # fmt: skip


def test_search__a_doubted_response_is_read_again_after_the_other_months(searching):
    searching.answers = {
        (JANUARY, FEBRUARY): [SliceReading(0, doubtful=True), SliceReading(0, doubtful=True)],
        (FEBRUARY, MARCH): SliceReading(1, (result(4, uploaded=FEBRUARY),)),
    }
    search(searching.state, "client", replace(PLAN, with_exif=False, empty_again_s=100.0), connections=5)
    assert reads(searching) == [
        (JANUARY, FEBRUARY, "slice 1", 0), (FEBRUARY, MARCH, "slice 2", 0), (JANUARY, FEBRUARY, "slice 1", 100),
    ]  # fmt: skip
    assert slices(searching, "status, doubted, trusted, total, found") == [
        ("done", NOW, 1, 0, 0), ("done", None, 0, 1, 1),
    ]  # fmt: skip
    assert [call for call in searching.calls if call[0] == "exif"] == []
    assert [tuple(row) for row in searching.state.rows("SELECT id, selected FROM photos")] == [(4, 1)]


def test_search__each_licence_in_their_order(searching):
    """The parts of a month before those of the next; whatever the order of the plan, so that a search is repeatable."""
    parts = tuple(Slice("2012-01", JANUARY, MIDDLE, (id,)) for id in (7, 4))
    searching.answers = {(JANUARY, FEBRUARY): [SliceReading(9000, parts=parts), SliceReading(0)]}
    search(searching.state, "client", replace(PLAN, licences=(7, 4), each_licence=True, with_exif=False))
    pieces = [call[1] for call in searching.calls if call[0] == "client"]
    assert [(piece.start, piece.end, piece.licences) for piece in pieces] == [
        *((start, end, (id,)) for start, end in ((JANUARY, FEBRUARY), (FEBRUARY, MARCH)) for id in (4, 7)),
        (JANUARY, MIDDLE, (4,)), (JANUARY, MIDDLE, (7,)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("again", "stored"),
    [
        (SliceReading(1, (result(9),)), ("done", 0, 1, 1)),  # an outage that has passed: nothing is taken on trust
        (SliceReading(0), ("done", 0, 0, 0)),
        (SliceReading(70, (result(9), result(8)), doubtful=True), ("done", 1, 70, 2)),
        (SliceReading(5000, (result(9),), complete=False), ("truncated", 0, 5000, 1)),
    ],
)
def test_search__what_the_second_reading_of_a_doubted_slice_gives(searching, again, stored):
    searching.answers = {(JANUARY, FEBRUARY): [SliceReading(0, doubtful=True), again]}
    search(searching.state, "client", replace(PLAN, end=FEBRUARY, with_exif=False), connections=5)
    assert slices(searching, "status, trusted, total, found") == [stored]
    rows = searching.state.rows("SELECT id FROM photos WHERE selected = 1 ORDER BY id")
    assert [row[0] for row in rows] == sorted(photo.id for photo in again.photos)


def test_search__the_cap_of_an_owner_and_month(searching):
    photos = [result(id, "1@N01") for id in (1, 2, 3, 4)]
    searching.answers = {(JANUARY, FEBRUARY): SliceReading(4, tuple(photos))}
    search(searching.state, "client", PLAN, connections=5)
    rows = searching.state.rows("SELECT id, rank, selected FROM photos ORDER BY rank")
    assert [row[2] for row in rows] == [1, 1]
    assert {row[0] for row in rows} < {1, 2, 3, 4}


def test_search__of_a_sample_is_left_to_it(searching):
    search(searching.state, "client", replace(PLAN, photos=9), connections=5)
    assert searching.samples == [(True, "client", replace(PLAN, photos=9), 5), ("run", None)]
    assert searching.calls[1:] == [("progress", True, 1.0), "show", "end"]
    assert slices(searching, "id") == []


@pytest.mark.parametrize(("photos", "sample"), [(9, 9), (None, PILOT_PLAN)])
def test_pilot__is_the_beginning_of_a_sample(searching, monkeypatch, photos, sample):
    monkeypatch.setattr(module, "forecast", lambda state, target: (state is searching.state, target))
    searching.state.set("calls_per_hour", 77 if photos else None)
    assert pilot(searching.state, "client", replace(PLAN, photos=photos), connections=5) == (True, photos)
    assert searching.calls == [
        ("start", searching.state, "client", replace(PLAN, photos=photos), 77 if photos else 3600)
    ]
    assert searching.samples == [(True, "client", replace(PLAN, photos=sample), 5), ("run", 100)]
    assert PILOT_PLAN == 5000


def test_open_months__with_slices_or_photos_that_are_left(searching):
    state = searching.state
    with state.transaction() as db:
        for month, status in (("2012-05", "pending"), ("2012-06", "done")):
            db.execute(
                'INSERT INTO slices (root, month, start, "end", licences, status, estimate)'
                " VALUES (1, ?, 0, 1, '4', ?, 0)", (month, status),
            )  # fmt: skip
        for id, (month, source, selected, status) in enumerate(
            [("2012-03", "search", 0, None), ("2012-02", "search", 1, None), ("2012-01", "search", 1, "failed"),
             ("2012-04", "search", 1, "ok"), ("2012-07", "import", 1, None), ("2012-08", "search", -1, None)], start=1,
        ):  # fmt: skip
            db.execute(
                "INSERT INTO photos (id, owner, source, urls, rank, month, selected, exif_status)"
                " VALUES (?, 'a', ?, '{}', 0, ?, ?, ?)", (id, source, month, selected, status),
            )  # fmt: skip
    assert module._open_months(state, PLAN) == ["2012-01", "2012-02", "2012-03", "2012-05"]
    assert module._open_months(state, replace(PLAN, with_exif=False)) == ["2012-03", "2012-05"]


def test_read_doubted__waits_no_longer_than_the_plan_says(searching):
    with searching.state.transaction() as db:
        for start, doubted in ((0, NOW - 30), (DAY, NOW + 10**6), (2 * DAY, NOW - 500)):
            db.execute(
                'INSERT INTO slices (root, month, start, "end", licences, status, estimate, doubted)'
                " VALUES (1, 'm', ?, ?, '4', 'pending', 0, ?)", (start, start + DAY, doubted),
            )  # fmt: skip
    progress = SimpleNamespace(show=lambda: searching.calls.append("show"))
    plan = replace(PLAN, empty_again_s=100.0)
    assert module._read_doubted(searching.state, "client", plan, progress) is True
    assert [call[3] for call in searching.calls if call != "show"] == [70, 170, 170]  # the clock was set back since
    assert searching.calls.count("show") == 3
    assert module._read_doubted(searching.state, "client", plan, progress) is False


def test_read_doubted__in_the_order_of_the_slices(searching):
    with searching.state.transaction() as db:
        for month, start in (("2012-03", 2 * DAY), ("2012-01", DAY), ("2012-02", 0)):
            db.execute(
                'INSERT INTO slices (root, month, start, "end", licences, status, estimate, doubted)'
                " VALUES (1, ?, ?, ?, '4', 'pending', 0, ?)", (month, start, start + DAY, NOW),
            )  # fmt: skip
    progress = SimpleNamespace(show=lambda: None)
    assert module._read_doubted(searching.state, "client", PLAN, progress) is True
    assert [call[2] for call in searching.calls] == ["slice 1", "slice 2", "slice 3"]


class Bar:
    """A progress bar that records how it is made and moved."""

    def __init__(self, bars):
        self.bars, self.updates = bars, 0

    def __call__(self, *given, **options):
        self.bars.append((*given, options))
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __iter__(self):
        return iter(self.bars[-1][0])

    def update(self, many=1):
        self.updates += many


def test_bars__of_a_dry_run_a_fill_and_a_build(searching, monkeypatch):
    bars = []
    bar = Bar(bars)
    monkeypatch.setattr(module, "progress_bar", bar)
    monkeypatch.setattr(module, "forecast", lambda state, target: None)
    pilot(searching.state, "client", PLAN, connections=5)
    assert (bars, bar.updates) == (
        [({"desc": "dry run", "unit": "call", "bar_format": "{desc}: {n_fmt} calls [{elapsed}]"},)], 1,
    )  # fmt: skip
    monkeypatch.setattr("builders.processes.progress_bar", bar)
    monkeypatch.setattr("builders.flickrexif.search.fill_classes.fill", lambda *given, tick, **named: tick() or [])
    options = SimpleNamespace(fill="make", per_class=3, connections=4, calls_per_hour=60, dry_run=False, json=False)
    assert steps._fill(options, searching.state, "client", PLAN) == 0
    assert bars.pop() == ({"desc": "fill", "unit": "answer", "bar_format": "{desc}: {n_fmt} answers [{elapsed}]"},)
    assert bar.updates == 2
    monkeypatch.setattr(collecting, "progress_bar", bar)
    for progress in (False, True):
        collecting.collect(searching.state, pixels=False, progress=progress)
        _, made = bars.pop()
        assert made == {"desc": "photos and their Exif", "total": 0, "delay": 2, "silent": not progress}
    monkeypatch.setattr(inspecting, "progress_bar", bar)
    inspecting.inspect_files(searching.state)
    assert bars.pop() == ({"total": 0, "desc": "look into files", "unit": "photo"},)
