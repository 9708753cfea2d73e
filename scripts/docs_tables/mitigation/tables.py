"""One table a set and trace: encoders and methods down; readers, then costs, across; and the curve of sample sizes."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from typing import Any

from scripts.docs_tables.mitigation.erasers import (
    ENCODERS,
    READERS,
    difference,
    erased,
    loaded,
    named,
    read_by,
    simulated,
    value,
)

COSTS = {
    ("knn/original", "accuracy"): "class, kNN",
    ("linear/original", "accuracy"): "class, linear probe",
    ("knn/jpeg", "spd"): "SPD",
    ("retrieval/pairs", "different"): "pairs, other camera",
    ("retrieval/pairs", "spd"): "SPD of pairs",
}
"""What erasing costs, as columns."""

LAST = ("inlp", "adversary")
"""Methods that take longest, fitted after the others."""

PAIRS, PAIRS_SEED = 60, 1
"""Of simulated pairs: other scenes than those of simcams."""


def imagenette(args: Namespace) -> str:
    """The trace of JPEG, a processing."""
    from builders.data_specs import open_photos

    def opened(encoder: str) -> Any:
        return open_photos(f"folder:{args.photos}?name=folder:imagenette", seed=0).limited(args.limit)

    return _tables(args, "imagenette", "jpeg", opened, [])


def simcams(args: Namespace) -> str:
    """The trace of the camera's make, and pairs of simulated cameras."""
    held: dict[int | None, Any] = {}

    def opened(encoder: str) -> Any:
        limit = args.simulated_limit
        if limit not in held:
            held[limit] = simulated(args.work, "simcams", limit)
        return held[limit]

    return _tables(
        args,
        "simcams",
        "make",
        opened,
        [] if args.kept else [simulated(args.work, f"simpairs?scenes={PAIRS}", None, PAIRS_SEED)],
    )


def _tables(args: Namespace, name: str, trace: str, opened: Any, also: list[Any]) -> str:
    from benchmark.erasing import METHODS
    from benchmark.report import markdown_table

    rows, counts, chance = [], [], ""
    for encoder in args.encoder or ENCODERS:
        model, photos = loaded(encoder, args.kept), None if args.kept else opened(encoder)
        folder = args.work / name / encoder.replace(":", "-")
        order = sorted(METHODS, key=lambda method: method in LAST)
        made = {
            method: erased(folder / method, args.work, model, photos, trace, method=method, also=also)
            for method in order
        }
        for method in METHODS:
            if not (eraser := made[method]):
                continue
            measured = {(row["task"], row["metric"]): row for row in eraser["measured"]}
            reads = read_by(eraser)
            count = f"`{encoder}`: {eraser['n_photos']} photos fitted, {reads['linear']['n']} unseen"
            if count not in counts:
                counts.append(count)
                rows.append([encoder, "before", *(value(reads[r], "before") for r in READERS), *("-" for _ in COSTS)])
            costs = (difference(measured.get(which)) for which in COSTS)
            rows.append([encoder, named(method, eraser), *(value(reads[r], "after") for r in READERS), *costs])
            chance = f"{100 * reads['linear']['chance']:.1f}"
    if not rows:
        return ""
    header = ["encoder", "method", *READERS, *COSTS.values()]
    columns = list(zip(*rows, strict=True))
    used = [i for i, column in enumerate(columns) if len({*column}) > (i == 0) and any(cell != "-" for cell in column)]
    table = markdown_table([header[i] for i in used], [[row[i] for i in used] for row in rows])
    return (
        f"### {trace} on {name}\n\n{'; '.join(counts)}. Accuracy of each reader, %; chance {chance} %. "
        f"Then paired differences in points, after minus before.\n\n{table}"
    )


CURVE_SIZES = (60, 120, 240, 480)
"""Photos, and then all that there are."""

SEEDS = (0, 1, 2)
"""Of who is tested, who is fitted on, who is learnt from."""

CURVE_METHODS = ("leace",)
CURVE_ENCODER = "control:jpeg-statistics"
FIT_SHARE = 0.82
"""Of the train photos: 980 of 1,196."""

TESTED = 200
"""Photos of all that readers are tested on."""


def curve(args: Namespace) -> str:
    """A row for each method and size; values are means over seeds, with the least and the greatest."""
    from benchmark.report import markdown_table

    model, rows, gone, facts = loaded(CURVE_ENCODER, args.kept), [], [], ""
    for method in CURVE_METHODS:
        points: dict[int, list[Any]] = {}
        for seed in SEEDS:
            folder = args.work / "curve" / method / str(seed)
            made = folder / "eraser.json"
            photos = None if args.kept or made.is_file() else _split(args.photos, seed)
            options = {"sizes": CURVE_SIZES, "fit_share": FIT_SHARE}
            eraser = erased(folder, args.work, model, photos, "jpeg", method=method, seed=seed, **options)
            for at, point in enumerate(eraser["curve"] if eraser else ()):
                points.setdefault(at, []).append(point)
            if eraser:
                n = eraser["curve"][0]["n"]
                facts = f"{n} unseen photos, chance {100 * eraser['curve'][0]['chance']:.1f} %"
        for of_size in points.values():
            sizes = sorted({point["photos"] for point in of_size})
            photo_counts = " to ".join(f"{n:,}" for n in ((sizes[0], sizes[-1]) if len(sizes) > 1 else sizes))
            cells = [_spread([100 * point["readers"][reader]["value"] for point in of_size]) for reader in READERS]
            gone += [p["readers"]["linear"]["low"] <= p["chance"] for p in of_size if p["photos"]]
            fitted_on = "none (before)" if photo_counts == "0" else photo_counts
            rows.append([method, fitted_on, *cells])
    if not rows:
        return ""
    header = ["method", "photos of the fit", *(f"{reader}, %" for reader in READERS)]
    facts += f"; the linear probe was at chance after {sum(gone)} of {len(gone)} fits"
    return f"### How many photos\n\n`{CURVE_ENCODER}`, jpeg on imagenette; {facts}.\n\n{markdown_table(header, rows)}"


def _spread(values: list[float]) -> str:
    mean = sum(values) / len(values)
    return f"{mean:.1f} ({min(values):.1f}–{max(values):.1f})"


def _split(folder: Any, seed: int) -> Any:
    """All photos, ``TESTED`` of them to be tested on, the same number of each class."""
    import numpy as np

    from builders.data_specs import open_photos

    photos = open_photos(f"folder:{folder}?name=folder:imagenette", seed=0)
    rng, classes = np.random.default_rng(seed), photos.labels.values
    splits = np.zeros(len(photos), np.int8)
    known = np.unique(classes)
    for label in known:
        splits[rng.choice(np.flatnonzero(classes == label), TESTED // len(known), replace=False)] = 1
    return dataclasses.replace(photos, splits=splits)
