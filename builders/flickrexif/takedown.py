"""Take-down: a photo or an owner is forgotten, its bytes deleted, and a tombstone keeps it from coming back.

Tombstones hold ids only. They travel with a published data set (``tombstones.txt``): whoever loads it heeds them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from builders.errors import UsageError
from builders.flickrexif.found import is_nsid
from builders.flickrexif.state import State, file_path

TOMBSTONES_FILE = "tombstones.txt"


@dataclass(frozen=True)
class Tombstones:
    """Ids of what has been taken down."""

    photos: frozenset[str]
    owners: frozenset[str]

    def cover(self, photo: int | str, owner: str | None) -> bool:
        """Whether this photo must not be used."""
        return str(photo) in self.photos or owner in self.owners

    def __or__(self, other: Tombstones) -> Tombstones:
        return Tombstones(self.photos | other.photos, self.owners | other.owners)

    def to_text(self) -> str:
        """One per line: ``photo ID`` or ``owner NSID``."""
        return "".join(f"photo {p}\n" for p in sorted(self.photos)) + "".join(
            f"owner {o}\n" for o in sorted(self.owners)
        )

    @classmethod
    def from_text(cls, text: str) -> Tombstones:
        words = [line.split() for line in text.splitlines()]
        pairs = [(w[0], w[1]) for w in words if len(w) == 2]
        return cls(
            frozenset(value for kind, value in pairs if kind == "photo"),
            frozenset(value for kind, value in pairs if kind == "owner"),
        )


def tombstones(state: State) -> Tombstones:
    """Everything that this state has forgotten."""
    rows = state.rows("SELECT kind, value FROM tombstones")
    return Tombstones(
        frozenset(r[1] for r in rows if r[0] == "photo"), frozenset(r[1] for r in rows if r[0] == "owner")
    )


@dataclass(frozen=True)
class Forgotten:
    """What a take-down removed."""

    photos: int
    files: int


def forget(state: State, *, photos: Iterable[str] = (), owners: Iterable[str] = ()) -> Forgotten:
    """Take photos and owners down. The tombstone is written first: a run that dies here is finished by the next step.

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
        db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?)", [(*pair, now) for pair in pairs])
    return bury(state)


def bury(state: State) -> Forgotten:
    """Remove what tombstones cover, and files whose photo is no longer in the state. Safe to repeat.

    Bytes go first and rows after them, so that a run that dies between is finished by the next.
    """
    covered = [
        row[0]
        for row in state.rows(
            "SELECT id FROM photos WHERE CAST(id AS TEXT) IN (SELECT value FROM tombstones WHERE kind = 'photo')"
            " OR owner IN (SELECT value FROM tombstones WHERE kind = 'owner')"
        )
    ]
    orphans = [row[0] for row in state.rows("SELECT photo_id FROM files WHERE photo_id NOT IN (SELECT id FROM photos)")]
    removed = sum(remove_files(state, id) for id in {*covered, *orphans})
    with state.transaction() as db:
        db.executemany("DELETE FROM photos WHERE id = ?", [(id,) for id in covered])
        db.executemany("DELETE FROM files WHERE photo_id = ?", [(id,) for id in {*covered, *orphans}])
    return Forgotten(len(covered), removed)


def remove_files(state: State, id: int) -> int:
    """Delete every stored file of a photo, with or without a row. Returns how many there were."""
    found = list((state.path_of(file_path(id, "o", "")).parent).glob(f"{id}_*"))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
