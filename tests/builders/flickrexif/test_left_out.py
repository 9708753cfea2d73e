"""Photos of a state that a build leaves out; each is counted."""

import hashlib
import re
import shutil
from collections import Counter

import pytest

from builders.dataset import read_build
from builders.errors import DataError
from builders.flickrexif import TOMBSTONES_FILE
from builders.flickrexif.api.exif_answers import dumps, entries_from_response
from builders.flickrexif.assemble.build import BuildPlan, build
from builders.flickrexif.assemble.collect import collect
from builders.flickrexif.cli.steps import main
from builders.flickrexif.fetch.fetch import fetch
from builders.flickrexif.search.import_ids import import_rows
from builders.flickrexif.search.refresh import refresh
from builders.flickrexif.search.status import funnel
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import forget
from builders.publish.cli import plan_publication
from tests.builders.flickrexif.test_sample import client_of
from tests.support.clocks import SimulatedClock
from tests.support.flickr import PLAN, add
from tests.support.flickr_builds import SPLIT_NAMES, WORLD, rows_of

pytestmark = pytest.mark.slow


def test_build__a_broken_file_is_left_out_and_damaged_ones_are_fetched_again(flickr, tmp_path, capsys):
    with State(tmp_path / "state", create=True) as state:
        add(state, flickr, [at for at in range(300) if WORLD.kind[at] > 0.3])
        fetch(state, PLAN)
        paths = [row[0] for row in state.rows("SELECT path FROM files ORDER BY photo_id")]
        state.path_of(paths[0]).write_bytes(b"other bytes")
        state.path_of(paths[1]).unlink()
        broken = WORLD.file(WORLD.index(state.rows("SELECT photo_id FROM files ORDER BY photo_id")[2][0]), "o")[:300]
        state.path_of(paths[2]).write_bytes(broken)
        with state.transaction() as db:
            db.execute("UPDATE files SET sha256 = ? WHERE path = ?", (hashlib.sha256(broken).hexdigest(), paths[2]))
        built = build(state, BuildPlan(tmp_path / "out"))
        assert built.left_out == {
            "without Exif": 2,
            "file that cannot be decoded": 1,
        }  # their Exif was not requested from Flickr
        output = capsys.readouterr().err
        assert f"{paths[0]}: the file is not the one that was fetched; 'flickrexif fetch' gets it again" in output
        assert f"{paths[1]}: the file cannot be read (No such file or directory); 'flickrexif" in output
        assert fetch(state, PLAN).fetched == 2
        assert build(state, BuildPlan(tmp_path / "again")).left_out == {"file that cannot be decoded": 1}
    assert len(rows_of(tmp_path / "out", "metadata", "train")) == len(paths) - 3
    assert len(rows_of(tmp_path / "again", "metadata", "train")) == len(paths) - 1


def test_build__unknown_licences_never_give_pixels(flickr, tmp_path):
    with State(tmp_path / "state", create=True) as state:
        import_rows(state, [WORLD.released_row(at, flickr.base) for at in range(10)])
        fetch(state, PLAN)
        with pytest.raises(DataError, match="licence unknown"):
            build(state, BuildPlan(tmp_path / "out", pixels=True))


