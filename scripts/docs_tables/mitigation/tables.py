"""Two tables a set and trace: encoders and methods down; readers, then costs, across."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mitigation_parts.made import ENCODERS, READERS, difference, erased, loaded, named, read_by, simulated, value

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
    from builders.kinds import open_photos

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
    from benchmark.erasers import METHODS
    from benchmark.results import markdown_table

    rows, costs, chance = [], [], ""
    for encoder in args.encoder or ENCODERS:
        model, photos = loaded(encoder, args.kept), None if args.kept else opened(encoder)
        folder = args.work / name / encoder.replace(":", "-")
        order = sorted(METHODS, key=lambda method: method in LAST)
        made = {
            method: erased(folder / method, args.work, model, photos, trace, method=method, also=also)
            for method in order
        }
        done = {method: found for method in METHODS if (found := made[method])}
        for method, found in done.items():
            measured = {(row["task"], row["metric"]): row for row in found["measured"]}
            reads = read_by(found)
            counts = [str(found["n_photos"]), str(reads["linear"]["n"])]
            if method == next(iter(done)):
                rows.append([encoder, "before", "-", counts[1], *(value(reads[r], "before") for r in READERS)])
            rows.append([encoder, named(method, found), *counts, *(value(reads[r], "after") for r in READERS)])
            costs.append([encoder, named(method, found), *(difference(measured.get(which)) for which in COSTS)])
            chance = f"{100 * reads['linear']['chance']:.1f}"
    if not rows:
        return ""
    header = ["encoder", "method", *COSTS.values()]
    kept = [i for i, column in enumerate(zip(*costs, strict=True)) if i < 2 or any(cell != "-" for cell in column)]
    readers = markdown_table(["encoder", "method", "fit", "unseen", *READERS], rows)
    cost = markdown_table([header[i] for i in kept], [[row[i] for i in kept] for row in costs])
    return (
        f"### {trace} on {name}\n\nAccuracy of each reader, %; chance {chance} %.\n\n{readers}\n\n"
        f"Paired differences in points, after minus before.\n\n{cost}"
    )
