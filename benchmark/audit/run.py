"""``audit``: scan the photos, count, test every feature, and put the results into words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.audit.accuracy import layer_scores
from benchmark.audit.open import open_subject
from benchmark.audit.power import least_effect
from benchmark.audit.questions import corrected, questions_of
from benchmark.audit.result import ALPHA, SMALLEST_EFFECT, TARGETS, Audit
from benchmark.audit.scan import Plan, scanned
from benchmark.audit.subjects import PhotoSubject, Subject, describe
from benchmark.audit.tally import Tally, tally
from benchmark.audit.verdict import duplicates_of, findings_of, repairs_of, verdict_of
from benchmark.options import default_cache
from builders.errors import DataError, UsageError
from builders.photos import print_cells

MAX_CLASSES_LISTED = 50
"""Classes whose counts the audit records."""


def audit(
    data: Any,
    *,
    label: str = "",
    source: str = "",
    owner: str = "",
    pixels: int = 0,
    near_duplicates: bool = False,
    limit: int | None = None,
    stream: bool = False,
    workers: int = 1,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Audit:
    """Test whether the label of a data set is confounded with codec, size or camera.

    By default headers are read, and nothing is decoded. An association is not proof that a classifier uses it. The
    absence of associations in headers is not proof that the pixels hold no trace.

    Args:
        data: a data specification (``folder:photos``, ``hub:OWNER/NAME?label=label``), a ``PhotoSet``, a
            ``datasets.Dataset`` or ``DatasetDict``, or a pandas frame with the columns ``path`` and ``label``.
        label: another label column: ``folder``, ``folder:2``, ``re:PATTERN`` (of ids), an attribute, a column.
        source: column of the origin of photos, named likewise; it is tested against the label, and features against it.
        owner: column of the owner, named likewise; intervals and p-values are then over owners.
        pixels: number of photos, about, to decode for pixel statistics, earlier compressions and duplicates.
        near_duplicates: whether to decode every photo (reduced) to find the same picture in other files.
        limit: most photos.
        stream: whether to read a Hub data set row by row without storing it.
        workers: processes.
        seed: of permutations and folds.
        cache: folder of scans, from which a later run resumes; by default that of camtrace.
        progress: whether to show bars, where stderr is a terminal.

    Raises:
        UsageError: a column or an option is wrong.
        DataError: there are no usable photos.

    >>> import io
    >>> from PIL import Image
    >>> from builders.photos import PhotoSet
    >>> def photo(kind, shade):
    ...     buffer = io.BytesIO()
    ...     Image.new("RGB", (32, 32), (shade, 9, 9)).save(buffer, kind)
    ...     return buffer.getvalue()
    >>> files = {f"{kind}/{i}": photo(kind, i) for kind in ("JPEG", "PNG") for i in range(40)}
    >>> result = audit(PhotoSet.of_bytes("demo", files, ["real"] * 40 + ["fake"] * 40), progress=False)
    >>> result.verdict.title, result.layer("header").accuracy, result.question("format").value
    ('Confounded', 1.0, 1.0)
    """
    for name, value, least in (("pixels", pixels, 0), ("limit", limit, 1), ("seed", seed, 0)):
        if value is not None and value < least:
            raise UsageError(f"{name} {value}: at least {least} is needed")
    subject = open_subject(data, label=label, source=source, owner=owner, limit=limit, stream=stream)
    if progress and isinstance(subject, PhotoSubject):
        print_cells(subject.photos)
    plan = Plan(_share(pixels, subject, limit), near_duplicates)
    settings = {"pixels": pixels, "near_duplicates": near_duplicates, "limit": limit, "seed": seed, "alpha": ALPHA}
    settings["smallest_effect"] = SMALLEST_EFFECT
    with scanned(subject, plan, Path(cache) if cache else default_cache(), workers=workers, progress=progress) as scan:
        return audit_of(tally(scan), subject, label or "label", settings, seed)


def audit_of(counts: Tally, subject: Subject, label: str, settings: dict[str, Any], seed: int = 0) -> Audit:
    """The audit of the counts of a subject. Raises ``DataError`` where no photo with a label could be read."""
    if not counts.photos:
        reason = counts.failures[0][1] if counts.failures else "none has a label"
        raise DataError(f"{subject.name}: not one photo can be audited (the first: {reason})")
    counts.unit = subject.unit
    tested = questions_of(counts, seed)
    scored = [score for target in TARGETS for score in layer_scores(counts, target, seed)]
    questions, layers = corrected(tested, scored)
    duplicates = duplicates_of(counts, subject)
    verdict = verdict_of(counts, questions, layers)
    return Audit(
        name=subject.name,
        label=label,
        photos=counts.photos,
        unreadable=counts.unreadable,
        unlabelled=int((counts.label_codes < 0).sum()),
        classes=_classes(counts),
        class_count=len(counts.names["label"]),
        verdict=verdict,
        findings=findings_of(verdict, counts, questions, layers, duplicates),
        repairs=repairs_of(questions, layers),
        questions=questions,
        layers=layers,
        duplicates=duplicates,
        failures=tuple(counts.failures),
        smallest_effect=round(least_effect(counts, questions, len(tested) + len(scored)), 4),
        settings=settings,
        evidence=describe(subject),
    )


def _classes(counts: Tally) -> dict[str, int]:
    names: Sequence[str] = list(counts.names["label"])
    totals = counts.totals["label"]
    order = np.argsort(-totals, kind="stable")[:MAX_CLASSES_LISTED]
    return {names[k]: int(totals[k]) for k in order}


def _share(pixels: int, subject: Subject, limit: int | None) -> float:
    """Share of the photos to decode."""
    if not pixels:
        return 0.0
    count = len(subject.photos) if isinstance(subject, PhotoSubject) else limit
    if count is None:
        raise UsageError("--pixels of a streamed data set needs --limit: how many photos there are is not known before")
    return min(1.0, pixels / count)
