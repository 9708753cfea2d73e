"""Repairs of a data set: planned, written as Parquet shards or as plain files, and audited again. Both forms resume."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Features, Image, Value

from benchmark.audit.open import open_subject
from benchmark.audit.repair_plan import Repair, RepairPlan, parse_repair, plan_repair
from benchmark.audit.report import write_audit
from benchmark.audit.result import Audit
from benchmark.audit.run import audit
from benchmark.audit.scan import Plan, scanned
from benchmark.audit.subjects import PhotoSubject
from benchmark.options import default_cache
from builders.data_specs import open_photos
from builders.dataset import (
    Card,
    ShardJob,
    claim_folder,
    finish_folder,
    items_per_shard,
    pixel_rights,
    prepare_folder,
    source_datasets,
    write_shards,
)
from builders.errors import DataError, PhotoError, UsageError, disk_error
from builders.files import write_bytes_atomically, write_text_atomically
from builders.photos import SPLITS, UNLABELLED, Labels, PhotoSet, PhotoSource
from builders.pixels import codec_canary, decode_rgb, processed_file, read_image_header
from builders.untrusted import list_folder

SHOWN_CLASSES = 10
"""Classes whose counts are printed."""

CONFIG = "repaired"

PLAN_FILE = "repair.json"

_HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}

_SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WebP": "webp", "GIF": "gif", "HEIC": "heic", "AVIF": "avif", "TIFF": "tiff"}


@dataclass(frozen=True)
class RepairedRows:
    """The row of each photo that stays: a picklable function of its position."""

    source: PhotoSource
    rows: np.ndarray
    ids: tuple[str, ...]
    labels: np.ndarray
    names: tuple[str, ...]
    """Of the classes."""
    columns: Mapping[str, np.ndarray]
    """Generators, sources and other columns of the photos, as text."""
    repair: Repair

    def __call__(self, item: int) -> list[dict[str, Any]]:
        data = self.source.read(int(self.rows[item]))
        repaired = repaired_bytes(data, self.repair, self.ids[item], self.names[self.labels[item]])
        name = f"{self.ids[item].replace('/', '_')}.{_suffix(repaired)}" if repaired is not data else self.ids[item]
        return [
            {
                "image": {"bytes": repaired, "path": name.replace("/", "_")},
                "photo_id": self.ids[item],
                "label": int(self.labels[item]),
                "source_sha256": hashlib.sha256(data).hexdigest(),
                **{name: str(column[item]) for name, column in self.columns.items()},
            }
        ]


def repaired_bytes(data: bytes, repair: Repair, photo_id: str, label: str) -> bytes:
    """The file of a photo after a repair; the same object where it does not re-encode. Raises ``PhotoError``."""
    processing = repair.of_class(label)
    return data if processing is None else processed_file(decode_rgb(data), processing, photo_id)


def write_repaired(plan: RepairPlan, subject: PhotoSubject, output: Path, *, form: str, workers: int = 1) -> PhotoSet:
    """Write a repaired data set, and open it.

    Args:
        plan: the photos that stay, and how they are saved.
        subject: the photos.
        output: folder of the repaired data set; an interrupted run resumes in it.
        form: ``shards`` (Parquet that ``load_dataset`` reads) or ``files`` (``<split>/<class>/<file>``).
        workers: processes that write shards.

    Raises:
        UsageError: the folder holds other files, another repair, or a repair of other photos or labels.
        DataError: the disk is full, or no photo could be repaired.
    """
    photos = subject.photos.select(plan.retained)
    labels = subject.label.values[plan.retained]
    write = _write_files if form == "files" else _write_shards
    write(plan, photos, labels, subject, output, workers)
    return _reopened(subject, output, form)


REPAIR_COLUMNS = ("image", "photo_id", "label", "source_sha256")
"""Columns of a repaired data set besides those of its photos."""


def carried_columns(photos: PhotoSet) -> dict[str, np.ndarray]:
    """Groups (such as the generator) and columns (source, cluster) of photos as text; empty where there is none."""
    groups = {
        name: np.array(["" if v == UNLABELLED else group.names[v] for v in group.values], dtype=object)
        for name, group in photos.groups.items()
    }
    columns = {**photos.columns, **groups}
    return {name: column for name, column in columns.items() if name not in REPAIR_COLUMNS}


def repaired_spec(photos: PhotoSet, output: Path) -> str:
    """The data specification of a repaired folder of shards, with the groups and columns that were carried over."""
    carried = carried_columns(photos)
    options = [f"group={name}" for name in photos.groups if name in carried]
    options += [f"{name}={name}" for name in ("source", "cluster") if name in carried]
    return f"hub:{output}?{'&'.join(['label=label', *options])}"


def _reopened(subject: PhotoSubject, output: Path, form: str) -> PhotoSet:
    """The photos of a repaired folder, with the sources and owners of the original photos."""
    if form == "files":
        return open_photos(f"folder:{output}")
    photos = open_photos(f"hub:{output}?label=label")
    columns: dict[str, np.ndarray] = {}
    index = {photo_id: i for i, photo_id in enumerate(subject.photos.ids)}
    at = np.array([index[i.partition("/")[2]] for i in photos.ids])
    for name, column in (("source", subject.source), ("owner", subject.owner)):
        if column is not None:
            columns[name] = np.array(
                [column.names[v] if v != UNLABELLED else "" for v in column.values[at]], dtype=object
            )
    return dataclasses.replace(photos, columns=columns)


def _write_shards(
    plan: RepairPlan, photos: PhotoSet, labels: np.ndarray, subject: PhotoSubject, output: Path, workers: int
) -> None:
    carried, names = carried_columns(photos), tuple(subject.label.names)
    features = Features(
        {
            "image": Image(),
            "photo_id": Value("string"),
            "label": ClassLabel(names=list(names)),
            "source_sha256": Value("string"),
            **{name: Value("string") for name in carried},
        }
    )
    prepare_folder(output, [CONFIG])
    _claim(output, plan, photos, Labels(names, labels), carried)
    claim_folder(output)
    recipe = {**dataclasses.asdict(plan.repair), "matched": list(plan.matched), "codec_canary": codec_canary()}
    drawn = photos.evidence.get("splits", "").startswith("seeded")
    splits = []
    for split in SPLITS:
        at = np.arange(len(photos)) if drawn else photos.indices(split)
        if not len(at) or (drawn and split != "train"):
            continue
        ids = tuple(photos.ids[i] for i in at)
        columns = {name: column[at] for name, column in carried.items()}
        rows = RepairedRows(photos.source, photos.rows[at], ids, labels[at], names, columns, plan.repair)
        job = ShardJob(
            output=output,
            config=CONFIG,
            split=_HUB_SPLITS[split],
            features=features,
            ids=ids,
            make_rows=rows,
            recipe={**recipe, "labels": hashlib.sha256(labels[at].astype("<i4").tobytes()).hexdigest()},
            items_per_shard=items_per_shard(200_000, len(at)),
        )
        splits.append(write_shards(job, workers=workers))
    if not any(split.rows for split in splits):
        raise DataError(f"{photos.name}: not one photo could be repaired")
    rights = pixel_rights(photos)
    finish_folder(
        output,
        kind="repaired",
        splits=splits,
        features={CONFIG: features},
        default=CONFIG,
        card=Card(
            template="audit_repair.md.jinja",
            pretty_name=f"{photos.name.split(':', 1)[-1]}: repaired",
            license="unknown" if rights.allowed else "other",
            source_datasets=source_datasets(photos.name),
            context={"plan": plan, "photos": photos},
        ),
        recipe={**recipe, "source": photos.name, "ids_hash": photos.ids_hash()},
        pixels=rights,
    )


def _claim(output: Path, plan: RepairPlan, photos: PhotoSet, labels: Labels, columns: Mapping[str, np.ndarray]) -> None:
    """Write down what a folder is made of. Refuse one that was made of anything else: a run would keep what it has."""
    stamps = photos.stamps()  # None where a source cannot say whether its photos have changed
    recipe = {
        **dataclasses.asdict(plan.repair),
        "matched": list(plan.matched),
        "codec_canary": codec_canary(),
        "ids_hash": photos.ids_hash(),
        "labels": _hash_of(labels.names, labels.values.tolist()),
        "columns": _hash_of(*((name, *column.tolist()) for name, column in sorted(columns.items()))),
        "files": hashlib.sha256(b"" if stamps is None else stamps.table(16)[0].tobytes()).hexdigest(),
    }
    described = json.dumps(recipe, sort_keys=True)
    state = output / f".{PLAN_FILE}"
    is_new = list_folder(output, may_be_absent=True).is_empty
    if not is_new and (not state.is_file() or state.read_text(encoding="utf-8", errors="replace") != described):
        raise UsageError(
            f"{output}: holds something else, or another repair, or one of photos or labels that have changed since; "
            "name another --output, or delete this folder"
        )
    try:
        write_text_atomically(state, described)
    except OSError as error:
        raise disk_error(error, output) from None


def _hash_of(*lists: Sequence[object]) -> str:
    """SHA-256 of lists of words and numbers; no two different ones are written alike."""
    return hashlib.sha256(json.dumps([[str(value) for value in values] for values in lists]).encode()).hexdigest()


def _write_files(
    plan: RepairPlan, photos: PhotoSet, labels: np.ndarray, subject: PhotoSubject, output: Path, workers: int
) -> None:
    names = tuple(subject.label.names)
    _claim(output, plan, photos, Labels(names, labels), columns={})
    folders = class_folders(names)
    try:
        failures = []
        for i in range(len(photos)):
            failure = _write_file(plan, photos, names[labels[i]], output, folders[labels[i]], i)
            failures += [failure] if failure else []
        listed = output / ".failures.jsonl"
        if failures:
            write_text_atomically(listed, "".join(json.dumps(f) + "\n" for f in failures))
        else:  # of an earlier run, which could not read what this one wrote
            listed.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, output, saved="files are saved") from None
    if len(failures) == len(photos):
        raise DataError(f"{photos.name}: not one photo could be repaired (the first: {failures[0]['reason']})")


def _write_file(
    plan: RepairPlan, photos: PhotoSet, label: str, output: Path, class_folder: str, i: int
) -> dict[str, str] | None:
    """Write one photo, unless it is there; returns a failure, if any. No untrusted id is copied into a file name."""
    photo_id = photos.ids[i]
    folder = output / class_folder
    drawn = photos.evidence.get("splits", "").startswith("seeded")
    if not drawn and len(np.unique(photos.splits)) > 1:  # a single folder named train would be read as a class
        folder = output / SPLITS[photos.splits[i]] / class_folder
    stem = f"{_safe(Path(photo_id).stem)[:80]}-{_digest(photo_id)}"
    if any((folder / f"{stem}.{suffix}").exists() for suffix in (*_SUFFIXES.values(), "img")):
        return None
    try:
        data = repaired_bytes(photos.read(i), plan.repair, photo_id, label)
    except PhotoError as error:
        return {"id": photo_id.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), "reason": str(error)}
    write_bytes_atomically(folder / f"{stem}.{_suffix(data)}", data)
    return None


def _suffix(data: bytes) -> str:
    return _SUFFIXES.get(read_image_header(data).format, "img")


def _safe(text: str) -> str:
    """A name as one safe component of a path, without leading dots, which would hide the file."""
    return re.sub(r"[^\w.-]", "_", text, flags=re.ASCII).lstrip(".") or "_"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def class_folders(names: Sequence[str]) -> list[str]:
    """A folder for each class, under its name where that is safe; no two classes share one.

    Letters of every script stay. A name that had to be changed, or that a file system without case could take for
    another, ends with a digest.

    >>> class_folders(["cat", "猫", "a/b"])
    ['cat', '猫', 'a_b-c14cddc0']
    """
    safe = {name: _safe_in_any_script(name) for name in names}
    count = Counter(_without_case(name) for name in names if safe[name] == name)
    kept = {name for name in names if safe[name] == name and count[_without_case(name)] == 1}
    return [name if name in kept else f"{safe[name]}-{_digest(name)}" for name in names]


def _without_case(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _safe_in_any_script(text: str) -> str:
    """As ``_safe``, but with the letters and marks of any script that paths can have here; at most 120 bytes."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return _safe(text)[:120]
    kept = "".join(c if c in "._-" or c.isalnum() or unicodedata.category(c)[0] == "M" else "_" for c in text)
    return kept.encode("utf-8")[:120].decode("utf-8", "ignore").strip(".") or "_"


