"""Tables of the state: the meaning of each column, the version of the schema, and migrations from older versions."""

from __future__ import annotations

import hashlib

VERSION = 3
"""``PRAGMA user_version`` of a state that this code can read and write."""

IMPORTED_PLANS = "fetches by ranks"
"""Setting with the names of the plans whose files have been imported."""


def tombstone_hash(kind: str, value: str) -> str:
    """64 hex digits that stand for a photo or an owner that was taken down, and do not reveal which.

    Args:
        kind: ``photo`` or ``owner``.
        value: its id.
    """
    return hashlib.sha256(f"flickrexif tombstone\0{kind}\0{value}".encode()).hexdigest()


_STRATA = """
-- A month of a sample (or the part of one that lies in the search). Windows of equal length are opened in seeded random
-- order; each gives a few photos.
CREATE TABLE strata (
    start INTEGER PRIMARY KEY,      -- [start, "end") in seconds since 1970
    "end" INTEGER NOT NULL,
    month TEXT NOT NULL,            -- YYYY-MM, UTC
    total INTEGER,                  -- results that Flickr reported; NULL: not counted yet
    windows INTEGER NOT NULL DEFAULT 0,
    each INTEGER NOT NULL DEFAULT 0,    -- photos to store of a window of average size
    opened INTEGER NOT NULL DEFAULT 0,  -- windows opened so far; a second pass counts on
    doubted REAL,                   -- when its count, or the window that is next, first came back empty
    trusted INTEGER NOT NULL DEFAULT 0  -- empty answers that came twice and were accepted
);
"""

_TOMBSTONES = """
CREATE TABLE tombstones (
    hash TEXT PRIMARY KEY,          -- SHA-256 of kind and id, as in the list of a built folder
    kind TEXT NOT NULL,             -- photo, owner
    at REAL NOT NULL
);
"""

TABLES = f"""{_STRATA}{_TOMBSTONES}
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);

-- A window of upload time, and the licences to search for in it. [start, "end") in seconds since 1970.
CREATE TABLE slices (
    id INTEGER PRIMARY KEY,
    root INTEGER NOT NULL,          -- 1 if it is a whole window of the search, 0 if a part of one
    month TEXT NOT NULL,            -- YYYY-MM, UTC, of the upload
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    licences TEXT NOT NULL,         -- Flickr ids, comma-separated
    status TEXT NOT NULL,           -- pending, split, done, truncated (more results than Flickr gives out)
    estimate REAL NOT NULL,         -- results to expect, from the parent's total
    total INTEGER,                  -- results that Flickr reported
    found INTEGER,                  -- different photos in the responses
    doubted REAL,                   -- when it first came back empty although photos were to be expected
    trusted INTEGER NOT NULL DEFAULT 0  -- 1: it came back empty again, and that was accepted
);
CREATE INDEX slices_by_status ON slices (status, month);

CREATE TABLE photos (
    id INTEGER PRIMARY KEY,         -- Flickr's
    owner TEXT NOT NULL,            -- NSID
    owner_name TEXT,
    title TEXT,
    source TEXT NOT NULL,           -- search, import, fill
    month TEXT,                     -- of the upload; the cap counts by (owner, month)
    uploaded INTEGER,
    taken TEXT,                     -- as Flickr shows it
    licence INTEGER,                -- Flickr id; NULL: unknown
    licence_checked REAL,
    original_format TEXT,
    urls TEXT NOT NULL,             -- JSON {{size: [url, width, height]}}
    rank INTEGER NOT NULL,          -- seeded hash of the id: the cap keeps the lowest
    selected INTEGER NOT NULL DEFAULT 0,  -- 1: in the data set; 0: its month is not read to the end, or its turn in a
                                    -- sample has not come; -1: gone since
    exif_status TEXT,               -- NULL: pending; ok, empty, hidden, gone, refused (all final), failed (transient)
    exif_attempts INTEGER NOT NULL DEFAULT 0,
    exif_error TEXT,
    exif_checked REAL,
    expected_sha256 TEXT,           -- from a published table
    turn INTEGER,                   -- of a sample: photos of a month are selected by turn, then by rank
    sought TEXT                     -- of a fill: the class it was found for, as "make: Kodak"
);
CREATE INDEX photos_by_owner_month ON photos (owner, month, rank);
CREATE INDEX photos_by_month ON photos (month);
CREATE INDEX photos_to_ask ON photos (selected, exif_status);

CREATE TABLE exif (
    photo_id INTEGER PRIMARY KEY,
    entries TEXT NOT NULL           -- JSON [[tagspace, tag, raw], ...] in the order of trust
);

CREATE TRIGGER nothing_without_photo AFTER DELETE ON photos BEGIN
    DELETE FROM exif WHERE photo_id = OLD.id;
    DELETE FROM looks WHERE photo_id = OLD.id;
END;

CREATE TABLE files (
    photo_id INTEGER PRIMARY KEY,
    size TEXT,                      -- o, l, ... which of Flickr's sizes this is
    url TEXT,
    status TEXT NOT NULL,           -- ok, gone (permanent failure), failed (transient failure)
    path TEXT,                      -- below the folder of the state
    sha256 TEXT,
    bytes INTEGER,
    content_type TEXT,
    attempts INTEGER NOT NULL,
    error_class TEXT,
    error TEXT,
    at REAL NOT NULL
);
CREATE INDEX files_by_sha256 ON files (sha256);
CREATE INDEX files_by_status ON files (status);

-- Contents of a fetched file, so that a build reads each file once.
CREATE TABLE looks (
    photo_id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,           -- of the file that was read
    hash INTEGER NOT NULL,          -- perceptual, as a signed number; 0: none
    width INTEGER,
    height INTEGER,
    raw TEXT NOT NULL,              -- JSON, allow-listed Exif of the file by tag name
    reason TEXT,                    -- why the file cannot be used; NULL if it can
    variants BLOB                   -- perceptual hashes of the file turned, cropped and without its border, 8 bytes
                                    -- each; NULL: not computed
);

-- One row per attempt at a call of the API.
CREATE TABLE calls (
    at REAL NOT NULL,
    method TEXT NOT NULL,
    subject TEXT NOT NULL,          -- "photo" (never which), or slice and page
    attempt INTEGER NOT NULL,
    outcome TEXT NOT NULL,          -- ok, or the class of the error
    seconds REAL NOT NULL
);

"""

MIGRATIONS = {
    1: f"""
ALTER TABLE slices ADD COLUMN doubted REAL;
ALTER TABLE slices ADD COLUMN trusted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE photos ADD COLUMN turn INTEGER;
ALTER TABLE photos ADD COLUMN sought TEXT;
{_STRATA}
UPDATE calls SET subject = 'photo' WHERE method IN ('photos.getExif', 'photos.getInfo');
ALTER TABLE tombstones RENAME TO plain_tombstones;
{_TOMBSTONES}
INSERT INTO tombstones SELECT tombstone_hash(kind, value), kind, at FROM plain_tombstones;
DROP TABLE plain_tombstones;
""",
    2: "ALTER TABLE looks ADD COLUMN variants BLOB;\n",
}
"""SQL from each version to the next. ``tombstone_hash`` is available as a SQL function."""
