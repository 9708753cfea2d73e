"""A pass over photos in several ways: batches, failures, inputs in levels, and which encoder each way has."""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.diff import embed
from benchmark.diff.embed import Encoders, Lane, _apart, _inputs, _levels, embed_photos
from benchmark.diff.paths import PathSpec
from benchmark.encoders import Embedder
from builders.errors import EncoderError, PhotoError, UsageError
from builders.photos import PhotoSet
from builders.pixels import decode_rgb
from builders.untrusted import describe_error
from tests.support.images import ppm
from tests.support.scoring import as_rows, toy_encoder

N = 70
BROKEN, REFUSED = 8, 37


def pixels(image):
    return np.asarray(image)


def encoder(name, preprocess=pixels, preprocessing=None, dimension=4 * 3 * 3):
    sizes = []

    def batch(views):
        sizes.append(len(views))
        return as_rows(views)

    return toy_encoder(batch, preprocess, dimension, name=name, preprocessing=preprocessing), sizes


@pytest.fixture
def photos():
    files = {f"p{i}": ppm(i, 4, 3) for i in range(N)}
    return PhotoSet.of_bytes("small", {**files, f"p{BROKEN}": b"no photo"})


def plain(photos, i):
    return np.asarray(decode_rgb(photos.read(i)), np.float64)


def test_embed_photos__a_plain_loop(photos, monkeypatch):
    blamed = []

    @contextmanager
    def recorded(name):
        blamed.append(name)
        yield

    monkeypatch.setattr(embed, "blamed", recorded)

    def brighter(image):
        if np.array_equal(pixels(image), plain(photos, REFUSED)):
            raise ValueError("not this one")
        return np.clip(pixels(image).astype(int) + 3, 0, 255).astype(np.uint8)

    first, sizes_first = encoder("one")
    second, sizes_second = encoder("two", brighter)
    lanes = [Lane("A", PathSpec(), first, 4), Lane("B", PathSpec(), second, 30), Lane("again", PathSpec(), first, 50)]
    indices = np.arange(N)[::-1]
    steps = []
    done = embed_photos(photos, indices, lanes, steps.append)
    with pytest.raises(PhotoError) as broken:
        decode_rgb(b"no photo")
    assert done.failures == {
        REFUSED: f"B fails ({describe_error(ValueError('not this one'))})",
        BROKEN: str(broken.value),
    }
    usable = [i for i in indices if i not in (BROKEN, REFUSED)]
    assert done.photos.dtype == np.int64
    assert done.photos.tolist() == usable
    assert steps == [32, 32, 6]
    assert sizes_second == [30, 30, 8]
    assert sorted(sizes_first, reverse=True) == [50, 18, *[4] * 17]
    assert {name: blamed.count(name) for name in set(blamed)} == {"one": 19, "two": 3}
    originals = np.array([plain(photos, i) for i in usable])
    shifted = np.clip(originals + 3, 0, 255)
    assert list(done.lanes) == ["A", "B", "again"]
    for name, expected in {"A": originals, "B": shifted, "again": originals}.items():
        lane, apart = done.lanes[name], np.abs(expected - originals)
        assert (lane.rows.dtype, lane.rows.tolist()) == (np.float32, expected.reshape(len(usable), -1).tolist())
        assert lane.largest.tolist() == apart.max(axis=(1, 2, 3)).tolist()
        np.testing.assert_allclose(lane.mean, apart.mean(axis=(1, 2, 3)), rtol=1e-12)


def test_embed_photos__inputs_that_are_no_picture_have_no_differences(photos):
    def wide(image):
        return np.tile(pixels(image), (1, 1 + (image.getpixel((0, 0)) == tuple(plain(photos, 2)[0, 0])), 1))

    vector, _ = encoder("vector", lambda image: pixels(image).astype(np.float32).ravel())
    lanes = [Lane("A", PathSpec(), encoder("a")[0], 1), Lane("odd", PathSpec(), encoder("b", wide)[0], 1)]
    done = embed_photos(photos, np.array([0, 1]), [*lanes, Lane("vector", PathSpec(), vector, 1)])
    assert done.lanes["odd"].largest.tolist() == [0, 0]
    assert (done.lanes["vector"].largest, done.lanes["vector"].mean) == (None, None)
    with pytest.raises(ValueError, match=r"must match|all the input"):  # rows of different lengths
        embed_photos(photos, np.array([0, 2]), lanes)
    alone = embed_photos(photos, np.array([2]), lanes)
    assert (alone.lanes["odd"].largest, alone.lanes["A"].largest.tolist()) == (None, [0])
    none = embed_photos(photos, np.array([BROKEN]), lanes)
    assert (none.photos.tolist(), list(none.failures)) == ([], [BROKEN])
    assert (none.lanes["A"].rows.shape, none.lanes["A"].rows.dtype) == ((0, 36), np.float32)
    assert (none.lanes["A"].largest.shape, none.lanes["A"].mean.shape) == ((0,), (0,))


