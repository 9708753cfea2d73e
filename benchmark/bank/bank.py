"""A bank stores the embeddings of one photo set by one encoder in a folder, with one file per view.

A stale cache gives wrong numbers that look right. Therefore the name of a bank's folder is a hash of everything that
affects its content except the view: weights, preprocessing, pooling, precision, photo ids, photo bytes and codec. The
name of each view in it is a hash of everything that affects that view (``view_file.py``). A run embeds the views that
are missing, whichever tasks made the others. An encoder that cannot be identified (its weights cannot be hashed) is not
cached: its bank is in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmark.bank.keys import LAYOUT, key_hash, shape_and_dtype
from benchmark.bank.view_file import Blocks, ViewFile, check_key, view_key
from benchmark.encoders import Output
from builders.errors import DataError, disk_error
from builders.processes import step_bar
from builders.untrusted import UntrustedInputError, describe_error, list_folder, read_untrusted_json


@dataclass(frozen=True)
class BankView:
    """Embeddings of one view; reads like a float32 array [photos, dim], from disk, one slice at a time."""

    stored: np.ndarray
    """[all photos, dim], the memory-mapped file."""
    rows: np.ndarray
    """int64 [photos], the rows of ``stored`` that this view consists of."""

    reads_rows: ClassVar[bool] = True
    """An index may be an int array; then only these rows are read."""

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.stored.shape[1]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: slice | np.ndarray) -> np.ndarray:
        rows = self.rows[at]
        if isinstance(at, slice) and len(rows) and (np.diff(rows) == 1).all():
            return np.asarray(self.stored[rows[0] : rows[-1] + 1], dtype=np.float32)
        return np.asarray(self.stored[rows], dtype=np.float32)


class Bank:
    """Some views of a bank, by their names in one recipe. Open it with ``Bank.open``; read views when ``complete``.

    Two recipes may give the same name to different views. Each then has a ``Bank`` on the same folder.
    """

    def __init__(
        self, folder: Path, key: Mapping[str, Any], views: Mapping[str, ViewFile], output: Output | None = None
    ) -> None:
        self.folder = folder
        self.key = dict(key)
        """From ``bank_key``."""
        self.encoder = str(key["encoder"]["id"])
        """Id of the encoder."""
        self.output = output
        """The output of the encoder that is stored; None for its embedding."""
        self.dim = output.dimension if output else int(key["encoder"]["dimension"])
        self.blocks = Blocks(int(key["photos"]["count"]))
        self._views = dict(views)

    @classmethod
    def open(
        cls,
        root: Path,
        key: Mapping[str, Any],
        views: Mapping[str, Mapping[str, Any]],
        *,
        fresh: Collection[str] = (),
        check: bool = True,
        output: Output | None = None,
    ) -> Bank:
        """Open views of the bank of ``key`` under ``root``; files that do not exist are created.

        Existing finished blocks are read once. Those that do not match their checksums count as unfinished from then
        on, with a warning, and so do, without one, blocks that lack a photo because a disk did not give it. Reading
        takes at most 1 % of the time that embedding took (docs/explanation/performance.md).

        Args:
            root: folder of all banks.
            key: from ``bank_key``.
            views: by name of a view, everything that decides its pixels: ``ViewRecipe.view_keys``.
            fresh: names of views all of whose blocks count as unfinished.
            check: read the finished blocks; not needed for blocks that this process has just written.
            output: of the encoder; its embedding by default.

        Raises:
            DataError: a folder exists but holds something else than its name says.
            DiskError: a file cannot be written.
        """
        folder = root / f"{LAYOUT}-{key_hash(key)}"
        shape, dtype = shape_and_dtype(key, output)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_key(folder / "key.json", key)
            files = {}
            for name, view in views.items():
                full_key = view_key(view, output)
                files[name] = ViewFile.open(folder / "views" / key_hash(full_key), full_key, shape, dtype)
            os.utime(folder)  # time of last use, for ``cache`` commands that free space
            bank = cls(folder, key, files, output)
            for name in fresh:
                files[name].forget(files[name].finished())
            if check:
                bank._forget_damaged()
                for file in files.values():
                    file.forget(file.blocks_to_retry())
            for file in files.values():
                file.ensure_rows()
        except OSError as error:
            raise disk_error(error, folder) from None
        return bank

    @classmethod
    def look(
        cls,
        root: Path,
        key: Mapping[str, Any],
        views: Mapping[str, Mapping[str, Any]],
        output: Output | None = None,
    ) -> Bank:
        """The same views without creating, reading or changing a file: for decisions before anything is written.

        Args:
            root, key, views, output: as of ``open``.

        Raises:
            DataError: a folder cannot be read.
        """
        folder = root / f"{LAYOUT}-{key_hash(key)}"
        shape, dtype = shape_and_dtype(key, output)
        files = {}
        for name, view in views.items():
            files[name] = ViewFile(folder / "views" / key_hash(view_key(view, output)), shape, dtype)
        return cls(folder, key, files, output)

    @classmethod
    def adopt(cls, root: Path, key: Mapping[str, Any], stand_in: Mapping[str, Any]) -> None:
        """Move the views of a bank that was filled before the hash of its photos' bytes was known.

        A view that the bank already has stays, and its copy is removed. The move can be stopped at any point and done
        again.

        Args:
            root: folder of all banks.
            key: of the bank that receives the views.
            stand_in: key of the bank that was filled under ``PhotoHashes.stand_in``.

        Raises:
            DiskError: a file cannot be moved.
        """
        old, new = (root / f"{LAYOUT}-{key_hash(k)}" for k in (stand_in, key))
        if not (old / "views").is_dir():
            return
        try:
            (new / "views").mkdir(parents=True, exist_ok=True)
            check_key(new / "key.json", key)
            for view in (old / "views" / name for name in list_folder(old / "views").folders):
                if not (new / "views" / view.name).exists():
                    os.rename(view, new / "views" / view.name)
            shutil.rmtree(old)
        except OSError as error:
            raise disk_error(error, old) from None

    def missing_bytes(self) -> int:
        """Size in bytes of the rows that are still to be written."""
        views = self._views.values()
        return sum(
            view.shape[1] * view.dtype.itemsize * sum(len(self.blocks.photos_of(block)) for block in view.missing())
            for view in views
        )

    @classmethod
    def at(cls, folder: Path) -> Bank:
        """All views that a bank's folder contains, by the names of their folders; nothing is created or changed.

        Raises:
            DataError: the folder is no bank of this layout.
        """
        try:
            key = read_untrusted_json(folder / "key.json")
            if key["layout"] != LAYOUT:
                raise DataError(f"{folder}: a bank of layout {key['layout']}; this version reads layout {LAYOUT}")
            (photos, dimension), dtype = shape_and_dtype(key)
            views = {
                path.name: ViewFile(path, (photos, _dimension(path, dimension)), dtype)
                for path in (folder / "views" / name for name in list_folder(folder / "views").folders)
            }
            return cls(folder, key, views)
        except (OSError, UntrustedInputError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder}: no bank that can be read ({describe_error(error)})") from None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the views."""
        return tuple(self._views)

    @property
    def complete(self) -> bool:
        """Whether every block of every view is finished."""
        return all(view.complete for view in self._views.values())

    def missing(self, name: str) -> set[int]:
        """Indices of the blocks of a view that are not finished."""
        return self._views[name].missing()

    def is_finished(self, name: str, block: int) -> bool:
        """Whether a block of a view is finished by now, by whichever process."""
        return self._views[name].is_finished(block)

    def write_rows(self, name: str, start: int, embeddings: np.ndarray) -> None:
        """Store the embeddings [photos, dim] of one view of consecutive photos from index ``start``."""
        self._views[name].write_rows(start, embeddings)

    def finish_block(self, name: str, block: int, failures: Mapping[str, str], source_jpeg: Mapping[str, int]) -> None:
        """Flush a view's rows, then write the block's marker. From then on a kill cannot lose the block."""
        self._views[name].finish_block(block, failures, source_jpeg)

    def failures(self) -> dict[str, str]:
        """By photo id, the reason why the photo lacks an embedding in one of the views; in the order of blocks."""
        markers = [marker for view in self._views.values() for marker in view.markers()]
        reasons: dict[str, str] = {}
        for marker in sorted(markers, key=lambda m: m.index):
            for photo_id, reason in marker.failures.items():
                reasons.setdefault(photo_id, reason)
        return reasons

    def source_jpeg(self) -> dict[str, int]:
        """Number of photos by the compression of their files, most frequent first."""
        total: Counter[str] = Counter()
        for marker in next(iter(self._views.values())).markers():
            total.update(marker.source_jpeg)
        return dict(total.most_common())

    def view(self, name: str, rows: np.ndarray) -> BankView:
        """Embeddings of one view for the photos at indices ``rows``, none of which failed."""
        return BankView(self._views[name].rows(), np.asarray(rows, dtype=np.int64))

    def check(self) -> dict[str, list[int]]:
        """By name of a view, the finished blocks that do not match their checksums; views without any are left out.

        Reads every finished row once, at about 2 GB a second where the file is in memory.
        """
        damaged_blocks = {}
        bar = step_bar(self._views.items(), desc="checking embeddings", unit="view")
        for name, view in bar:
            if damaged := view.damaged():
                damaged_blocks[name] = damaged
        return damaged_blocks

    def _forget_damaged(self) -> None:
        for name, damaged in self.check().items():
            view = self._views[name]
            what = f"{len(damaged)} of {len(view.finished())} finished blocks do not match their checksums"
            print(f"camtrace: warning: {self.encoder}: {view.folder}: {name}: {what}; made again", file=sys.stderr)
            view.forget(damaged)


def _dimension(view: Path, default: int) -> int:
    """Dimension of the embeddings in a view's folder; ``default`` unless they are of another output."""
    output = read_untrusted_json(view / "key.json")["output"]
    return int(output["dimension"]) if isinstance(output, dict) else default
