"""Which rows of a board may be paired: photos of one kind, bounds, clusters, and a share of common photos."""

import numpy as np
import pytest

from benchmark.leaderboard import pairing, shown_photos
from benchmark.leaderboard.pairing import CodedValues, PhotoList, _common, _equal, _Row, _units
from benchmark.results import PhotoValues
from benchmark.tasks import all_tasks
from builders.errors import PhotoError
from tests.benchmark.leaderboard.test_page_parts import photo_set, shown_result, strip


def part(photos, clusters=None, bounds=(0.0, 1.0)):
    ids = np.asarray(photos)
    names = None if clusters is None else np.asarray(clusters)
    return CodedValues(PhotoList(b"", ids, names), bounds, np.zeros(len(ids)), None)


def row(*parts):
    return _Row(0, 0.5, (1.0,) * len(parts), parts)


def codes(units):
    return [None if code is None else code.tolist() for code in units.codes]


def test_units__of_the_parts_of_a_row():
    plain = _units(row(part([3, 5, 9])))
    assert (plain.at, codes(plain), plain.count) == ((None,), [None], 3)
    equal = _units(row(part([3, 5]), part([3, 5])))
    assert (codes(equal), equal.count) == ([None, None], 2)
    apart = _units(row(part([3, 5]), part([5, 7])))
    assert apart.count == 3
    assert codes(apart)[0][1] == codes(apart)[1][0]
    clustered = _units(row(part([3, 5, 9], ["a", "b", "a"])))
    assert clustered.count == 2
    assert codes(clustered)[0][0] == codes(clustered)[0][2] != codes(clustered)[0][1]
    assert _units(row(part([3, 5]), part(["p1", "p2"]))) is None
    chosen = _units(row(part([3, 5, 9], ["a", "b", "a"])), [np.array([0, 2])])
    assert (chosen.count, chosen.at[0].tolist()) == (1, [0, 2])


def test_common__nine_tenths_of_the_photos_of_either():
    ten = part(np.arange(10))
    whole, other = _common(row(ten), row(part(np.arange(1, 10))))
    assert (whole.at[0].tolist(), other.at[0].tolist()) == ([*range(1, 10)], [*range(9)])
    assert (whole.count, codes(whole)) == (9, [None])
    assert _common(row(ten), row(part(np.arange(2, 10)))) is None
    assert _common(row(part(np.arange(1, 10))), row(ten)) is not None
    for changed in (part([f"p{i}" for i in range(10)]), part(np.arange(10), bounds=(-1.0, 1.0))):
        assert _common(row(ten), row(changed)) is None
    owners = np.repeat([0, 1, 2, 3, 4], 2)
    same = _common(row(part(np.arange(10), owners)), row(part(np.arange(10), owners * 7)))
    assert same is not None
    assert same[0].count == 5
    others = owners.copy()
    others[[1, 2]] = others[[2, 1]]
    assert _common(row(part(np.arange(10), owners)), row(part(np.arange(10), others))) is None
    assert _common(row(part(np.arange(10), owners)), row(ten)) is None
    assert _common(row(part(np.arange(10), np.arange(10))), row(ten)) is not None


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (None, None, True),
        ([0, 1, 2], None, True),
        (None, [0, 1, 2], True),
        ([0, 0, 1], None, False),
        ([0, 0, 1], [0, 0, 1], True),
        ([0, 0, 1], [0, 1, 1], False),
    ],
)
def test_equal__codes_of_units(a, b, equal):
    arrays = [None if codes is None else np.array(codes) for codes in (a, b)]
    assert _equal(*arrays) is equal


@pytest.mark.parametrize(("count", "kind"), [(2, np.uint8), (256, np.uint8), (257, np.uint16), (65536, np.uint16)])
def test_stored_answers__codes_as_small_as_they_may_be(count, kind):
    answers = pairing.StoredAnswers(all_tasks())
    values = np.linspace(0, 1, count)[::-1].copy()
    coded = answers._coded(PhotoValues(np.arange(count), values, (0.0, 1.0)))
    assert (coded.codes.dtype, coded.bounds) == (kind, (0.0, 1.0))
    assert np.array_equal(coded.values(), values)
    assert np.array_equal(coded.values(np.array([1, 0])), values[[1, 0]])
    again = answers._coded(PhotoValues(np.arange(count), values, (0.0, 1.0)))
    assert again.photo_list is coded.photo_list
    clustered = answers._coded(PhotoValues(np.arange(count), values, (0.0, 1.0), np.zeros(count)))
    assert clustered.photo_list is not coded.photo_list
    assert clustered.photo_list.nbytes == 2 * coded.photo_list.nbytes == 16 * count


def test_stored_answers__more_values_than_codes_are_as_they_are():
    values = np.linspace(0, 1, 65537)
    coded = pairing.StoredAnswers(all_tasks())._coded(PhotoValues(np.arange(65537), values, (0.0, 1.0)))
    assert coded.table is None
    assert np.array_equal(coded.values(), values)


def test_stored_answers__the_least_recently_used_are_dropped_first(monkeypatch):
    reads = []

    def task_answers(file, task, questions):
        reads.append((file, task, questions))
        return {"m": PhotoValues(np.arange(8), np.arange(8) / 8, (0.0, 1.0))}

    monkeypatch.setattr(pairing, "task_answers", task_answers)
    files = [object() for _ in range(3)]
    one = 8 + 64  # a byte a code, and the list of photos, which all share
    answers = pairing.StoredAnswers("questions", limit=one + 8)
    first = answers.get(files[0], "t", "m")
    assert answers.get(files[1], "t", "m").photo_list is first.photo_list
    assert answers.get(files[0], "t", "m") is first
    assert answers.get(files[0], "t", "other") is None
    assert reads == [(files[0], "t", "questions"), (files[1], "t", "questions")]
    answers.get(files[2], "t", "m")  # one of the first two has to go: the second, which was used longer ago
    assert answers.get(files[0], "t", "m") is first
    answers.get(files[1], "t", "m")
    assert [files.index(file) for file, *_ in reads] == [0, 1, 2, 1]


def test_shown_photos__details_that_cannot_be_made_are_left_out(make, monkeypatch):
    def fails(*given):
        raise PhotoError("too small")

    monkeypatch.setattr(shown_photos, "details_of", fails)
    shown = shown_photos.shown_photos([shown_result(make, [strip("0.png", ["1.png"])])], [photo_set()], passed_on=False)
    assert (shown.views, list(shown.photos["toy"])) == ({}, ["0.png", "1.png"])
