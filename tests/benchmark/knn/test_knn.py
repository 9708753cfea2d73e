"""The kNN suite against the full definition, triple by triple and query by query, on data where arithmetic is exact."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.knn.answers import SPD, KnnAnswers, Setup, Ties, setup_shares
from benchmark.knn.setups import knn_setups
from benchmark.knn.topk import NOTHING, pack_keys, read_unit_rows, top_keys, unpack_indices
from builders.errors import DataError, UsageError

SETUPS = [setup.label for setup in Setup]


def exact_vectors(rng: np.random.Generator, n: int, dimension: int = 16, *, zeros: float = 0.05) -> np.ndarray:
    """Vectors whose norms are powers of two: unit vectors, and all their products, are exact and tie often."""
    vectors = np.zeros((n, dimension), np.float32)
    for row in vectors:
        nonzero = rng.choice([1, 4, 16])
        row[rng.choice(dimension, nonzero, replace=False)] = rng.choice([-1, 1], nonzero)
        row *= 2.0 ** rng.integers(-3, 4) if rng.random() >= zeros else 0.0
    return vectors


@dataclasses.dataclass
class Case:
    train: list[np.ndarray]
    test: list[np.ndarray]
    train_labels: np.ndarray
    test_labels: np.ndarray
    train_assignments: np.ndarray
    test_assignments: np.ndarray

    def answers(self, **options: object) -> KnnAnswers:
        return knn_setups(**vars(self), **options)


def make_case(
    seed: int, *, c: int = 3, n_train: int = 40, n_test: int = 9, labels: int = 4, seeds: int = 3, same: float = 0.5
) -> Case:
    """Classes of one photo share their vector with probability ``same``."""
    rng = np.random.default_rng(seed)

    def banks(n: int) -> list[np.ndarray]:
        base = exact_vectors(rng, n)
        return [np.where(rng.random((n, 1)) < same, base, exact_vectors(rng, n)) for _ in range(c)]

    return Case(
        banks(n_train),
        banks(n_test),
        rng.integers(0, labels, n_train),
        rng.integers(0, labels, n_test),
        rng.integers(0, c, (seeds, n_train)),
        rng.integers(0, c, (seeds, n_test)),
    )


# ---------------------------------------------------------------------------------------------- the full definition


DRAWS = 1000


def reference(case: Case, k: int) -> dict[str, np.ndarray]:
    """Votes by outcome [6 set-ups, photos], by the text of the protocol: every combination, every query.

    ``random`` is the mean of 1,000 times in which every tie went to one of its labels by lot; ``variance`` is that of
    such a mean.
    """
    c, n_test, seeds = len(case.train), len(case.test_labels), len(case.train_assignments)
    found = {name: np.zeros((6, n_test)) for name in ("correct", "tied", "least", "greatest", "random", "variance")}
    rules = {name: np.zeros((4, n_test)) for name in ("worst", "best")}
    rng = np.random.default_rng(0)
    others = [(t, o) for t in range(c) for o in range(c) if o != t]
    for q in range(n_test):
        same_label = case.train_labels == case.test_labels[q]

        def ask(setup: str, t: int, drawn: np.ndarray, q: int = q) -> None:
            collection = np.stack([case.train[drawn[i]][i] for i in range(len(drawn))])
            leaders = reference_vote(case.test[t][q], collection, case.train_labels, k)
            truth, at = case.test_labels[q], (SETUPS.index(setup), q)
            lots = np.array(leaders)[rng.integers(0, len(leaders), DRAWS)]
            found["correct"][at] += leaders[0] == truth
            found["tied"][at] += len(leaders) > 1
            found["least"][at] += all(label == truth for label in leaders)
            found["greatest"][at] += any(label == truth for label in leaders)
            found["random"][at] += np.mean(lots == truth)
            found["variance"][at] += 0.25 / DRAWS if len(leaders) > 1 and truth in leaders else 0.0

        for o in range(c):  # the collection; an adversary tries every processing of the query
            votes = [reference_vote(case.test[t][q], case.train[o], case.train_labels, k) for t in range(c)]
            truth = case.test_labels[q]
            by_rule = (
                [float(leaders[0] == truth) for leaders in votes],
                [(truth in leaders) / len(leaders) for leaders in votes],
                [float(leaders == [truth]) for leaders in votes],
                [float(truth in leaders) for leaders in votes],
            )
            rules["worst"][:, q] += [min(answers) for answers in by_rule]
            rules["best"][:, q] += [max(answers) for answers in by_rule]
        for t in range(c):
            ask("all-same", t, np.where(same_label, t, t))
            for s in range(seeds):
                ask("uniform", t, case.train_assignments[s])
        for t, o in others:
            ask("all-diff", t, np.where(same_label, o, o))
            ask("pos-same", t, np.where(same_label, t, o))
            ask("neg-same", t, np.where(same_label, o, t))
        for fixed in range(c):
            for s in range(seeds):
                ask("uniform-test", case.test_assignments[s, q], np.where(same_label, fixed, fixed))
    return found | rules


def reference_vote(query: np.ndarray, collection: np.ndarray, labels: np.ndarray, k: int) -> list[int]:
    """The labels with most votes, in order of their nearest neighbour."""

    query, rows = query.astype(float), collection.astype(float)
    norms = np.sqrt(np.sum(query**2)) * np.sqrt(np.sum(rows**2, axis=1))
    cosines = np.divide((query * rows).sum(axis=1), norms, out=np.zeros(len(rows)), where=norms > 0)
    similarity = cosines.tolist()
    order = sorted(range(len(collection)), key=lambda i: (-similarity[i], i))[:k]
    votes: dict[int, int] = {}
    for i in order:
        votes[labels[i]] = votes.get(labels[i], 0) + 1
    return [label for label in votes if votes[label] == max(votes.values())]


def assert_equals_reference(case: Case, k: int, **options: object) -> None:
    answers, expected = case.answers(k=k, **options), reference(case, k)
    for name in ("correct", "tied", "least", "greatest"):
        np.testing.assert_array_equal(getattr(answers, name), expected[name], err_msg=name)
    for name in ("worst", "best"):
        np.testing.assert_allclose(getattr(answers, name), expected[name], rtol=0, atol=1e-12, err_msg=name)
    # six standard errors of the lots of one photo and set-up
    assert (np.abs(answers.random - expected["random"]) <= 6 * np.sqrt(expected["variance"]) + 1e-9).all()


def assert_same(a: KnnAnswers, b: KnnAnswers, photos: np.ndarray | slice = slice(None)) -> None:
    """Equal answers; ``photos`` is where the photos of ``b`` stand in ``a``."""
    for field in dataclasses.fields(KnnAnswers):
        x, y = getattr(a, field.name), getattr(b, field.name)
        per_photo = isinstance(x, np.ndarray) and field.name != "combinations"
        np.testing.assert_array_equal(x[..., photos] if per_photo else x, y, err_msg=field.name)


# --------------------------------------------------------------------------------------------------------- equality


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_knn_setups__equals_the_definition(seed: int, k: int) -> None:
    assert_equals_reference(make_case(seed, same=[0.0, 0.5, 0.9][seed % 3]), k)


def test_knn_setups__wide_blocks_by_group_maxima() -> None:
    case = make_case(1, c=2, n_train=700, n_test=6, labels=2, seeds=2)
    assert_equals_reference(case, 3)


@pytest.mark.parametrize("k", [7, 60])
def test_knn_setups__k_beyond_positives_or_train_photos(k: int) -> None:
    assert_equals_reference(make_case(3, n_train=30, labels=10), k)


def test_knn_setups__fewer_train_photos_than_k() -> None:
    assert_equals_reference(make_case(4, n_train=1, n_test=5, labels=2), 10)


def test_knn_setups__labels_absent_from_train() -> None:
    case = make_case(5)
    case.train_labels[:] = np.where(case.train_labels == 0, 1, case.train_labels)
    assert (case.test_labels == 0).any()
    assert_equals_reference(case, 5)
    answers = case.answers(k=5)
    assert not answers.correct[:, case.test_labels == 0].any()


def test_knn_setups__one_label() -> None:
    case = make_case(6, labels=1)
    assert_equals_reference(case, 5)
    values = case.answers(k=5).values
    assert {name: value for name, value in values.items() if name != SPD} == dict.fromkeys([*SETUPS, "worst"], 1.0)


def test_knn_setups__one_processing_class() -> None:
    case = make_case(7, c=1)
    assert_equals_reference(case, 5)
    answers = case.answers(k=5)
    assert list(answers.values) == ["all-same", "uniform", "uniform-test"]
    assert SPD not in answers.values
    assert len(set(answers.values.values())) == 1


def test_knn_setups__duplicates_and_zero_vectors() -> None:
    case = make_case(8, n_train=60)
    for bank in case.train:
        bank[20:50] = bank[:30]
        bank[50:] = 0
    case.test[0][:3] = 0
    assert_equals_reference(case, 6)


def test_knn_setups__all_embeddings_equal() -> None:
    case = make_case(9, n_train=300)
    for bank in (*case.train, *case.test):
        bank[:] = 1
    answers = case.answers(k=10)
    first = np.bincount(case.train_labels[:10])
    assert (answers.plain == (case.test_labels == first.argmax())).all()
    assert_equals_reference(case, 10)


def test_knn_setups__unproven_uniform_neighbours_are_computed() -> None:
    """All neighbours of every list come from one class that few train photos are seen through."""
    case = make_case(10, c=3, n_train=500, n_test=5, labels=3, same=0)
    for bank in case.train[1:]:
        bank[:] = np.where(np.arange(16) < 4, -case.test[0][0], 0)
    case.train_assignments[:] = np.random.default_rng(0).choice(3, case.train_assignments.shape, p=[0.02, 0.49, 0.49])
    assert_equals_reference(case, 3)
    assert_equals_reference(case, 3, memory_bytes=1)


def test_knn_setups__drawn_class_is_the_farthest() -> None:
    """Every list is complete, but the nearest of all lists together hold nothing of the class that was drawn."""
    rng = np.random.default_rng(0)
    case = make_case(14, c=4, n_train=12, n_test=3, labels=3, same=0)
    for bank in case.test:
        bank[:] = 1
    for bank in case.train[:3]:
        bank[:] = np.eye(16)[rng.integers(0, 16, 12)]
    far = case.train[3]
    far[:] = 0
    for row in far:
        row[rng.choice(16, 4, replace=False)] = rng.choice([[-1, -1, -1, -1], [-1, -1, 1, -1], [1, -1, -1, 1]])
    case.train_assignments[:] = 3
    assert_equals_reference(case, 3)


def test_knn_setups__hand_computed_tie() -> None:
    """Two votes for each of two labels: the label of the nearest neighbour wins."""
    train = [np.array([[0.6, 0.8], [1, 0], [0.8, 0.6], [0.6, 0.8], [-1, 0]], np.float32)]
    case = Case(
        train,
        [np.array([[2.0, 0]], np.float32)],
        np.array([5, 5, 9, 9, 7]),
        np.array([9]),
        np.zeros((1, 5), int),
        np.zeros((1, 1), int),
    )
    # order: 1 (label 5, 1.0), 2 (label 9, 0.8), 0 (label 5, 0.6, lower index), 3 (label 9, 0.6), 4
    assert case.answers(k=4).values["all-same"] == 0.0
    assert case.answers(k=4).tied_share["all-same"] == 1.0
    assert case.answers(k=3).tied_share["all-same"] == 0.0
    case.test_labels[:] = 5
    assert case.answers(k=4).values["all-same"] == 1.0
    assert case.answers(k=4).ties["all-same"] == Ties(share=1.0, least=0.0, greatest=1.0, random=0.5)
    assert case.answers(k=3).ties["all-same"] == Ties(share=0.0, least=1.0, greatest=1.0, random=1.0)
    # three labels with one vote each, four votes in which the query's label does not lead
    case.train_labels[:] = [5, 6, 9, 8, 7]
    assert case.answers(k=3).ties["all-same"].random == pytest.approx(1 / 3)
    case.train_labels[:] = [5, 6, 6, 9, 9]
    assert case.answers(k=5).ties["all-same"] == Ties(share=1.0, least=0.0, greatest=0.0, random=0.0)


# ------------------------------------------------------------------------------------------------------------- laws


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([1, 20_000, 400_000, 1 << 26]))
def test_knn_setups__memory_changes_nothing(seed: int, k: int, memory_bytes: int) -> None:
    case = make_case(seed, c=2, n_train=150, n_test=7)
    assert_same(case.answers(k=k, memory_bytes=memory_bytes), case.answers(k=k))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_knn_setups__permuted_queries(seed: int) -> None:
    case = make_case(seed)
    order = np.random.default_rng(seed).permutation(len(case.test_labels))
    permuted = dataclasses.replace(
        case,
        test=[bank[order] for bank in case.test],
        test_labels=case.test_labels[order],
        test_assignments=case.test_assignments[:, order],
    )
    assert_same(case.answers(k=4), permuted.answers(k=4), order)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_knn_setups__scale_of_embeddings_is_irrelevant(seed: int) -> None:
    case = make_case(seed)
    scaled = dataclasses.replace(
        case, train=[bank * 2.0**90 for bank in case.train], test=[b * 2.0**-90 for b in case.test]
    )
    assert_same(case.answers(k=4), scaled.answers(k=4))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_knn_setups__invariant_encoder_scores_alike_in_all_setups(seed: int) -> None:
    answers = make_case(seed, same=1.0).answers(k=5)
    assert answers.values[SPD] == 0
    assert len({value for name, value in answers.values.items() if name != SPD}) == 1


def test_knn_setups__sensitive_encoder() -> None:
    """Embeddings that hold little but the processing: attraction helps pos-same and hurts neg-same."""
    rng = np.random.default_rng(0)
    n, labels, c = 200, 10, 3
    label = np.arange(n) % labels
    content = rng.normal(size=(labels, 32))[label] + rng.normal(size=(n, 32))
    trace = 9 * rng.normal(size=(c, 32))
    banks = [(content + trace[i]).astype(np.float32) for i in range(c)]
    case = Case(
        [b[:150] for b in banks],
        [b[150:] for b in banks],
        label[:150],
        label[150:],
        rng.integers(0, c, (10, 150)),
        rng.integers(0, c, (10, 50)),
    )
    answers = case.answers(k=10)
    values = answers.values
    assert values["pos-same"] == 1.0
    assert values["neg-same"] < 0.05
    assert values[SPD] == pytest.approx(values["pos-same"] - values["neg-same"], abs=1e-12)
    assert answers.chance == pytest.approx(0.1)


# ---------------------------------------------------------------------------------------------------------- answers


def test_answers__counts_agree_with_each_other() -> None:
    case = make_case(11)
    answers = case.answers(k=5)
    own = np.arange(3)
    np.testing.assert_array_equal(answers.correct[0], answers.plain[own, own].sum(axis=0))
    np.testing.assert_array_equal(answers.correct[1], answers.plain.sum(axis=(0, 1)) - answers.correct[0])
    np.testing.assert_array_equal(answers.correct[4:], answers.by_seed.sum(axis=1))
    assert answers.combinations.tolist() == [3, 6, 6, 6, 9, 9]
    assert (answers.correct <= answers.combinations[:, None]).all()
    assert answers.values["all-diff"] == pytest.approx(answers.correct[1].sum() / (6 * 9))
    assert answers.seed_values["uniform"].mean() == pytest.approx(answers.values["uniform"])
    assert answers.per_photo()["neg-same"].shape == (9,)


def test_answers__worst_by_hand() -> None:
    """Two photos, two processings: the first photo's query leaves its class under processing 1, the second never."""
    train = [np.eye(2, dtype=np.float32)] * 2
    test = [np.eye(2, dtype=np.float32), np.array([[0, 1], [0, 1]], np.float32)]
    labels, drawn = np.array([0, 1]), np.zeros((1, 2), int)
    answers = knn_setups(train, test, labels, labels, train_assignments=drawn, test_assignments=drawn, k=1)
    assert answers.of_worst().tolist() == [0.0, 1.0]
    assert answers.flipped().tolist() == [1.0, 0.0]
    assert answers.values["worst"] == 0.5
    assert answers.ties["worst"] == Ties(0.0, 0.5, 0.5, 0.5)


