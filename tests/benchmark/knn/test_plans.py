"""How kNN cuts its work, what it stores of each part, and what its progress counts: by hand and by names of files."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from benchmark.knn import KnnAnswers, knn_setups, lists, query_views, setups
from benchmark.knn.lists import BlockPlan, KnnQuestion, by_photos, plan_blocks
from benchmark.knn.setups import BY_PHOTO, CachedParts
from tests.benchmark.knn.definition import Case, assert_same, make_case

MIB = 1 << 20


def question(c: int, k: int, n_train: int, n_test: int, dimension: int, seeds: int = 10, device: str = "cpu") -> Any:
    bank = SimpleNamespace(shape=(n_train, dimension))
    return KnnQuestion(
        cast("Any", [bank] * c),
        cast("Any", [bank] * c),
        np.zeros(n_train, np.int64),
        np.zeros(n_test, np.int64),
        np.zeros((seeds, n_train), np.int8),
        np.zeros((seeds, n_test), np.int8),
        k,
        torch.device(device),
    )


def per_photo(c: int, k: int, dimension: int, seeds: int, same: int, other: int) -> int:
    """Bytes of a test photo: unit rows, both sides of all lists twice, a search, merged lists and neighbours."""
    of_lists = sum(8 * (same if t == o else other) for t in range(c) for o in range(c) for _ in range(2))
    of_search = c * 2 * 2 * max(same, other) * 8
    return 4 * c * dimension + 2 * of_lists + of_search + 16 * c * c * k * 8 + 4 * c * seeds * k * 8 + 1024


@pytest.mark.parametrize(
    ("c", "k", "same", "other"), [(1, 10, 10, 10), (1, 3, 3, 3), (2, 1, 12, 5), (3, 10, 68, 50), (6, 5, 68, 25)]
)
def test_plan__depths_of_lists(c: int, k: int, same: int, other: int) -> None:
    plan = plan_blocks(question(c, k, 100, 50, 8), 1 << 30)
    assert (plan.same_depth, plan.other_depth) == (same, other)
    assert [[plan.depth(t, o) for o in range(c)] for t in range(c)] == [
        [same if t == o else other for o in range(c)] for t in range(c)
    ]


@pytest.mark.parametrize(
    ("given", "memory", "photos", "columns", "rows"),
    [
        # all fits: all test photos at once, columns rounded up to whole groups of 32
        (question(3, 10, 100, 50, 8), 1 << 30, 50, 128, 50),
        (question(2, 3, 32, 7, 4), 1 << 30, 7, 32, 7),
        # hardly any memory: one test photo, one group of columns
        (question(3, 10, 100, 50, 8), 1, 1, 32, 1),
        # 6 classes x 1.2 million x 768 numbers: 132 photos are 2**42 products, but 4096 // 6 is the least of a part
        (question(6, 10, 1_200_000, 50_000, 768), 1 << 40, 676, 1 << 15, 169),
        # of 3 classes x 100,000 x 64: 2**42 // (9 * 6,400,000) = 76,354 photos, in two equal parts of 150,000
        (question(3, 10, 100_000, 150_000, 64), 1 << 44, 75_000, 1 << 15, 341),
        # a GPU has larger parts and wider blocks, which memory alone bounds
        (question(3, 10, 100_000, 150_000, 64, device="cuda"), 1 << 44, 150_000, 1 << 16, 150_000),
    ],
)
def test_plan__by_hand(given: Any, memory: int, photos: int, columns: int, rows: int) -> None:
    plan = plan_blocks(given, memory)
    assert (plan.photos, plan.columns, plan.rows) == (photos, columns, rows)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("memory", [3 * MIB, 40 * MIB, 700 * MIB])
def test_plan__the_largest_that_fits_its_shares_of_the_memory(memory: int, device: str) -> None:
    """A quarter for what grows with test photos, an eighth for train photos, half for similarities; equal parts."""
    c, k, dimension, seeds, n_test, n_train = 3, 10, 96, 7, 100_003, 300_000
    plan = plan_blocks(question(c, k, n_train, n_test, dimension, seeds, device), memory)
    of_photo = per_photo(c, k, dimension, seeds, plan.same_depth, plan.other_depth)
    most = memory // 4 // of_photo
    parts = -(-n_test // most)
    assert plan.photos == -(-n_test // parts)
    widest = 1 << (15 if device == "cpu" else 16)
    assert plan.columns == min(widest, memory // 8 // (8 * dimension + 8) // 32 * 32)
    pairs = memory // 2 // (4 * c + 32)
    if device == "cpu":
        pairs = min(pairs, (1 << 25) // c)
    most_rows = max(1, pairs // plan.columns)
    blocks = -(-plan.photos // most_rows)
    assert plan.rows == -(-plan.photos // blocks)


def test_plan__without_a_bound_asks_for_the_budget_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    given, devices = question(3, 10, 5000, 5000, 8), []
    monkeypatch.setattr(lists, "budget", lambda device: devices.append(device) or 3 * MIB)
    assert plan_blocks(given, None) == plan_blocks(given, 3 * MIB)
    assert devices == [given.device]


def test_by_photos__a_gpu_works_on_all_photos_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "LEAST_KEYS", 1)
    monkeypatch.setattr(lists, "parallel_map", lambda work, pieces: [work(piece) for piece in pieces])
    assert by_photos(lambda rows: rows, question(2, 3, 9, 9, 4, device="cuda"), 9) == [slice(0, 9)]
    pieces = by_photos(lambda rows: (rows.start, rows.stop), question(2, 3, 9, 9, 4), 9)
    assert (pieces[0][0], pieces[-1][1]) == (0, 9)


def test_question__classes_and_dimension() -> None:
    given = question(4, 3, 9, 5, 77)
    assert (given.classes, given.dimension, lists.merged_width(given)) == (4, 77, 36)
    assert BlockPlan(1, 32, 1, 7, 3).depth(2, 2) == 7


@pytest.fixture
def parts_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "LEAST_QUERIES", 15)
    monkeypatch.setattr(lists, "PART_WORK", {True: 1, False: 1})


@pytest.fixture
def case(parts_of_five: None) -> Case:
    return make_case(3, n_test=12)


def test_parts__files_by_their_photos_with_every_array(case: Case, tmp_path: Path) -> None:
    whole = case.answers(k=3, keep=tmp_path)
    stored = {path.name: np.load(path) for path in sorted(tmp_path.iterdir())}
    assert list(stored) == [f"{start:09d}-{start + 4:09d}.npz" for start in (0, 4, 8)]
    for start, arrays in zip((0, 4, 8), stored.values(), strict=True):
        assert set(arrays) == {"photos", *BY_PHOTO}
        assert arrays["photos"].tolist() == [start, start + 4]
        for name in BY_PHOTO:
            expected = getattr(whole, name)[..., start : start + 4]
            assert arrays[name].dtype == expected.dtype
            np.testing.assert_array_equal(arrays[name], expected, err_msg=name)


def damage(path: Path, **changes: np.ndarray | None) -> None:
    arrays = {**np.load(path)} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize("name", BY_PHOTO)
def test_parts__one_that_lacks_an_array_or_has_another_type_is_computed_again(
    case: Case, tmp_path: Path, name: str
) -> None:
    whole = case.answers(k=3, keep=tmp_path)
    first, second, third = sorted(tmp_path.iterdir())
    arrays = np.load(first)
    wrong = {n: np.ones_like(arrays[n]) for n in BY_PHOTO}
    damage(first, **{**wrong, name: None})
    other_type = np.int64 if arrays[name].dtype != np.int64 else np.int32
    damage(second, **{**wrong, name: arrays[name].astype(other_type)})
    damage(third, **{**wrong, name: arrays[name][..., :-1]})
    assert_same(case.answers(k=3, keep=tmp_path), whole)


def test_parts__photos_of_a_part_that_are_no_pair_are_ignored_and_good_parts_are_read(
    case: Case, tmp_path: Path
) -> None:
    whole = case.answers(k=3, keep=tmp_path)
    first, second, third = sorted(tmp_path.iterdir())
    damage(first, photos=np.array([0, 4, 8]))
    damage(second, photos=None)
    (tmp_path / "notes.txt").write_text("no part")
    damage(third, tied=np.load(third)["tied"] + 1)
    again = case.answers(k=3, keep=tmp_path)
    np.testing.assert_array_equal(again.correct, whole.correct)
    np.testing.assert_array_equal(again.tied - whole.tied, np.tile(np.repeat([0, 0, 1], 4), (6, 1)))
    empty = CachedParts(None)
    assert not empty.restore(whole).any()
    empty.save(whole, slice(0, 4))  # without a folder nothing is stored, and nothing fails


class Bar:
    """A progress bar that remembers what it is told."""

    def __init__(self, **given: Any) -> None:
        self.given, self.done = given, 0
        bars.append(self)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, count: int) -> None:
        self.done += count


bars: list[Bar] = []


def test_progress__counts_pairs_of_photos_that_are_left(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars.clear()
    monkeypatch.setattr(setups, "step_bar", Bar)
    case.answers(k=3, keep=tmp_path)
    shutil.copy(sorted(tmp_path.iterdir())[1], tmp_path / "part")
    for path in tmp_path.glob("*.npz"):
        path.unlink()
    (tmp_path / "part").rename(tmp_path / "part.npz")
    case.answers(k=3, keep=tmp_path)
    case.answers(k=3, only=slice(2, 5))
    named = {"desc": "kNN", "unit": "pair", "unit_scale": True}
    # each pair of a test and a train photo once in each of three classes of the train photo
    assert [bar.given for bar in bars] == [{**named, "total": count * 40 * 3} for count in (12, 8, 3)]
    assert [bar.done for bar in bars] == [count * 40 * 3 for count in (12, 8, 3)]


def test_search__goes_on_with_less_memory_from_the_budget_or_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    case, calls = make_case(1, n_test=4), []
    monkeypatch.setattr(
        setups, "with_less_memory", lambda name, work, memory: calls.append((name, memory)) or work(memory)
    )
    monkeypatch.setattr(setups, "budget", lambda device: 1000 + len(str(device)))
    knn_setups(**vars(case), k=2)
    knn_setups(**vars(case), k=2, memory_bytes=77)
    assert calls == [("kNN", 1000 + len("cpu")), ("kNN", 77)]


@pytest.mark.parametrize(("part", "only"), [(None, None), ((0, 2), slice(0, 9)), ((1, 2), slice(9, 18))])
def test_views__are_stacked_as_one_set_of_queries(
    part: tuple[int, int] | None, only: slice | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One collection and one class, so that no assignment is drawn; bounds and folders are passed on."""
    calls: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(
        query_views, "knn_setups", lambda *given, **more: calls.append((given, more)) or setups_of(more)
    )
    train, views = np.eye(4), [np.full((6, 4), float(i)) for i in range(3)]

    def setups_of(more: dict[str, Any]) -> KnnAnswers:
        return knn_setups([train], [np.concatenate(views)], np.arange(4), np.tile(np.arange(6), 3), **{
            **more, "device": "cpu", "keep": None, "memory_bytes": None})  # fmt: skip

    made = query_views.knn_of_views(
        train, views, np.arange(4), np.arange(6), k=3, device="cuda", memory_bytes=7, keep=tmp_path, part=part
    )
    ((collection, stacked, train_labels, test_labels), more) = calls[0]
    assert collection == [train]
    (bank,) = stacked
    assert (bank.shape, bank[4:14].tolist()) == (
        (18, 4),
        np.repeat([0.0, 1.0, 2.0], [2, 6, 2])[:, None].repeat(4, 1).tolist(),
    )
    assert (bank[5:5].shape, bank[:].dtype) == ((0, 4), np.float32)
    assert (train_labels.tolist(), test_labels.tolist()) == ([0, 1, 2, 3], [0, 1, 2, 3, 4, 5] * 3)
    assert [more.pop(name).tolist() for name in ("train_assignments", "test_assignments")] == [[[0] * 4], [[0] * 18]]
    assert more == {"k": 3, "device": "cuda", "memory_bytes": 7, "keep": tmp_path, "only": only}
    assert (made.correct.shape, made.random.dtype, made.k) == ((3, 6), np.float64, 3)
