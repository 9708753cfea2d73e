"""Vectors that an index holds, from files and servers, as one memory-mapped array with the columns of its rows.

- ``FILE.npy`` or ``FILE.faiss`` with the rows' columns in ``FILE.csv`` or ``.parquet`` beside it (or ``?table=``);
- ``FILE.parquet``, or a folder of such files, with a column ``embedding`` (``?vector=``);
- ``qdrant:http://HOST:PORT/COLLECTION``: the columns are the payload's;
- ``pgvector:postgresql://HOST/DATABASE?table=TABLE``: the columns are the table's.

Files and servers are the user's own. Vectors that are not mapped where they are, are copied once, batch by batch, to a
scratch file: memory does not grow with the index.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

import numpy as np

from builders.cli import parse_query
from builders.errors import DataError, RemoteError, UsageError, unknown_name
from builders.photos import COLUMN_OPTIONS, ColumnSources
from builders.processes import step_bar
from builders.sources import Table, open_table
from builders.untrusted import (
    checked_footer,
    first_line,
    list_folder,
    list_vectors,
    map_array,
    open_untrusted,
    parquet_error_text,
    parquet_errors,
)

BATCH = 4096
"""Vectors that are copied at a time."""

PAGE = 1000
"""Vectors of one answer of a server."""

LARGEST_FILE = 1 << 40
"""Largest file of vectors in bytes."""

IMAGE_COLUMNS = ("image", "path", "file_name", "filename", "file", "photo_id", "id")
"""Columns of the paths of pictures by default, the first that there is."""

OWN_OPTIONS = ("image", "table", "vector")


class Batch(NamedTuple):
    """Some rows of an index."""

    vectors: np.ndarray
    """float32 [rows, d]."""
    columns: Mapping[str, Sequence[Any]]
    """Values of the rows by column; empty where a table beside the vectors has them."""


@dataclass(frozen=True)
class IndexSpec:
    """A parsed specification of an index."""

    kind: str
    """``file``, ``qdrant`` or ``pgvector``."""
    place: str
    """File, folder or address."""
    columns: ColumnSources
    options: Mapping[str, str]
    """Those of ``OWN_OPTIONS`` that are given."""

    @property
    def name(self) -> str:
        """The name in results, without addresses and passwords."""
        if self.kind == "file":
            return Path(self.place).name
        last = urlsplit(self.place).path.rstrip("/").rpartition("/")[2]
        return f"{self.kind}:{self.options.get('table', last)}"


class StoredRows:
    """Rows of a file, which is mapped anew for each block: pages that were read are given back."""

    reads_rows: ClassVar[bool] = True

    def __init__(self, mapped: Callable[[], np.ndarray]) -> None:
        self._mapped = mapped
        self.shape = mapped().shape

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.array(self._mapped()[rows])


@dataclass(frozen=True, eq=False)
class StoredIndex:
    """The vectors of an index and the columns of its rows."""

    vectors: StoredRows
    """[n, d]."""
    table: Table
    image: str
    """Column of the paths of the pictures."""


def parse_index(text: str) -> IndexSpec:
    """Parse a specification of an index.

    Raises:
        UsageError: an option is unknown, or a server's address is not of its form.

    >>> parse_index("E.npy?label=species&group=quality=header:jpeg_quality").columns.label
    'species'
    """
    head, _, query = text.partition("?")
    kind, colon, place = head.partition(":")
    if not colon or kind not in ("qdrant", "pgvector", "embeddings"):
        kind, place = "file", head
    kind = "file" if kind == "embeddings" else kind
    pairs = parse_query(query, f"index {text!r}", repeated=("group",)) if query else []
    for name, _ in pairs:
        if name not in (*OWN_OPTIONS, *COLUMN_OPTIONS):
            raise unknown_name(f"option of {kind}:", name, (*OWN_OPTIONS, *COLUMN_OPTIONS))
    if kind == "pgvector" and "table" not in dict(pairs):
        raise UsageError(f"pgvector:{_without_password(place)}: name the table (?table=NAME)")
    if kind == "qdrant" and (not urlsplit(place).hostname or not urlsplit(place).path.strip("/")):
        raise UsageError(f"qdrant:{place}: write qdrant:http://HOST:PORT/COLLECTION")
    named = {name: value for name, value in pairs if name in COLUMN_OPTIONS and name != "group"}
    columns = ColumnSources.of(group=[value for name, value in pairs if name == "group"], **named)
    return IndexSpec(kind, place, columns, {name: value for name, value in pairs if name in OWN_OPTIONS})


def open_index(spec: IndexSpec, scratch: Path) -> StoredIndex:
    """The vectors of an index and the columns that its specification names.

    Args:
        spec: of the index.
        scratch: folder of a copy of the vectors.

    Raises:
        DataError: it cannot be read, or a vector is not finite or of another length.
        RemoteError: a server refuses, or does not answer.
        UsageError: a column is absent.
    """
    path = Path(spec.place).expanduser()
    if spec.kind == "file" and not path.exists():
        raise DataError(f"{spec.place}: no such file or folder")
    wanted = [name for name in (spec.options.get("image"), *spec.columns.of_table()) if name]
    if spec.kind == "file" and path.suffix == ".npy":
        if "vector" in spec.options:
            raise UsageError(f"{spec.name}: ?vector= names a column of Parquet or a server: the file is the array")
        vectors = _mapped(path)
        table = _table_beside(path, spec, wanted)
    elif spec.kind == "file" and path.suffix in (".faiss", ".index"):
        vectors, _ = _spooled(_faiss_batches(path), scratch, spec.name)
        table = _table_beside(path, spec, wanted)
    elif spec.kind == "file":
        files = _parquet_files(path)
        vectors, _ = _spooled(_parquet_batches(files, spec.options.get("vector", "embedding")), scratch, spec.name)
        tables = [open_table(file, [*IMAGE_COLUMNS, *wanted]) for file in files]
        names = tuple(name for name in tables[0].columns if all(name in t.columns for t in tables))
        joined = {name: [v for table in tables for v in table.columns[name]] for name in names}
        table = Table(path.name, joined, tables[0].names, sum(t.rows for t in tables))
    else:
        read = {"qdrant": _qdrant_batches, "pgvector": _pgvector_batches}[spec.kind]
        vectors, columns = _spooled(read(spec, wanted), scratch, spec.name)
        table = Table(spec.name, columns, tuple(columns), len(vectors))
    if len(vectors) != table.rows:
        raise DataError(f"{spec.name}: {len(vectors):,} vectors, and {table.rows:,} rows in {table.name}")
    image = spec.options.get("image") or next((name for name in IMAGE_COLUMNS if name in table.columns), "")
    if not image:
        held = ", ".join(table.names)
        raise UsageError(f"{spec.name}: which column names the pictures? write ?image=COLUMN (it has {held})")
    return StoredIndex(vectors, table, image)


def _mapped(path: Path) -> StoredRows:
    try:
        vectors = map_array(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no array that can be read ({first_line(error)})") from None
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.size:
        raise DataError(f"{path}: it holds {vectors.dtype} {list(vectors.shape)}, not vectors [rows, dimension]")
    return StoredRows(partial(map_array, path))


def _table_beside(path: Path, spec: IndexSpec, wanted: Sequence[str]) -> Table:
    named = spec.options.get("table")
    places = [Path(named).expanduser()] if named else [path.with_suffix(end) for end in (".csv", ".parquet", ".tsv")]
    table = next((place for place in places if place.is_file()), None)
    if table is None:
        raise DataError(f"{path}: the columns of its rows are not there ({places[0]}): name their file (?table=FILE)")
    return open_table(table, [*IMAGE_COLUMNS, *wanted])


def _spooled(batches: Iterator[Batch], scratch: Path, name: str) -> tuple[StoredRows, dict[str, list[str | None]]]:
    """Vectors copied to a scratch file, and their columns as text."""
    columns: dict[str, list[str | None]] = {}
    path, rows, dimension = scratch / f"vectors-{len(os.listdir(scratch))}.f32", 0, 0
    with open(path, "wb") as out, step_bar(total=None, desc=f"reading {name}", unit="vector") as bar:
        for batch in batches:
            dimension = dimension or batch.vectors.shape[1]
            if batch.vectors.shape[1] != dimension:
                raise DataError(f"{name}: vectors of {dimension} and of {batch.vectors.shape[1]} numbers")
            out.write(np.ascontiguousarray(batch.vectors, dtype="<f4").tobytes())
            rows += len(batch.vectors)
            for column, values in batch.columns.items():
                columns.setdefault(column, []).extend(None if v is None else str(v) for v in values)
            bar.update(len(batch.vectors))
    if not rows:
        raise DataError(f"{name}: it holds no vector")
    return StoredRows(partial(np.memmap, path, "<f4", "r", 0, (rows, dimension))), columns


def _parquet_files(path: Path) -> list[Path]:
    files = [path / name for name in sorted(list_folder(path).files)] if path.is_dir() else [path]
    files = [file for file in files if file.suffix == ".parquet"]
    if not files:
        raise UsageError(f"{path}: vectors are in .npy, .parquet or .faiss files, or qdrant:... or pgvector:...")
    return files


def _parquet_batches(files: Sequence[Path], column: str) -> Iterator[Batch]:
    import pyarrow.parquet as pq

    for path in files:
        try:
            with open_untrusted(path, limit=LARGEST_FILE) as stream:
                file = pq.ParquetFile(stream)
                checked_footer(file.metadata)
                if column not in file.schema_arrow.names:
                    raise unknown_name(f"column of {path.name}", column, file.schema_arrow.names)
                for piece in file.iter_batches(batch_size=BATCH, columns=[column]):
                    yield Batch(list_vectors(piece.column(0), f"{path}: the column {column}"), {})
        except parquet_errors() as error:
            raise DataError(f"{path}: no Parquet file that can be read ({parquet_error_text(error)})") from None


def _faiss_batches(path: Path) -> Iterator[Batch]:
    import faiss

    try:
        index: Any = faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
        inner = faiss.downcast_index(index.index) if hasattr(index, "id_map") else index
        if hasattr(index, "id_map") and (np.diff(faiss.vector_to_array(index.id_map)) <= 0).any():
            raise DataError(f"{path}: its ids do not rise: write it with ids in the order of its table")
        if hasattr(inner, "make_direct_map"):
            inner.make_direct_map()
        for start in range(0, index.ntotal, BATCH):
            yield Batch(inner.reconstruct_n(start, min(BATCH, index.ntotal - start)), {})
    except RuntimeError as error:
        raise DataError(f"{path}: FAISS does not give its vectors back ({first_line(error)})") from None


def _qdrant_batches(spec: IndexSpec, wanted: Sequence[str]) -> Iterator[Batch]:
    from qdrant_client import QdrantClient

    address = urlsplit(spec.place)
    key = os.environ.get("QDRANT_API_KEY")
    vector = spec.options.get("vector", "")
    root, _, collection = address.path.rstrip("/").rpartition("/")
    client = QdrantClient(
        url=f"{address.scheme}://{address.netloc}", prefix=root or None, api_key=key, check_compatibility=False
    )
    offset: Any = None
    names: list[str] = []
    while True:
        page = partial(client.scroll, collection, limit=PAGE, offset=offset, with_payload=True)
        points, offset = _answer(spec.name, partial(page, with_vectors=[vector] if vector else True))
        payloads = [{"id": point.id, **(point.payload or {})} for point in points]
        names = names or [n for n in (payloads or [{}])[0] if n in (*IMAGE_COLUMNS, *wanted)]
        vectors = [point.vector.get(vector) if isinstance(point.vector, dict) else point.vector for point in points]
        if any(v is None for v in vectors):
            raise DataError(f"{spec.name}: a point has no vector {vector!r}: name it (?vector=NAME)")
        if points:
            yield Batch(np.asarray(vectors, np.float32), {n: [p.get(n) for p in payloads] for n in names})
        if offset is None:
            return


def _pgvector_batches(spec: IndexSpec, wanted: Sequence[str]) -> Iterator[Batch]:
    import psycopg
    from psycopg import sql

    table = sql.Identifier(*spec.options["table"].split("."))
    vector = spec.options.get("vector", "embedding")
    with _answer(spec.name, lambda: psycopg.connect(spec.place)) as connection:
        with connection.cursor() as cursor:
            _answer(spec.name, lambda: cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(table)))
            present = [column.name for column in cursor.description or ()]
        if vector not in present:
            raise unknown_name(f"column of {spec.name}", vector, present)
        names = [name for name in present if name in (*IMAGE_COLUMNS, *wanted) and name != vector]
        columns = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names)
        query = sql.SQL("SELECT {}::vector{}{} FROM {}").format(
            sql.Identifier(vector), sql.SQL(", " if names else ""), columns, table
        )
        with connection.cursor(name="camtrace", binary=True) as cursor:
            _answer(spec.name, lambda: cursor.execute(query))
            while rows := _answer(spec.name, lambda: cursor.fetchmany(PAGE)):
                # as pgvector sends it: two int16, of which the first is the length, then float32
                vectors = [np.frombuffer(row[0], ">f4", offset=4) for row in rows]
                values = list(zip(*(row[1:] for row in rows), strict=True)) or []
                yield Batch(np.stack(vectors).astype(np.float32), dict(zip(names, values, strict=True)))


def _answer(name: str, ask: Callable[[], Any]) -> Any:
    """The answer of a server. Raises ``RemoteError`` without the address, which may hold a password."""
    try:
        return ask()
    except Exception as error:  # of the client's library, of httpx, of the server
        reason = f"{type(error).__name__}: {first_line(error, 200)}"
        raise RemoteError(f"{name}: the server does not answer as expected ({reason})") from None


def _without_password(address: str) -> str:
    return address.partition("@")[2] or address
