"""Paths that are taken seldom, each by a direct call."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.bank import Bank, gates
from benchmark.bank.fill import answers
from benchmark.bank.photo_hashes import SAVED_EVERY_S, PhotoHashes


@pytest.mark.parametrize(("since", "saves"), [(SAVED_EVERY_S - 1, 0), (SAVED_EVERY_S + 1, 1)])
def test_learn__saves_from_time_to_time(monkeypatch, since, saves):
    saved = []
    monkeypatch.setattr(PhotoHashes, "save", lambda self: saved.append(self))
    hashes = PhotoHashes.__new__(PhotoHashes)
    hashes._known, hashes._lasting = np.zeros(2, bool), np.zeros(2, bool)
    hashes._digests, hashes.read_now = np.zeros((2, 3), np.uint8), 0
    monkeypatch.setattr("benchmark.bank.photo_hashes.time.monotonic", lambda: 1000.0 + since)
    hashes._saved_at = 1000.0
    hashes.learn(1, b"")
    assert (hashes.read_now, saved) == (0, [])
    hashes.learn(1, b"abc")
    hashes.learn(1, b"xyz")  # known
    assert (hashes.read_now, len(saved), hashes._unsaved) == (1, saves, True)
    assert hashes._digests.tolist() == [[0, 0, 0], list(b"abc")]
    assert (hashes._known.tolist(), hashes._lasting.tolist()) == ([False, True], [False, True])


def test_save__rows_of_other_photos_stay_and_those_of_these_only_where_they_have_settled(tmp_path, monkeypatch):
    table = {1: 10, 2: 20, 3: 30}
    hashes = PhotoHashes.__new__(PhotoHashes)
    hashes._file, hashes._stamps, hashes._unsaved, hashes._store = tmp_path / "t.npz", object(), True, True
    hashes.photos = SimpleNamespace(name="folder:x")
    hashes._keys = np.array([[2, 0], [4, 0], [3, 0]], "<u8")
    hashes._digests = np.array([[21] * 16, [40] * 16, [31] * 16], np.uint8)
    hashes._lasting = np.array([True, True, False])
    older = np.array([[key, 0] for key in table], "<u8"), np.array([[value] * 16 for value in table.values()], np.uint8)
    monkeypatch.setattr(PhotoHashes, "_settled", lambda self: np.array([True, False, True]))
    monkeypatch.setattr("benchmark.bank.photo_hashes._read_table", lambda path: older)
    hashes.save()
    stored = np.load(tmp_path / "t.npz")
    assert dict(zip(stored["keys"][:, 0].tolist(), stored["digests"][:, 0].tolist(), strict=True)) == {1: 10, 2: 21}
    assert (str(stored["name"]), hashes._unsaved) == ("folder:x", False)


@pytest.mark.parametrize(("of_questions", "size"), [(None, 64), (3, 3)])
def test_fill_answers__a_number_of_pictures_that_is_part_of_the_question_comes_first(monkeypatch, of_questions, size):
    class Done(Exception):
        pass

    def fitting(answerer, batch):
        assert batch == size
        raise Done

    monkeypatch.setattr(answers, "missing_parts", lambda names, stores, blocks: [])
    monkeypatch.setattr(answers, "_Fitting", fitting)
    given = SimpleNamespace(names=()), None, SimpleNamespace(batch=of_questions), None
    with pytest.raises(Done):
        answers.fill_answers(None, *given, batch_size=64, workers=0)


def test_failures__the_reason_of_the_first_block_counts_whichever_view_has_it():
    def view(**blocks):
        made = [SimpleNamespace(index=int(name[1:]), failures=reasons) for name, reasons in blocks.items()]
        return SimpleNamespace(markers=lambda: made)

    bank = SimpleNamespace(
        _views={
            "v": view(b2={"x": "late", "y": "of v"}, b0={"z": "first"}),
            "w": view(b1={"x": "early"}, b3={"y": "of w", "z": "last"}),
        }
    )
    assert list(Bank.failures(bank).items()) == [("z", "first"), ("x", "early"), ("y", "of v")]


@pytest.mark.parametrize(
    ("photos", "near", "passed", "ratio", "counts"),
    [
        (1, True, False, 0.0, [1]),
        (5, True, True, 10.0, [1]),
        (5, True, True, 9.99, [1, 7]),
        (5, True, False, 10.0, [1, 7]),
        (5, True, True, None, [1, 7]),
        (5, False, True, 99.0, [7]),
        (1, False, True, 99.0, [7]),
    ],
)
def test_compare_runtimes__one_photo_decides_alone_or_by_far(monkeypatch, photos, near, passed, ratio, counts):
    calls = []
    verdict = SimpleNamespace(passed=passed, ratio=ratio)
    monkeypatch.setattr(gates, "neighbouring", lambda names: near)
    monkeypatch.setattr(gates, "all_views", lambda photos, options: SimpleNamespace(names=()))
    monkeypatch.setattr(gates, "_compare_sample", lambda *given: calls.append(given[3]) or verdict)
    monkeypatch.setattr(gates, "RUNTIME_SAMPLE", 7)
    monkeypatch.setattr(gates, "THRESHOLD", 2.0)
    monkeypatch.setattr(gates, "BY_FAR", 5.0)
    assert gates._compare_runtimes(None, None, range(photos), None) is verdict
    assert calls == counts