@given(st.integers(0, 10**6), st.sampled_from([1, 3, 10]))
@settings(max_examples=15, deadline=None)
def test_answers__worst_is_below_every_processing_of_the_query(seed: int, k: int) -> None:
    answers = make_case(seed).answers(k=k)
    accuracy = answers.plain.mean(axis=1)  # [processing of the query, photos], over collections
    assert (answers.of_worst() <= accuracy.min(axis=0) + 1e-12).all()
    for rule in ("nearest", "random", "least", "greatest"):
        assert (answers.of_worst(rule) <= answers.per_photo(rule)["all-same"] + 1e-12).all()
        assert ((answers.flipped(rule) >= -1e-12) & (answers.flipped(rule) <= 1)).all()


def test_answers__chance_is_that_of_a_photo_drawn_blindly() -> None:
    """Train 6, 2, 0 and test 3, 0, 1 photos of three labels: 6/8 x 3/4; half and half on both sides is 1/2."""
    case = make_case(15, n_train=8, n_test=4)
    case.train_labels[:] = [0] * 6 + [1] * 2
    case.test_labels[:] = [0, 0, 0, 2]
    assert case.answers(k=1).chance == pytest.approx(6 / 8 * 3 / 4)
    case.test_labels[:] = [0, 1, 0, 1]
    assert case.answers(k=1).chance == pytest.approx(6 / 8 * 1 / 2 + 2 / 8 * 1 / 2)
    case.test_labels[:] = [0, 0, 0, 1]
    assert case.answers(k=1).chance == pytest.approx(6 / 8 * 3 / 4 + 2 / 8 * 1 / 4)


