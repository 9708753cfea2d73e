-- The tables of a state of version 1, as camtrace made them before strata and hashed tombstones.
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);

-- A window of upload time, and the licences to ask for in it. [start, "end") in seconds since 1970.
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
    found INTEGER                   -- different photos that came
);
CREATE INDEX slices_by_status ON slices (status, month);

CREATE TABLE photos (
    id INTEGER PRIMARY KEY,         -- Flickr's
    owner TEXT NOT NULL,            -- NSID
    owner_name TEXT,
    title TEXT,
    source TEXT NOT NULL,           -- search, import
    month TEXT,                     -- of the upload; the cap counts by (owner, month)
    uploaded INTEGER,
    taken TEXT,                     -- as Flickr shows it
    licence INTEGER,                -- Flickr id; NULL: unknown
    licence_checked REAL,
    original_format TEXT,
    urls TEXT NOT NULL,             -- JSON {size: [url, width, height]}
    rank INTEGER NOT NULL,          -- seeded hash of the id: the cap keeps the lowest
    selected INTEGER NOT NULL DEFAULT 0,  -- 1: in the data set; 0: its month is not read to the end; -1: gone since
    exif_status TEXT,               -- NULL: not asked; ok, empty, hidden, gone, refused (all final), failed (transient)
    exif_attempts INTEGER NOT NULL DEFAULT 0,
    exif_error TEXT,
    exif_checked REAL,
    expected_sha256 TEXT            -- from a published table
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

-- What was seen in a fetched file, so that a build looks at each file once.
CREATE TABLE looks (
    photo_id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,           -- of the file that was looked at
    hash INTEGER NOT NULL,          -- perceptual, as a signed number; 0: none
    width INTEGER,
    height INTEGER,
    raw TEXT NOT NULL,              -- JSON, allow-listed Exif of the file by tag name
    reason TEXT                     -- why the file cannot be used; NULL if it can
);

-- One row per attempt at a call of the API.
CREATE TABLE calls (
    at REAL NOT NULL,
    method TEXT NOT NULL,
    subject TEXT NOT NULL,          -- photo id, or slice and page
    attempt INTEGER NOT NULL,
    outcome TEXT NOT NULL,          -- ok, or the class of the error
    seconds REAL NOT NULL
);

CREATE TABLE tombstones (
    kind TEXT NOT NULL,             -- photo, owner
    value TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (kind, value)
);
