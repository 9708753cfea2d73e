"""Numbers of an audit do not move between versions: those of sets with a planted confound are as recorded."""

import dataclasses

import numpy as np
import pytest
import sklearn
from packaging.version import Version

from benchmark.audit import audit, parse_repair
from benchmark.audit.repair_plan import plan_repair
from benchmark.audit.repairs import described
from benchmark.audit.scan import Plan, scanned
from benchmark.audit.subjects import photo_subject
from builders.errors import UsageError
from builders.photos import PhotoSet
from tests.benchmark.audit.planted import TRAITS, jpeg, picture, planted
from tests.support.images import image_bytes
from tests.support.recorded import check_recorded

SENTENCES = ("verdict", "findings", "repairs")


def mixed(photos: int = 120) -> PhotoSet:
    """A set in which every trait is planted in some of the files, with splits and clusters."""
    parts = [planted(trait, 0.4 + 0.1 * i, photos // len(TRAITS) + i, seed=i) for i, trait in enumerate(TRAITS)]
    files = {f"{part.name}/{name}": part.read(i) for part in parts for i, name in enumerate(part.ids)}
    labels = [part.labels.names[value] for part in parts for value in part.labels.values]
    n = len(files)
    splits = np.array(["train", "val", "train"])[np.arange(n) % 3].tolist()
    photos_of_all = PhotoSet.of_bytes("mixed", files, labels, splits)
    return dataclasses.replace(
        photos_of_all, columns={"cluster": np.array([f"place {i // 4}" for i in range(n)], object)}
    )


@pytest.mark.skipif(
    Version(sklearn.__version__) < Version("1.8"),
    reason="an earlier scikit-learn stops a little elsewhere",
)
def test_audits__of_planted_confounds_are_as_recorded():
    made = {}
    for photos in (mixed(), planted("quality", 0.6, 60)):
        numbers = {k: v for k, v in vars(audit(photos, progress=False)).items() if k not in SENTENCES}
        made |= {f"{photos.name}: {field}": value for field, value in numbers.items()}
    check_recorded("audits", made)


@pytest.mark.slow
def test_audits__of_decoded_photos_are_as_recorded():
    """Pixel statistics, earlier compressions, near-duplicates and their sentences, of photos in bursts."""
    rng = np.random.default_rng(3)
    pictures = [picture(rng, 96 + 16 * (i % 2)) for i in range(24)]
    files = {}
    for i, image in enumerate(pictures):
        fake = i % 3 == 0
        for k in range(2 if i % 4 else 1):
            shown = image.point(lambda level: level // 2 + 60) if fake else image
            files[f"{i:02d}-{k}"] = jpeg(shown, 90 - 20 * k, "4:4:4" if fake else "4:2:0")
    files |= {"copy": files["00-0"], "other copy": files["05-1"], "broken": b"GIF89a"}
    labels = ["fake" if name[:2].isdigit() and int(name[:2]) % 3 == 0 else "real" for name in files]
    photos = PhotoSet.of_bytes("decoded", files, labels, ["train", "val", "test"] * (len(files) // 3))
    made = vars(audit(photos, pixels=len(files), near_duplicates=True, progress=False))
    check_recorded("audits-of-pixels", made, tolerance=1e-3)


def generated(photos: int = 60) -> PhotoSet:
    """JPEG files of several codings beside PNG files of several sizes, as *Fake or JPEG* has them."""
    rng = np.random.default_rng(4)
    files = {}
    for i in range(photos):
        side = (48, 64, 64, 96)[i % 4]
        image = picture(rng, side).crop((0, 0, side - i % 3, side))
        if i % 2:
            files[f"fake/{i:02d}"] = image_bytes(image)
        else:
            files[f"real/{i:02d}"] = jpeg(image, 75 if i % 5 == 0 else 90)
    return PhotoSet.of_bytes("generated", files, [name.partition("/")[0] for name in files])


@pytest.mark.slow
def test_repairs__of_planted_confounds_are_as_recorded(tmp_path):
    made = {}
    three = dataclasses.replace(planted("quality", 0.6, 60), name="one trait")
    for photos in (mixed(), planted("format", 0.5, 60), generated(), three):
        subject, before = photo_subject(photos), audit(photos, progress=False)
        with scanned(subject, Plan(), tmp_path, progress=False) as scan:
            for text in ("reencode", "jpeg:60-444", "match", "drop", "web:web-640-webp"):
                try:
                    plan = plan_repair(parse_repair(text), before, subject, scan)
                except UsageError as error:
                    made[f"{photos.name}: {text}"] = str(error)
                else:
                    made[f"{photos.name}: {text}"] = {**described(plan), "retained": plan.retained.tolist()}
    check_recorded("repairs", made)
