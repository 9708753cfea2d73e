"""Which scores may share a column: the board's data sets, told apart by photos and codec."""

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
    """Every data set of the board: the study's first, then measured ones by name.

    Measured photos join the study's data set of that name if both trained on as many photos (where the
    study says) and every score that both have was made on as many test photos.
    """
    published = _by_photos(e for e in entries if e.origin == "published")
    measured = _by_photos(e for e in entries if e.origin == "measured")
    joined: dict[Photos, set[Photos]] = {photos: {photos} for photos in published}
    apart: list[Photos] = []
    first: dict[str, tuple[str, str]] = {}
    # Those that name their question come before those that cannot: the study's column goes to the better record.
    for photos in sorted(measured, key=lambda p: (p.name, not p.question_hash, p.ids_hash, p.question_hash, p.canary)):
        study = Photos(ALIASES.get(photos.name, photos.name))
        fits = study in published and _same_photos(photos, published[study], measured[photos])
        # Two codecs, or two questions, never meet in one column: the first one keeps the study's.
        own = (photos.canary, photos.question_hash)
        if fits and first.setdefault(study.name, own) == own:
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
    found: dict[Photos, list[Observation]] = defaultdict(list)
    for entry in entries:
        for observation in entry.observations:
            found[observation.photos].append(observation)
    return dict(found)


def _same_photos(photos: Photos, published: Iterable[Observation], measured: Iterable[Observation]) -> bool:
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
        note += " A smoke test: it shows that the line runs, nothing more."
    return note
