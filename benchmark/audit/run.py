"""The audit itself: read, count, ask, say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.audit.accuracy import layer_scores
from benchmark.audit.open import open_subject
from benchmark.audit.questions import corrected, questions_of
from benchmark.audit.result import ALPHA, SMALLEST_EFFECT, TARGETS, Audit
from benchmark.audit.scan import Plan, scanned
from benchmark.audit.subjects import PhotoSubject, Subject, describe
from benchmark.audit.tally import Tally, tally
from benchmark.audit.verdict import duplicates_of, findings_of, repairs_of, smallest_effect, verdict_of
from benchmark.options import default_cache
from builders.errors import DataError, UsageError

MAX_CLASSES_LISTED = 50


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
    """Is the label of a data set confounded with codec, size or camera?

    Headers are read by default, and nothing is decoded. An association is not proof that a classifier uses it; and no
    association in the headers is not proof that the pixels hold no trace.

    Args:
        data: a data specification (``folder:photos``, ``hub:OWNER/NAME?label=label``), a ``PhotoSet``, a
            ``datasets.Dataset`` or ``DatasetDict``, or a pandas frame with the columns ``path`` and ``label``.
        label: another label column: ``folder``, ``folder:2``, ``re:PATTERN`` (of ids), an attribute, a column.
        source: where a photo comes from, named in the same way: asked against the label, and the headers against it.
        owner: whose photos err together, named in the same way: intervals and p-values are then of owners.
        pixels: about so many photos are decoded, for statistics of their pixels, earlier compressions, and duplicates.
        near_duplicates: decode every photo (small) to find the same picture in other files.
        limit: at most so many photos.
        stream: read a Hub data set row by row without storing it.
        workers: processes.
        seed: of permutations and folds.
        cache: folder of scans that a later run goes on with; by default that of camtrace.
        progress: bars, where stderr is a terminal.

    Raises:
        UsageError: a column or an option is wrong.
        DataError: nothing usable is there.

    >>> import io
    >>> from PIL import Image
    >>> from builders.photos import PhotoSet
    >>> def photo(kind, shade):
    ...     buffer = io.BytesIO()
    ...     Image.new("RGB", (32, 32), (shade, 9, 9)).save(buffer, kind)
    ...     return buffer.getvalue()
    >>> files = {f"{kind}/{i}": photo(kind, i) for kind in ("JPEG", "PNG") for i in range(40)}
    >>> found = audit(PhotoSet.of_bytes("demo", files, ["real"] * 40 + ["fake"] * 40), progress=False)
    >>> found.flagged, found.layer("header").accuracy, found.question("format").value
    (True, 1.0, 1.0)
    """
    if pixels < 0 or (limit is not None and limit < 1):
        raise UsageError("--pixels and --limit are numbers of photos: give 0 or more, and 1 or more")
    subject = open_subject(data, label=label, source=source, owner=owner, limit=limit, stream=stream)
    plan = Plan(_share(pixels, subject, limit), near_duplicates)
    settings = {"pixels": pixels, "near_duplicates": near_duplicates, "limit": limit, "seed": seed, "alpha": ALPHA}
    settings["smallest_effect"] = SMALLEST_EFFECT
    with scanned(subject, plan, Path(cache) if cache else default_cache(), workers=workers, progress=progress) as scan:
        return audit_of(tally(scan), subject, label or "label", settings, seed)


def audit_of(found: Tally, subject: Subject, label: str, settings: dict[str, Any], seed: int = 0) -> Audit:
    """Ask everything of what was counted. Raises ``DataError`` where no photo with a label could be read."""
    if not found.photos:
        reason = found.failures[0][1] if found.failures else "none has a label"
        raise DataError(f"{subject.name}: not one photo can be audited (the first: {reason})")
    asked = questions_of(found, seed)
    scored = [score for target in TARGETS for score in layer_scores(found, target, seed)]
    questions, layers = corrected(asked, scored)
    duplicates = duplicates_of(found, subject)
    return Audit(
        name=subject.name,
        label=label,
        photos=found.photos,
        unreadable=found.unreadable,
        unlabelled=int((found.label_codes < 0).sum()),
        classes=_classes(found),
        class_count=len(found.names["label"]),
        verdict=verdict_of(found, questions, layers),
        findings=findings_of(found, questions, layers, duplicates),
        repairs=repairs_of(questions, layers),
        questions=questions,
        layers=layers,
        duplicates=duplicates,
        failures=tuple(found.failures),
        smallest_effect=smallest_effect(found.photos, len(asked) + len(scored)),
        settings=settings,
        evidence=describe(subject),
    )


def _classes(found: Tally) -> dict[str, int]:
    names: Sequence[str] = list(found.names["label"])
    totals = found.totals["label"]
    order = np.argsort(-totals, kind="stable")[:MAX_CLASSES_LISTED]
    return {names[k]: int(totals[k]) for k in order}


def _share(pixels: int, subject: Subject, limit: int | None) -> float:
    if not pixels:
        return 0.0
    count = len(subject.photos) if isinstance(subject, PhotoSubject) else limit
    if count is None:
        raise UsageError("--pixels of a streamed data set needs --limit: how many photos there are is not known before")
    return min(1.0, pixels / count)
