"""Components of variance against the analysis of variance by hand, on known shares, and with missing cells."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.robustness import variance_components
from benchmark.stats import jackknife
from builders.errors import DataError

EFFECTS = ("s", "d", "p", "sd", "sp", "dp", "r")
"""Scene, device, platform, their pairs, and the rest, in the order of the components."""


def long_rows(table: np.ndarray) -> np.ndarray:
    """Rows with one more, large entry: at unit length, they are nearly the rows over this entry."""
    rows = table.reshape(-1, table.shape[-1])
    return np.hstack([rows, np.full((len(rows), 1), 1e4)])


def factors_of(shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    return dict(zip(("scene", "device", "platform"), (axis.ravel() for axis in np.indices(shape)), strict=True))


def by_hand(y: np.ndarray) -> np.ndarray:
    """Components of [scenes, devices, platforms, d] with one photo a cell: expected mean squares, solved by hand."""
    s, d, p = y.shape[:3]
    mean = y.mean((0, 1, 2))
    a, b, c = y.mean((1, 2)) - mean, y.mean((0, 2)) - mean, y.mean((0, 1)) - mean
    ab = y.mean(2) - mean - a[:, None] - b
    ac = y.mean(1) - mean - a[:, None] - c
    bc = y.mean(0) - mean - b[:, None] - c
    rest = y - mean - a[:, None, None] - b[:, None] - c - ab[:, :, None] - ac[:, None] - bc
    square = {
        "s": d * p * np.square(a).sum() / (s - 1),
        "d": s * p * np.square(b).sum() / (d - 1),
        "p": s * d * np.square(c).sum() / (p - 1),
        "sd": p * np.square(ab).sum() / ((s - 1) * (d - 1)),
        "sp": d * np.square(ac).sum() / ((s - 1) * (p - 1)),
        "dp": s * np.square(bc).sum() / ((d - 1) * (p - 1)),
        "r": np.square(rest).sum() / ((s - 1) * (d - 1) * (p - 1)),
    }
    r = square["r"]
    return np.array(
        [
            (square["s"] - square["sd"] - square["sp"] + r) / (d * p),
            (square["d"] - square["sd"] - square["dp"] + r) / (s * p),
            (square["p"] - square["sp"] - square["dp"] + r) / (s * d),
            (square["sd"] - r) / p,
            (square["sp"] - r) / d,
            (square["dp"] - r) / s,
            r,
        ]
    )


def planted(
    rng: np.random.Generator, shape: tuple[int, int, int], sizes: dict[str, float], d: int, fixed: np.ndarray
) -> np.ndarray:
    """[scenes, devices, platforms, d] with new scenes: ``fixed`` are the means of devices and platforms."""
    s, dev, p = shape
    of = {"s": (s, 1, 1), "sd": (s, dev, 1), "sp": (s, 1, p), "r": (s, dev, p)}
    return fixed + sum(sizes[name] * rng.normal(size=(*axes, d)) for name, axes in of.items())


def test_variance_components__equal_the_analysis_of_variance() -> None:
    rng, shape = np.random.default_rng(0), (12, 4, 3)
    table = rng.normal(size=(12, 1, 1, 9)) + rng.normal(size=(1, 4, 1, 9)) + rng.normal(size=(*shape, 9))
    table /= np.linalg.norm(table, axis=-1, keepdims=True)
    factors = factors_of(shape)
    components = variance_components(table.reshape(-1, 9), factors, factors["scene"])
    expected = by_hand(table)
    assert components.effects == (
        *(("scene",), ("device",), ("platform",)),
        *(("scene", "device"), ("scene", "platform"), ("device", "platform"), ("rest",)),
    )
    assert components.cells == (12, 4, 3, 48, 36, 12, 144)
    np.testing.assert_allclose(components.shares, expected / expected.sum(), atol=1e-12)
    assert components.variance == pytest.approx(expected.sum())
    for scene in range(12):
        left = by_hand(np.delete(table, scene, axis=0))
        np.testing.assert_allclose(components.without[scene], left / left.sum(), atol=1e-12)


def test_variance_components__rows_are_scaled_to_unit_length() -> None:
    rng, factors = np.random.default_rng(0), factors_of((10, 3, 2))
    rows = rng.normal(size=(60, 5))
    one = variance_components(rows, factors, factors["scene"])
    other = variance_components(rows * rng.uniform(0.1, 10, size=(60, 1)), factors, factors["scene"])
    np.testing.assert_allclose(one.shares, other.shares, atol=1e-12)


@pytest.mark.slow
def test_variance_components__missing_cells_and_several_photos_leave_no_bias() -> None:
    """The mean over many sets with holes and copies of cells is the planted share, of each effect."""
    rng, shape, d = np.random.default_rng(1), (14, 4, 3), 12
    sizes = {"s": 1.0, "sd": 0.5, "sp": 0.4, "r": 0.7}
    squares = {name: d * size**2 for name, size in sizes.items()}
    squares |= {"d": d * 0.6**2, "p": d * 0.3**2, "dp": d * 0.2**2}
    truth = np.array([squares[name] for name in EFFECTS]) / sum(squares.values())
    factors = factors_of(shape)
    chosen = np.concatenate([np.flatnonzero(rng.random(168) < 0.75), rng.integers(0, 168, 20)])
    parts = {name: code[chosen] for name, code in factors.items()}
    weighted, total = np.zeros(8), 0.0
    for _ in range(150):
        of_groups = (
            0.6 * rng.normal(size=(1, 4, 1, d))
            + 0.3 * rng.normal(size=(1, 1, 3, d))
            + 0.2 * rng.normal(size=(1, 4, 3, d))
        )
        cells = planted(rng, shape, {**sizes, "r": 0.5}, d, of_groups).reshape(-1, d)[chosen]
        rows = np.hstack(
            [cells + np.sqrt(0.7**2 - 0.5**2) * rng.normal(size=cells.shape), np.full((len(chosen), 1), 1e4)]
        )
        components = variance_components(rows, parts, np.unique(parts["scene"], return_inverse=True)[1])
        weighted += components.shares * components.variance
        total += components.variance
    shares = weighted / total
    assert components.effects[6] == ("scene", "device", "platform")  # apart from photos, where cells have two
    np.testing.assert_allclose(shares[:6], truth[:6], atol=0.02)
    np.testing.assert_allclose(
        shares[6:], [0.25 * d / sum(squares.values()), 0.24 * d / sum(squares.values())], atol=0.02
    )


@pytest.mark.slow
def test_intervals__hold_known_shares_in_92_to_98_of_100_sets() -> None:
    """200 sets of new scenes; devices and platforms stay, as the intervals say."""
    rng, shape, d = np.random.default_rng(2), (30, 4, 3), 8
    sizes = {"s": 1.0, "sd": 0.5, "sp": 0.3, "r": 0.6}
    fixed = (
        0.7 * rng.normal(size=(1, 4, 1, d)) + 0.4 * rng.normal(size=(1, 1, 3, d)) + 0.25 * rng.normal(size=(1, 4, 3, d))
    )
    means = fixed[0]
    of_device, of_platform = means.mean(1) - means.mean((0, 1)), means.mean(0) - means.mean((0, 1))
    both = np.square(means - means.mean((0, 1)) - of_device[:, None] - of_platform).sum() / (3 * 2)
    truth = {name: d * size**2 for name, size in sizes.items()}
    truth |= {
        "d": np.square(of_device).sum() / 3 - both / 3,
        "p": np.square(of_platform).sum() / 2 - both / 4,
        "dp": both,
    }
    expected = np.array([truth[name] for name in EFFECTS]) / sum(truth.values())
    assert (expected > 0.01).all()
    factors, held, repetitions = factors_of(shape), np.zeros(7), 200
    for _ in range(repetitions):
        rows = long_rows(planted(rng, shape, sizes, d, fixed))
        components = variance_components(rows, factors, factors["scene"])
        for i in range(7):
            result = jackknife(float(components.shares[i]), components.without[:, i])
            ends = result.interval(360, (-1.0, 2.0))
            held[i] += ends.low <= expected[i] <= ends.high
    shares = dict(zip(EFFECTS, (held / repetitions).tolist(), strict=True))
    assert all(0.92 <= share <= 0.98 for share in shares.values()), shares


def test_variance_components__an_effect_that_is_not_there_is_about_0_and_may_be_below() -> None:
    rng, shape = np.random.default_rng(3), (25, 4, 2)
    factors = factors_of(shape)
    estimates = []
    for _ in range(40):
        table = rng.normal(size=(25, 1, 1, 8)) + 0.5 * rng.normal(size=(*shape, 8))
        estimates.append(variance_components(long_rows(table), factors, factors["scene"]).shares)
    of_device = np.array(estimates)[:, 1]
    assert of_device.min() < 0 < of_device.max() < 0.02
    assert abs(of_device.mean()) < 0.002


def test_variance_components__nested_factors_are_one_effect() -> None:
    """A unit has one model: model and unit together are the unit."""
    scene, unit = np.arange(120) // 6, np.arange(120) % 6
    components = variance_components(
        np.random.default_rng(0).normal(size=(120, 4)), {"scene": scene, "unit": unit, "model": unit // 2}, scene
    )
    assert components.effects == (("scene",), ("unit",), ("model",), ("scene", "model"), ("rest",))
    assert components.merged == {
        "scene x unit": "rest",
        "unit x model": "unit",
        "scene x unit x model": "rest",
    }


def test_variance_components__refuses_effects_that_cells_do_not_tell_apart() -> None:
    """Each scene by one device alone, and devices on one platform: two effects are one."""
    scene = np.arange(40) // 2
    alike = "scene x platform and rest"
    sentence = f"to tell {alike} apart: name fewer groups, or add photos of other combinations"
    with pytest.raises(DataError, match=f"{sentence}"):
        variance_components(
            np.random.default_rng(0).normal(size=(40, 4)),
            {"scene": scene, "device": scene % 4, "platform": np.r_[np.tile([0, 1], 19), 0, 0]},
            scene,
        )


@pytest.mark.parametrize("rows", [np.ones((24, 1)), np.linspace(1, 2, 24)[:, None] * [0.6, 0.8]])
def test_variance_components__refuses_embeddings_of_one_direction(rows) -> None:
    scene, device = np.divmod(np.arange(24), 2)
    with pytest.raises(DataError, match="embeddings"):
        variance_components(rows, {"scene": scene, "device": device}, scene)


def test_variance_components__without_the_only_block_that_varies_there_are_no_shares() -> None:
    scene, device = np.divmod(np.arange(24), 2)
    rows = np.where(np.arange(24) == 5, -1.0, 1.0)[:, None]
    shares = variance_components(rows, {"scene": scene, "device": device}, scene).without
    assert np.flatnonzero(np.isnan(shares).any(axis=1)).tolist() == [2]
    assert shares[[0, 1, 3]].sum(axis=1) == pytest.approx(1)


def test_variance_components__refuses_what_is_not_finite() -> None:
    factors = factors_of((10, 3, 2))
    rows = np.random.default_rng(0).normal(size=(60, 4))
    rows[17, 2] = np.nan
    with pytest.raises(DataError, match="photo 17 holds a NaN"):
        variance_components(rows, factors, factors["scene"])


N_PHOTOS = 40
SCENE = np.arange(N_PHOTOS) // 2


@pytest.mark.parametrize(
    ("rows", "factors", "sentence"),
    [
        (
            None,
            {f"f{i}": SCENE % 2 for i in range(6)},
            "variance",
        ),
        (None, {"a": SCENE % 2, "b": 0 * SCENE}, "variance"),
        (
            np.ones((N_PHOTOS, 4)),
            {"scene": SCENE, "device": np.arange(N_PHOTOS) % 2},
            "embeddings",
        ),
        (
            np.where(np.arange(N_PHOTOS * 4).reshape(-1, 4) == 17 * 4 + 2, np.nan, 1.0),
            {"scene": SCENE, "device": np.arange(N_PHOTOS) % 2},
            "NaN",
        ),
    ],
)
def test_variance_components__refuses_in_a_sentence(
    rows: np.ndarray | None, factors: dict[str, np.ndarray], sentence: str
) -> None:
    given = np.random.default_rng(0).normal(size=(N_PHOTOS, 4)) if rows is None else rows
    with pytest.raises(DataError) as error:
        variance_components(given, factors, SCENE)
    assert sentence in str(error.value)