def repair(before: Audit, arguments: argparse.Namespace) -> Audit | None:
    """Plan a repair, print it, and unless it is a dry run write the repaired data set and audit it.

    Args:
        before: audit of the data set.
        arguments: parsed options of ``camtrace audit``.

    Returns:
        The audit of the repaired data set; None for a dry run.
    """
    subject = open_subject(
        arguments.data, label=arguments.label, source=arguments.source, owner=arguments.owner, limit=arguments.limit
    )
    assert isinstance(subject, PhotoSubject), "the command refuses streams"
    with scanned(subject, Plan(), default_cache(), workers=arguments.workers) as scan:
        plan = plan_repair(parse_repair(arguments.repair), before, subject, scan)
    print("\nRepair:")
    for sentence in plan.sentences:
        print(f"  - {sentence}")
    for name, (count, left) in list(plan.by_class.items())[:SHOWN_CLASSES]:
        print(f"      {name}: {count:,} -> {left:,}")
    write_text_atomically(arguments.output / "repair.json", json.dumps(described(plan), indent=1) + "\n")
    if arguments.dry_run:
        print("nothing was changed (--dry-run)")
        return None
    output: Path = arguments.output / "repaired"
    photos = write_repaired(plan, subject, output, form=arguments.form, workers=arguments.workers)
    again = audit(photos, pixels=arguments.pixels, workers=arguments.workers, seed=arguments.seed)
    write_audit(again, arguments.output / "after")
    print(f"\nAfter it ({again.photos:,} photos in {output}):\n{again.verdict.title}. {again.verdict.text}")
    for sentence in (*again.findings, *remaining(before, again)):
        print(f"  - {sentence}")
    print(f"written to {arguments.output / 'after'}")
    if arguments.form == "shards":
        both = (shlex.quote(spec) for spec in (arguments.data, repaired_spec(subject.photos, output)))
        print(f"scores before and after: camtrace score --model MODEL {' '.join(f'--data {spec}' for spec in both)}")
    return again


