"""Photos stay in their split, and in their balanced set, between versions."""

import numpy as np
import pytest

from builders.splits import Sizes, make_splits
from tests.support.recorded import check_recorded

N = 240


@pytest.mark.parametrize("assign", ["hash", "stratified"])
def test_splits__are_as_recorded(assign):
    rng = np.random.default_rng(4)
    labels = {"make": rng.integers(-1, 4, N).astype(np.int32), "iso": rng.integers(0, 3, N).astype(np.int32)}
    hashes = rng.integers(0, 2**63, N, dtype=np.uint64)
    hashes[::9] = hashes[1::9][: len(hashes[::9])] ^ np.uint64(5)
    made = make_splits(
        [f"photo {i}" for i in range(N)],
        labels,
        owners=[f"owner {i // 3 % 50}" if i % 4 else "" for i in range(N)],
        hashes=hashes,
        digests=[f"file {i % 230}" for i in range(N)],
        sizes={"make": Sizes(least=2), "iso": Sizes(train=20, val=5)},
        shares=(0.6, 0.15, 0.25),
        assign=assign,
        seed=2,
    )
    check_recorded(f"splits-by-{assign}", vars(made))
