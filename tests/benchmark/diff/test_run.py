"""``diff``: what it passes on, which ways and samples it takes, what it refuses, and every field of the result."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.diff import diff, run
from benchmark.diff.embed import Embedded, Lane, Pass
from benchmark.diff.measures import cosine_moved
from benchmark.diff.paths import PathSpec, parse_path
from benchmark.diff.run import NOISE, _embedded, _from_file, _moved_most, _versions, _ways, _weakest, _with_embeddings
from benchmark.encoders import StoredEmbeddings
from benchmark.options import DEFAULT_MODEL
from builders.errors import DataError, UsageError
from builders.photos import NoPictures, PhotoSet, hash64
from builders.pixels import STUDY_PROCESSINGS

CPU = {"device": "auto", "revision": None, "trust_remote_code": False, "cache": None}


class StoppedError(Exception):
    pass


@pytest.mark.parametrize(
    ("options", "of_encoders", "of_data"),
    [
        ({"b": "decoder=opencv"}, (DEFAULT_MODEL, {"torch_only": False, **CPU}), ("sample", 0)),
        (
            {"b": ["decoder=opencv", np.asarray], "model": "m", "data": "folder:x", "seed": 5, "device": "cpu"}
            | {"revision": "r", "trust_remote_code": True, "cache": "c"},
            (
                "m",
                {"torch_only": True, "device": "cpu", "revision": "r", "trust_remote_code": True, "cache": "c"},
            ),
            ("folder:x", 5),
        ),
        ({"a": np.asarray, "b": {"decoder": "opencv"}}, (DEFAULT_MODEL, {"torch_only": True, **CPU}), ("sample", 0)),
    ],
)
def test_diff__passes_its_options_on(options, of_encoders, of_data, monkeypatch):
    calls = []

    def opened(data, seed):
        calls.append((data, seed))
        raise StoppedError

    monkeypatch.setattr(run, "Encoders", lambda model, **loading: calls.append((model, loading)))
    monkeypatch.setattr(run, "open_photos", opened)
    with pytest.raises(StoppedError):
        diff(**options)
    assert calls == [of_encoders, of_data]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"limit": 2}, "limit 2: at least 3 photos are needed"),
        ({"neighbours": 0}, "neighbours 0: at least 1 is needed"),
        ({"at_most": 0.0}, "at most 0: give a number above 0, in weakest traces"),
        ({"at_most": float("nan")}, "at most nan: give a number above 0, in weakest traces"),
        ({"b": ()}, "which other way? give b, such as 'decoder=opencv'"),
    ],
)
def test_diff__refusals(thumbnail, oblong_photos, options, sentence):
    with pytest.raises(UsageError) as error:
        diff(thumbnail, oblong_photos, **{"b": "decoder=opencv", **options})
    assert str(error.value) == sentence


def test_diff__refuses_processed_photos_and_too_few(thumbnail, oblong_photos):
    with pytest.raises(UsageError) as error:
        diff(thumbnail, dataclasses.replace(oblong_photos, stored_views=("web",)), b="decoder=opencv")
    assert str(error.value) == "oblong holds processed photos: give the photos themselves"
    with pytest.raises(DataError) as error:
        diff(thumbnail, oblong_photos.select([0, 1]), b="decoder=opencv", progress=False)
    assert str(error.value) == "oblong: 2 photos can be embedded in every way (there are too few)"
    files = {f"{i}": oblong_photos.read(i) if i < 2 else b"no photo" for i in range(4)}
    with pytest.raises(DataError) as error:
        diff(thumbnail, PhotoSet.of_bytes("bad", files), b="decoder=opencv", progress=False)
    assert str(error.value).startswith("bad: 2 photos can be embedded in every way (")
    assert "too few" not in str(error.value)


def test_diff__every_field(thumbnail, oblong_photos, monkeypatch):
    passes = []
    of_module = _embedded

    def embedded(photos, indices, lanes, what, progress):
        ways = [(lane.name, lane.path.text(), lane.batch, lane.processing) for lane in lanes]
        passes.append((indices.tolist(), ways, what, progress))
        return of_module(photos, indices, lanes, what, progress)

    monkeypatch.setattr(run, "_embedded", embedded)
    photos = dataclasses.replace(oblong_photos.select([*range(9)]), neighbours=20)
    files = {"broken": b"no photo", **{name: photos.read(i) for i, name in enumerate(photos.ids)}}
    photos = dataclasses.replace(PhotoSet.of_bytes("ten", files, list("dcwcwcwcwc")), neighbours=20)
    first = "resize=squash"
    result = diff(thumbnail, photos, a=first, b=["colour=bgr,decoder=torchvision", "colour=bgr"], progress=False)
    joint = "decoder=torchvision,colour=bgr"
    step = "decoder=torchvision"
    assert {(row.name, row.kind) for row in result.rows} == {
        *((joint, "path"), ("colour=bgr", "path"), (step, "step"), (NOISE, "noise")),
        (f"weakest trace: {result.trace}", "trace"),
    }
    assert [row.kind for row in result.rows[-2:]] == ["noise", "trace"]
    assert NOISE == "A again, 7 photos at a time"
    ways = [("A", first, 64, ""), (joint, f"decoder=torchvision,colour=bgr,{first}", 64, "")]
    ways += [("colour=bgr", f"colour=bgr,{first}", 64, ""), (step, f"decoder=torchvision,{first}", 64, "")]
    traces = [(name, first, 64, name) for name in STUDY_PROCESSINGS]
    least = (f"weakest trace: {result.trace}", first, 64, result.trace)
    assert [each[1:] for each in passes] == [
        ([ways[0], *traces], "weakest trace", False),
        ([*ways, (NOISE, first, 7, ""), least], "embedding", False),
    ]
    assert [each[0] for each in passes] == [[*range(10)]] * 2
    assert (result.encoder, result.data, result.a) == ("toy", "ten", first)
    assert (result.n, result.units, result.neighbours, result.at_most) == (9, 9, 8, 1.0)
    assert list(result.distances) == list(STUDY_PROCESSINGS)
    assert result.trace == min(result.distances, key=result.distances.get)
    assert list(result.left_out) == ["broken"]
    assert result.rule.startswith("Shown: p < 0.05 after Holm's correction over 3 ways;")
    assert set(result.versions) == {"numpy", "pillow", "torch", "torchvision"}
    of_first = dict(result.moved_most)
    assert sorted(of_first.values(), reverse=True) == list(of_first.values())
    assert set(of_first) == set(photos.ids[1:])
    assert np.mean(list(of_first.values())) == pytest.approx(result.rows[0].cosine.value)


def test_diff__neighbours_are_those_of_the_data_set_unless_given(thumbnail, oblong_photos):
    photos = dataclasses.replace(oblong_photos.select([*range(6)]), neighbours=2)
    counts = [diff(thumbnail, photos, b="", neighbours=n, progress=False).neighbours for n in (None, 1, 3, 5, 6)]
    assert counts == [2, 1, 3, 5, 5]
    assert diff(thumbnail, photos.select([0, 1, 2]), b="", limit=3, progress=False).n == 3


def test_diff__shows_bars_unless_they_are_switched_off(thumbnail, oblong_photos, monkeypatch):
    silent = []
    real = run.progress_bar

    def progress_bar(**options):
        silent.append(options["silent"])
        return real(**options)

    monkeypatch.setattr(run, "progress_bar", progress_bar)
    photos = oblong_photos.select([0, 1, 2])
    for options, expected in (({}, False), ({"progress": False}, True)):
        diff(thumbnail, photos, b="", **options)
        assert silent == [expected] * 2
        silent.clear()


def test_moved_most__twelve_that_moved_the_first_of_equals_first():
    ids = [f"p{i}" for i in range(20)]
    cosine = np.array([0.5, 0, 0.25, 0.5, *[0.125] * 16])
    expected = [("p0", 0.5), ("p3", 0.5), ("p2", 0.25), *((f"p{i}", 0.125) for i in range(4, 13))]
    assert _moved_most(cosine, ids) == tuple(expected)
    assert _moved_most(np.array([0.0, 0.5]), ids) == (("p1", 0.5),)
    assert _moved_most(None, ids) == ()


def test_ways__requested_ones_first_then_their_steps_that_can_be_measured(capsys):
    def of(path):
        if path.resize == "squash" and path.colour == "rgb":
            raise UsageError("no squash alone")
        return path.text()

    first = parse_path("dtype=float16")
    others = [parse_path(text, first) for text in ("colour=bgr,resize=squash", "colour=bgr", "orientation=stored")]
    others.append(parse_path("orientation=stored,decoder=torchvision", first))
    ways = _ways(first, others, SimpleNamespace(of=of))
    assert [(name, lane.name, lane.encoder, lane.batch, kind) for name, (lane, kind) in ways.items()] == [
        (name, name, f"{name},dtype=float16", 64, kind)
        for name, kind in (
            ("colour=bgr,resize=squash", "path"),
            ("colour=bgr", "path"),
            ("orientation=stored", "path"),
            ("decoder=torchvision,orientation=stored", "path"),
            ("decoder=torchvision", "step"),
        )
    ]
    assert [lane.path for lane, _ in ways.values()][:4] == others
    assert capsys.readouterr().err == "resize=squash cannot be measured alone: no squash alone\n"


def stored(name, **rows):
    return StoredEmbeddings(name, np.arange(12, dtype=np.float32).reshape(6, 2), rows)


def lane(name, encoder, processing=""):
    return Lane(name, PathSpec(), SimpleNamespace(stored=encoder), 4, processing)


PHOTOS = PhotoSet.of_bytes("abc", dict.fromkeys("abcdef", b""))


def test_with_embeddings__photos_that_every_file_has():
    one = stored("one", original={"a": 0, "c": 2, "d": 3, "f": 5})
    two = stored("two", original={"a": 1, "b": 2, "c": 0, "f": 4}, web={"d": 1})
    usable, failures = _with_embeddings(PHOTOS, [lane("x", one), lane("y", None), lane("z", two)])
    assert (usable.tolist(), usable.dtype) == ([0, 2, 5], np.int64)
    assert failures == {
        1: "one has no embedding of it",
        3: "two has no embedding of it",
        4: "two has no embedding of it",
    }


def test_from_file__rows_of_the_processing():
    file = stored("one", original={"a": 0, "c": 2}, web={"c": 5})
    made = _from_file(file, "", ["c", "a"])
    assert (made.rows.tolist(), made.largest, made.mean) == ([[4, 5], [0, 1]], None, None)
    assert _from_file(file, "web", ["c"]).rows.tolist() == [[10, 11]]
    with pytest.raises(DataError) as error:
        _from_file(file, "web", ["c", "e", "a"])
    assert str(error.value) == "one has no embedding of e under web, and of others"


def test_embedded__files_have_the_photos_that_the_others_embedded(monkeypatch):
    file = stored("one", original={"a": 0, "c": 2, "d": 3}, web={"a": 5, "c": 4, "d": 1})
    bars, calls = [], []

    def embed_photos(photos, indices, lanes, progress):
        calls.append((photos, indices, [each.name for each in lanes], progress))
        return Pass(np.array([2, 3]), {"net": "rows"}, {0: "broken"})

    class Bar:
        update = "update"

        def __init__(self, **options):
            bars.append(options)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(run, "embed_photos", embed_photos)
    monkeypatch.setattr(run, "progress_bar", Bar)
    indices = np.array([0, 2, 3])
    lanes = [lane("file", file), lane("net", None), lane("trace", file, "web")]
    for progress in (True, False):
        done = _embedded(PHOTOS, indices, lanes, "word", progress)
        assert (done.photos.tolist(), done.failures, done.lanes["net"]) == ([2, 3], {0: "broken"}, "rows")
        assert done.lanes["file"].rows.tolist() == [[4, 5], [6, 7]]
        assert done.lanes["trace"].rows.tolist() == [[8, 9], [2, 3]]
    assert calls == [(PHOTOS, indices, ["net"], "update")] * 2
    usual = {"total": 3, "desc": "word", "unit": "photo", "delay": 2}
    assert bars == [{**usual, "silent": False}, {**usual, "silent": True}]
    alone = _embedded(PHOTOS, indices, lanes[:1], "word", True)
    assert (alone.photos.tolist(), list(alone.lanes), alone.failures) == ([0, 2, 3], ["file"], {})
    assert len(calls) == 2


def test_weakest__the_processing_that_moves_least_on_a_sample_by_hash(monkeypatch):
    photos = PhotoSet.of_bytes("many", {f"p{i}": b"" for i in range(150)})
    usable = np.arange(10, 150)
    sample = sorted(sorted(usable, key=lambda i: hash64(f"diff\0p{i}"))[:64])
    calls = []
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(64, 5))
    moved = {name: reference + (14 - i) * 0.01 for i, name in enumerate(STUDY_PROCESSINGS)}
    moved[STUDY_PROCESSINGS[-1]] = reference.copy()

    def embedded(*arguments):
        calls.append(arguments)
        lanes = {name: Embedded(rows, None, None) for name, rows in {"A": reference, **moved}.items()}
        return Pass(arguments[1], lanes, {})

    monkeypatch.setattr(run, "_embedded", embedded)
    first = Lane("A", PathSpec(colour="bgr"), SimpleNamespace(stored=None), 3)
    distances, least = _weakest(photos, usable, first, True)
    expected = {name: cosine_moved(reference, rows).mean() for name, rows in moved.items()}
    assert distances == expected
    assert least == STUDY_PROCESSINGS[-2]
    [(of_photos, indices, lanes, what, progress)] = calls
    assert (of_photos, indices.tolist(), what, progress) == (photos, sample, "weakest trace", True)
    assert lanes[0] is first
    ways = [(each.name, each.path, each.encoder, each.batch, each.processing) for each in lanes[1:]]
    assert ways == [(name, first.path, first.encoder, 64, name) for name in STUDY_PROCESSINGS]
    moved.update(dict.fromkeys(moved, reference))
    assert _weakest(photos, usable, first, True) == (dict.fromkeys(STUDY_PROCESSINGS, 0.0), "")
    monkeypatch.setattr(run, "_embedded", lambda *arguments: Pass(arguments[1][:0], {}, {}))
    assert _weakest(photos, usable, first, True) == ({}, "")
    assert _weakest(photos, usable[:0], first, True) == ({}, "")


def test_weakest__of_a_file_with_some_processings():
    rows = {"original": {"a": 0, "b": 1}, STUDY_PROCESSINGS[3]: {"a": 1, "b": 1}, "other": {"a": 2, "b": 3}}
    file = StoredEmbeddings("one", np.array([[1.0, 0], [0, 1], [0, 2], [1, 1]], np.float32), rows)
    photos = PhotoSet.of_bytes("two", {"a": b"", "b": b""})
    assert _weakest(photos, np.arange(2), lane("A", file), False) == ({STUDY_PROCESSINGS[3]: 0.5}, STUDY_PROCESSINGS[3])
    without = dataclasses.replace(file, rows={"original": rows["original"]})
    assert _weakest(photos, np.arange(2), lane("A", without), False) == ({}, "")


@pytest.mark.parametrize(
    ("path", "runtime", "packages"),
    [
        (PathSpec(), None, ()),
        (PathSpec(), "openvino", ("openvino",)),
        (PathSpec(decoder="opencv"), None, ("opencv-python-headless",)),
        (PathSpec(library="opencv"), None, ("opencv-python-headless",)),
        (PathSpec(decoder="torchvision"), None, ("torchvision",)),
        (PathSpec(decoder="simplejpeg", library="timm"), "torch", ("simplejpeg", "timm")),
        (PathSpec(library="open_clip"), None, ("open_clip_torch",)),
        (PathSpec(library="transformers-slow"), None, ("transformers",)),
        (PathSpec(library="transformers-fast"), None, ("transformers",)),
        (PathSpec(decoder="missing"), "absent", ()),
    ],
)
def test_versions__of_the_libraries_that_took_part(path, runtime, packages, monkeypatch):
    monkeypatch.setattr(run, "library_version", lambda name: None if name == "absent" else f"1 of {name}")
    of_lane = Lane("b", path, SimpleNamespace(runtime=None if runtime is None else SimpleNamespace(name=runtime)), 1)
    versions = _versions(iter([Lane("a", PathSpec(), SimpleNamespace(runtime=None), 1), of_lane]))
    assert versions == {name: f"1 of {name}" for name in ("numpy", "pillow", "torch", *packages)}
    assert list(versions) == sorted(versions)


def test_diff__photos_without_pictures_have_files_of_embeddings_alone(thumbnail, tmp_path):
    ids = [f"p{i}" for i in range(6)]
    photos = dataclasses.replace(PhotoSet.of_bytes("bare", dict.fromkeys(ids, b"")), source=NoPictures())
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    pq.write_table(pa.table({"photo_id": ids, "embedding": rows.tolist()}), tmp_path / "a.parquet")
    file = f"model=embeddings:{tmp_path / 'a.parquet'}"
    assert diff(data=photos, a=file, b=[file], progress=False).rows[0].identical
    for a, b in (("", ""), (file, "model="), ("", file)):
        with pytest.raises(DataError) as error:
            diff(thumbnail, photos, a=a, b=b, progress=False)
        assert str(error.value) == (
            "bare names no pictures, and camtrace diff needs them: name their column (image=COLUMN)"
        )
