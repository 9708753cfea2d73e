"""Paths of banks by hand: under which keys and folders they are opened, looked up, resumed and settled; their space."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmark.bank import key_of
from benchmark.encoders import Output
from benchmark.options import RunOptions
from benchmark.scoring import store_paths as module
from benchmark.scoring.store_paths import BankPaths, free_space, require_space, size
from builders.errors import DiskError
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

PHOTOS = PhotoSet.of_bytes("set", dict.fromkeys("abcd", b"x"))
VIEWS = {"original": {"kind": "plain"}}
LAYER = Output("layers[1]:mean", 1, 12, "block", "mean", 2, "by hooks")


def toy(name="a", **more):
    return toy_encoder(as_rows, lambda image: image, 4, name=name, **more)


class Hashes:
    photos = PHOTOS
    hashed_in_pass = True
    earlier_name = "unread earlier"

    def stand_in(self):
        return "unread now"

    def bytes_hash(self):
        return "read"


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Calls of ``Bank``, by hand."""
    w = SimpleNamespace(calls=[], options=RunOptions(cache=tmp_path, storage="float16"), lacks=1)

    class Bank:
        missing_bytes = staticmethod(lambda: w.lacks)

        @staticmethod
        def look(*given):
            w.calls.append(("look", *given))
            return Bank

        @staticmethod
        def open(*given, **how):
            w.calls.append(("open", *given, how))
            return f"opened {given[1]['encoder']['id']}"

        @staticmethod
        def adopt(*given):
            w.calls.append(("adopt", *given))

    monkeypatch.setattr(module, "Bank", Bank)
    w.paths = lambda hashes=Hashes, **how: BankPaths(hashes(), w.options, tmp_path / "scratch", **how)
    return w


def key(encoder, bytes_hash, storage="float16"):
    return key_of(encoder, PHOTOS, bytes_hash, storage)


class Known(Hashes):
    hashed_in_pass = False


@pytest.mark.parametrize(
    ("hashes", "at_once", "expected"),
    [
        (Hashes, False, (True, "unread now", None)),
        (Hashes, True, (False, "read", "unread earlier")),
        (Known, False, (False, "read", "unread earlier")),
    ],
)
def test_paths__a_stand_in_until_the_photos_are_read(world, hashes, at_once, expected):
    paths = world.paths(hashes, at_once=at_once)
    assert (paths.unread, paths.bytes_hash, paths.earlier) == expected
    assert paths.key(toy()) == key(toy(), expected[1])


def test_paths__identified_encoders_in_the_cache_and_others_in_scratch(world, tmp_path):
    paths, cached, scratch = world.paths(), tmp_path / "banks", tmp_path / "scratch"
    unknown = toy("b", weights=None)
    random = replace(toy("c"), random=True)
    for encoder, root in ((toy(), cached), (unknown, scratch), (random, scratch)):
        paths.look(encoder, VIEWS, LAYER)
        paths.look(encoder, VIEWS)
        assert paths.open(encoder, VIEWS, ["original"], LAYER) == f"opened {encoder.info.id}"
        paths.open(encoder, VIEWS, [])
        unread = key(encoder, "unread now")
        assert world.calls == [
            ("look", root, unread, VIEWS, LAYER),
            ("look", root, unread, VIEWS, None),
            ("open", root, unread, VIEWS, {"fresh": ["original"], "output": LAYER}),
            ("open", root, unread, VIEWS, {"fresh": [], "output": None}),
        ]
        world.calls.clear()


def test_of_answers__are_float32_whatever_storage_says(world):
    paths = world.paths()
    assert paths.of_answers().key(toy()) == key(toy(), "unread now", "float32")
    assert paths.key(toy()) == key(toy(), "unread now", "float16")


def test_resume__renames_what_a_stopped_run_left(world, tmp_path):
    first, second = toy("a"), toy("b", weights=None)
    world.paths().resume([first])  # the bytes are not known yet
    assert world.calls == []
    world.paths(Known).resume([first, second])
    assert world.calls == [
        ("adopt", tmp_path / "banks", key(first, "read"), key(first, "unread earlier")),
        ("adopt", tmp_path / "scratch", key(second, "read"), key(second, "unread earlier")),
    ]


