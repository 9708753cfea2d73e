"""How many photos an eraser needs: fitted on more and more of them, read by three readers on photos of no fit."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from typing import Any

from mitigation_parts.made import READERS, erased, loaded

SIZES = (60, 120, 240, 480)
"""Photos, and then all that there are."""

SEEDS = (0, 1, 2)
"""Of who is tested, who is fitted on, who is learnt from."""

METHODS = ("leace", "mean")
ENCODER = "control:jpeg-statistics"
FIT_SHARE = 0.82
"""Of the train photos: 980 of 1,196."""

TESTED = 200
"""Photos of all that readers are asked about."""


def curve(args: Namespace) -> str:
    """A row for each method and size; values are means over seeds, with the least and the greatest."""
    from benchmark.report import markdown_table

    model, rows, facts = loaded(ENCODER, args.kept), [], ""
    for method in METHODS:
        points: dict[int, list[Any]] = {}
        for seed in SEEDS:
            folder = args.work / "curve" / method / str(seed)
            made = folder / "eraser.json"
            photos = None if args.kept or made.is_file() else _split(args.photos, seed)
            asked = {"sizes": SIZES, "fit_share": FIT_SHARE}
            found = erased(folder, args.work, model, photos, "jpeg", method=method, seed=seed, **asked)
            for at, point in enumerate(found["curve"] if found else ()):
                points.setdefault(at, []).append(point)
            if found:
                n = found["curve"][0]["n"]
                facts = f"{n} unseen photos, chance {100 * found['curve'][0]['chance']:.1f} %"
        for of_size in points.values():
            sizes = sorted({point["photos"] for point in of_size})
            told = " to ".join(f"{n:,}" for n in ((sizes[0], sizes[-1]) if len(sizes) > 1 else sizes))
            cells = [_spread([100 * point["readers"][reader]["value"] for point in of_size]) for reader in READERS]
            gone = sum(p["readers"]["linear"]["low"] <= p["chance"] for p in of_size)
            rows.append([method, "none (before)" if told == "0" else told, *cells, f"{gone} of {len(of_size)}"])
    if not rows:
        return ""
    header = ["method", "photos of the fit", *(f"{reader}, %" for reader in READERS), "linear at chance"]
    return f"### How many photos\n\n`{ENCODER}`, jpeg on imagenette; {facts}.\n\n{markdown_table(header, rows)}"


def _spread(values: list[float]) -> str:
    mean = sum(values) / len(values)
    return f"{mean:.1f} ({min(values):.1f} to {max(values):.1f})"


def _split(folder: Any, seed: int) -> Any:
    """All photos, ``TESTED`` of them to be asked about, the same number of each class."""
    import numpy as np

    from builders.data_specs import open_photos

    photos = open_photos(f"folder:{folder}?name=folder:imagenette", seed=0)
    rng, classes = np.random.default_rng(seed), photos.labels.values
    splits = np.zeros(len(photos), np.int8)
    known = np.unique(classes)
    for label in known:
        splits[rng.choice(np.flatnonzero(classes == label), TESTED // len(known), replace=False)] = 1
    return dataclasses.replace(photos, splits=splits)
