"""``scores:FILE``: scores of a detector of generated photos that ran elsewhere (a closed API, an end-to-end detector).

FILE is CSV or Parquet, one row for each photo and view, with the columns

- ``photo_id``: ids of the photos as the data set has them; ``?id=COLUMN`` names another column;
- ``score``: a finite number, higher for a photo that looks more generated;
- ``view``: ``original``, or the name of a processing (``jpeg-q75-420``); without the column, photos are as they are.

``scores:FILE?threshold=0.5`` states the detector's threshold: a score above it says "generated". Without it the
threshold is chosen on scores of the training photos. ``?trained_on=GENERATOR,GENERATOR`` states which generators it was
trained on, ``?model=...`` and ``?training_data=...`` what it is; the result records that the user did.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.encoders.encoder import PHOTO, Encoder, EncoderInfo, StatedDetector, StoredEmbeddings
from benchmark.encoders.loaders.stored import UNPROCESSED, file_and_options, made_elsewhere, no_pixels
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, EncoderError, UsageError, unknown_name
from builders.pixels import ALL_PROCESSINGS
from builders.sources import open_table
from builders.untrusted import open_untrusted, readable

if TYPE_CHECKING:
    import torch

OPTIONS = ("id", "threshold", "trained_on", "model", "training_data")

LARGEST_FILE = 8 << 30
"""Largest size of a file in bytes."""


def load_scores(request: LoadRequest) -> Encoder:
    """Read ``scores:FILE?...``.

    Raises:
        UsageError: an option is wrong, or cannot apply.
        EncoderError: the file is not of the form above; the message names the place.
    """
    file, options = file_and_options(request.spec, OPTIONS)
    path, label = made_elsewhere(request, file, "scores:FILE.csv")
    threshold = _threshold(options.get("threshold"))
    trained_on = tuple(name.strip() for name in options.get("trained_on", "").split(",") if name.strip())
    scores, rows, sha256 = _read(path, label, options.get("id", "photo_id"))
    name = f"{label}@{sha256[:8]}"
    stated = {key: value for key, value in options.items() if key in ("model", "training_data")}
    info = EncoderInfo(
        id=name,
        library="scores",
        revision=None,
        weights_sha256=sha256,
        dimension=1,
        # what the user states decides scores, so it is a part of the detector's identity
        preprocessing={"size": "unknown", "backend": "unknown, scored elsewhere", **options},
        pooling="a score by photo and view",
        parameters=0,
        training_data=stated.get("training_data", "unknown"),
        details={"file": path.name, "rows": len(scores), "sha256_is": "of the file of scores", "told": stated},
    )
    notices = () if trained_on else (f"{label}: it is not known which generators the detector was trained on",)
    stored = StoredEmbeddings(name, scores[:, None], rows, StatedDetector(threshold, trained_on))
    return Encoder(info, no_pixels, _refuse, "cpu", "float32", stored=stored, notices=notices)


def _threshold(text: str | None) -> float | None:
    if text is None:
        return None
    value = _number(text)
    if value is None:
        raise UsageError(f"scores:...?threshold={readable(text)}: a threshold is a finite number")
    return value


def _number(text: str | None) -> float | None:
    """A finite number; None for any other text."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in str(text) else None


def _read(path: Path, label: str, id_column: str) -> tuple[np.ndarray, dict[str, dict[str, int]], str]:
    """float64 [rows], the row of each score by view and photo id, and the SHA-256 of the file."""
    try:
        digest = hashlib.sha256()
        with open_untrusted(path, limit=LARGEST_FILE) as stream:
            while part := stream.read(1 << 24):
                digest.update(part)
        table = open_table(path, [id_column, "view", "score"])
        for column in (id_column, "score"):
            if column not in table.columns:
                hint = "; ?id=COLUMN names the column of the ids" if column == "photo_id" else ""
                held = ", ".join(map(readable, table.names)) or "none"
                raise EncoderError(f"it has no column {readable(column)} (it has {held}){hint}")
        views = table.columns.get("view", [None] * table.rows)
        ids, texts = table.columns[id_column], table.columns["score"]
        return _scores(ids, views, texts), _rows(ids, views), digest.hexdigest()
    except CamtraceError as error:
        raise EncoderError(f"{label}: {str(error).replace(f'{path.parent}/', '')}") from None


def _scores(ids: Sequence[str | None], views: Sequence[str | None], texts: Sequence[str | None]) -> np.ndarray:
    scores = np.empty(len(texts))
    for row, text in enumerate(texts):
        value = _number(text)
        if value is None:
            what = f"{readable(str(ids[row]))} under {readable(views[row] or UNPROCESSED)}"
            if text is None:
                raise EncoderError(f"{what} has no score")
            raise EncoderError(f"the score of {what} is {readable(repr(text))}, which is no finite number")
        scores[row] = value
    return scores


def _rows(ids: Sequence[str | None], views: Sequence[str | None]) -> dict[str, dict[str, int]]:
    """Row of each score by view and photo id."""
    rows: dict[str, dict[str, int]] = {UNPROCESSED: {}}
    for row, (photo_id, view) in enumerate(zip(ids, views, strict=True)):
        name = view or UNPROCESSED
        if name not in rows:
            if name not in ALL_PROCESSINGS:
                raise unknown_name("view", name, (UNPROCESSED, *ALL_PROCESSINGS))
            rows[name] = {}
        if not photo_id:
            raise EncoderError(f"row {row + 1} has no photo id")
        if rows[name].setdefault(photo_id, row) != row:
            raise EncoderError(f"{readable(photo_id)} under {name} has two scores")
    if not rows[UNPROCESSED]:
        raise EncoderError(f"it has no score of a photo as it is (view {UNPROCESSED})")
    rows[PHOTO] = rows[UNPROCESSED]
    return rows


def _refuse(batch: torch.Tensor) -> torch.Tensor:
    raise EncoderError("scores of a file cannot be computed for other views")