def test_inputs__each_kind_of_decoding_once_and_processings_by_the_photos_id(photos, monkeypatch):
    decodings, processings = [], []

    def decoded(data, *how):
        decodings.append((data, how))
        return Image.new("RGB", (2, 2), (len(decodings), 0, 0))

    def processed(picture, values, photo_id):
        processings.append((picture.getpixel((0, 0))[0], [each.name for each in values], photo_id))
        return [Image.new("RGB", (2, 2), (99, 0, 0))]

    monkeypatch.setattr(embed, "decoded", decoded)
    monkeypatch.setattr(embed, "process_all", processed)
    turned = PathSpec(decoder="opencv", orientation="stored", colour="bgr")
    ways = [
        (PathSpec(), ""),
        (turned, ""),
        (PathSpec(resize="squash"), "sharpening-x2"),
        (turned, ""),
        (PathSpec(), ""),
    ]
    lanes = [Lane(f"{i}", path, encoder("e")[0], 1, processing) for i, (path, processing) in enumerate(ways)]
    views = _inputs(photos, 5, lanes)
    assert [int(view[0, 0, 0]) for view in views] == [1, 2, 99, 2, 1]
    data = photos.read(5)
    assert decodings == [(data, ("pillow", "upright", "rgb")), (data, ("opencv", "stored", "bgr"))]
    assert processings == [(1, ["sharpening-x2"], "p5")]


def test_inputs__errors_of_camtrace_end_the_run_and_others_name_the_way(photos):
    def raising(error):
        def preprocess(image):
            raise error

        return [Lane("A", PathSpec(), encoder("a")[0], 1), Lane("B", PathSpec(), encoder("b", preprocess)[0], 1)]

    with pytest.raises(EncoderError, match=r"^of the encoder$"):
        _inputs(photos, 0, raising(EncoderError("of the encoder")))
    assert _inputs(photos, 0, raising(PhotoError("too small"))) == "too small"
    assert _inputs(photos, 0, raising(KeyError("x"))) == f"B fails ({describe_error(KeyError('x'))})"
    unread = SimpleNamespace(read=lambda index: {}[index], ids=photos.ids)
    assert _inputs(unread, 4, raising(KeyError("x"))) == f"A fails ({describe_error(KeyError(4))})"


RECORD = {"mean": [0.5, 0.25, 0.0], "std": (0.5, 0.25, 1.0)}


def test_levels__uint8_as_it_is_and_floats_by_mean_and_spread():
    def of(record):
        return encoder("e", preprocessing=record)[0]

    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert _levels(picture, of({})).tolist() == picture.tolist()
    assert _levels(picture, of({})).dtype == np.float64
    view = np.array([[[1.0, -1.0]], [[0.0, 1.0]], [[0.5, 0.25]]], np.float32)  # [channels, height 1, width 2]
    assert _levels(view, of(RECORD)).tolist() == [[[255.0, 63.75, 127.5], [0.0, 127.5, 63.75]]]
    for record in ({}, {"mean": [0.5] * 3}, {**RECORD, "std": 0.5}, {**RECORD, "mean": None}):
        assert _levels(view, of(record)) is None
    assert _levels(np.zeros((4, 2, 2), np.float32), of(RECORD)) is None  # four channels
    assert _levels(np.zeros((3, 2), np.float32), of(RECORD)) is None
    assert _levels(np.zeros((2, 3, 2, 2), np.uint8), of(RECORD)) is None


def test_apart__largest_and_mean_of_common_pixels():
    first, second = np.array([[[10.0, 20, 30]]]), np.array([[[11.0, 16, 30]]])
    assert _apart(first, second) == _apart(second, first) == (4.0, pytest.approx(5 / 3))
    for pair in ((None, second), (first, None), (first, np.zeros((1, 2, 3)))):
        assert _apart(*pair) is None