def test_answers__expectation_of_ties_against_lots() -> None:
    """The means over photos of all six set-ups, where one vote in four is tied, within the error of 1,000 lots."""
    case = make_case(15, n_train=40, n_test=30, labels=6, same=0.3)
    answers, expected = case.answers(k=6), reference(case, 6)
    for i, name in enumerate(SETUPS):
        count = answers.combinations[i]
        error = np.sqrt(expected["variance"][i].sum()) / (30 * count)
        ties = answers.ties[name]
        assert 0 < error < 0.002
        assert ties.random == pytest.approx(expected["random"][i].mean() / count, abs=4 * error)
        assert ties.share > 0.2
        assert ties.least < ties.random < ties.greatest
        assert ties.least <= answers.values[name] <= ties.greatest


def test_answers__ties_of_a_difference_and_of_seeds() -> None:
    answers = make_case(16).answers(k=4)
    more, less, spd = (answers.ties[name] for name in ("pos-same", "neg-same", "spd"))
    assert spd.least == more.least - less.greatest
    assert spd.greatest == more.greatest - less.least
    assert spd.least <= answers.values[SPD] <= spd.greatest
    per_photo = answers.per_photo("random")
    assert spd.random == pytest.approx((per_photo["pos-same"] - per_photo["neg-same"]).mean())
    for name in ("uniform", "uniform-test"):
        assert answers.random_seed_values[name].mean() == pytest.approx(answers.ties[name].random)
    np.testing.assert_allclose(answers.random[4:], answers.random_by_seed.sum(axis=1))


