"""Changed answers by hand: choices, margins, flips of each kind, means by photo."""

import numpy as np

from benchmark.answers import NO_OPTION, answers_of, by_photo, changes_of, margin_groups

NAN = np.nan


def test_answers__choice_probability_and_margin_by_hand():
    logits = np.log(np.array([[[0.2, 0.5, 0.3], [0.75, 0.25, NAN]], [[0.6, 0.2, 0.2], [0.5, 0.5, NAN]]]))
    answers = answers_of(logits, np.array([1, 0]), graded=True)
    assert answers.chosen.tolist() == [[1, 0], [0, 0]]  # of equal logits the first
    np.testing.assert_allclose(answers.probability, [[0.5, 0.75], [0.2, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(answers.margin, [0.2, 0.5], rtol=1e-6)


def test_answers__large_logits_do_not_overflow_and_scale_matters_to_margins_alone():
    small, large = (answers_of(np.array([[[1.0, 2.0]]]) * scale, np.array([0]), graded=True) for scale in (1, 1e4))
    assert small.chosen == large.chosen == [[1]]
    assert large.margin == 1.0
    assert 0.4 < small.margin < 0.5


def test_answers__words_choose_without_a_margin():
    marks = np.array([[[0.0, -np.inf], [-np.inf, -np.inf]]])
    answers = answers_of(marks, np.array([0, 0]), graded=False)
    assert answers.chosen.tolist() == [[0, NO_OPTION]]
    assert answers.probability is None


def test_changes__each_kind_once():
    right = np.array([0, 0, 0, 0, 0])
    before = np.array([0, 0, 1, 1, NO_OPTION])
    after = np.array([[0, 1, 0, 2, NO_OPTION]])
    changes = changes_of(after, before, right)
    assert changes.flipped.tolist() == [[False, True, True, True, False]]
    assert changes.to_wrong.tolist() == [[False, True, False, False, False]]
    assert changes.to_right.tolist() == [[False, False, True, False, False]]


def test_by_photo__equals_a_loop():
    rng = np.random.default_rng(0)
    photo = rng.permutation(np.repeat(np.arange(7), rng.integers(1, 4, 7)))
    values = rng.random((3, len(photo)))
    loop = [[values[view, photo == p].mean() for p in range(7)] for view in range(3)]
    np.testing.assert_allclose(by_photo(values, photo, 7), loop)


def test_margin_groups__edges_belong_above():
    assert margin_groups(np.array([0.09, 0.1, 0.25, 0.49, 0.5, 0.75, 1.0])).tolist() == [0, 1, 2, 2, 3, 4, 4]