def test_settle__banks_under_their_final_names(world, tmp_path):
    paths, first, second = world.paths(), toy("a"), toy("b", weights=None)
    assert paths.settle([(first, None), (second, LAYER)], VIEWS) == ["opened a", "opened b"]
    assert (paths.unread, paths.bytes_hash) == (False, "read")
    (root, scratch) = (tmp_path / name for name in ("banks", "scratch"))
    assert world.calls == [
        ("adopt", root, key(first, "read"), key(first, "unread now")),
        ("open", root, key(first, "read"), VIEWS, {"check": False, "output": None}),
        ("adopt", scratch, key(second, "read"), key(second, "unread now")),
        ("open", scratch, key(second, "read"), VIEWS, {"check": False, "output": LAYER}),
    ]


def test_require_space__each_disk_has_its_own_banks(world, tmp_path, monkeypatch):
    required = []
    monkeypatch.setattr(module, "require_space", lambda banks, folder, log: required.append((len(banks), folder, log)))
    lines = []
    members = [(toy("a"), None), (toy("b", weights=None), LAYER), (toy("c"), LAYER)]
    world.paths().require_space(members, VIEWS, lines)
    assert required == [(2, tmp_path / "banks", lines), (1, tmp_path / "scratch", lines)]
    assert [(root.name, made["encoder"]["id"], output) for _, root, made, _, output in world.calls] == [
        ("banks", "a", None), ("banks", "c", LAYER), ("scratch", "b", LAYER),
    ]  # fmt: skip


def test_require_space__what_does_not_fit_is_one_sentence(monkeypatch):
    def lacking(*sizes):
        return [SimpleNamespace(missing_bytes=lambda size=size: size) for size in sizes]

    monkeypatch.setattr(module, "free_space", lambda folder: 2_000_000_000)
    lines = []
    with pytest.raises(DiskError) as refused:
        require_space(lacking(1_000_000_000, 900_000_000), "F", lines.append)
    assert str(refused.value) == (
        "F: 1.9 GB of embeddings do not fit, 2.0 GB are free; make space ('camtrace cache list' shows what is "
        "stored), or use --cache on another disk, --storage float16 (half) or --limit"
    )
    assert lines == ["embeddings: 1.9 GB more in F (2.0 GB free)"]


@pytest.mark.parametrize(
    ("needed", "free", "fits"),
    [
        (0, 0, True), (1, 0, False), (1, module.SPARE_BYTES, False), (1, module.SPARE_BYTES + 1, True),
        (module.LOG_FROM, module.LOG_FROM + module.SPARE_BYTES - 1, False),
        (module.LOG_FROM, module.LOG_FROM + module.SPARE_BYTES, True),
    ],
)  # fmt: skip
def test_require_space__what_is_there_already_fits_a_full_disk(monkeypatch, needed, free, fits):
    """Other bytes leave 256 MiB free; a bank that lacks nothing needs none of it."""
    monkeypatch.setattr(module, "free_space", lambda folder: free)
    lines, bank = [], SimpleNamespace(missing_bytes=lambda: needed)
    if fits:
        require_space([bank], "F", lines.append)
    else:
        with pytest.raises(DiskError, match=r"^F: .* of embeddings do not fit, "):
            require_space([bank], "F", lines.append)
    assert lines == ([f"embeddings: 100.0 MB more in F ({size(free)} free)"] if needed == module.LOG_FROM else [])


def test_free_space__of_the_nearest_folder_that_exists(tmp_path, monkeypatch):
    folders = []
    monkeypatch.setattr(
        module.shutil, "disk_usage", lambda folder: folders.append(folder) or SimpleNamespace(total=3, used=2, free=1)
    )
    assert [free_space(path) for path in (tmp_path, tmp_path / "a" / "b")] == [1, 1]
    monkeypatch.chdir(tmp_path)
    assert free_space(module.Path("a/b")) == 1
    assert folders == [tmp_path, tmp_path, tmp_path]


def test_size__in_megabytes_up_to_a_gigabyte():
    given = (0, 49_999, 50_001, 1_249_000, 999_999_999, 1_000_000_000, 12_340_000_000)
    assert [size(count) for count in given] == [
        "0.0 MB",
        "0.0 MB",
        "0.1 MB",
        "1.2 MB",
        "1000.0 MB",
        "1.0 GB",
        "12.3 GB",
    ]
