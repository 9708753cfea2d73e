"""Rounds of a sample against a plain loop: which photos are selected, in what order, where a dry run ends."""

import pytest

from builders.flickrexif.api.search_results import month_of, rank
from builders.flickrexif.search import sample as module
from builders.flickrexif.search.plan import months
from builders.flickrexif.search.read_slice import SliceReading
from builders.flickrexif.search.strata import round_order, stratum_at, turns_of
from tests.support.flickr_samples import DAY, JANUARY, NOW, Sampling, plan_of, result


@pytest.fixture
def sampling(tmp_path, monkeypatch):
    made = Sampling(tmp_path / "state", monkeypatch, module)
    yield made
    made.state.close()


STARTS = [start for _, start, _ in months(JANUARY, JANUARY + 300 * DAY)]
"""Ten months, more than are advanced together."""
LAST = STARTS[-1]
"""Of this one the sample has a half."""


def world_of(sampling, photos_of_month=40, windows=2):
    """Strata with photos, and the ids of each month in the order in which its windows give them, cut where one ends."""
    sequences = {}
    for number, start in enumerate(STARTS):
        many = 3 if number == 1 else photos_of_month  # one month has three alone
        end = start + (14 if start == LAST else 28) * DAY
        sampling.month(month_of(start), start, end, total=many, windows=windows, each=10)
        ids = [1000 * (number + 1) + i for i in range(many)]
        inside = {}
        for position in range(windows):
            window = start + (end - start) * position // windows
            inside[window] = ids[position::windows]
            results = tuple(result(id, uploaded=window) for id in inside[window])
            sampling.readings[window] = SliceReading(len(results), results)
        stratum, expected = stratum_at(sampling.state, start), many / windows
        sequences[start] = []
        for first in (0, 2)[: 1 + (expected > 10)]:  # five photos a turn, two turns when a window is opened
            late = []
            for opened in range(windows):
                at = module.Stratum(**{**vars(stratum), "opened": opened}).next_window(3)[0]
                ranked = sorted(inside[at], key=lambda id: rank(id, 3))
                turns = turns_of(len(ranked), expected, at, 3)
                of_turns = [[id for id, t in zip(ranked, turns, strict=True) if t == first + i] for i in (0, 1)]
                sequences[start].append(of_turns[0])
                late += of_turns[1]
            sequences[start][-1] = sequences[start][-1] + sorted(late, key=lambda id: rank(id, 3))
    return sequences


def plain_sample(sequences, wanted, has_exif, step=1, pilot=None, have=None):
    """Batches of photos in the order of a sample: every month one more in each round, until there are ``wanted``."""
    left = {start: [[*ids] for ids in parts] for start, parts in sequences.items()}
    month = {id: start for start, parts in sequences.items() for ids in parts for id in ids}
    have = have or dict.fromkeys(sequences, 0)
    closed, batches, number = set(), [], 0
    while sum(have.values()) < wanted and len(closed) < len(left):
        number += 1
        order = round_order(sorted(set(left) - closed), number, 3)
        for at in range(0, len(order), 8):
            again = order[at : at + 8]
            while again and sum(have.values()) < wanted:
                batch, advancing, lacking = [], [], wanted - sum(have.values())
                for start in again:
                    level = number * step * (0.5 if start == LAST else 1.0)
                    if start in closed or have[start] >= level or len(batch) == lacking:
                        continue
                    while left[start] and not left[start][0]:
                        left[start].pop(0)
                    if not left[start]:
                        closed.add(start)
                        continue
                    many = min(lacking - len(batch), max(1, int(level - have[start])))
                    batch += left[start][0][:many]
                    del left[start][0][:many]
                    advancing.append(start)
                batches += [batch] * bool(batch)
                for id in batch:
                    have[month[id]] += has_exif(id)
                again = advancing
            if pilot is not None and sum(map(len, batches)) >= pilot:
                return batches
    return batches


def run_of(sampling, monkeypatch, plan, pilot=None):
    monkeypatch.setattr(module, "add_strata", lambda state, plan: sampling.calls.append(("add", state, plan)))
    sampling.of(plan).run(pilot)
    assert sampling.calls[0] == ("add", sampling.state, plan)
    return [call[1] for call in sampling.calls if call[0] == "exif"]


@pytest.mark.parametrize(("wanted", "pilot"), [(57, None), (57, 30), (5, 30), (4000, None), (60, 0)])
def test_run__selects_as_a_plain_loop_does(sampling, monkeypatch, wanted, pilot):
    """Every third photo has no Exif; the last month is half as long and gets half as many."""
    sequences = world_of(sampling)
    sampling.statuses = dict.fromkeys(range(3, 20_000, 3), "empty")
    batches = run_of(sampling, monkeypatch, plan_of(wanted), pilot)
    assert batches == plain_sample(sequences, wanted, lambda id: id % 3 != 0, pilot=pilot)
    assert len(batches) > 0


def test_run__few_months_are_advanced_by_several_photos_at_once(sampling, monkeypatch):
    """Of three months, a call reads three photos of each: eight divided by the months, rounded up."""
    sequences = world_of(sampling)
    three = (STARTS[0], STARTS[4], LAST)
    sampling.state.rows("DELETE FROM strata WHERE start NOT IN (?, ?, ?)", *three)
    sequences = {start: sequences[start] for start in three}
    batches = run_of(sampling, monkeypatch, plan_of(30))
    assert batches == plain_sample(sequences, 30, lambda id: True, step=3)
    assert len(batches[0]) == 3 + 3 + 1


def test_run__first_the_exif_that_an_earlier_run_has_not(sampling, monkeypatch):
    sequences = world_of(sampling)
    for id, changed in enumerate(
        [{"exif_status": "failed"}, {}, {"exif_status": "ok"}, {"selected": 0}, {"source": "fill"},
         {"exif_status": "hidden"}], start=1,
    ):  # fmt: skip
        sampling.photo(id, "2012-01", JANUARY, **{"selected": 1, "turn": 99, **changed})
    batches = run_of(sampling, monkeypatch, plan_of(12))
    assert batches[0] == [1, 2]
    have = {start: 3 * (start == JANUARY) for start in sequences}  # these two and the one that had its Exif
    assert batches[1:] == plain_sample(sequences, 12, lambda id: True, have=have)


def test_run__waits_where_every_response_is_doubted(sampling, monkeypatch):
    sampling.month("2012-01", JANUARY, JANUARY + 28 * DAY, total=6, windows=1, each=10)
    sampling.readings[JANUARY] = [SliceReading(6, doubtful=True), SliceReading(6, (result(1),))]
    assert run_of(sampling, monkeypatch, plan_of(50)) == [[1]]
    assert [call[0] for call in sampling.calls if call != "tick"] == ["add", "read", "read", "exif"]
    assert sampling.state.clock.now() == NOW + 600 + 1  # the second tick; the first was after the doubt


def test_run__without_exif_calls_leaves_what_is_pending(sampling, monkeypatch):
    world_of(sampling)
    sampling.photo(1, "2012-01", JANUARY, selected=1, turn=0)
    assert run_of(sampling, monkeypatch, plan_of(1, with_exif=False)) == []
    assert sampling.calls == [("add", sampling.state, plan_of(1, with_exif=False))]
