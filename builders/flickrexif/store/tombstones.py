"""Take-down: photos and owners are deleted with their files, and a tombstone keeps them from coming back.

A built data set contains its tombstones (``tombstones.txt``); ``publish`` and ``load`` apply them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.errors import UsageError
from builders.files import write_text_atomically
from builders.flickrexif.api.search_results import is_nsid
from builders.flickrexif.store.schema import tombstone_hash
from builders.flickrexif.store.store import State, file_path
from builders.untrusted import files_matching, read_table, read_untrusted_text

TOMBSTONES_FILE = "tombstones.txt"


@dataclass(frozen=True)
class Tombstones:
    """Photos and owners that have been taken down, as SHA-256 hashes, so that the list contains no ids."""

    hashes: frozenset[str] = frozenset()

    def covers(self, photo: int | str, owner: str | None) -> bool:
        """Whether this photo must not be used."""
        return bool(self.hashes) and (
            tombstone_hash("photo", str(photo)) in self.hashes or tombstone_hash("owner", owner or "") in self.hashes
        )

    def __or__(self, other: Tombstones) -> Tombstones:
        return Tombstones(self.hashes | other.hashes)

    def to_text(self) -> str:
        """One hash per line, sorted."""
        return "".join(f"{line}\n" for line in sorted(self.hashes))

    @classmethod
    def from_text(cls, text: str) -> Tombstones:
        """Parse ``to_text``; lines of another form are ignored."""
        return cls(frozenset(line for line in text.split() if re.fullmatch(r"[0-9a-f]{64}", line)))

    @classmethod
    def of(cls, pairs: Iterable[Sequence[str]]) -> Tombstones:
        """From pairs (``photo`` or ``owner``, id)."""
        return cls(frozenset(tombstone_hash(kind, value) for kind, value in pairs))


def read_tombstones(state: State) -> Tombstones:
    """The tombstones of a state."""
    return Tombstones(frozenset(row[0] for row in state.rows("SELECT hash FROM tombstones")))


def folder_tombstones(folder: Path) -> Tombstones:
    """The tombstones of a built folder; empty without a list."""
    path = folder / TOMBSTONES_FILE
    return Tombstones.from_text(read_untrusted_text(path)) if path.is_file() else Tombstones()


def add_folder_tombstones(folder: Path, tombstones: Tombstones) -> None:
    """Add tombstones to the list of a built folder: ``publish`` then refuses it, ``load`` leaves their photos out."""
    write_text_atomically(folder / TOMBSTONES_FILE, (folder_tombstones(folder) | tombstones).to_text())


def taken_down_rows(folder: Path, files: Iterable[str]) -> int:
    """Number of rows of a built folder's Parquet files that the tombstones of the folder cover.

    Args:
        folder: a built folder.
        files: its data files, relative to it.
    """
    tombstones, covered = folder_tombstones(folder), 0
    for name in files if tombstones.hashes else ():
        table = read_table(folder / name, ["photo_id", "owner"])
        pairs = zip(table["photo_id"].to_pylist(), table["owner"].to_pylist(), strict=True)
        covered += sum(tombstones.covers(photo, owner) for photo, owner in pairs)
    return covered


@dataclass(frozen=True)
class Forgotten:
    """What a take-down removed."""

    photos: int
    files: int
    overwritten: bool = True
    """Whether the file of the state was rewritten; impossible while another process has it open."""


def forget(state: State, *, photos: Iterable[str] = (), owners: Iterable[str] = ()) -> Forgotten:
    """Take photos and owners down. Tombstones are written first, so that the next step finishes a run that is killed.

    Args:
        state: of the collection.
        photos: ids of photos.
        owners: ids (NSID) of owners.

    Raises:
        UsageError: an id is not of Flickr's form.
    """
    photo_ids, owner_ids = [p.strip() for p in photos], [o.strip() for o in owners]
    for text in photo_ids:
        if not (text.isascii() and text.isdigit()):
            raise UsageError(f"--photo {text}: a Flickr photo id is a number, as in the address of its page")
    for text in owner_ids:
        if not is_nsid(text):
            raise UsageError(f"--owner {text}: an owner's id (NSID) looks like 12345678@N00")
    now = state.clock.now()
    with state.transaction() as db:
        pairs = [("photo", str(int(p))) for p in photo_ids] + [("owner", o) for o in owner_ids]
        rows = [(tombstone_hash(kind, value), kind, now) for kind, value in pairs]
        db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?)", rows)
    for built in state.setting("built") or ():
        if Path(built).is_dir():
            add_folder_tombstones(Path(built), read_tombstones(state))
    without_row = sum(_remove_files(state, int(p)) for p in photo_ids)
    removed = remove_taken_down(state)
    return Forgotten(removed.photos, removed.files + without_row, state.compact())


def remove_taken_down(state: State) -> Forgotten:
    """Remove photos that tombstones cover, and files whose photo is no longer in the state. Safe to repeat.

    Files are deleted before rows, so that the next run finishes one that is killed in between.
    """
    tombstones = read_tombstones(state)
    photos = state.rows("SELECT id, owner FROM photos") if tombstones.hashes else ()
    covered = [row[0] for row in photos if tombstones.covers(*row)]
    orphans = [row[0] for row in state.rows("SELECT photo_id FROM files WHERE photo_id NOT IN (SELECT id FROM photos)")]
    removed = sum(_remove_files(state, id) for id in {*covered, *orphans})
    with state.transaction() as db:
        db.executemany("DELETE FROM photos WHERE id = ?", [(id,) for id in covered])
        db.executemany("DELETE FROM files WHERE photo_id = ?", [(id,) for id in {*covered, *orphans}])
    return Forgotten(len(covered), removed)


def _remove_files(state: State, id: int) -> int:
    """Delete every stored file of a photo, with or without a row. Returns their number."""
    paths = files_matching(state.path_of(file_path(id, "o", "")).parent, f"{id}_*")
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)
