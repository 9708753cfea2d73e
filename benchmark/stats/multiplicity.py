"""Many questions asked at once: p-values corrected for their number."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np


def holm(p_values: Sequence[float] | np.ndarray, families: Sequence[Hashable] | None = None) -> np.ndarray:
    """P-values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979), float64 [m].

    What belongs together is the caller's to say, because it is a matter of what somebody asked. The tests hold it to
    statsmodels' ``multipletests``, which collects garbage at every call: 0.1 to 0.2 s, and a board corrects hundreds of
    times.

    Args:
        p_values: [m].
        families: [m], the name of the family that each belongs to; each family is corrected by itself. All are one
            family by default.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    >>> holm([0.01, 0.04, 0.03], ["a", "a", "b"]).round(3).tolist()
    [0.02, 0.04, 0.03]
    """
    p = np.asarray(p_values, dtype=np.float64)
    members: dict[Hashable, list[int]] = {}
    for i, family in enumerate([None] * len(p) if families is None else families):
        members.setdefault(family, []).append(i)
    adjusted = np.empty_like(p)
    for at in members.values():
        falling = np.argsort(p[at], kind="stable")
        stepped = np.maximum.accumulate(p[at][falling] * np.arange(len(at), 0, -1))
        adjusted[np.array(at)[falling]] = np.minimum(stepped, 1.0)
    return adjusted
