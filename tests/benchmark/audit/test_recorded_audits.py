"""Numbers of an audit do not move between versions: those of sets with a planted confound are as recorded."""

import dataclasses

import numpy as np

from benchmark.audit import audit
from builders.photos import PhotoSet
from tests.benchmark.audit.planted import TRAITS, planted
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


def test_audits__of_planted_confounds_are_as_recorded():
    made = {}
    for photos in (mixed(), planted("quality", 0.6, 60)):
        numbers = {k: v for k, v in vars(audit(photos, progress=False)).items() if k not in SENTENCES}
        made |= {f"{photos.name}: {field}": value for field, value in numbers.items()}
    check_recorded("audits", made)
