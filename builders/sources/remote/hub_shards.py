"""Splits of a data set on the Hub in Parquet files, read by ranges: nothing is downloaded whole, nothing is copied.

Of each file the footer is read, which is stored: an opening that was stopped goes on with the next file. Of the chosen
row groups the columns of labels are read at once, and pictures when a run needs them.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from builders.errors import DataError, UsageError
from builders.files import cache_folder, write_bytes_atomically
from builders.photos import Stamp, lasting_stamp
from builders.processes import in_this_context, step_bar
from builders.sources.parquet_splits import LARGEST_GROUP, MAX_ROWS, ParquetPart
from builders.sources.remote.drawing import Streaming, drawn
from builders.sources.remote.window import GroupWindow
from builders.untrusted import (
    UntrustedInputError,
    checked_footer,
    from_hub,
    open_untrusted,
    parquet_error_text,
    parquet_errors,
    readable,
)

if TYPE_CHECKING:
    import pyarrow.parquet as pq

THREADS = 8
"""Footers that are read at a time."""

MAX_FOOTER_BYTES = 256 << 20

MAX_REQUEST_BYTES = 2 * LARGEST_GROUP
"""Of one request: columns of a row group, compressed."""

PATHS_PER_REQUEST = 500


class RemoteFile(NamedTuple):
    """A file of a commit on the Hub."""

    address: str
    """``hf://datasets/ORG/NAME@COMMIT/PATH``."""
    size: int
    """In bytes."""
    identity: str
    """Hash of its content."""


@dataclass(frozen=True)
class HubPart(ParquetPart):
    """Some row groups of one split; ``files`` are addresses."""

    remote: tuple[RemoteFile, ...] = ()
    """The same files."""
    first_rows: np.ndarray | None = None
    """int64 [row groups], position in the split of the first row of each."""
    window: GroupWindow = field(default_factory=GroupWindow, compare=False)
    """Of the processes that read."""

    def row_numbers(self) -> np.ndarray:
        """See ``ParquetPart``: a row has the number that it has in the whole split."""
        assert self.first_rows is not None
        sizes = np.diff(self.ends, prepend=0)
        return np.repeat(self.first_rows - (self.ends - sizes), sizes) + np.arange(len(self))

    def stamps_of_files(self) -> list[Stamp]:
        """See ``ParquetPart``: the hash of each file's content."""
        return [lasting_stamp(f"hub {file.identity}") for file in self.remote]

    def _read_group(self, number: int) -> Any:
        columns = hashlib.sha256("\0".join(self.features).encode()).hexdigest()[:16]
        return self.window.table(f"{number}-{columns}", lambda: super(HubPart, self)._read_group(number))

    def _open(self, file: int) -> pq.ParquetFile:
        import pyarrow.parquet as pq

        from builders.untrusted import RemoteStream  # late: not every installation has its packages

        remote = self.remote[file]
        stream = RemoteStream(remote.address, remote.size, ahead=0, most=MAX_REQUEST_BYTES)
        return pq.ParquetFile(stream, metadata=_footer(remote), pre_buffer=True)


@dataclass(frozen=True)
class HubSplit:
    """One split of a data set on the Hub, of which nothing has been read."""

    files: tuple[RemoteFile, ...]
    features: Any
    """``datasets.Features`` that the card declares, or None."""

    def footers(self) -> list[pq.FileMetaData]:
        """The footer of each file. Raises ``DataError``."""
        with (
            step_bar(total=len(self.files), desc="reading footers", unit="file") as bar,
            ThreadPoolExecutor(THREADS) as pool,
        ):
            footers = []
            for footer in pool.map(in_this_context(_footer), self.files):
                footers.append(footer)
                bar.update()
        return footers


def hub_splits(builder: Any, location: str, commit: str) -> dict[str, HubSplit]:
    """The splits of a data set on the Hub by name, as ``load_dataset`` would read them.

    Args:
        builder: of ``datasets``, for this commit.
        location: ``ORG/NAME``.
        commit: 40 hex digits.

    Raises:
        UsageError: its data are not Parquet files.
        DataError: the Hub's list of files lacks one.
        Exception: errors of the Hub's client, of any type.
    """
    from datasets.packaged_modules.parquet.parquet import Parquet

    settings = builder.config
    is_selection = getattr(settings, "columns", None) is not None or getattr(settings, "filters", None) is not None
    if not isinstance(builder, Parquet) or is_selection:
        raise UsageError(
            f"hub:{location}: --stream reads Parquet files, and its data are others: leave out --stream, or name the "
            f"Hub's own conversion, hub:{location}@refs/convert/parquet"
        )
    by_split = {str(split): [str(file) for file in files] for split, files in (settings.data_files or {}).items()}
    begin = f"hf://datasets/{location}@{commit}/"
    if outside := next((file for files in by_split.values() for file in files if not file.startswith(begin)), ""):
        raise DataError(f"hub:{location}: a data file is not in the repository ({readable(outside)})")
    known = _listed(location, commit, [file.removeprefix(begin) for files in by_split.values() for file in files])
    return {
        split: HubSplit(
            tuple(RemoteFile(file, *known[file.removeprefix(begin)]) for file in files), builder.info.features
        )
        for split, files in by_split.items()
    }