def test_encoders__ways_share_networks_and_each_has_its_options(monkeypatch):
    loads, libraries = [], []

    def load(model, **options):
        loads.append((model, options))
        return SimpleNamespace(stored="file" if model.startswith("embeddings:") else None, number=len(loads))

    def with_library(loaded, *how):
        libraries.append((loaded.number, how))
        return loaded

    monkeypatch.setattr(embed, "load_encoder", load)
    monkeypatch.setattr(embed, "with_library", with_library)
    encoders = Encoders("m", torch_only=False, device="cuda:1", revision="r")
    of_call = {"device": "cuda:1", "revision": "r"}
    ways = [
        PathSpec(),
        PathSpec(decoder="opencv", orientation="stored", colour="bgr"),
        PathSpec(library="opencv", filter="box", antialias="yes"),
        PathSpec(resize="squash"),
        PathSpec(runtime="openvino"),
        PathSpec(dtype="float16"),
        PathSpec(model="n"),
        PathSpec(model="embeddings:x.parquet", library="opencv"),
    ]
    assert [encoders.of(path).number for path in ways] == [1, 1, 1, 2, 3, 4, 5, 6]
    usual = {"dtype": "float32", "runtime": "auto", "preprocess": "own", **of_call}
    assert loads == [
        ("m", usual),
        ("m", {**usual, "preprocess": "squash"}),
        ("m", {**usual, "runtime": "openvino"}),
        ("m", {**usual, "dtype": "float16"}),
        ("n", usual),
        ("embeddings:x.parquet", {}),
    ]
    unchanged = ("own", "own", "own")
    assert libraries == [
        (1, unchanged),
        (1, unchanged),
        (1, ("opencv", "box", "yes")),
        *((number, unchanged) for number in (2, 3, 4, 5)),
    ]
    loads.clear()
    in_torch = Encoders("m", torch_only=True)
    for runtime in ("auto", "openvino", "torch"):
        in_torch.of(PathSpec(runtime=runtime))
    assert [options["runtime"] for _, options in loads] == ["torch", "openvino", "torch"]


def test_encoders__in_memory(monkeypatch):
    calls = []
    monkeypatch.setattr(embed, "with_preprocessing", lambda model, resize: calls.append((model, resize)) or model)
    monkeypatch.setattr(embed, "load_encoder", lambda model, **options: encoder(model)[0])
    mine = encoder("mine")[0]
    encoders = Encoders(mine, torch_only=True)
    assert encoders.of(PathSpec(resize="short-side")) is mine
    assert calls == [(mine, "short-side")]
    assert encoders.of(PathSpec(model="other")).info.id == "other"
    for path in (PathSpec(runtime="torch"), PathSpec(dtype="float16")):
        with pytest.raises(UsageError) as error:
            encoders.of(path)
        assert str(error.value) == "runtime and dtype of a path need an encoder that is named, not one in memory"


def test_encoders__with_a_function_instead_of_the_preprocessing():
    info = {"mean": [0.5] * 3, "backend": "pillow"}
    plain_one, _ = encoder("plain", preprocessing=info)
    plain_one = replace(plain_one, reload=lambda **options: plain_one)
    sizes = []

    def to_pixels(image):
        sizes.append(image.size)
        return np.asarray(image.resize((2, 2)))

    changed = Encoders(plain_one, torch_only=True).of(PathSpec(transform=to_pixels))
    assert sizes == [(320, 240)]
    assert (changed.info.preprocessing, changed.reload) == ({"mean": [0.5] * 3, "backend": "your own"}, None)
    assert (changed.info.id, changed.embed) == ("plain", plain_one.embed)
    assert changed.preprocess(Image.new("RGB", (9, 5), (7, 8, 9))).tolist() == [[[7, 8, 9]] * 2] * 2

    def to_floats(image):
        return np.zeros((3, 2, 2), np.float32)

    with pytest.raises(EncoderError) as error:
        Encoders(plain_one, torch_only=True).of(PathSpec(transform=to_floats))
    assert str(error.value) == "a transform that gives floats needs a network in torch"
    network = Embedder("network", torch.nn.Identity(), as_rows, SimpleNamespace(), SimpleNamespace())
    for transform, normalise in ((to_floats, None), (to_pixels, network.normalise)):
        of_network = Encoders(replace(plain_one, embed=network), torch_only=True).of(PathSpec(transform=transform))
        assert of_network.embed == replace(network, normalise=normalise)

    def fails(image):
        raise ValueError("of the user")

    with pytest.raises(EncoderError) as error:
        Encoders(plain_one, torch_only=True).of(PathSpec(transform=fails))
    assert str(error.value) == f"the transform fails ({describe_error(ValueError('of the user'))})"
