"""Import of a released table: files of every kind, and a real download from a test server for the Hub."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.errors import DataError, UsageError
from builders.exif import acquisition_from_tags
from builders.flickrexif.api.exif_answers import loads
from builders.flickrexif.search.import_ids import import_rows, import_table
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import forget
from tests.support.flickr_world import World
from tests.support.hub import OWNER_TOKEN
from tests.support.processes import run_python

ROOT = Path(__file__).parents[3]
WORLD = World(count=60, burst=0)
ROWS = [WORLD.released_row(at, "https://live.staticflickr.com") for at in range(40)]


def write_table(folder, kind):
    path = folder / f"table.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ROWS[0])
            writer.writeheader()
            writer.writerows(ROWS)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_import__every_kind_of_file_gives_the_same_photos(tmp_path, state, kind):
    done = import_rows(state, import_table(None, write_table(tmp_path, kind)))
    assert (done.added, done.known, done.unusable) == (40, 0, 0)
    for at in range(40):
        row = state.rows("SELECT * FROM photos WHERE id = ?", int(WORLD.ids[at]))[0]
        assert (row["owner"], row["selected"], row["licence"]) == (WORLD.nsid(at), 1, None)
        assert json.loads(row["urls"]) == {"o": [ROWS[at]["url"], 0, 0]}
        shot = WORLD.shot(at)
        entries = loads(state.value("SELECT entries FROM exif WHERE photo_id = ?", row["id"]))
        taken = acquisition_from_tags(entries)
        assert (taken.make, taken.model) == (shot.make, shot.model)
        assert taken.exposure_s.as_integer_ratio() == shot.exposure
        assert float(taken.f_number) == shot.f_number[0] / shot.f_number[1]
        assert taken.iso == (shot.iso if shot.iso != 65535 else None)


def test_import__a_second_import_adds_nothing_and_respects_tombstones(state):
    forget(state, photos=[str(WORLD.ids[0])], owners=[WORLD.nsid(1)])
    mine = [row for row in ROWS if row["owner"] == WORLD.nsid(1)]
    first = import_rows(state, ROWS)
    assert first.taken_down == len({row["Flickr ID"] for row in (ROWS[0], *mine)})
    again = import_rows(state, ROWS)
    assert (again.added, again.known) == (0, first.added)


@pytest.mark.parametrize(
    "change",
    [
        *({"Flickr ID": "x"}, {"Flickr ID": -1}, {"url": "file:///etc/passwd"}),
        *({"owner": "../x"}, {"url": None}, {"owner": None}),
    ],
)
def test_import__unusable_rows_are_counted(state, change):
    done = import_rows(state, [ROWS[0] | change, ROWS[1]])
    assert (done.added, done.unusable) == (1, 1)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.net/1_ab_o.jpg",
        "https://a.net/1_ab_o.jpg",
        "ftp://a.net/1_ab_o.jpg",
        "httpx://a.net/1_ab_o.jpg",
        "//a.net/1_ab_o.jpg",
        " http://a.net/1_ab_o.jpg",
    ],
)
def test_import__addresses_of_the_web_alone(state, url):
    of_the_web = url.startswith("http") and url[4] in ":s"
    done = import_rows(state, [ROWS[0] | {"url": url}])
    assert (done.added, done.unusable) == (int(of_the_web), int(not of_the_web))
    stored = [json.loads(row["urls"]) for row in state.rows("SELECT urls FROM photos")]
    assert stored == [{"o": [url, 0, 0]}] * of_the_web


def test_import_table__errors_are_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="--table"):
        import_table(None, None)
    with pytest.raises(DataError, match="no such file"):
        import_table(None, tmp_path / "x.csv")
    (tmp_path / "x.txt").write_text("a")
    with pytest.raises(UsageError, match="parquet"):
        import_table(None, tmp_path / "x.txt")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="Flickr ID"):
        import_table(None, tmp_path / "x.csv")
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError):
        import_table(None, tmp_path / "x.parquet")


@pytest.mark.slow
def test_import__from_the_hub(hub, tmp_path):
    table = write_table(tmp_path, "parquet").read_bytes()
    script = (
        "import io, sys; from huggingface_hub import HfApi; api = HfApi();"
        "api.create_repo('org/FlickrExif', repo_type='dataset');"
        "api.upload_file(path_or_fileobj=sys.stdin.buffer.read(), path_in_repo='data/train-00000-of-00001.parquet',"
        " repo_id='org/FlickrExif', repo_type='dataset')"
    )
    environment = hub.environment(tmp_path / "home", OWNER_TOKEN)
    subprocess.run([sys.executable, "-c", script], input=table, env=environment, check=True, capture_output=True)
    words = ["-m", "builders", "flickrexif", "import", "--hub", "org/FlickrExif", "--state", tmp_path / "state"]
    done = run_python(*words, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("40 photos added")
    with State(tmp_path / "state") as state:
        assert state.value("SELECT count(*) FROM photos") == 40
