"""Plans of repairs: the photos that stay, how they are saved, and what is lost.

``reencode`` saves every photo the same way; ``match`` draws from every class the same mixture of the flagged values;
``drop`` selects the value that the classes share most. Where some classes are JPEG files and the others are none, no
value is shared: ``match`` then follows *Fake or JPEG* (arXiv 2403.17608), see ``_of_one_codec``. Matching is stratified
sampling: each class is cut to the smallest share that a stratum has in any class (Cochran, "Sampling techniques", 1977,
chapter 5A).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from benchmark.audit.features import FEATURES, FILE_LAYERS
from benchmark.audit.result import Audit
from benchmark.audit.scan import Scan
from benchmark.audit.subjects import UNKNOWN, PhotoSubject
from builders.errors import UsageError, unknown_name
from builders.photos import UNLABELLED, hash64
from builders.pixels import PRESETS, Processing, chosen_processings, read_definitions

Subsampling = Literal["4:2:0", "4:4:4"]

LOWEST_QUALITY = 50
"""Lowest quality that ``reencode`` chooses, so that a single bad file does not lower it further."""

BINS = 4
"""Quantile bins of a matched number."""

FEWEST_LEFT = 2
"""Least photos of each class after a repair."""

MOSTLY = 0.9
"""Share of the photos of a class from which it counts as one of JPEG files, or of other files."""

WINDOW = 0.1
"""Largest difference of a side from that of a generated size, as a share: *Fake or JPEG* has 450 to 550 pixels for
512."""

MOST_SIZES = 50
"""Different sizes up to which each has its own window."""

_JPEG = re.compile(r"jpeg:(\d{1,3})-(420|444)")


@dataclass(frozen=True)
class Repair:
    """A requested repair."""

    kind: Literal["reencode", "match", "drop"]
    quality: int | None = None
    """JPEG quality; ``None`` to derive it from the photos."""
    subsampling: Subsampling | None = None
    classes: tuple[str, ...] = ()
    """Classes whose photos are saved again; empty for all."""
    processing: str = ""
    """Name of a processing that saves every photo, in the place of a quality."""
    definitions: str = ""
    """The file that defines it: a preset's name, or the canonical text."""

    def of_class(self, name: str) -> Processing | None:
        """How photos of a class are saved again; None if they keep their files."""
        if self.processing:
            return read_definitions(self.definitions).processings[self.processing]
        if self.quality is None or self.subsampling is None or (self.classes and name not in self.classes):
            return None
        return Processing("repair", self.quality, self.subsampling)


@dataclass(frozen=True)
class RepairPlan:
    """The photos that stay, how they are saved, and what is lost."""

    repair: Repair
    """With quality and subsampling, where it re-encodes."""
    retained: np.ndarray
    """int64 [photos that stay], their positions, ascending."""
    photos: int
    """Number of photos with a label before the repair."""
    by_class: Mapping[str, tuple[int, int]]
    """(before, after) by class."""
    matched: tuple[str, ...]
    """Features whose values are equalised."""
    sentences: tuple[str, ...] = field(default=())
    """What is done, lost and left."""


def parse_repair(text: str) -> Repair:
    """The repair of ``reencode``, ``jpeg:QUALITY-420`` (or ``-444``), ``match``, ``drop``, or ``FILE.toml:PROCESSING``.

    Raises:
        UsageError: any other text, or the processing file is not right.

    >>> parse_repair("jpeg:75-420").quality, parse_repair("web:web-640-webp").processing
    (75, 'web-640-webp')
    """
    if text in ("reencode", "match", "drop"):
        return Repair(cast(Literal["reencode", "match", "drop"], text))
    file, _, name = text.rpartition(":")
    if file in PRESETS or file.lower().endswith(".toml"):
        definitions = chosen_processings(file) or "study"
        processings = read_definitions(definitions).processings
        if name not in processings:
            raise unknown_name(f"processing of {file}", name, tuple(processings))
        return Repair("reencode", processing=name, definitions=definitions)
    match = _JPEG.fullmatch(text)
    if match is None:
        examples = ("reencode", "match", "drop", "jpeg:75-420", "jpeg:90-444", "mine.toml:PROCESSING")
        raise unknown_name("repair", text, examples)
    quality = int(match[1])
    if not 1 <= quality <= 95:
        raise UsageError(f"--repair {text}: a JPEG quality is 1 to 95")
    return Repair("reencode", quality, "4:2:0" if match[2] == "420" else "4:4:4")


