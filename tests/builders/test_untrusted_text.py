"""Text of libraries and untrusted files is passed on as one printable line of bounded length everywhere."""

import asyncio
import csv
import errno
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from builders.check import check_folder
from builders.check.data_set import _load
from builders.check.diff import _photos
from builders.check.report.facts import report_facts
from builders.check.report.page import write_report
from builders.cli import guarded
from builders.cluster.engines.executors import EngineOptions
from builders.cluster.engines.ray import _start_ray
from builders.cluster.plan import read_plan
from builders.cluster.storage import StorageFolder
from builders.dataset.folder import summary
from builders.dataset.manifest import parse_build
from builders.dataset.shards import rows_of
from builders.errors import DataError
from builders.exif.parser import read_allowed
from builders.flickrexif.assemble.check_splits import folder_tables
from builders.flickrexif.fetch.download import download
from builders.flickrexif.store.store import State
from builders.photos import PhotoSet
from builders.pixels import decode_rgb
from builders.pixels.reference import encode_jpeg
from builders.processed.recipe import rebuild
from builders.simcams.catalogue import read_catalogue
from builders.sources.imagenet import validation_classes
from builders.sources.inaturalist import inaturalist_2018
from builders.sources.pairs import read_pair_photos
from builders.sources.sample import Tile, TileSource
from builders.sources.tar_index import indexed
from builders.splits.tables import read_split_file
from builders.untrusted import parse_json, parse_yaml, read_untrusted_arrays
from builders.untrusted.pace import Fetched, TransferLimit
from builders.untrusted.weight_downloads import _guarded_read
from tests.support.images import image_bytes
from tests.support.untrusted_text import ESCAPED, PLANTED, Where, bar_that_tells, raising


def photo(format: str = "JPEG", **options: Any) -> bytes:
    return image_bytes(Image.new("RGB", (8, 8)), format, **options)


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    return photo(exif=exif)


