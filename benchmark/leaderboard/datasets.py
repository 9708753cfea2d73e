"""Data sets of a board: scores may share a column only on the same photos under the same codec."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.leaderboard.entries import ALIASES, Entry, Observation, Photos
from benchmark.results import TRAIN_PHOTOS

LABELS = {
    "imagenet": "ImageNet",
    "inat2018": "iNaturalist 2018",
    "flickrexif": "FlickrExif",
    "paircams": "PairCams",
}


@dataclass(frozen=True)
class DataSet:
    """Scores on equal photos, under equal codecs."""

    id: str
    label: str
    note: str
    members: frozenset[Photos]


def data_sets(entries: Sequence[Entry]) -> tuple[DataSet, ...]:
    """The data sets of a board: those of the study first, then measured ones by name.

    Measured photos join the study's data set of the same name where the numbers of train photos (if the study gives
    one) and of the test photos of every common score are equal.
    """
    published = _by_photos(e for e in entries if e.origin == "published")
    measured = _by_photos(e for e in entries if e.origin == "measured")
    joined: dict[Photos, set[Photos]] = {photos: {photos} for photos in published}
    apart: list[Photos] = []
    first: dict[str, tuple[str, str]] = {}
    # Photos with a hash of their question come first: the study's column goes to the more complete record.
    for photos in sorted(measured, key=lambda p: (p.name, not p.question_hash, p.ids_hash, p.question_hash, p.canary)):
        study = Photos(ALIASES.get(photos.name, photos.name))
        fits = study in published and _same_photos(photos, published[study], measured[photos])
        # Two codecs, or two questions, never share a column: the first one joins the study's.
        key = (photos.canary, photos.question_hash)
        if fits and first.setdefault(study.name, key) == key:
            joined[study].add(photos)
        else:
            apart.append(photos)
    names = [p.name for p in (*published, *apart)]
    sets = [
        DataSet(p.name, LABELS.get(p.name, p.name), _study_note(p, members), frozenset(members))
        for p, members in joined.items()
    ]
    for photos in apart:
        unique = names.count(photos.name) == 1
        digest = hashlib.sha256(repr(photos).encode()).hexdigest()[:6]
        size = max(o.n for o in measured[photos])
        label = LABELS.get(photos.name, photos.name) + (" (smoke test)" if photos.smoke_test else "")
        sets.append(
            DataSet(
                id=photos.name if unique else f"{photos.name}-{digest}",
                label=label if unique else f"{label} ({size:,} photos, {digest[:4]})",
                note=_measured_note(photos, size),
                members=frozenset({photos}),
            )
        )
    return tuple(sets)


def _by_photos(entries: Iterable[Entry]) -> dict[Photos, list[Observation]]:
    observations: dict[Photos, list[Observation]] = defaultdict(list)
    for entry in entries:
        for observation in entry.observations:
            observations[observation.photos].append(observation)
    return dict(observations)


def _same_photos(photos: Photos, published: Iterable[Observation], measured: Iterable[Observation]) -> bool:
    """Whether measured photos are as many as those of the study, for training and for every common score."""
    if photos.train_photos and photos.train_photos != TRAIN_PHOTOS.get(
        ALIASES.get(photos.name, photos.name), photos.train_photos
    ):
        return False
    counts = {(o.task, o.metric): o.n for o in published}
    shared = [o for o in measured if (o.task, o.metric) in counts]
    return bool(shared) and all(counts[o.task, o.metric] == o.n for o in shared)


def _study_note(photos: Photos, members: set[Photos]) -> str:
    note = "The study's photos; its codec versions are not known."
    if len(members) > 1:
        note += " Measured results on as many test photos stand in the same columns."
    return note


def _measured_note(photos: Photos, size: int) -> str:
    parts = [f"Measured on up to {size:,} test photos"]
    if photos.ids_hash:
        parts.append(f"ids {photos.ids_hash[:12]}")
    parts.append(f"question {photos.question_hash[:12]}" if photos.question_hash else "labels not recorded")
    parts.append(f"codec canary {photos.canary[:12]}" if photos.canary else "codec not recorded")
    note = ", ".join(parts) + "."
    if photos.smoke_test:
        note += " A smoke test: it shows that the installation works, nothing more."
    return note
