"""Bank: the embeddings of one photo set by one encoder, on disk: a folder that holds a file for each view.

A stale cache gives wrong numbers that look right. So a bank's folder is named by a hash of everything that decides its
content but the view: weights, preprocessing, pooling, precision, photo ids, photo bytes, codec; and each view in it by
a hash of everything that decides that view (``view_file.py``). A run embeds the views that are not there, whichever
tasks made the others. What cannot be resolved (an encoder whose weights cannot be hashed) is not cached: its bank lives
in a temporary folder.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tqdm.auto import tqdm

from benchmark.bank.keys import LAYOUT, key_hash, shape_and_dtype
from benchmark.bank.view_file import Blocks, ViewFile, keep_key, view_key
from benchmark.encoders import Output
from builders.errors import DataError, disk_error
from builders.untrusted import describe_error


@dataclass(frozen=True)
class BankView:
    """The embeddings of one view: reads like a float32 array [photos, dim], from disk, a slice at a time."""

    stored: np.ndarray
    rows: np.ndarray
    """int64, rows of ``stored`` that hold an embedding."""

    reads_rows: ClassVar[bool] = True
    """Indices may be an int array, and no other rows are read."""

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.stored.shape[1]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: slice | np.ndarray) -> np.ndarray:
        rows = self.rows[at]
        if isinstance(at, slice) and len(rows) and rows[-1] - rows[0] == len(rows) - 1:
            return np.asarray(self.stored[rows[0] : rows[-1] + 1], dtype=np.float32)
        return np.asarray(self.stored[rows], dtype=np.float32)


class Bank:
    """Some views of a bank, by the names of one recipe. Open with ``Bank.open``; read views when ``complete``.

    Two recipes that call different views the same have two of these, on the same folder.
    """

    def __init__(
        self, folder: Path, key: Mapping[str, Any], views: Mapping[str, ViewFile], output: Output | None = None
    ) -> None:
        self.folder = folder
        self.key = dict(key)
        """As ``bank_key`` gave it."""
        self.encoder = str(key["encoder"]["id"])
        self.output = output
        """Of the encoder; None for its embedding."""
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
        """Views of the bank of ``key`` under ``root``, made if they are not there.

        The finished blocks that are there are read once, and those that do not match their checksums are taken for
        unfinished, with a warning: reading is at most 1 % of what embedding took (docs/explanation/performance.md).

        Args:
            root: folder of banks.
            key: from ``bank_key``.
            views: by name, what decides each view's pixels, from ``ViewRecipe.view_keys``.
            fresh: names of views that are taken for unfinished, whatever is there.
            check: read the finished blocks; not for those that this process has just written.
            output: of the encoder; its embedding by default.

        Raises:
            DataError: a folder exists but holds something else than its name says.
            DiskError: it cannot be written.
        """
        folder = root / f"{LAYOUT}-{key_hash(key)}"
        shape, dtype = shape_and_dtype(key, output)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            keep_key(folder / "key.json", key)
            files = {}
            for name, view in views.items():
                own = view_key(view, output)
                files[name] = ViewFile.open(folder / "views" / key_hash(own), own, shape, dtype)
            os.utime(folder)  # when it was last used, for those who make space
            bank = cls(folder, key, files, output)
            for name in fresh:
                files[name].forget(files[name].finished())
            if check:
                bank._mend()
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
        """The same as it lies there: nothing is made, read or changed. For what is decided before anything is written.

        Raises:
            DataError: it cannot be read.
        """
        folder = root / f"{LAYOUT}-{key_hash(key)}"
        shape, dtype = shape_and_dtype(key, output)
        files = {}
        for name, view in views.items():
            files[name] = ViewFile(folder / "views" / key_hash(view_key(view, output)), shape, dtype)
        return cls(folder, key, files, output)

    @classmethod
    def adopt(cls, root: Path, key: Mapping[str, Any], stand_in: Mapping[str, Any]) -> None:
        """Give the views of a bank whose photos were not known by their bytes to the bank that is named by them.

        A view that is there already stays; the other's is removed. It can be stopped at any point and done again.
        """
        old, new = (root / f"{LAYOUT}-{key_hash(k)}" for k in (stand_in, key))
        if not (old / "views").is_dir():
            return
        try:
            (new / "views").mkdir(parents=True, exist_ok=True)
            keep_key(new / "key.json", key)
            for view in sorted((old / "views").iterdir()):
                if not (new / "views" / view.name).exists():
                    os.rename(view, new / "views" / view.name)
            shutil.rmtree(old)
        except OSError as error:
            raise disk_error(error, old) from None

    def missing_bytes(self) -> int:
        """Of the rows that are still to be written."""
        views = self._views.values()
        return sum(
            view.shape[1] * view.dtype.itemsize * sum(len(self.blocks.photos_of(block)) for block in view.missing())
            for view in views
        )

    @classmethod
    def at(cls, folder: Path) -> Bank:
        """All views that a bank's folder holds, by the names of their own folders; nothing is made or changed.

        Raises:
            DataError: it is no bank of this layout.
        """
        try:
            key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
            if key["layout"] != LAYOUT:
                raise DataError(f"{folder}: a bank of layout {key['layout']}; this version reads layout {LAYOUT}")
            (photos, dimension), dtype = shape_and_dtype(key)
            views = {
                path.name: ViewFile(path, (photos, _own_dimension(path, dimension)), dtype)
                for path in sorted((folder / "views").iterdir())
                if path.is_dir()
            }
            return cls(folder, key, views)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder}: no bank that can be read ({describe_error(error)})") from None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the views."""
        return tuple(self._views)

    @property
    def complete(self) -> bool:
        return all(view.complete for view in self._views.values())

    def missing(self, name: str) -> set[int]:
        """Indices of the blocks of a view that are not finished."""
        return self._views[name].missing()

    def is_finished(self, name: str, block: int) -> bool:
        """Whether a block of a view is finished by now, whichever process did it."""
        return self._views[name].is_finished(block)

    def write_rows(self, name: str, start: int, embeddings: np.ndarray) -> None:
        """Store the embeddings [photos, dim] of one view of consecutive photos from index ``start``."""
        self._views[name].write_rows(start, embeddings)

    def finish_block(self, name: str, block: int, failures: Mapping[str, str], source_jpeg: Mapping[str, int]) -> None:
        """Flush a view's rows, then write the block's marker: from here on a kill cannot lose the block."""
        self._views[name].finish_block(block, failures, source_jpeg)

    def failures(self) -> dict[str, str]:
        """Reason by id of every photo that lacks an embedding in one of the views, in order of the photos' blocks."""
        markers = [marker for view in self._views.values() for marker in view.markers()]
        found: dict[str, str] = {}
        for marker in sorted(markers, key=lambda m: m.index):
            for photo_id, reason in marker.failures.items():
                found.setdefault(photo_id, reason)
        return found

    def source_jpeg(self) -> dict[str, int]:
        """Photos by their own compression, most frequent first."""
        total: Counter[str] = Counter()
        for marker in next(iter(self._views.values())).markers():
            total.update(marker.source_jpeg)
        return dict(total.most_common())

    def view(self, name: str, rows: np.ndarray) -> BankView:
        """Embeddings of one view for the photos at indices ``rows`` (none of them failed)."""
        return BankView(self._views[name].rows(), np.asarray(rows, dtype=np.int64))

    def check(self) -> dict[str, list[int]]:
        """By name of a view, its finished blocks that do not match their checksums; views that match are not named.

        Reads every finished row once, at about 2 GB a second where the file is in memory.
        """
        found = {}
        bar = tqdm(self._views.items(), desc="checking embeddings", unit="view", delay=2, leave=False, disable=None)
        for name, view in bar:
            if damaged := view.damaged():
                found[name] = damaged
        return found

    def _mend(self) -> None:
        for name, damaged in self.check().items():
            view = self._views[name]
            what = f"{len(damaged)} of {len(view.finished())} finished blocks do not match their checksums"
            print(f"camtrace: warning: {self.encoder}: {view.folder}: {name}: {what}; made again", file=sys.stderr)
            view.forget(damaged)


def _own_dimension(view: Path, usual: int) -> int:
    """Of the embeddings in a view's folder; another than the bank's where they are of another output."""
    output = json.loads((view / "key.json").read_text(encoding="utf-8"))["output"]
    return int(output["dimension"]) if isinstance(output, dict) else usual