def test_answers__one_neighbour_never_ties() -> None:
    answers = make_case(17).answers(k=1)
    for name, ties in answers.ties.items():
        value = answers.values[name]
        assert tuple(ties) == (0.0, value, value, value)


class Lazy:
    """Counts what is read, and gives nothing but slices."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.longest = array.astype(np.float16), array.shape, 0

    def __getitem__(self, rows: slice) -> np.ndarray:
        assert isinstance(rows, slice)
        self.longest = max(self.longest, rows.stop - rows.start)
        return self.array[rows]


def test_knn_setups__lazy_banks_are_never_read_whole() -> None:
    case = make_case(12, n_train=400)
    lazy = dataclasses.replace(case, train=[Lazy(b) for b in case.train], test=[Lazy(b) for b in case.test])
    assert_same(lazy.answers(k=3, memory_bytes=100_000), case.answers(k=3))
    assert max(bank.longest for bank in lazy.train) <= 128


def test_knn_setups__memory_maps(tmp_path) -> None:
    case = make_case(13)
    for i, bank in enumerate(case.train):
        np.save(tmp_path / f"{i}.npy", bank)
    mapped = [np.load(tmp_path / f"{i}.npy", mmap_mode="r") for i in range(3)]
    assert_same(dataclasses.replace(case, train=mapped).answers(), case.answers())


def test_knn_setups__leaves_matmul_precision_as_it_was() -> None:
    torch.set_float32_matmul_precision("high")
    try:
        make_case(0).answers()
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": []}, "same classes"),
        ({"test_labels": np.zeros(4, int)}, "test embeddings of class 0 have shape"),
        ({"train_labels": np.full(40, -1)}, "label for every train photo"),
        ({"train_labels": np.zeros(40)}, "train labels must be integers"),
        ({"train_assignments": np.full((3, 40), 3)}, "train assignments must give"),
        ({"test_assignments": np.zeros((3, 5), int)}, "test assignments must give"),
        ({"test_assignments": np.zeros((2, 9), int)}, "one of each per seed"),
        ({"train": [np.full((40, 16), np.nan)] * 3}, "NaN or infinity"),
        ({"test": [np.full((9, 16), np.inf)] * 3}, "NaN or infinity"),
    ],
)
def test_knn_setups__bad_input_is_one_sentence(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        dataclasses.replace(make_case(0), **change).answers()
    assert "\n" not in str(error.value)


def test_knn_setups__no_photos() -> None:
    with pytest.raises(DataError, match="there are none"):
        make_case(0, n_test=0).answers()


def test_knn_setups__k_zero() -> None:
    with pytest.raises(UsageError, match="k is 0"):
        make_case(0).answers(k=0)


# ------------------------------------------------------------------------------------------------------------ top-k


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([5, 64, 1000, 1024]), st.integers(1, 200))
def test_top_keys__equals_a_stable_sort(seed: int, count: int, columns: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    block = (rng.integers(-values, values, (4, columns)) / values).astype(np.float32)
    block[rng.random(block.shape) < 0.2] = -np.inf
    block[0] = -np.inf
    found = unpack_indices(top_keys(torch.from_numpy(block), count)).numpy()
    for row, got in zip(block, found, strict=True):
        order = np.argsort(-row, kind="stable")[:count]
        expected = [i for i in order if row[i] > -np.inf]
        assert got.tolist() == expected + [-1] * (count - len(expected))


def test_pack__order_of_floats() -> None:
    values = torch.tensor([-1.0, -0.5, -1e-40, -0.0, 0.0, 1e-40, 0.5, 1.0])
    keys = pack_keys(values, torch.zeros(8, dtype=torch.int64))
    assert (keys.diff() > 0).tolist() == [True, True, True, False, True, True, True]
    assert pack_keys(torch.tensor([-torch.inf]), torch.tensor([3])).item() == NOTHING


def test_read_unit_rows__tiny_huge_and_zero() -> None:
    rows = np.array([[3e-30, 4e-30], [3e30, 4e30], [0, 0], [3, 4]], np.float32)
    unit = read_unit_rows(rows, 0, 4, torch.empty(5, 2), what="test")
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.6, 0.8], [0, 0], [0.6, 0.8], [0, 0]], rtol=1e-6)


needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")


@needs_numba
@pytest.mark.parametrize(("count", "columns", "values"), [(1, 64, 3), (10, 320, 5), (10, 320, 10**6), (40, 640, 4)])
def test_top_keys__compiled_gives_the_same_keys(count: int, columns: int, values: int) -> None:
    """Against torch's search, with many ties, with -0.0, and with columns that hold no neighbour."""
    from benchmark.knn import topk_compiled

    rng = np.random.default_rng(count)
    block = torch.from_numpy((rng.integers(-values, values, (30, columns)) / values).astype(np.float32))
    block[:, 5] = -0.0
    block[::3, ::2] = -torch.inf
    block[4] = -torch.inf
    assert topk_compiled.top_keys(block, count).equal(top_keys(block, count))