def _listed(location: str, commit: str, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Size and content's hash of each file."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    known: dict[str, tuple[int, str]] = {}
    with from_hub():
        for start in range(0, len(paths), PATHS_PER_REQUEST):
            some = list(paths[start : start + PATHS_PER_REQUEST])
            for entry in HfApi().get_paths_info(location, some, repo_type="dataset", revision=commit):
                if isinstance(entry, RepoFile):
                    known[entry.path] = int(entry.size), str(entry.blob_id)
    if absent := [path for path in paths if path not in known]:
        raise DataError(f"hub:{location}: the Hub does not list {readable(absent[0])}")
    return known


def hub_parts(splits: Mapping[str, HubSplit], streaming: Streaming, where: str) -> dict[str, HubPart]:
    """The row groups of each split that are read: of a limit each split has its share.

    Args:
        splits: by name.
        streaming: how many photos are wanted, and the seed of the draw.
        where: first words of an error.

    Raises:
        DataError: a footer cannot be read, files have different columns, or a row group is larger than
            ``LARGEST_GROUP``.
    """
    footers = {name: split.footers() for name, split in splits.items()}
    counts = {name: sum(footer.num_rows for footer in of_split) for name, of_split in footers.items()}
    total = sum(counts.values())
    return {
        name: _part(split, footers[name], streaming.wanted_of(counts[name], total), streaming.seed, f"{where}: {name}")
        for name, split in splits.items()
    }


def _part(split: HubSplit, footers: Sequence[pq.FileMetaData], wanted: int, seed: int, where: str) -> HubPart:
    groups = [(file, group) for file, footer in enumerate(footers) for group in range(footer.num_row_groups)]
    details = [footers[file].row_group(group) for file, group in groups]
    sizes = np.array([group.num_rows for group in details], dtype=np.int64)
    paths = [file.address.partition("@")[2].partition("/")[2] for file in split.files]
    chosen = drawn([f"{paths[file]}\0{group}" for file, group in groups], sizes.tolist(), wanted, seed)
    if (count := int(sizes[chosen].sum())) > MAX_ROWS:
        raise DataError(f"{where}: {count:,} rows, more than the {MAX_ROWS:,} that are read: give a --limit")
    largest = max((int(details[i].total_byte_size) for i in chosen), default=0)
    if largest > LARGEST_GROUP:
        raise DataError(
            f"{where}: a row group has {largest / 1e6:,.0f} MB, more than the {LARGEST_GROUP / 1e6:.0f} MB that are "
            "read at once: leave out --stream"
        )
    schemas = [footers[file].schema.to_arrow_schema() for file in dict.fromkeys(groups[i][0] for i in chosen)]
    if any(not schema.equals(schemas[0]) for schema in schemas):
        raise DataError(f"{where}: its files have different columns: leave out --stream")
    return HubPart(
        files=tuple(file.address for file in split.files),
        features=_features(schemas[0], split.features) if schemas else split.features,
        ends=np.cumsum(sizes[chosen]),
        groups=tuple(groups[i] for i in chosen),
        remote=split.files,
        first_rows=(np.cumsum(sizes) - sizes)[chosen],
    )


def _features(schema: Any, declared: Any) -> Any:
    """Columns of the files; as the card declares them, if it names the same."""
    import datasets

    of_files = datasets.Features.from_arrow_schema(schema)
    return declared if declared is not None and list(declared) == list(of_files) else of_files


@functools.lru_cache(maxsize=100_000)
def _footer(file: RemoteFile) -> pq.FileMetaData:
    """The footer of a file, from the cache if it was read before. Raises ``DataError``."""
    import pyarrow.parquet as pq

    from builders.untrusted import RemoteStream  # as above

    name = hashlib.sha256(f"{file.identity} {file.size}".encode()).hexdigest()[:32]
    stored = cache_folder() / "parquet-footers" / f"{name}.parquet"
    try:
        with open_untrusted(stored, limit=MAX_FOOTER_BYTES) as stream:
            return checked_footer(pq.read_metadata(stream))
    except parquet_errors(UntrustedInputError):
        pass
    try:
        whole = RemoteStream(file.address, file.size, ahead=0, most=MAX_FOOTER_BYTES)
        footer = checked_footer(pq.ParquetFile(whole).metadata)
    except parquet_errors() as error:
        text = parquet_error_text(error)
        raise DataError(f"{readable(file.address)}: not a Parquet file that can be read ({text})") from None
    content = io.BytesIO()
    footer.write_metadata_file(content)
    write_bytes_atomically(stored, content.getvalue())
    return footer


def described(splits: Mapping[str, HubSplit], parts: Mapping[str, HubPart]) -> str:
    """Which part of the data set is read, for the evidence of a photo set."""
    footers = [_footer(file) for name in parts for file in splits[name].files]
    groups, of_groups = sum(len(part.groups) for part in parts.values()), sum(f.num_row_groups for f in footers)
    rows, of_rows = sum(len(part) for part in parts.values()), sum(f.num_rows for f in footers)
    return f"{groups:,} of {of_groups:,} row groups, drawn by seed: {rows:,} of {of_rows:,} rows"
