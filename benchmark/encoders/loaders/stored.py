"""``embeddings:FILE``: embeddings that another program computed (a closed API, another framework, a phone), from files.

FILE is Parquet (or a folder of Parquet files) with the columns

- ``photo_id``: ids of the photos as the data set has them; ``?id=COLUMN`` names another column, and
  ``?id=COLUMN,COLUMN`` joins several by ``-``, as ``id=`` of a ``table:`` does;
- ``embedding``: a list of numbers, all lists of one length;
- for processed photos, a column for each parameter, with its name (``jpeg``, ``sharpening``, ...): the class of the row
  by name or number, null where the row is of another parameter. These are the columns of a built set:
  ``dataset.map(embed, remove_columns="image").to_parquet(FILE)`` writes such a file. Without them a row is an
  unprocessed photo.

Or it is ``NAME.npy`` [rows, dimension], with the other columns in ``NAME.csv`` in the same folder, one line per row.

Such a file does not state model, weights, preprocessing and training data.
``embeddings:FILE?group=SSL&training_data=...&model=...`` states some of it, and the result records that the user did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.encoders.encoder import GROUPS, PHOTO, Encoder, EncoderInfo, StoredEmbeddings
from benchmark.encoders.registry import LoadRequest
from builders.cli import parse_query
from builders.errors import DataError, EncoderError, UsageError, unknown_name
from builders.pixels import ALL_PARAMETERS
from builders.sources import open_table
from builders.untrusted import (
    list_folder,
    list_vectors,
    open_untrusted,
    parquet_error_text,
    parquet_errors,
    parse_array,
    read_columns,
    read_untrusted,
)

if TYPE_CHECKING:
    import torch
    from PIL import Image

FACTS = ("group", "training_data", "model")
"""Options that state facts about the encoder."""

OPTIONS = (*FACTS, "id")

ID = "photo_id"
"""Column of the ids, unless ``id=`` names another one."""

UNPROCESSED = "original"
"""Name of the view without processing, as recipes have it (``benchmark.views.ORIGINAL``, a layer above)."""

LARGEST_FILE = 64 << 30
"""Largest size of a file of embeddings in bytes."""

LARGEST_IDS = 4 << 30
"""Largest size of a file of ids in bytes."""


def file_and_options(spec: str, known: Sequence[str]) -> tuple[str, dict[str, str]]:
    """File and options of a specification ``KIND:FILE?...``; raises ``UsageError`` for an option that is not known."""
    kind, _, rest = spec.partition(":")
    file, _, query = rest.partition("?")
    options = dict(parse_query(query, spec)) if query else {}
    for name in options:
        if name not in known:
            raise unknown_name(f"option of {kind}:", name, known)
    return file, options


def made_elsewhere(request: LoadRequest, file: str, example: str) -> tuple[Path, str]:
    """The path of a file that another program made, and its name in results.

    Args:
        request: options of computing do not apply to it.
        file: as it was given.
        example: a specification, such as ``embeddings:FILE.parquet``.

    Raises:
        UsageError: such an option was given, or no file that is there.
    """
    if request.device != "auto" or request.dtype != "float32" or request.compile:
        raise UsageError(f"{request.spec} is not computed here: --device, --dtype and --compile do not apply")
    kind = example.partition(":")[0]
    if not file:
        raise UsageError(f"{kind}: needs a file, as in {example}")
    path = Path(file).expanduser()
    if not path.exists():
        raise UsageError(f"{kind}:{path.name}: there is no such file")
    return path, f"{kind}:{path.name}"


def load_embeddings(request: LoadRequest) -> Encoder:
    """Read ``embeddings:FILE?...``.

    Raises:
        UsageError: an option is wrong, or cannot apply.
        EncoderError: the file is not of the form above; the message names the place.
    """
    file, options = file_and_options(request.spec, OPTIONS)
    if options.get("group", "unknown") not in GROUPS:
        raise unknown_name("group", options["group"], GROUPS)
    stated = {name: value for name, value in options.items() if name in FACTS}
    ids = options.get("id", ID)
    path, label = made_elsewhere(request, file, "embeddings:FILE.parquet")
    try:
        table, sha256 = _read(path, label, ids)
    except (DataError, UsageError) as error:
        raise EncoderError(f"{label}: {str(error).replace(f'{path.parent}/', '').removeprefix(f'{label}: ')}") from None
    name = f"{label}@{sha256[:8]}"
    stored = StoredEmbeddings(name, _finite(table, label), _rows(table, label))
    facts = ("model", "weights", "preprocessing", "training data")
    unknown = [fact for fact in facts if fact.replace(" ", "_") not in stated]
    info = EncoderInfo(
        id=name,
        library="embeddings",
        revision=None,
        weights_sha256=sha256,
        dimension=stored.vectors.shape[1],
        preprocessing={
            **{"size": "unknown", "backend": "unknown, embedded elsewhere", "transport": "embeddings"},
            **({"ids": ids} if ids != ID else {}),  # other ids are other embeddings of a photo
        },
        pooling="as the file has it",
        parameters=0,
        group=stated.get("group", "unknown"),
        training_data=stated.get("training_data", "unknown"),
        details={
            "file": path.name,
            "rows": len(stored.vectors),
            "sha256_is": "of the file of embeddings, not of weights",
            "unknown": unknown,
            **({"told": stated} if stated else {}),
        },
    )
    notices = (f"{label}: not known: {', '.join(unknown)}",)
    return Encoder(info, no_pixels, _refuse, "cpu", "float32", stored=stored, notices=notices)


def no_pixels(image: Image.Image) -> np.ndarray:
    """Preprocessing of an encoder or detector that is never shown views."""
    return np.zeros(1, np.float32)


def _refuse(batch: torch.Tensor) -> torch.Tensor:
    raise EncoderError("embeddings of a file cannot be computed for other views")


@dataclass(frozen=True)
class _Table:
    """Contents of a file; only their form is checked."""

    ids: Sequence[str]
    vectors: np.ndarray
    """float32 [rows, dimension]."""
    classes: Mapping[str, Sequence[str | None]]
    """Name of a parameter -> class of each row: a code, a name, or None."""


def _read(path: Path, label: str, ids: str) -> tuple[_Table, str]:
    """The table, and the SHA-256 of its files. Raises ``DataError``, ``UsageError`` and ``EncoderError``."""
    if path.suffix == ".npy":
        return _read_npy(path, label, ids)
    files = [path / name for name in list_folder(path).files if name.endswith(".parquet")] if path.is_dir() else [path]
    if not files:
        raise EncoderError(f"{label}: the folder holds no .parquet file")
    digest = hashlib.sha256()
    tables = []
    for file in files:
        with open_untrusted(file, limit=LARGEST_FILE) as stream:
            while part := stream.read(1 << 24):
                digest.update(part)
            stream.seek(0)
            vectors = _parquet_vectors(stream, f"{label}/{file.name}" if path.is_dir() else label)
        tables.append(_with_rows(file, vectors, ids))
    names = {name for table in tables for name in table.classes}
    joined = {n: [c for t in tables for c in t.classes.get(n, [None] * len(t.ids))] for n in names}
    dimensions = {table.vectors.shape[1] for table in tables}
    if len(dimensions) > 1:
        raise EncoderError(
            f"{label}: its files hold embeddings of {' and '.join(map(str, sorted(dimensions)))} numbers"
        )
    all_ids = [photo_id for table in tables for photo_id in table.ids]
    return _Table(all_ids, np.concatenate([table.vectors for table in tables]), joined), digest.hexdigest()


def _with_rows(file: Path, vectors: np.ndarray, ids: str) -> _Table:
    """Vectors with the ids and classes of their rows, which a table names."""
    try:
        table = open_table(file, [ids, *ALL_PARAMETERS])
        names = table.joined(ids)
    except UsageError as error:
        raise UsageError(f"{error}; ?id=COLUMN names the column of the ids") from None
    if len(vectors) != table.rows:
        raise EncoderError(f"{file.name}: it holds {table.rows} rows, and there are {len(vectors)} embeddings")
    classes = {name: table.columns[name] for name in ALL_PARAMETERS if name in table.columns}
    return _Table(names, vectors, classes)


def _parquet_vectors(stream: Any, label: str) -> np.ndarray:
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream)
        if "embedding" not in file.schema_arrow.names:
            held = ", ".join(map(str, file.schema_arrow.names)) or "none"
            raise EncoderError(f"{label}: it has no column embedding (it has {held})")
        column = read_columns(file, ["embedding"], limit=LARGEST_FILE).column(0).combine_chunks()
    except parquet_errors() as error:
        raise EncoderError(f"{label}: it is no Parquet file that can be read ({parquet_error_text(error)})") from None
    if not len(column):
        raise EncoderError(f"{label}: it holds no row")
    return list_vectors(column, f"{label}: the column embedding")


def _read_npy(path: Path, label: str, ids: str) -> tuple[_Table, str]:
    data = read_untrusted(path, limit=LARGEST_FILE)
    csv_file = path.with_suffix(".csv")
    if not csv_file.exists():
        raise EncoderError(f"{label}: {csv_file.name} must be in the same folder, with a column photo_id")
    try:
        vectors = parse_array(data)
    # a header may request more memory than there is
    except (ValueError, EOFError, OSError, MemoryError, OverflowError, SyntaxError, TypeError) as error:
        raise EncoderError(f"{label}: it cannot be read ({parquet_error_text(error)})") from None
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or not vectors.size:
        shape = f"{vectors.dtype} {list(vectors.shape)}"
        raise EncoderError(f"{label}: it holds {shape}, not numbers [rows, dimension]")
    sha256 = hashlib.sha256(data + b"\0" + read_untrusted(csv_file, limit=LARGEST_IDS)).hexdigest()
    return _with_rows(csv_file, _float32(vectors), ids), sha256


def _float32(numbers: np.ndarray) -> np.ndarray:
    """As float32; numbers beyond its range become infinite, which ``_finite`` refuses."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)


