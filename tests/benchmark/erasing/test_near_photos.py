"""Photos near others, by a loop over pairs."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.erasing import near_to
from builders.splits.near_duplicates import MAX_DISTANCE


@pytest.mark.parametrize("seed", range(6))
def test_near_to__equals_a_loop_over_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 1 << 63, 4, dtype=np.uint64)

    def some(count: int) -> np.ndarray:
        """Centres of which up to 6 bits differ, and photos without a hash."""
        made = centres[rng.integers(0, 4, count)]
        for i in range(count):
            for bit in rng.choice(64, rng.integers(0, 7), replace=False):
                made[i] ^= np.uint64(1) << np.uint64(bit)
        made[rng.random(count) < 0.1] = 0
        return made

    pictures, others = some(25), some(int(rng.integers(0, 12)))
    expected = [
        any(one and other and (int(one) ^ int(other)).bit_count() <= MAX_DISTANCE for other in others)
        for one in pictures
    ]
    assert near_to(pictures, others).tolist() == expected
    assert not near_to(pictures, np.zeros(3, np.uint64)).any()
    assert not near_to(np.zeros(3, np.uint64), pictures).any()