def written(path: Path, data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def fetched(monkeypatch: pytest.MonkeyPatch, step: str, error: Exception) -> None:
    client = httpx.AsyncClient()
    monkeypatch.setattr(client, step, raising(error))
    asyncio.run(download(client, "https://live.staticflickr.com/1/2_3_o.jpg", Path("unused")))


def an_npz(folder: Path) -> Path:
    np.savez(folder / "a.npz", a=np.zeros(1))
    return folder / "a.npz"


def broken_off() -> None:
    response: Any = SimpleNamespace(length=5, read1=raising(OSError(PLANTED)))
    _guarded_read(response, "https://example.org/w.pth", Fetched(), TransferLimit(10, None))(3)


def failures_of_a_shard() -> str:
    failures: list[Any] = []
    job: Any = SimpleNamespace(ids=("a",), make_rows=raising(ValueError(PLANTED)))
    assert list(rows_of(job, [0], failures, lambda: None)) == []
    return failures[0].reason


def checked(monkeypatch: pytest.MonkeyPatch) -> str:
    split = SimpleNamespace(config="c", split="s", shards=(), rows=0)
    build = SimpleNamespace(kind="processed", shards=(), splits=(split,), shared=None)
    monkeypatch.setattr("builders.check.data_set.read_build", lambda folder: build)
    monkeypatch.setattr("builders.check.data_set._load", lambda *_: [])
    return check_folder(Path("unused"), progress=False)[-1].detail


def rebuilt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = {"codec": dict.fromkeys(("canary", "pillow", "libjpeg_turbo"), ""), "settings": [{}]}
    monkeypatch.setattr("builders.processed.recipe.read_build", lambda _: SimpleNamespace(kind="recipe", recipe=recipe))
    rebuild(str(folder), PhotoSet.of_bytes("a", {}), folder / "out")


def of_a_state(folder: Path, monkeypatch: pytest.MonkeyPatch, error: sqlite3.DatabaseError) -> None:
    with State(folder / "s", create=True) as state, monkeypatch.context() as patched:
        patched.setattr(state, "_db", SimpleNamespace(execute=raising(error)))
        state.value("SELECT 1")


def of_a_store(monkeypatch: pytest.MonkeyPatch, step: str) -> StorageFolder:
    store = SimpleNamespace(**{step: raising(OSError(PLANTED))}, invalidate_cache=lambda: None)
    monkeypatch.setattr("builders.cluster.storage.open_store", lambda address: (store, address))
    return StorageFolder.of("s3://bucket/run")


def of_a_build(monkeypatch: pytest.MonkeyPatch, module: str, **fields: Any) -> None:
    build = SimpleNamespace(**{"configs": ["c"], "shared": None, **fields})
    monkeypatch.setattr(f"{module}.read_build", lambda folder: build)


def a_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builders.check.report.page.report_facts", lambda _: SimpleNamespace(build=None))
    write_report(folder)


JPEG = with_exif()

PLAN = b'{"format": 1, "kind": "", "argv": [], "output": "", "ranks": [], "facts": {}, "notes": {}, "estimate": {}}'

WHERE = {
    "plan": Where(
        "builders.cluster.plan.Plan", TypeError(PLANTED),
        lambda d, _: read_plan(str(written(d / "plan.json", PLAN).parent)),
        f"DIR/plan.json: no plan of camtrace (TypeError: {ESCAPED})",
    ),
    "address": Where(
        "fsspec.core.url_to_fs", ValueError(PLANTED), lambda d, _: StorageFolder.of("s3://bucket/run").read("plan.json"),
        f"s3://bucket/run: no address that can be read ({ESCAPED})",
    ),
    "exif": Where(
        "builders.exif.parser.ImageFileDirectory_v2.load", SyntaxError(PLANTED), lambda d, _: read_allowed(JPEG),
        f"an Exif directory cannot be read (SyntaxError: {ESCAPED})",
    ),
    "heif": Where(
        "pillow_heif.open_heif", ValueError(PLANTED), lambda d, _: read_allowed(b"\0\0\0\x18ftypheic" + bytes(16)),
        f"the HEIC container cannot be read (ValueError: {ESCAPED})",
    ),
    "state": Where(
        "builders.flickrexif.store.store.State._migrate", sqlite3.DatabaseError(PLANTED),
        lambda d, _: State(d / "s", create=True), f"DIR/s/state.sqlite: cannot be opened as a state ({ESCAPED})",
    ),
    "damaged state": Where(
        "", ValueError(), lambda d, m: of_a_state(d, m, sqlite3.DatabaseError(f"malformed {PLANTED}")),
        f"DIR/s/state.sqlite: it is damaged (malformed {ESCAPED[:287]}...); "
        "go on with a copy of it, or with a new --state",
    ),
    "bad url": Where(
        "", ValueError(), lambda d, m: fetched(m, "build_request", httpx.InvalidURL(PLANTED)), ESCAPED
    ),
    "connection": Where(
        "", ValueError(), lambda d, m: fetched(m, "build_request", httpx.ConnectError(PLANTED)),
        f"the connection failed (ConnectError: {ESCAPED})",
    ),
    "saving": Where(
        "PIL.Image.Image.save", ValueError(PLANTED), lambda d, _: encode_jpeg(Image.new("RGB", (8, 9)), 90, "4:4:4"),
        f"8 x 9 cannot be saved as JPEG ({ESCAPED})",
    ),
    "decoding": Where(
        "builders.pixels.decode.check_work", SyntaxError(PLANTED), lambda d, _: decode_rgb(JPEG),
        f"cannot be decoded (SyntaxError: {ESCAPED})",
    ),
    "cameras": Where(
        "builders.simcams.catalogue._camera", TypeError(PLANTED), lambda d, _: read_catalogue(written(d / "c.yaml", (
            b"kinds: {}\nmakes: {A: {models: {B: {}}}}"
        ))), f"c.yaml: not a table of cameras (TypeError: {ESCAPED})",
    ),
    "scene": Where(
        "builders.sources.sample.scene", OSError(PLANTED), lambda d, _: TileSource((Tile("cat", 0, 0),)).read(0),
        f"the scene cat cannot be read ({ESCAPED})",
    ),
    "annotations": Where(
        "builders.sources.inaturalist.read_untrusted_text", ValueError(PLANTED), lambda d, _: inaturalist_2018(str(d)),
        f"DIR/train2018.json: not an iNaturalist 2018 annotation file (ValueError: {ESCAPED})",
    ),
    "pairs": Where(
        "builders.sources.pairs.read_untrusted_text", csv.Error(PLANTED),
        lambda d, _: read_pair_photos(str(written(d / "pairs.csv").parent)),
        f"DIR/pairs.csv: cannot be read ({ESCAPED})",
    ),
    "tar": Where(
        "builders.sources.tar_index._flat", tarfile.ReadError(PLANTED),
        lambda d, _: indexed(written(d / "a.tar", b"a"), nested=False),
        f"DIR/a.tar: damaged or not a tar file ({ESCAPED}); compare its size with the official one",
    ),
    "devkit": Where(
        "builders.sources.imagenet.tarfile.open", tarfile.ReadError(PLANTED), lambda d, _: validation_classes(d),
        f"DIR/ILSVRC2012_devkit_t12.tar.gz: cannot be read ({ESCAPED})",
    ),
    "archive": Where(
        "builders.untrusted.files._array", ValueError(PLANTED), lambda d, _: read_untrusted_arrays(an_npz(d)),
        f"DIR/a.npz: cannot be read (ValueError: {ESCAPED})",
    ),
    "authors": Where(
        "", ValueError(), lambda d, _: broken_off(), f"https://example.org/w.pth: broke off after 0 bytes ({ESCAPED})"
    ),
    "json": Where(
        "builders.untrusted.documents.check_plain", ValueError(PLANTED), lambda d, _: parse_json("[]", "a.json"),
        f"a.json: not JSON that is read here ({ESCAPED})",
    ),
    "yaml": Where(
        "yaml.load", ValueError(PLANTED), lambda d, _: parse_yaml("[]", "a.yaml"),
        f"a.yaml: not YAML that is read here ({ESCAPED[:197]}...)",
    ),
    "build": Where(
        "builders.dataset.manifest.PixelRights", TypeError(PLANTED),
        lambda d, _: parse_build('{"format": 1, "kind": "a", "default": "b", "recipe": {}, "pixels": {}}', "a"),
        f"a: not a build file of camtrace (TypeError: {ESCAPED})",
    ),
    "shard": Where("", ValueError(), lambda d, _: failures_of_a_shard(), f"ValueError: {ESCAPED}"),
    "split": Where(
        "builders.splits.tables._csv_columns", ValueError(PLANTED), lambda d, _: read_split_file(d / "a.csv"),
        f"a.csv: no split file that can be read (ValueError: {ESCAPED})",
    ),
    "recipe": Where(
        "builders.processed.recipe.settings_of", ValueError(PLANTED), lambda d, m: rebuilt(d, m),
        f"DIR: not a recipe of camtrace (ValueError: {ESCAPED})",
    ),
    "store": Where(
        "", ValueError(), lambda d, m: of_a_store(m, "cat_file").read("plan.json"),
        f"s3://bucket/run/plan.json: cannot be read ({ESCAPED})",
    ),
    "listing": Where(
        "", ValueError(), lambda d, m: of_a_store(m, "ls").names(), f"s3://bucket/run: cannot be listed ({ESCAPED})"
    ),
    "whole listing": Where(
        "", ValueError(), lambda d, m: of_a_store(m, "find").all_names(),
        f"s3://bucket/run: cannot be listed ({ESCAPED})",
    ),
    "copy from a store": Where(
        "", ValueError(), lambda d, m: of_a_store(m, "get_file").get("a", d / "a"),
        f"s3://bucket/run/a: cannot be read ({ESCAPED})",
    ),
    "Ray": Where(
        "", ValueError(),
        lambda d, _: _start_ray(SimpleNamespace(init=raising(ConnectionError(PLANTED))), EngineOptions(), 1),
        f"--engine ray: no cluster at auto ({ESCAPED}); --address HOST:PORT names one, local starts one",
    ),
    "load_dataset": Where(
        "builders.check.data_set.local_splits", ValueError(PLANTED), lambda d, _: _load(d, "c", "train"),
        f"DIR: load_dataset cannot read c/train ({ESCAPED})",
    ),
    "differences": Where(
        "builders.check.diff.local_splits", ValueError(PLANTED), lambda d, _: _photos(d, "c"),
        f"DIR: c cannot be read ({ESCAPED})",
    ),
    "facts": Where(
        "builders.check.report.facts._photo_table", ValueError(PLANTED),
        lambda d, m: (of_a_build(m, "builders.check.report.facts"), report_facts(d)),
        f"DIR: its tables are not those of a build (ValueError: {ESCAPED})",
    ),
    "contact sheets": Where(
        "builders.check.report.page.contact_sheets", TypeError(PLANTED), a_report,
        f"DIR: its tables are not those of a build (TypeError: {ESCAPED})",
    ),
    "split tables": Where(
        "builders.flickrexif.assemble.check_splits._metadata", AttributeError(PLANTED),
        lambda d, m: (of_a_build(m, "builders.flickrexif.assemble.check_splits", kind="flickrexif"), folder_tables(d)),
        f"DIR: its columns are not those of FlickrExif ({ESCAPED[:197]}...)",
    ),
    "check": Where(
        "builders.check.data_set.check_processed", ValueError(PLANTED), lambda d, m: checked(m),
        f"ValueError: {ESCAPED}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
def test_passed_on__is_one_line_of_bounded_length(where, tmp_path, monkeypatch):
    assert where.heard(tmp_path, monkeypatch) == where.printed.replace("DIR", str(tmp_path))


def test_guarded__names_with_line_breaks_and_commands_to_the_terminal_stay_on_one_line(capsys):
    assert guarded(raising(DataError("folder:a\nb\x1b[2J: no photo there"))) == 2
    assert guarded(raising(OSError(errno.ENOSPC, "No space left", "a\nb"))) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        r"camtrace: folder:a\x0ab\x1b[2J: no photo there",
        r"camtrace: a\x0ab: the disk is full; finished work is saved, free some space and run the same command again",
    ]


def test_indexed__the_bar_names_the_archive_on_one_line(tmp_path, monkeypatch):
    printed = []
    monkeypatch.setattr("builders.sources.tar_index.progress_bar", bar_that_tells(printed))
    monkeypatch.setattr("builders.sources.tar_index._flat", raising(tarfile.ReadError("no")))
    with pytest.raises(DataError):
        indexed(written(tmp_path / "a\nb\x1b.tar", b"a"), nested=False)
    assert printed == [r"indexing a\x0ab\x1b.tar"]


def test_summary__names_the_folder_on_one_line():
    failed = SimpleNamespace(id="x", reason="no")
    split = SimpleNamespace(config="c", split="train", rows=1, file_bytes=1e6, shards=(1,), failures=(failed,))
    assert summary(SimpleNamespace(splits=(split,), default="c"), Path("a\nb\x1b")).splitlines() == [
        r"a\x0ab\x1b:",
        "  c/train: 1 rows, 1.0 MB, 1 files",
        r"  1 could not be used and are left out (the first, x: no); all are in a\x0ab\x1b/failures.jsonl",
        r'  load_dataset("a\x0ab\x1b", "c", split="train")',
    ]


def test_guarded__finalizers_after_a_signal_print_no_traceback():
    code = (
        "import sys\n"
        "from builders.cli.commands import guarded\nfrom builders.errors import Terminated\n"
        "class Odd:\n"
        "    def __del__(self):\n"
        "        raise ValueError('late')\n"
        "held = []\n"
        "def run():\n"
        "    held.append(Odd())\n"
        "    raise Terminated\n"
        "status = guarded(run)\n"
        "held.clear()\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 143
    assert done.stderr == "camtrace: terminated; finished work is saved, run the same command again to go on\n"


@pytest.mark.parametrize(
    ("number", "times", "status", "word"),
    [("SIGTERM", 1, 143, "terminated"), ("SIGTERM", 3, 143, "terminated"), ("SIGINT", 1, 130, "interrupted")],
)
def test_guarded__a_signal_within_a_finalizer_is_not_lost(number, times, status, word):
    code = (
        "import os, signal, sys, time\n"
        "from builders.cli.commands import guarded\n"
        f"left = [signal.{number}] * {times}\n"
        "class Interrupted:\n"
        "    def __del__(self):\n"
        "        if left:\n"
        "            os.kill(os.getpid(), left.pop())\n"
        "            time.sleep(5)\n"
        "def run():\n"
        "    for _ in range(500):\n"
        "        Interrupted()\n"
        "        time.sleep(0.01)\n"
        "    return 0\n"
        "sys.exit(guarded(run))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == f"camtrace: {word}; finished work is saved, run the same command again to go on\n"
    assert done.returncode == status


def test_guarded__other_errors_of_finalizers_are_printed_as_before():
    code = (
        "import sys\n"
        "from builders.cli.commands import guarded\n"
        "class Odd:\n"
        "    def __del__(self):\n"
        "        raise ValueError('late')\n"
        "def run():\n"
        "    Odd()\n"
        "    return 0\n"
        "hook = sys.unraisablehook\n"
        "status = guarded(run)\n"
        "assert sys.unraisablehook is hook\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "ValueError: late"
