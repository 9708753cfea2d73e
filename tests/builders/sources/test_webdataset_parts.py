"""Shards of a WebDataset part by part: samples of a tar, columns of a sample, draws, and where each photo is read."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from builders.data_specs import open_photos
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import Stamp, file_stamp
from builders.sources import webdataset
from builders.sources.remote.drawing import Streaming
from builders.sources.webdataset import ShardSource, _samples, drawn_shards, expanded_shards
from tests.support.camera_sets import tarred


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))


def samples(files, wanted=("cls",), image=""):
    data = tarred(files)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        places = {member.name: (member.offset_data, member.size) for member in tar}
    made = _samples(io.BytesIO(data), wanted, image, "s.tar")
    return [(s.key, next(n for n, at in places.items() if at == (s.offset, s.size)), s.texts) for s in made]


@pytest.mark.parametrize(
    ("names", "image", "chosen"),
    [
        (("a.png", "a.jpg"), "", "a.jpg"), (("a.jpeg", "a.png", "a.webp"), "", "a.jpeg"),
        (("a.ppm", "a.avif", "a.heic", "a.gif"), "", "a.gif"), (("a.bmp", "a.tiff", "a.tif"), "", "a.tif"),
        (("a.x.jpg", "a.ppm"), "", "a.ppm"), (("a.b.jpg", "a.a.jpg"), "", "a.a.jpg"), (("a.JPG", "a.txt"), "", "a.JPG"),
        (("a.x.png", "a.jpg"), "x.png", "a.x.png"), (("a.jpg", "a.raw"), "raw", "a.raw"), (("a.raw",), "", None),
        (("a.jpg",), "png", None), ((".jpg", "jpg", "a."), "", None),
    ],
)  # fmt: skip
def test_samples__the_preferred_picture(names, image, chosen):
    made = samples({name: f"bytes of {name}".encode() for name in names}, image=image)
    assert [name for _, name, _ in made] == ([] if chosen is None else [chosen])


def test_samples__keys_and_texts(monkeypatch):
    monkeypatch.setattr(webdataset, "MAX_LABEL_BYTES", 12)
    files = {
        "./x/a.jpg": b"1", "x/a.cls": b" 7 \n", "x/a.json": b"{}",
        "b.jpg": b"22", "b.cls": b"\xff", "b.note.txt": b"n", "c.jpg": b"333", "c.cls": b"1" * 13, "d.jpg": b"4444",
        "d.cls": b"1" * 12, "e.cls": b"no picture",
    }  # fmt: skip
    assert samples(files, ("cls", "note.txt")) == [
        ("x/a", "./x/a.jpg", ("7", "")), ("b", "b.jpg", ("\ufffd", "")), ("c", "c.jpg", ("", "")),
        ("d", "d.jpg", ("1" * 12, "")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("json.a", "1"), ("json.b.c", "x"), ("json.b", ""), ("json.list", ""), ("json.none", ""), ("json.gone", ""),
        ("json.a.b", ""), ("json.no", "False"), ("json.zero", "0"), ("json.b.gone.c", ""), ("txt", "words"),
        ("other", ""),
        ("json", '{"a": 1, "b": {"c": "x"}, "list": [1], "none": null, "no": false, "zero": 0}'),
    ],
)  # fmt: skip
def test_value__of_a_sample(column, value):
    text = ' {"a": 1, "b": {"c": "x"}, "list": [1], "none": null, "no": false, "zero": 0}\n'
    assert webdataset._value({"json": text, "txt": " words "}, column, {}, "s.tar: a") == value


def test_value__json_is_parsed_once_and_named(monkeypatch):
    calls = []
    monkeypatch.setattr(webdataset, "parse_json", lambda text, where: calls.append((text, where)) or {"a": 1, "b": 2})
    parsed = {}
    assert [webdataset._value({"json": "{}"}, f"json.{n}", parsed, "s.tar: a") for n in "ab"] == ["1", "2"]
    assert calls == [("{}", "s.tar: a")]


def test_shard_source__parts_of_files_here_and_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "a.tar").write_bytes(b"0123456789")
    ranges = []

    def read_range(place, offset, size, identity):
        ranges.append((place, offset, size, identity))
        if offset == 9:
            raise DataError("the server answers 404")
        return b"abc"

    monkeypatch.setattr("builders.untrusted.read_range", read_range)
    shards, identities = (str(tmp_path / "a.tar"), "s3://b/x.tar", str(tmp_path / "gone")), ("", "tag", "")
    shard, offsets, sizes = np.array([0, 1, 1, 1, 2, 0]), np.array([2, 5, 6, 9, 0, 8]), np.array([3, 3, 4, 1, 1, 3])
    source = ShardSource(shards, identities, shard, offsets, sizes)
    assert (source.read(0), source.read(1), ranges) == (b"234", b"abc", [("s3://b/x.tar", 5, 3, "tag")])
    for row, sentence in (
        (2, "the shard x.tar ends in the middle of the photo"),
        (3, "the shard cannot be read (the server answers 404)"),
        (4, "the shard cannot be read (No such file or directory)"),
        (5, "the shard a.tar ends in the middle of the photo"),
    ):
        with pytest.raises(PhotoError) as refused:
            source.read(row)
        assert str(refused.value) == sentence
    monkeypatch.setattr(webdataset, "MAX_PHOTO_BYTES", 3)
    assert source.read(0) == b"234"
    with pytest.raises(PhotoError, match=r"^the file has .*more than"):
        source.read(2)
    here = file_stamp(shards[0])
    assert list(source.stamps(np.array([1, 5]))) == [
        Stamp("s3://b/x.tar tag 5+3", 1), Stamp(f"{here.text} 8+3", here.changed_ns),
    ]  # fmt: skip
    assert source.is_remote
    unknown = ShardSource(shards, ("", "", ""), shard, offsets, sizes)
    assert unknown.stamps(np.array([0])) is None
    local = ShardSource(shards[:1], ("",), shard[:1], offsets[:1], sizes[:1])
    assert (local.is_remote, len(local.stamps(np.array([0])))) == (False, 1)


def test_webdataset__what_a_set_says_of_itself(tmp_path, monkeypatch):
    for number in range(3):
        (tmp_path / f"a-{number}.tar").write_bytes(
            tarred({f"{number}{i}.{e}": f"{i}{e}".encode() for i in range(4) for e in ("jpg", "txt")})
        )
    one = open_photos(f"webdataset:{tmp_path}/a-0.tar")
    assert (one.name, one.evidence["shards"], one.labels.names) == ("webdataset:a-0", "1", ())
    assert one.evidence["splits"] == "seeded split of each class, seed 0, 0.25 of the photos for val"
    assert (one.labels.values.tolist(), one.drawn_splits) == ([-1] * 4, True)
    pattern = f"webdataset:{tmp_path}/a-{{0..2}}.tar"
    both = open_photos(pattern + "?label=txt&val-share=0.5", seed=3)
    assert (both.name, both.evidence["shards"]) == ("webdataset:a-0 and 2 more", "3")
    assert both.labels.names == ("0txt", "1txt", "2txt", "3txt")
    order = [place.rpartition("/")[2][:-4] for place in drawn_shards(expanded_shards(f"{tmp_path}/a-{{0..2}}.tar"), 1)]
    for limit, count in ((None, 3), (1, 1), (4, 1), (5, 2), (8, 2), (9, 3)):
        some = open_photos(pattern, streaming=Streaming(limit, 1))
        assert [photo_id.partition("/")[0] for photo_id in some.ids] == [
            name for name in order[:count] for _ in range(4)
        ]
        assert some.evidence["shards"] == ("3" if count == 3 else f"{count} of 3, drawn by seed")
        assert [some.read(i) for i in range(4)] == [f"{i}jpg".encode() for i in range(4)]
    for image, ending in (("", ".jpg, .jpeg, .png, .webp, ..."), ("raw", ".raw")):
        (tmp_path / "none.tar").write_bytes(tarred({"a.txt": b"x"}))
        with pytest.raises(DataError) as refused:
            open_photos(f"webdataset:{tmp_path}/none.tar" + (f"?image={image}" if image else ""))
        assert str(refused.value) == (f"webdataset:{tmp_path}/none.tar: no file that ends in {ending} in 1 shards")


@pytest.mark.parametrize("seed", range(4))
def test_drawn_shards__one_of_each_kind_at_a_time(seed):
    shards = [f"{kind}-{i}.tar" for kind in ("train", "val", "x/train") for i in range(3)]
    order = drawn_shards([f"/d/{name}" for name in shards], seed)
    assert sorted(order) == sorted(f"/d/{name}" for name in shards)
    for start in range(0, 9, 3):
        assert {Path(name).parent.name + Path(name).name.partition("-")[0] for name in order[start : start + 3]} == {
            "dtrain", "dval", "xtrain",
        }  # fmt: skip


def test_expanded_shards__paths_and_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded_shards("file:///d/a.tar") == ["/d/a.tar"]
    assert expanded_shards("~/{b,a}{0..1}.tar") == [f"/home/me/{x}{i}.tar" for x in "ba" for i in (0, 1)]
    assert expanded_shards("x.tar") == [f"{tmp_path}/x.tar"]
    assert expanded_shards("/d/{,x}.tar") == ["/d/.tar", "/d/x.tar"]


def test_index__is_that_of_a_shard_its_columns_and_its_picture(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / f"{name}.tar").write_bytes(tarred({f"1.{e}": e.encode() for e in ("jpg", "png", "txt", "cls")}))
        os.utime(tmp_path / f"{name}.tar", (1, 1))
    calls, read = [], webdataset._samples
    monkeypatch.setattr(
        webdataset, "_samples", lambda *given: calls.append((Path(given[3]).name, *given[1:3])) or read(*given)
    )
    cases = [
        ("a", ("cls",), ""), ("a", ("cls", "txt"), ""), ("a", ("txt", "cls"), ""), ("a", ("cls",), "png"),
        ("b", ("cls",), ""),
    ]  # fmt: skip
    for name, wanted, image in (*cases, *cases):
        (sample,), identity = webdataset._indexed_shard(str(tmp_path / f"{name}.tar"), wanted, image)
        assert (sample.key, identity, sample.size, sample.texts) == ("1", "", 3, wanted)
        content = (tmp_path / f"{name}.tar").read_bytes()[sample.offset : sample.offset + 3]
        assert content.decode() == (image or "jpg")
    assert calls == [(f"{name}.tar", wanted, image) for name, wanted, image in cases]
    for path in (tmp_path / "cache" / "webdataset").iterdir():
        path.write_bytes(b"no arrays")
    webdataset._indexed_shard(str(tmp_path / "a.tar"), ("cls",), "")
    assert len(calls) == 6


def test_index__of_a_remote_shard_is_that_of_its_identity_or_size(monkeypatch):
    data, facts, opened = tarred({"1.jpg": b"x"}), [], []

    class Stream(io.BytesIO):
        def __init__(self, *given):
            opened.append(given)
            super().__init__(data)

    monkeypatch.setattr("builders.untrusted.RemoteStream", Stream)
    monkeypatch.setattr("builders.untrusted.remote_facts", lambda place: facts[-1])
    for stated in ((9, "e"), (9, "e"), (9, "f"), (9, ""), (9, ""), (8, ""), (8, "f")):
        facts.append(stated)
        samples, identity = webdataset._indexed_shard("s3://b/a.tar", ("cls",), "")
        assert (len(samples), identity) == (1, stated[1])
    assert opened == [("s3://b/a.tar", *stated) for stated in ((9, "e"), (9, "f"), (9, ""), (8, ""), (8, "f"))]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"<html>" * 200, "webdataset:{0}: damaged or not a tar file ("),
        (None, "webdataset:{0}: cannot be read (No such file or directory)"),
    ],
)
def test_shard__that_is_none(tmp_path, data, sentence):
    place = f"{tmp_path}/x.tar"
    if data is not None:
        Path(place).write_bytes(data)
    with pytest.raises(DataError) as refused:
        open_photos(f"webdataset:{place}")
    text = str(refused.value)
    assert text.startswith(sentence.format(place))
    assert "\n" not in text


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("{0..x}.tar", "webdataset:{0..x}.tar: write a range {000..146} or a choice {a,b}"),
        ("{1,2.tar", "webdataset:{1,2.tar: write a range {000..146} or a choice {a,b}"),
        ("{9..8}.tar", "webdataset:{9..8}.tar: 9..8 is no range of up to 100,000 shards"),
        ("{0..100000}.tar", "webdataset:{0..100000}.tar: 0..100000 is no range of up to 100,000 shards"),
        ("{0..999}/{0..100}.tar", "webdataset:{0..999}/{0..100}.tar: more than 100,000 shards"),
    ],
)
def test_pattern__that_is_none(pattern, sentence):
    with pytest.raises(UsageError) as refused:
        expanded_shards(pattern)
    assert str(refused.value) == sentence


def test_pattern__at_its_bounds():
    assert len(expanded_shards("/{0..99999}.tar")) == 100_000
    assert expanded_shards("/{7..7}.tar") == ["/7.tar"]
    assert len(expanded_shards("/{0..9}/{a,b}/{00..99}")) == 2000