def remaining(before: Audit, after: Audit) -> list[str]:
    """Accuracy of each layer before and after a repair, and questions that are still flagged."""
    lines = []
    for score in after.layers:
        earlier = before.layer(score.layer, score.target)
        was = f", {100 * earlier.accuracy:.0f} % before" if earlier else ""
        lines.append(
            f"{score.target} from {score.title}: {100 * score.accuracy:.0f} % (chance {100 * score.chance:.0f} %{was})"
        )
    scored = {s.layer for s in after.layers}
    lines += [
        f"{s.target} from {s.title}: nothing is left to read ({100 * s.accuracy:.0f} % before)"
        for s in before.layers
        if s.layer not in scored and s.target == "label"
    ]
    lines += [
        f"still there: {q.title} ({q.measure} = {q.value:.2f})"
        for q in after.questions
        if q.mark == "found" and q.target == "label"
    ]
    return lines


def described(plan: RepairPlan) -> dict[str, Any]:
    """The plan as JSON values."""
    return {
        "repair": dataclasses.asdict(plan.repair),
        "photos": plan.photos,
        "kept": len(plan.retained),
        "matched": list(plan.matched),
        "by_class": {name: {"before": b, "after": a} for name, (b, a) in plan.by_class.items()},
        "sentences": list(plan.sentences),
    }
