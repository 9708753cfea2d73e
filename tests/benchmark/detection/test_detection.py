"""AUC, rates and calibration against scikit-learn, plain loops and hand-computed cases; coverage of intervals."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from benchmark.detection import auc, balanced_accuracy, calibration_error, cross, difference, mean_over, recall_at
from benchmark.stats import bootstrap_interval, photo_interval
from builders.errors import DataError


def drawn(seed, n, apart=1.0, share=0.4, digits=None):
    rng = np.random.default_rng(seed)
    generated = rng.random(n) < share
    generated[:2] = False, True
    scores = rng.normal(size=n) + apart * generated
    return (scores if digits is None else np.round(scores, digits)), generated


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("digits", [None, 0, 1], ids=["no ties", "many ties", "ties"])
def test_auc__is_that_of_scikit_learn(seed, digits):
    scores, generated = drawn(seed, 60, digits=digits)
    result = auc(scores, generated)
    assert result.value == pytest.approx(roc_auc_score(generated, scores), abs=1e-12)
    assert result.photo_values.mean() == pytest.approx(result.value, abs=1e-12)
    assert np.abs(result.photo_values).max() <= result.bound


def test_auc__error_is_that_of_delong():
    """The spread of the values by photo is the variance of DeLong, DeLong and Clarke-Pearson, from their components."""
    scores, generated = drawn(3, 200, share=0.3)
    real, fake = scores[~generated], scores[generated]
    kernel = (fake[:, None] > real).astype(float) + 0.5 * (fake[:, None] == real)
    delong = kernel.mean(axis=1).var(ddof=1) / len(fake) + kernel.mean(axis=0).var(ddof=1) / len(real)
    result = auc(scores, generated)
    assert result.photo_values.var() / len(scores) == pytest.approx(delong, rel=0.02)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_balanced_accuracy__is_that_of_scikit_learn(share):
    scores, generated = drawn(1, 80, share=share)
    result = balanced_accuracy((scores > 0.3) == generated, generated)
    assert result.value == pytest.approx(balanced_accuracy_score(generated, scores > 0.3), abs=1e-12)
    assert result.photo_values.mean() == pytest.approx(result.value, abs=1e-12)
    recalls = [((scores > 0.3) == generated)[generated == c] for c in (False, True)]
    variance = sum(r.var() / len(r) for r in recalls) / 4
    assert result.photo_values.var() / len(scores) == pytest.approx(variance, rel=1e-9)


def test_a_detector_needs_both_classes():
    with pytest.raises(DataError, match="generated"):
        auc(np.zeros(3), np.zeros(3, bool))
    with pytest.raises(DataError, match="generated"):
        balanced_accuracy(np.ones(2), np.ones(2, bool))


@pytest.mark.slow
def test_mean_over__of_parts_that_share_photos():
    """Its value is the mean, and its error that of resampling all photos at once."""
    scores, generated = drawn(5, 300)
    other = scores + np.random.default_rng(6).normal(size=300)
    first, second = np.arange(0, 200), np.arange(100, 300)
    whole = mean_over(
        [(auc(scores[first], generated[first]), first), (auc(other[second], generated[second]), second)], 300
    )
    assert whole.value == pytest.approx(
        (roc_auc_score(generated[first], scores[first]) + roc_auc_score(generated[second], other[second])) / 2
    )
    rng = np.random.default_rng(0)
    again = []
    for _ in range(400):
        at = rng.integers(0, 300, 300)
        a, b = at[at < 200], at[at >= 100]
        again.append((roc_auc_score(generated[a], scores[a]) + roc_auc_score(generated[b], other[b])) / 2)
    assert np.sqrt(whole.photo_values.var() / 300) == pytest.approx(np.std(again), rel=0.15)


def test_difference__is_paired_by_photo():
    scores, generated = drawn(7, 150)
    nothing = difference(auc(scores, generated), auc(scores, generated))
    assert nothing.value == 0
    assert np.abs(nothing.photo_values).max() == 0


@pytest.mark.parametrize(("apart", "clusters"), [(0.0, 0), (1.0, 0), (2.0, 0), (1.0, 30)])
def test_interval__covers_the_truth(apart, clusters):
    """200 draws; 93 to 97 % of 200 is 186 to 194, and a fixed seed may lie a little outside."""
    from scipy.stats import norm

    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = 240
        generated = np.arange(n) % 2 == 1
        of = np.arange(n) % clusters if clusters else None
        effect = rng.normal(size=clusters)[of] * 0.7 if clusters else 0.0
        scores = rng.normal(size=n) * (np.sqrt(1 - 0.49) if clusters else 1) + effect + apart * generated
        result = auc(scores, generated)
        ends = photo_interval(result.photo_values, clusters=of, bounds=(-result.bound, result.bound))
        held += ends.low <= norm.cdf(apart / np.sqrt(2)) <= ends.high
    assert 180 <= held <= 198


def test_interval__of_a_perfect_detector_has_a_width():
    generated = np.arange(40) % 2 == 1
    result = auc(generated * 1.0, generated)
    ends = photo_interval(result.photo_values, bounds=(-result.bound, result.bound))
    assert result.value == 1.0
    assert 0.5 < ends.low < 0.95


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_recall_at__is_on_the_curve_of_scikit_learn(rate):
    scores, generated = drawn(2, 2000, apart=1.5)
    point = recall_at(scores, generated, rate)
    alarms, recalls, _ = roc_curve(generated, scores, drop_intermediate=False)
    assert point.recall == pytest.approx(recalls[alarms <= rate + 1e-12].max())
    assert point.false_alarms <= rate
    assert ((scores > point.threshold) & ~generated).sum() == pytest.approx(point.false_alarms * (~generated).sum())


def test_recall_at__needs_five_false_alarms():
    generated = np.arange(1000) % 2 == 1
    assert recall_at(np.arange(1000.0), generated, 0.01) is not None
    assert recall_at(np.arange(1000.0), generated, 0.009) is None


def test_recall_at__with_one_score_for_all_finds_nothing():
    point = recall_at(np.zeros(2000), np.arange(2000) % 2 == 1, 0.01)
    assert (point.recall, point.false_alarms) == (0.0, 0.0)


def test_calibration_error__by_hand():
    probabilities = np.array([0.05, 0.05, 0.95, 0.95, 0.5])
    generated = np.array([False, False, True, False, True])
    # bins: two at .05 (0 generated), two at .95 (one of two), one at .5 (generated)
    assert calibration_error(probabilities, generated) == pytest.approx((0.1 + 0.9 + 0.5) / 5)
    assert calibration_error(np.array([1.0]), np.array([True])) == 0.0


def test_cross__equals_scores_of_each_photo_as_it_was_saved():
    original, generated = drawn(0, 90)
    processed = original + np.random.default_rng(1).normal(0.5, 0.2, 90)
    cell = cross(processed, original, generated)
    mixed = [p if g else o for p, o, g in zip(processed, original, generated, strict=True)]
    other = [o if g else p for p, o, g in zip(processed, original, generated, strict=True)]
    assert cell.generated_only.value == pytest.approx(roc_auc_score(generated, mixed))
    assert cell.real_only.value == pytest.approx(roc_auc_score(generated, other))
    assert cell.bias.value == pytest.approx(roc_auc_score(generated, mixed) - roc_auc_score(generated, other))
    assert cell.bias.value > 0
    assert cross(original, original, generated).bias.value == 0


def test_bootstrap__draws_whole_clusters():
    """Of a mean it is the spread over clusters."""
    rng = np.random.default_rng(4)
    clusters = np.repeat(np.arange(60), 5)
    values = rng.normal(size=60)[clusters]
    ends = bootstrap_interval(lambda at: float(values[at].mean()), 300, clusters=clusters, resamples=2000)
    width = 2 * 1.96 * values[::5].std() / np.sqrt(60)
    assert ends.high - ends.low == pytest.approx(width, rel=0.1)
    assert bootstrap_interval(lambda at: None, 10) is None
