"""Does the audit find what was planted, and stay silent where nothing was? Also against cleanlab's Datalab.

    python scripts/checks/audit.py planted [--photos 2000] [--strength 0.1]
    python scripts/checks/audit.py silence [--sets 200] [--photos 2000]
    python scripts/checks/audit.py repairs [--photos 1000]
    python scripts/checks/audit.py cleanlab [--photos 400] [--strengths 0.1,0.5,1]      # pip install "cleanlab[image]"

``silence`` reads one varied set of files and then shuffles its labels: headers keep all their dependence on each other,
and none on the label.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
import pyarrow as pa

from benchmark.audit import Audit, audit
from benchmark.audit.repair_plan import parse_repair, plan_repair
from benchmark.audit.repairs import write_repaired
from benchmark.audit.run import audit_of
from benchmark.audit.scan import Block, Plan, Scan, scanned
from benchmark.audit.subjects import photo_subject
from benchmark.audit.tally import tally
from builders.photos import PhotoSet
from tests.benchmark.audit.planted import TRAITS, exif, jpeg, opened, picture, planted
from tests.support.images import image_bytes

SIDE = 96


def check_planted(photos: int, strength: float) -> bool:
    """Plant each trait, and one source for each class; print what was found. Whether all was."""
    print(f"{photos} photos, 2 classes, planted V = {strength:g}")
    print(f"{'planted':18s} {'found':6s} {'V':>6s} {'p, Holm':>9s}  named first")
    good = True
    for trait in TRAITS:
        pixels = photos if trait == "earlier_quality" else 0
        photo_set = planted(trait, strength, photos, seed=1, side=SIDE)
        result = audit(photo_set, pixels=pixels, progress=False)
        good &= _print_row(trait, result, trait)
    photo_set = planted("quality", 0.0, photos, seed=2, side=SIDE)
    names = np.array([f"site of {photo_set.labels.names[v]}" for v in photo_set.labels.values], dtype=object)
    result = audit(dataclasses.replace(photo_set, columns={"source": names}), progress=False)
    return good & _print_row("one source a class", result, "source")


def _print_row(name: str, result: Audit, feature: str) -> bool:
    question = result.question(feature)
    flagged = bool(question and question.flagged)
    value, p = (question.value, question.adjusted) if question else (0.0, 1.0)
    first = next((q.title for q in result.questions if q.mark == "found"), "nothing")
    print(f"{name:18s} {'yes' if flagged else 'NO':6s} {value:6.3f} {p:9.1e}  {first}", flush=True)
    return flagged


def varied(photos: int, seed: int = 0) -> PhotoSet:
    """Files of many makers: formats, qualities, sizes, programs and cameras, each drawn apart."""
    rng = np.random.default_rng(seed)
    files = {}
    for i in range(photos):
        image = picture(rng, 64).crop((0, 0, int(rng.choice([48, 64])), int(rng.choice([48, 56, 64]))))
        if rng.random() < 0.2:
            data = image_bytes(image)
        else:
            tags = exif(Make=str(rng.choice(["Canon", "NIKON"])), Software=str(rng.choice(["A", "B", "C"])))
            options = {"exif": tags} if rng.random() < 0.5 else {}
            if rng.random() < 0.3:
                options["progressive"] = True
            data = jpeg(image, int(rng.choice([70, 75, 85, 90, 95])), str(rng.choice(["4:2:0", "4:4:4"])), **options)
        files[f"{i:05d}"] = data
    return PhotoSet.of_bytes("varied", files, ["a", "b"] * (photos // 2))


@dataclasses.dataclass(frozen=True)
class Shuffled:
    """A scan whose labels were shuffled over all blocks."""

    parts: tuple[Block, ...]
    labels: np.ndarray

    def blocks(self) -> Iterator[Block]:
        start = 0
        for part in self.parts:
            column = pa.array(self.labels[start : start + len(part.facts)]).dictionary_encode()
            start += len(part.facts)
            yield Block(part.facts.set_column(part.facts.column_names.index("label"), "label", column), part.pixels)


def check_silence(sets: int, photos: int, pixels: int) -> None:
    """Shuffle the labels of one varied set again and again; print how many are flagged."""
    photo_set = varied(photos)
    subject = photo_subject(photo_set)
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder, scanned(subject, Plan(pixels / photos), Path(folder)) as scan:
        assert isinstance(scan, Scan)
        parts = tuple(scan.blocks())
    for classes in (2, 10):
        flagged, smallest, start = 0, [], time.perf_counter()
        for k in range(sets):
            labels = np.array([f"class {c}" for c in rng.permutation(np.arange(photos) % classes)], dtype=object)
            result = audit_of(tally(Shuffled(parts, labels)), subject, "label", {}, seed=k)  # type: ignore[arg-type]
            flagged += result.verdict.answer == "yes"
            smallest.append(min(q.adjusted for q in result.questions))
        seconds = (time.perf_counter() - start) / sets
        print(
            f"{classes} classes, {photos} photos, {pixels} decoded: {flagged} of {sets} sets without a confound are "
            f"flagged; corrected p under .05 in {np.mean(np.array(smallest) < 0.05):.1%}; {seconds:.1f} s a set",
            flush=True,
        )


def check_repairs(photos: int) -> bool:
    """Repair a set with two confounds in every way; print what is read before and after. Whether headers are silent."""
    print(f"{photos} photos: fakes are PNG at V = .5, and had been saved at quality 60 before at V = .5")
    print(f"{'repair':14s} {'photos':>7s}  {'header accuracy':>24s}  {'earlier compression, V':>22s}  pixel statistics")
    rng = np.random.default_rng(4)
    files, labels = {}, []
    for i in range(photos):
        image, share = picture(rng, SIDE), 0.75 if i % 2 else 0.25
        if rng.random() < share:
            image = opened(jpeg(image, 60))
        files[f"{i:05d}"] = image_bytes(image) if rng.random() < share else jpeg(image, 92)
        labels.append("fake" if i % 2 else "real")
    photo_set = PhotoSet.of_bytes("two-confounds", files, labels)
    subject, before = photo_subject(photo_set), audit(photo_set, pixels=photos, progress=False)
    _print_repair("none", before)
    good = True
    for how in ("jpeg:90-420", "match", "drop"):
        with tempfile.TemporaryDirectory() as folder, scanned(subject, Plan(), Path(folder), progress=False) as scan:
            plan = plan_repair(parse_repair(how), before, subject, scan)
            after = audit(
                write_repaired(plan, subject, Path(folder) / "out", form="files"), pixels=photos, progress=False
            )
        _print_repair(how, after)
        header = after.layer("header")
        good &= header is None or header.low <= header.chance
    return good


def _print_repair(name: str, result: Audit) -> None:
    header, pixels, earlier = result.layer("header"), result.layer("pixels"), result.question("earlier_quality")
    accuracy = f"{header.accuracy:.1%} ({header.low:.1%} to {header.high:.1%})" if header else "nothing left to read"
    rest = f"{pixels.accuracy:.1%} ({pixels.low:.1%} to {pixels.high:.1%})" if pixels else "-"
    earlier_v = earlier.value if earlier else 0
    print(f"{name:14s} {result.photos:7d}  {accuracy:>24s}  {earlier_v:22.2f}  {rest}", flush=True)


def check_cleanlab(photos: int, strengths: list[float]) -> None:
    """The same planted sets through cleanlab's Datalab, whose ``spurious_correlations`` is the nearest peer."""
    import datasets
    from cleanlab import Datalab

    print(f"{photos} photos, 2 classes\n{'planted':18s} {'V':>4s}  {'camtrace':32s} cleanlab (properties under .3)")
    for trait in [*TRAITS, "brightness"]:
        for strength in strengths:
            dark = trait == "brightness"
            photo_set = _brightness(strength, photos) if dark else planted(trait, strength, photos, 3, SIDE)
            result = audit(photo_set, pixels=photos, progress=False)
            question = result.question(trait)
            word = "-" if question is None else f"V or eta = {question.value:.2f}"
            mark = "hint" if question and question.content else "found"
            answer = f"{mark}, {word}" if question and question.flagged else "not found"
            label = datasets.ClassLabel(names=["fake", "real"])
            features = datasets.Features({"image": datasets.Image(), "label": label})
            rows = {
                "image": [{"bytes": photo_set.read(i), "path": None} for i in range(photos)],
                "label": photo_set.labels.values.tolist(),
            }
            data = datasets.Dataset.from_dict(rows, features=features)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                lab = Datalab(data=data, label_name="label", image_key="image", verbosity=0)
                lab.find_issues(issue_types={"image_issue_types": dict(_PROPERTIES), "spurious_correlations": {}})
                table = lab.get_info("spurious_correlations")["correlations_df"]
            low = {str(r["property"]).removesuffix("_score"): float(r["score"]) for _, r in table.iterrows()}
            named = ", ".join(f"{n} ({s:.2f})" for n, s in low.items() if s < 0.3)
            print(f"{trait:18s} {strength:4g}  {answer:32s} {named or 'nothing'}", flush=True)


