"""What is collected of a state: every combination of what makes a photo unusable, and its columns."""

import itertools
import json

import pytest

from builders.exif import ATTRIBUTES
from builders.flickrexif.api.exif_answers import dumps
from builders.flickrexif.assemble.collect import collect
from builders.flickrexif.store.tombstones import forget

ENTRIES = {("IFD0", "Make"): "Canon", ("IFD0", "Model"): "Canon EOS 5D"}
FILES = (None, "ok", "failed", "gone", "no such size", "too large", "address refused", "unavailable")


def add_photo(state, id, *, file=None, size="o", exif_status="ok", urls=True, licence=4, raw=None, reason=None,
              entries=True, selected=1):  # fmt: skip
    with state.transaction() as db:
        db.execute(
            "INSERT INTO photos (id, owner, owner_name, title, source, urls, rank, selected, exif_status, licence,"
            " licence_checked) VALUES (?, ?, 'Ann', 'Fog', 'search', ?, ?, ?, ?, ?, 86400)",
            (id, f"{id}@N00", json.dumps({"l": ["https://a.net/l.jpg", 30, 20], "o": ["https://a.net/o.jpg", 3, 2]}
                                         if urls else {}), id, selected, exif_status, licence),
        )  # fmt: skip
        if entries:
            db.execute("INSERT INTO exif VALUES (?, ?)", (id, dumps(ENTRIES)))
        if file is not None:
            status = "ok" if file == "ok" else "failed" if file == "failed" else "gone"
            db.execute(
                "INSERT INTO files (photo_id, size, url, status, path, sha256, bytes, attempts, error_class, at)"
                " VALUES (?, ?, 'https://a.net/file', ?, 'files/1.jpg', 'aa', 9, 1, ?, 0)",
                (id, size, status, None if file == "ok" else file),
            )
            if raw is not None:
                db.execute(
                    "INSERT INTO looks VALUES (?, 'aa', 7, 40, 25, ?, ?, ?)", (id, json.dumps(raw), reason, b"1")
                )


@pytest.mark.parametrize("pixels", [False, True])
def test_collect__each_reason_alone_and_before_others(state, pixels):
    """In the order of the reasons: the first that a photo has counts."""
    expected, usable = {}, []
    values = itertools.product(
        FILES, ("ok", "gone", "hidden"), (True, False), (4, 0, None), ({}, {"Make": "NIKON"}), (None, "broken"),
        (True, False),
    )  # fmt: skip
    for id, (file, exif_status, urls, licence, raw, reason, entries) in enumerate(values, start=1):
        add_photo(state, id, file=file, exif_status=exif_status, urls=urls, licence=licence, raw=raw, reason=reason,
                  entries=entries)  # fmt: skip
        reasons = [
            "gone from Flickr" * (exif_status == "gone"),
            "Exif hidden by its owner" * (exif_status == "hidden"),
            "file: gone" * (file == "gone"),
            "file: unavailable" * (file == "unavailable"),
            "file that cannot be decoded" * (file is not None and reason == "broken"),
            "original without the Exif that Flickr lists" * (file == "ok" and raw == {} and entries),
            "no address that anyone could load" * (file != "ok" and not urls),
            "no file" * (pixels and file != "ok"),
            "licence unknown or against redistribution" * (pixels and licence != 4),
            "without Exif" * (not entries and not (file is not None and raw)),
        ]
        first = next(filter(None, reasons), None)
        if first is None:
            usable.append(str(id))
        else:
            expected[first] = expected.get(first, 0) + 1
    collected = collect(state, pixels=pixels)
    assert collected.ids == usable
    assert collected.left_out == expected
    assert list(collected.left_out.values()) == sorted(expected.values(), reverse=True)


def test_collect__what_is_taken_down_or_not_selected(state):
    for id in (1, 2, 3):
        add_photo(state, id, selected=int(id != 3))
    with state.transaction() as db:
        rows = state.rows("SELECT * FROM photos WHERE id = 2")[0]
    forget(state, photos=["2"])
    with state.transaction() as db:  # an import of an earlier camtrace
        db.execute(f"INSERT INTO photos VALUES ({','.join('?' * len(rows))})", tuple(rows))
        db.execute("INSERT INTO exif VALUES (2, ?)", (dumps(ENTRIES),))
    collected = collect(state, pixels=False)
    assert (collected.ids, collected.left_out) == (["1"], {"taken down": 1})


def test_collect__columns_of_a_photo_with_its_file_and_without(state):
    add_photo(state, 1, file="ok", raw={"Make": "NIKON", "ExposureTime": "1/50", "Flash": "1"})
    add_photo(state, 2, licence=None)
    add_photo(state, 3, file="ok", size="l", raw={"Make": "NIKON"})
    add_photo(state, 4, file="failed", raw={})
    with state.transaction() as db:
        db.execute("UPDATE photos SET licence_checked = NULL WHERE id = 2")
    table = collect(state, pixels=False).table
    first, second, third, fourth = table.to_pylist()
    line = (
        '"Fog" by Ann, https://www.flickr.com/photos/1@N00/1/, CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/)'
    )
    assert first == {
        "photo_id": "1", "owner": "1@N00", "licence": "cc-by-2.0",
        "licence_url": "https://creativecommons.org/licenses/by/2.0/", "licence_checked": "1970-01-02",
        "attribution": line, "page": "https://www.flickr.com/photos/1@N00/1/", "url": "https://a.net/file", "size": "o",
        "sha256": "aa", "width": 40, "height": 25, "perceptual_hash": 7, "exif_source": "file", "found_by": "search",
        "camera_make": "NIKON", "camera_model": "", "software": "", "exposure_s": "1/50", "f_number": "",
        "focal_length_mm": "", "iso_speed": None, "flash_fired": True, "year": None, "label_device_type": "camera",
        **{f"label_{name}": "unknown" for name in ATTRIBUTES}, "label_make": "NIKON",
        "label_is_smartphone": "not a smartphone", "label_exposure": "1/50", "label_flash": "with flash",
        "path": "files/1.jpg", "variants": b"1",
    }  # fmt: skip
    assert {name: second[name] for name in ("licence", "licence_url", "licence_checked", "url", "size", "sha256")} == {
        "licence": "unknown", "licence_url": "", "licence_checked": "", "url": "https://a.net/l.jpg", "size": "l",
        "sha256": "",
    }  # fmt: skip
    assert (second["width"], second["height"], second["perceptual_hash"], second["path"]) == (30, 20, 0, None)
    assert (second["exif_source"], second["camera_model"], second["variants"]) == ("flickr", "Canon EOS 5D", b"")
    assert (third["exif_source"], third["camera_make"], third["size"]) == ("flickr", "Canon", "l")
    assert (fourth["path"], fourth["perceptual_hash"], fourth["variants"], fourth["sha256"]) == (None, 0, b"", "")