def plan_repair(repair: Repair, audit: Audit, subject: PhotoSubject, scan: Scan) -> RepairPlan:
    """The plan of a repair. Nothing is written.

    Raises:
        UsageError: nothing would be left of a class.
    """
    readable = np.concatenate([_readable(block.facts) for block in scan.blocks()])
    labels = np.where(readable, subject.label.values, UNLABELLED)
    at = np.flatnonzero(labels != UNLABELLED)
    if repair.processing:
        return _processed(repair, subject, labels, at)
    if repair.kind == "reencode":
        return _reencode(repair, subject, scan, labels, at)
    features = [
        q.feature
        for q in audit.questions
        if q.target == "label" and q.flagged and q.layer in (*FILE_LAYERS, "origin") and not q.content
    ]
    if not features:
        raise UsageError(f"{audit.name}: nothing that could be matched is flagged, so there is nothing to repair")
    if repair.kind == "match" and (plan := _of_one_codec(repair, features, subject, scan, labels)) is not None:
        return plan
    if repair.kind == "match":
        strata, used = _strata(features, scan)
        retained = _matched(strata[at], labels[at], [subject.photos.ids[i] for i in at])
    else:
        shared, used = _shared(features, scan, labels)
        retained = shared[at]
    by_class = _by_class(subject, labels, at[retained])
    _require_some(repair, by_class)
    lost = len(at) - int(retained.sum())
    titles = ", ".join(FEATURES[f].title if f in FEATURES else f for f in used)
    done = "have the same mixture" if repair.kind == "match" else "have one value, the same,"
    sentences = (
        f"Every class will {done} of: {titles}.",
        f"{lost:,} of {len(at):,} photos are lost ({100 * lost / len(at):.0f} %); the others keep their files.",
        "What was not flagged is not matched, and associations within pixels stay.",
    )
    return RepairPlan(repair, at[retained], len(at), by_class, tuple(used), sentences)


def _processed(repair: Repair, subject: PhotoSubject, labels: np.ndarray, at: np.ndarray) -> RepairPlan:
    sentences = (
        f"Every photo is decoded, processed by {repair.processing} and saved by it, without metadata.",
        "No photo is lost. Header and Exif then say nothing; whatever the pixels hold of the past stays in them.",
    )
    return RepairPlan(repair, at, len(at), _by_class(subject, labels, at), (), sentences)


def _reencode(repair: Repair, subject: PhotoSubject, scan: Scan, labels: np.ndarray, at: np.ndarray) -> RepairPlan:
    qualities, subsamplings = [], set()
    for block in scan.blocks():
        qualities.append(block.facts.column("nearest_quality").to_numpy(zero_copy_only=False))
        subsamplings |= set(block.facts.column("subsampling").unique().to_pylist())
    quality = np.concatenate(qualities).astype(float)[at]
    lowest = float(np.nanmin(quality)) if np.isfinite(quality).any() else 95.0
    chosen = repair.quality or int(max(LOWEST_QUALITY, min(95, lowest)))
    worst: Subsampling = "4:4:4" if subsamplings <= {"4:4:4", "grey", "none", None} else "4:2:0"
    subsampling = repair.subsampling or worst
    coarser = int((quality < chosen).sum())
    sentences = [
        f"Every photo is decoded and saved as baseline JPEG of quality {chosen}, {subsampling}, without metadata.",
        f"No photo is lost; {int((np.isnan(quality)).sum()):,} that were no JPEG become one, and all lose detail.",
        "Header and Exif then say nothing. Sizes stay as they are, and an earlier compression stays visible in the "
        "pixels of photos that had one.",
    ]
    if coarser:
        sentences.append(f"{coarser:,} photos were saved more coarsely than that before, and keep the trace.")
    decided = Repair("reencode", chosen, subsampling)
    return RepairPlan(decided, at, len(at), _by_class(subject, labels, at), (), tuple(sentences))


class _Codec(NamedTuple):
    """How a file is saved, as far as it decides pixels."""

    quality: str
    subsampling: str
    channels: str