def _finite(table: _Table, label: str) -> np.ndarray:
    finite = np.isfinite(table.vectors).all(axis=1)
    if not finite.all():
        first = table.ids[int(np.flatnonzero(~finite)[0])]
        raise EncoderError(f"{label}: the embedding of {first} is not finite (and {int((~finite).sum()) - 1} others)")
    return table.vectors


def _rows(table: _Table, label: str) -> dict[str, dict[str, int]]:
    """Row of each embedding by view and photo id."""
    rows: dict[str, dict[str, int]] = {}
    seen: set[tuple[str, str, str]] = set()
    for row, photo_id in enumerate(table.ids):
        classes = {name: value for name, values in table.classes.items() if (value := values[row]) is not None}
        views = {name: _processing(name, value, photo_id, label) for name, value in classes.items()} or {PHOTO: PHOTO}
        for parameter, view in views.items():
            row_of = rows.setdefault(view, {})
            what = photo_id if view == PHOTO else f"{photo_id} under {view}"
            if (parameter, view, photo_id) in seen:
                raise EncoderError(f"{label}: {what} stands there twice")
            if photo_id in row_of and not np.array_equal(table.vectors[row_of[photo_id]], table.vectors[row]):
                raise EncoderError(f"{label}: {what} has two embeddings, as classes of two parameters")
            seen.add((parameter, view, photo_id))
            row_of[photo_id] = row
    if PHOTO in rows:  # a photo as it is, is also the class of each parameter that leaves it so
        rows.setdefault(UNPROCESSED, rows[PHOTO])
    return rows


def _processing(parameter: str, value: str, photo_id: str, label: str) -> str:
    """Name of the processing of a class of a parameter."""
    options = ALL_PARAMETERS[parameter]
    if value in options.classes:
        return options.processings[options.classes.index(value)]
    number = value.removesuffix(".0")  # as pandas writes whole numbers of a column with gaps
    code = int(number) if number.isdecimal() else -1
    if not 0 <= code < len(options.classes):
        classes = ", ".join(options.classes)
        raise EncoderError(f"{label}: {photo_id} has {parameter} {value!r}; its classes are {classes}")
    return options.processings[code]