_PROPERTIES: dict[str, dict] = {
    name: {} for name in ("dark", "light", "blurry", "low_information", "odd_size", "odd_aspect_ratio", "grayscale")
}
"""Everything that cleanlab looks at."""


def _brightness(strength: float, photos: int) -> PhotoSet:
    """Half of the photos at two fifths of their brightness: what cleanlab looks for, and we call a hint."""
    rng = np.random.default_rng(0)
    files = {}
    for i in range(photos):
        dark = rng.random() < (1 + strength * (1 if i % 2 else -1)) / 2
        files[f"{i:05d}"] = jpeg(picture(rng, SIDE).point(lambda v, d=dark: int(v * 0.4) if d else v))
    return PhotoSet.of_bytes("brightness", files, ["real", "fake"] * (photos // 2))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("planted", "silence", "repairs", "cleanlab"))
    parser.add_argument("--photos", type=int)
    parser.add_argument("--strength", type=float, default=0.1)
    parser.add_argument("--strengths", default="0.1,0.5,1")
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--pixels", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.what == "planted":
        return 0 if check_planted(arguments.photos or 2000, arguments.strength) else 1
    if arguments.what == "repairs":
        return 0 if check_repairs(arguments.photos or 1000) else 1
    if arguments.what == "silence":
        check_silence(arguments.sets, arguments.photos or 2000, arguments.pixels)
    else:
        check_cleanlab(arguments.photos or 400, [float(s) for s in arguments.strengths.split(",")])
    return 0


if __name__ == "__main__":
    sys.exit(main())