def _of_one_codec(
    repair: Repair, features: Sequence[str], subject: PhotoSubject, scan: Scan, labels: np.ndarray
) -> RepairPlan | None:
    """The plan of *Fake or JPEG* where some classes are JPEG files and the others are none; else None.

    Of the JPEG files those of the most frequent coding stay as they are. The other classes are saved with this coding.
    If sizes are flagged, a photo of the JPEG classes stays only if both its sides are near those of a size of the other
    classes, and every class has the same mixture of these sizes.
    """
    names = ("format", "quality", "subsampling", "channels", "dimensions")
    formats, qualities, chroma, channels, sizes = (
        np.concatenate([np.array(b.facts.column(name).to_pylist(), dtype=str) for b in scan.blocks()]) for name in names
    )
    is_jpeg = formats == "JPEG"
    shares = {int(k): float(is_jpeg[labels == k].mean()) for k in np.unique(labels[labels != UNLABELLED])}
    coded = [k for k, share in shares.items() if share >= MOSTLY]
    others = [k for k, share in shares.items() if share <= 1 - MOSTLY]
    usable = is_jpeg & np.isin(labels, coded) & np.char.isdigit(qualities) & np.isin(chroma, ("4:2:0", "4:4:4"))
    if not coded or not others or len(coded) + len(others) < len(shares) or not usable.any():
        return None
    counted = Counter(map(_Codec._make, zip(qualities[usable], chroma[usable], channels[usable], strict=True)))
    codec, files = counted.most_common(1)[0]
    stays = usable & (qualities == codec.quality) & (chroma == codec.subsampling) & (channels == codec.channels)
    saved = np.isin(labels, others) & ~is_jpeg
    windows = _Windows.of(sizes[saved]) if any(FEATURES[f].layer == "size" for f in features if f in FEATURES) else None
    strata = np.zeros(len(labels), np.int64) if windows is None else windows.at(sizes)
    at = np.flatnonzero((stays | saved) & (strata >= 0))
    shared = [set(strata[at[labels[at] == k]].tolist()) for k in shares]
    at = at[np.isin(strata[at], sorted(set.intersection(*shared)))]
    retained = at[_matched(strata[at], labels[at], [subject.photos.ids[i] for i in at])]
    by_class = _by_class(subject, labels, retained)
    _require_some(repair, by_class)
    again = tuple(subject.label.names[k] for k in others)
    compressed = " and ".join(subject.label.names[k] for k in coded)
    total = int((labels != UNLABELLED).sum())
    lost = total - len(retained)
    sentences = [
        f"Of {compressed} the photos of the most frequent coding stay, JPEG of quality {codec.quality}, "
        f"{codec.subsampling}: {files:,} of {int(np.isin(labels, coded).sum()):,}. They keep their files.",
        f"Photos of {' and '.join(again)} are decoded and saved as JPEG of this quality.",
        *([] if windows is None else windows.sentences()),
        f"{lost:,} of {total:,} photos are lost ({100 * lost / total:.0f} %).",
        "Kinds of metadata and the writer of a file, which no pixel depends on, stay as they are.",
    ]
    decided = Repair("match", int(codec.quality), cast(Subsampling, codec.subsampling), again)
    matched = ("format", "quality", "subsampling", *(["dimensions"] if windows else []))
    return RepairPlan(decided, retained, total, by_class, matched, tuple(sentences))


@dataclass(frozen=True)
class _Windows:
    """Ranges of sizes, in pixels."""

    low: np.ndarray
    """int64 [sizes, 2], least width and height."""
    high: np.ndarray

    @classmethod
    def of(cls, sizes: np.ndarray) -> _Windows:
        """Windows around sizes such as ``512 x 512``: around each of a few, or one around nearly all of many."""
        named, counts = np.unique(sizes, return_counts=True)
        sides = _sides(named)
        least = most = sides[np.argsort(-counts, kind="stable")]
        if len(named) > MOST_SIZES:
            least, most = np.quantile(np.repeat(sides, counts, axis=0), [0.025, 0.975], axis=0)[:, None]
        return cls(np.ceil(least * (1 - WINDOW)).astype(int), np.floor(most * (1 + WINDOW)).astype(int))

    def at(self, sizes: np.ndarray) -> np.ndarray:
        """int64 [n], the window of each size, the nearest of several; -1 outside of all."""
        sides = _sides(sizes)[:, None]
        within = (sides >= self.low) & (sides <= self.high)
        inside = np.asarray(within.all(axis=2))
        apart = np.abs(np.log(np.maximum(sides, 1) * 2 / (self.low + self.high))).sum(axis=2)
        return np.where(inside.any(axis=1), np.argmin(np.where(inside, apart, np.inf), axis=1), -1)

    def sentences(self) -> list[str]:
        spans = [
            f"{low[0]} to {high[0]} wide and {low[1]} to {high[1]} high"
            for low, high in zip(self.low.tolist(), self.high.tolist(), strict=True)
        ]
        more = f", and {len(spans) - 8} more" if len(spans) > 8 else ""
        return [
            f"Sizes that stay, in pixels: {'; '.join(spans[:8])}{more}. Every class has the same mixture of these.",
            "Within such a range sizes still differ by class: crop or resize all photos alike.",
        ]