def test_publish__refuses_what_has_been_taken_down_since_the_build(fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        build(state, BuildPlan(tmp_path / "out"))
        published = plan_publication(tmp_path / "out", "a/b")
        assert TOMBSTONES_FILE in published.text_files
        owner = rows_of(tmp_path / "out", "make", "test")[0]["owner"]
        forget(state, owners=[owner])
        with pytest.raises(DataError):
            plan_publication(tmp_path / "out", "a/b")
        build(state, BuildPlan(tmp_path / "out", fresh=True))
    plan_publication(tmp_path / "out", "a/b")
    assert owner not in {row["owner"] for row in rows_of(tmp_path / "out", "metadata", "train")}
    assert owner not in (tmp_path / "out" / TOMBSTONES_FILE).read_text()
    assert read_build(tmp_path / "out").kind == "flickrexif"


def test_build__hidden_exif_is_not_read_from_the_file_either(fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        before = {int(id) for id in collect(state, pixels=False).ids}
        hidden = sorted(before)[:7]
        with state.transaction() as db:
            db.executemany("UPDATE photos SET exif_status = 'hidden' WHERE id = ?", [(id,) for id in hidden])
        built = build(state, BuildPlan(tmp_path / "out"))
        assert built.left_out["Exif hidden by its owner"] == 7
        stage = next(s for s in funnel(state) if s.name == "Exif from Flickr")
    assert "hidden by their owners 7" in stage.note
    assert {int(r["photo_id"]) for r in rows_of(tmp_path / "out", "metadata", "train")} == before - set(hidden)
    for id in hidden:
        assert not any(str(id).encode() in path.read_bytes() for path in (tmp_path / "out").rglob("*.parquet"))
    assert "Exif hidden by its owner 7" in (tmp_path / "out" / "README.md").read_text()


def test_build__an_original_without_the_exif_that_flickr_lists_is_a_placeholder(fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        before = {int(id) for id in collect(state, pixels=False).ids}
        rows = state.rows("SELECT photo_id, path FROM files WHERE status = 'ok' AND size = 'o' ORDER BY photo_id")
        stripped, unknown = [row for row in rows if row[0] in before][:2]
        for id, path in (stripped, unknown):
            data = WORLD.file(WORLD.index(id), "l")  # another picture, without Exif
            state.path_of(path).write_bytes(data)
            with state.transaction() as db:
                db.execute("UPDATE files SET sha256 = ? WHERE photo_id = ?", (hashlib.sha256(data).hexdigest(), id))
        answer = {"photo": WORLD.exif_answer(WORLD.index(stripped[0]))}
        with state.transaction() as db:
            db.execute("DELETE FROM exif")
            db.execute("INSERT INTO exif VALUES (?, ?)", (stripped[0], dumps(entries_from_response(answer))))
        built = build(state, BuildPlan(tmp_path / "out"))
    assert built.left_out["original without the Exif that Flickr lists"] == 1
    there = {int(r["photo_id"]) for r in rows_of(tmp_path / "out", "metadata", "train")}
    assert not there & {stripped[0], unknown[0]}  # Flickr lists no Exif of the other: "without Exif", as before


def test_build__a_photo_without_an_address_is_no_row(fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        before = len(collect(state, pixels=False))
        id = collect(state, pixels=False).ids[0]
        with state.transaction() as db:
            db.execute("UPDATE photos SET urls = '{}' WHERE id = ?", (int(id),))
            db.execute("DELETE FROM files WHERE photo_id = ?", (int(id),))
            entries = dumps({("IFD0", "Make"): "Canon"})
            db.execute("INSERT OR REPLACE INTO exif VALUES (?, ?)", (int(id), entries))
        after = collect(state, pixels=False)
    assert after.left_out["no address that anyone could load"] == 1
    assert (len(after), id in after.ids) == (before - 1, False)


def test_build__names_the_class_that_limits_each_attribute(fetched, tmp_path, capsys):
    shutil.copytree(fetched, tmp_path / "state")
    arguments = ["build", "--state", tmp_path / "state", "--workers", 1, "--output"]
    assert main([*map(str, arguments), str(tmp_path / "pixels"), "--pixels"]) == 0
    assert read_build(tmp_path / "pixels").configs == ("metadata",)
    assert main([*map(str, arguments), str(tmp_path / "four"), "--least", "4"]) == 0
    text = capsys.readouterr().out
    output = re.search(
        r"^is_smartphone: 2 classes of (\d+) \+ (\d+) \+ (\d+) photos; fewest photos: ([^;\n]*)", text, re.M
    )
    rows = [rows_of(tmp_path / "four", "is_smartphone", split) for split in SPLIT_NAMES]
    assert [len(part) for part in rows] == [2 * int(n) for n in output.groups()[:3]]
    assert "smartphone (train" in output[4]
    other = re.search(r"^make: no data set, \d classes have 4 .*--least (\d+): (\d) classes of (\d+) \+", text, re.M)
    assert "make" not in read_build(tmp_path / "four").configs
    card = (tmp_path / "four" / "README.md").read_text()
    assert f"| is_smartphone | 2 | {', '.join(output.groups()[:3])} | {output[4]} |" in card
    assert main([*map(str, arguments), str(tmp_path / "least"), "--least", other[1]]) == 0
    counts = Counter(row["make"] for row in rows_of(tmp_path / "least", "make", "train"))
    assert (len(counts), set(counts.values())) == (int(other[2]), {int(other[3])})


def test_refresh__exif_that_its_owner_hides_later_leaves_the_build(fetched, flickr, tmp_path, monkeypatch):
    """60 owners hide their Exif after search and fetch."""
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state", clock=SimulatedClock()) as state:
        before = {int(id) for id in collect(state, pixels=False).ids}
        owners = sorted({WORLD.nsid(WORLD.index(id)) for id in before})[:60]
        hidden = {id for id in before if WORLD.nsid(WORLD.index(id)) in owners}
        hid_before = type(WORLD).hidden_exif
        monkeypatch.setattr(
            type(WORLD), "hidden_exif", lambda world, at: world.nsid(at) in owners or hid_before(world, at)
        )
        counts = refresh(state, client_of(state, flickr), older_than_days=-1e6)  # whenever checked
        assert counts.hidden >= len(hidden) >= 60
        assert counts.failed == 0
        at_of = {id: WORLD.index(id) for id in before}
        shown = {id for id, at in at_of.items() if not (WORLD.deleted(at) or WORLD.hidden_exif(at))}
        assert {int(id) for id in collect(state, pixels=False).ids} == shown
        build(state, BuildPlan(tmp_path / "out"))
        assert state.value("SELECT count(*) FROM exif JOIN photos ON id = photo_id WHERE exif_status = 'hidden'") == 0
    for id in hidden:
        assert not any(str(id).encode() in path.read_bytes() for path in (tmp_path / "out").rglob("*.parquet"))