@needs_numba
@pytest.mark.parametrize("columns", [1, 31, 96, 1700])
def test_nearest_by_label__equals_a_stable_sort_of_each_side(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small whole numbers: similarities are exact, many are equal, and there are pieces of several sizes."""
    from benchmark.knn import topk_compiled

    monkeypatch.setattr(topk_compiled, "ROWS", 2)
    rng = np.random.default_rng(columns)
    labels, own = rng.integers(0, 4, columns).astype(np.int32), np.array([0, 1, 2, 3, 9, 0, 1], np.int32)
    queries, keys = (rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in (len(own), columns))
    depths = np.array([3, 50, 1, 7, 3, 96, 400])
    sides = topk_compiled.nearest_by_label(queries, own, keys, labels, depths)
    similarities = queries @ keys.T
    for row in range(len(own)):
        positive = labels == own[row]
        for found, mine in zip(sides, (positive, ~positive), strict=True):
            places = np.flatnonzero(mine)
            expected = places[np.argsort(-similarities[row, places], kind="stable")][: depths[row]]
            got = unpack_indices(found[row]).numpy()[: depths[row]]
            assert got.tolist() == expected.tolist() + [-1] * (depths[row] - len(expected))


@needs_numba
def test_knn_setups__compiled_search_gives_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of train photos and of queries, labels without a train photo, fewer positives than k."""
    rng = np.random.default_rng(5)
    # similarities are sixteenths, which no order of a sum rounds
    train, test = ([rng.choice([-1.0, 1.0], (n, 16)) for _ in range(3)] for n in (200, 23))
    question = {
        "train_labels": rng.integers(0, 40, 200),
        "test_labels": rng.integers(0, 44, 23),
        "train_assignments": rng.integers(0, 3, (2, 200)),
        "test_assignments": rng.integers(0, 3, (2, 23)),
        "k": 5,
        "memory_bytes": 1 << 16,
    }
    by_torch = knn_setups(train, test, **question)
    monkeypatch.setattr("benchmark.knn.topk.COMPILED_FROM", 0)
    compiled = knn_setups(train, test, **question)
    for name in ("correct", "tied", "plain", "by_seed"):
        np.testing.assert_array_equal(getattr(compiled, name), getattr(by_torch, name))


def test_setup_shares__rounding_leaves_no_share_beyond_one() -> None:
    """Sums less sums of thirds: 30.000000000000004 of 30 is all of them; a third more than all stays what it is."""
    right = np.array([[np.nextafter(30, 31), -1e-15, 40.0]] * 6)
    shares = setup_shares(right, np.full(6, 30))
    assert shares["pos-same"].tolist() == [1.0, 0.0, 40 / 30]
    assert shares["spd"].tolist() == [0.0, 0.0, 0.0]