def _sides(sizes: np.ndarray) -> np.ndarray:
    """int64 [n, 2], width and height of ``512 x 512``."""
    pairs = [text.partition(" x ")[::2] for text in sizes.tolist()]
    sides = [[int(side) if side.isdecimal() else 0 for side in pair] for pair in pairs]
    return np.array(sides, np.int64).reshape(-1, 2)


def _require_some(repair: Repair, by_class: Mapping[str, tuple[int, int]]) -> None:
    """Refuse a repair that leaves nothing of a class. Raises ``UsageError``."""
    poor = [name for name, (_, after) in by_class.items() if after < FEWEST_LEFT]
    if poor:
        raise UsageError(
            f"--repair {repair.kind} would leave nothing of {poor[0]!r}: the classes share too little; "
            "--repair reencode keeps every photo"
        )


def _readable(facts: Any) -> np.ndarray:
    return facts.column("failure").to_numpy(zero_copy_only=False) == ""


def _by_class(subject: PhotoSubject, labels: np.ndarray, retained: np.ndarray) -> dict[str, tuple[int, int]]:
    names = subject.label.names
    before = np.bincount(labels[labels >= 0], minlength=len(names))
    after = np.bincount(labels[retained], minlength=len(names))
    return {name: (int(before[k]), int(after[k])) for k, name in enumerate(names) if before[k]}


def _strata(features: Sequence[str], scan: Scan) -> tuple[np.ndarray, list[str]]:
    """int64 [photos], stratum of each photo by the joint value of all features; and the features."""
    edges = {name: _edges(name, scan) for name in features if name in FEATURES and FEATURES[name].kind == "number"}
    numbers: dict[tuple[str, ...], int] = {}
    strata = []
    for block in scan.blocks():
        columns = []
        for name in features:
            values = block.facts.column(name).to_pylist()
            if name in edges:
                array = np.array([np.nan if v is None else v for v in values], dtype=float)
                values = np.where(np.isfinite(array), np.searchsorted(edges[name], array), -1).tolist()
            columns.append([str(v) for v in values])
        strata += [numbers.setdefault(key, len(numbers)) for key in zip(*columns, strict=True)]
    return np.array(strata, dtype=np.int64), list(features)


def _edges(name: str, scan: Scan) -> np.ndarray:
    values = np.concatenate([b.facts.column(name).to_numpy(zero_copy_only=False) for b in scan.blocks()]).astype(float)
    known = values[np.isfinite(values)]
    return np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.zeros(0)


def _matched(strata: np.ndarray, labels: np.ndarray, ids: Sequence[str]) -> np.ndarray:
    """bool [photos], a seeded draw in which every class has the same mixture of strata.

    From stratum s, n_k t_s photos of each class k are drawn, where t_s is the smallest share of s in any class.
    """
    classes, label = np.unique(labels, return_inverse=True)
    names, stratum = np.unique(strata, return_inverse=True)
    counts = np.bincount(stratum * len(classes) + label, minlength=len(names) * len(classes))
    counts = counts.reshape(len(names), len(classes))
    sizes = counts.sum(axis=0)
    quota = np.minimum(np.round((counts / sizes).min(axis=1, keepdims=True) * sizes).astype(int), counts)
    order = np.argsort(np.array([hash64(f"match\0{i}") for i in ids], dtype=np.uint64), kind="stable")
    cell = (stratum * len(classes) + label)[order]
    by_cell = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[by_cell], cell[by_cell], side="left")
    rank = np.empty(len(cell), dtype=np.int64)
    rank[by_cell] = np.arange(len(cell)) - starts
    drawn = np.zeros(len(cell), dtype=bool)
    drawn[order] = rank < quota.ravel()[cell]
    return drawn


def _shared(features: Sequence[str], scan: Scan, labels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """bool [photos], those with the value that the classes share most, for each feature in turn; and the features."""
    shared = labels != UNLABELLED
    used = []
    for name in features:
        if name in FEATURES and FEATURES[name].kind == "number":
            continue  # few photos share a value of a number
        values = np.concatenate([np.array(b.facts.column(name).to_pylist(), dtype=object) for b in scan.blocks()])
        texts = np.array([UNKNOWN if v is None else v for v in values], dtype=str)
        names, code = np.unique(texts, return_inverse=True)
        classes, label = np.unique(labels[shared], return_inverse=True)
        counts = np.bincount(code[shared] * len(classes) + label, minlength=len(names) * len(classes))
        shares = counts.reshape(len(names), len(classes)) / np.bincount(label)
        shared &= code == int(np.argmax(shares.min(axis=1)))
        used.append(name)
        if not shared.any():
            break
    return shared, used
