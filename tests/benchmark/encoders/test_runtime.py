"""Networks by OpenVINO and ONNX Runtime: what torch computes, the same bits however they are run, or torch and why."""

import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmark.encoders import Encoder, as_encoder, largest_relative_error, load_encoder
from benchmark.encoders.embedding import Embedder
from benchmark.encoders.openvino_network import OpenVinoNetwork, _core, _settings, _traced, make_room
from benchmark.encoders.placement import Placement
from benchmark.encoders.runtime import RuntimeEmbedder, on_runtime
from benchmark.encoders.runtime_choice import choice_file, times_as_fast
from benchmark.encoders.untold_openvino import openvino
from builders.errors import EncoderError, UsageError
from tests.warm_python import run_python


class Small(nn.Module):
    """Convolution, norm, attention over positions: a little of everything."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8), nn.GELU())
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        small = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR), dtype=np.float32)
        return torch.from_numpy(small / 255).permute(2, 0, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.attention(self.layers(pixels).flatten(2).transpose(1, 2)).flatten(1)


class Counting(Small):
    """Its trace holds the number of views that it was traced with."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return super().forward(pixels) * len(pixels)


class Forgetful(Small):
    """Embeds each time otherwise."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        found = super().forward(pixels)
        return found + 0.01 * torch.rand_like(found)


class Beyond(Small):
    """Computes what OpenVINO has no operator for."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(super().forward(pixels).unflatten(1, (8, -1)))


@pytest.fixture
def views() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).random((37, 3, 16, 16), dtype=np.float32))


@pytest.fixture(autouse=True)
def as_for_users(monkeypatch):
    """But every other library is twice as fast as torch, whatever the machine does meanwhile."""
    monkeypatch.delenv("CAMTRACE_RUNTIME")
    monkeypatch.setattr("benchmark.encoders.runtime.times_as_fast", lambda *_: 2.0)


def made(module, cache, runtime="auto", **options) -> Encoder:
    return as_encoder(module, device="cpu", runtime=runtime, cache=cache, **options)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_runtime__computes_what_torch_does_and_says_so(runtime, tmp_path, views):
    module = Small()
    expected = made(module, tmp_path, "torch")
    encoder = made(module, tmp_path, runtime)
    with torch.inference_mode():
        by_hand = module.eval()(views).numpy()
    found = encoder.embed(views)
    assert found.dtype == torch.float32
    assert largest_relative_error(found.numpy(), by_hand) < 2e-6
    assert not np.array_equal(found.numpy(), expected.embed(views).numpy())  # it was not torch
    assert encoder.runtime.name == runtime
    assert encoder.runtime.version == importlib.metadata.version(runtime).partition("-")[0]
    assert 0 < encoder.runtime.relative_error < 2e-6
    assert encoder.info == expected.info
    assert torch.equal(encoder.in_torch().embed(views), expected.embed(views))
    with pytest.raises(EncoderError, match="an empty batch has no embeddings"):
        encoder.embed(views[:0])


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_runtime__bits_depend_on_neither_batches_nor_threads(runtime, tmp_path, views):
    first = made(Small(), tmp_path, runtime).embed(views)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        encoder = made(Small(), tmp_path / "anew", runtime)
        assert torch.equal(encoder.embed(views), first)
        assert torch.equal(torch.cat([encoder.embed(part) for part in views.split(5)]), first)
        assert torch.equal(torch.cat([encoder.embed(view[None]) for view in views]), first)
    finally:
        torch.set_num_threads(before)


def test_runtime__every_thread_has_a_chunk(views):
    seen: list[int] = []

    class Sizes:
        version, at_once = "1", ()

        def __call__(self, chunks):
            seen.extend(map(len, chunks))
            return [np.asarray(chunk).reshape(len(chunk), -1) for chunk in chunks]

    before = torch.get_num_threads()
    try:
        for threads, count, expected in (
            (2, 37, [8, 8, 8, 8, 5]),
            (3, 7, [3, 3, 1]),
            (8, 4, [1, 1, 1, 1]),
            (1, 5, [5]),
        ):
            torch.set_num_threads(threads)
            seen.clear()
            assert torch.equal(RuntimeEmbedder("e", Sizes())(views[:count]), views[:count].flatten(1))
            assert seen == expected
        for at_once, expected in (((16,), [16, 16, 5]), ((4, 1), [4] * 9 + [1])):
            Sizes.at_once = at_once
            seen.clear()
            RuntimeEmbedder("e", Sizes())(views)
            assert seen == expected
    finally:
        torch.set_num_threads(before)


class Flat(Small):
    """One matrix over all pixels: 49,152 weights, and some 2,000 numbers made of a view."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Linear(3 * 16 * 16, 64)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.matrix(pixels.flatten(1))


@pytest.mark.parametrize(
    ("module", "at_once", "views_of", "given"),
    [(Small, (4, 1), 1, [4] * 8 + [1] * 5), (Flat, (), None, [8, 8, 8, 8, 5])],
)
def test_openvino__four_views_at_a_time_but_where_weights_are_heavy(
    module, at_once, views_of, given, tmp_path, monkeypatch, views
):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        encoder = made(module(), tmp_path, "openvino")
        assert encoder.embed.computes.at_once == at_once
        assert encoder.runtime.views == views_of
        sizes = []
        computes = OpenVinoNetwork.__call__
        monkeypatch.setattr(
            OpenVinoNetwork, "__call__", lambda self, chunks: sizes.extend(map(len, chunks)) or computes(self, chunks)
        )
        expected = made(module(), tmp_path, "torch").embed(views)
        assert largest_relative_error(encoder.embed(views).numpy(), expected.numpy()) < 2e-6
        assert sizes == given
        read_again = made(module(), tmp_path, "openvino")
        assert read_again.runtime == encoder.runtime
        assert read_again.runtime.key().get("views") == views_of
        assert read_again.embed.computes.at_once == at_once
        assert torch.equal(read_again.embed(views), encoder.embed(views))
    finally:
        torch.set_num_threads(before)


def test_runtime__auto_is_openvino_and_a_view_as_pixels_goes_in_as_it_is(tmp_path, views):
    class Bytes(Small):
        mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)

        def preprocess(self, image: Image.Image) -> np.ndarray:
            return np.asarray(image.resize((16, 16)))

    pixels = (views.permute(0, 2, 3, 1) * 255).to(torch.uint8)
    encoder = made(Bytes(), tmp_path)
    assert encoder.runtime.name == "openvino"
    assert largest_relative_error(encoder.embed(pixels).numpy(), encoder.in_torch().embed(pixels).numpy()) < 2e-6


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (Counting, "computes something else than torch"),
        (Forgetful, "computes something else than torch"),
        (Beyond, "does not convert it .it lacks aten::linalg_svdvals"),
    ],
)
def test_runtime__torch_where_it_cannot_be_converted(module, why, tmp_path, views):
    encoder = made(module(), tmp_path, "auto")
    assert encoder.runtime.name == "torch"
    assert encoder.runtime.version == torch.__version__
    assert encoder.runtime.key() is None
    assert encoder.in_torch is None
    assert "OpenVINO" in encoder.runtime.reason
    assert re.search(why, encoder.runtime.reason)
    assert "\n" not in encoder.runtime.reason
    with pytest.raises(EncoderError, match=why):
        made(module(), tmp_path, "openvino")


def test_runtime__what_cannot_apply_is_torch_or_a_wrong_request(tmp_path, monkeypatch):
    lower = made(Small(), tmp_path, "auto", dtype="bfloat16")
    assert (lower.runtime.name, lower.dtype) == ("torch", "bfloat16")
    assert "float32" in lower.runtime.reason
    with pytest.raises(UsageError, match="the dtype is bfloat16"):
        made(Small(), tmp_path, "openvino", dtype="bfloat16")
    compiled = replace(made(Small(), tmp_path, "torch"), compiled=True)
    assert on_runtime(compiled, "auto", tmp_path).runtime.name == "torch"
    with pytest.raises(UsageError, match="no torch network"):
        load_encoder("control:jpeg-statistics", runtime="onnxruntime")
    assert load_encoder("control:jpeg-statistics", runtime="auto").runtime is None
    assert load_encoder("control:jpeg-statistics", runtime="torch").runtime is None
    with pytest.raises(UsageError, match="no torch network"):
        as_encoder(lambda image: [1.0], name="one", runtime="openvino")
    converted = made(Small(), tmp_path)
    assert as_encoder(converted) is converted
    assert as_encoder(converted, runtime="torch").runtime.name == "torch"
    assert (
        as_encoder(as_encoder(converted, runtime="torch"), runtime="openvino", cache=tmp_path).runtime.name
        == "openvino"
    )
    with pytest.raises(UsageError, match="unknown runtime 'openvin': did you mean 'openvino'"):
        made(Small(), tmp_path, "openvin")
    monkeypatch.setattr("benchmark.encoders.runtime.PACKAGES", {"openvino": "no_such_package"})
    without = made(Small(), tmp_path, "auto")
    assert without.runtime.name == "torch"
    assert "which is not installed: pip install" in without.runtime.reason


def test_runtime__torch_where_the_memory_holds_no_second_copy(tmp_path, monkeypatch):
    weights = sum(4 * tensor.numel() for name, tensor in Small().state_dict().items() if "num_batches" not in name) + 8
    monkeypatch.setattr("benchmark.encoders.runtime.free_on_host", lambda: 4 * weights)
    assert made(Small(), tmp_path).runtime.name == "openvino"
    monkeypatch.setattr("benchmark.encoders.runtime.free_on_host", lambda: 4 * weights - 1)
    assert "for its copy of the weights" in made(Small(), tmp_path).runtime.reason
    with pytest.raises(UsageError, match="GB are free"):
        made(Small(), tmp_path, "openvino")


def test_runtime__what_auto_is_may_be_said_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path))
    for named in ("torch", "onnxruntime", "openvino"):
        monkeypatch.setenv("CAMTRACE_RUNTIME", named)
        assert as_encoder(Small()).runtime.name == named
    assert len(list((tmp_path / "compiled").glob("*.blob"))) == 1
    assert made(Small(), tmp_path, "torch").runtime.name == "torch"
    monkeypatch.setenv("CAMTRACE_RUNTIME", "tensorflow")
    with pytest.raises(UsageError, match="unknown runtime in CAMTRACE_RUNTIME 'tensorflow'"):
        as_encoder(Small())


def test_compiled__kept_and_read_again_bit_for_bit(tmp_path, monkeypatch, views):
    first = made(Small(), tmp_path)
    [blob] = (tmp_path / "compiled").glob("*.blob")
    about = json.loads(blob.with_suffix(".json").read_text())
    assert about["sha256"] == hashlib.sha256(blob.read_bytes()).hexdigest()
    blob.with_suffix(".json").write_text(json.dumps({**about, "relative_error": 1.25e-7}))
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.encoders.openvino_network._traced", lambda *_: pytest.fail("it was converted again"))
        again = made(Small(), tmp_path)
    assert torch.equal(again.embed(views), first.embed(views))
    assert again.runtime.relative_error == 1.2e-7  # the one under which its banks are known
    blob.write_bytes(blob.read_bytes() + bytes(100))  # OpenVINO reads it all the same
    mended = made(Small(), tmp_path)
    assert torch.equal(mended.embed(views), first.embed(views))
    assert hashlib.sha256(blob.read_bytes()).hexdigest() == json.loads(blob.with_suffix(".json").read_text())["sha256"]
    assert mended.runtime == again.runtime


def test_compiled__of_another_network_is_found_out(tmp_path, views):
    """Two networks under one name, as if a key had forgotten what tells them apart."""
    made(Small(), tmp_path)
    other = Small()
    other.layers[0].weight.data.mul_(1.5)
    expected = made(other, tmp_path / "alone")
    [stale] = (tmp_path / "compiled").glob("*.blob")
    [own] = (tmp_path / "alone" / "compiled").glob("*.blob")
    data, about = stale.read_bytes(), stale.with_suffix(".json").read_text()
    (tmp_path / "compiled" / own.name).write_bytes(data)
    (tmp_path / "compiled" / own.name).with_suffix(".json").write_text(about)
    assert torch.equal(made(other, tmp_path).embed(views), expected.embed(views))


def test_compiled__not_kept_where_weights_are_not_identified(tmp_path, monkeypatch):
    (tmp_path / "own_network.py").write_text(OWN_NETWORK)
    monkeypatch.chdir(tmp_path)
    encoder = load_encoder("own_network:Network", runtime="auto", cache=tmp_path / "cache")
    assert encoder.runtime.name == "openvino"
    assert not (tmp_path / "cache").exists()  # neither the network nor whether it is faster


OWN_NETWORK = """
import torch

class Network(torch.nn.Module):
    def forward(self, x):
        return x.mean(3).flatten(1)
"""


def measured(monkeypatch, speed):
    """Let another library be so many times as fast; counts the measurements."""
    seen = []
    monkeypatch.setattr("benchmark.encoders.runtime.times_as_fast", lambda *_: seen.append(speed) or speed)
    return seen


def test_auto__takes_what_is_faster_measured_once(tmp_path, monkeypatch, views):
    seen = measured(monkeypatch, 1.234)
    first = made(Small(), tmp_path)
    assert (first.runtime.name, first.runtime.speed, first.runtime.reason) == ("openvino", 1.23, "")
    assert made(Small(), tmp_path).runtime == first.runtime
    assert seen == [1.234]
    [blob] = (tmp_path / "compiled").glob("*.blob")
    blob.unlink()  # make_room took it: converted again, not measured again
    assert made(Small(), tmp_path).runtime.name == "openvino"
    assert seen == [1.234]
    assert made(Small(), tmp_path, "openvino").runtime.speed is None  # asked for by name: nobody measures
    assert first.runtime.key() == replace(first.runtime, speed=None).key()


def test_auto__says_that_it_tries_a_library_the_first_time_alone(tmp_path, monkeypatch):
    measured(monkeypatch, 2.0)
    in_torch, told = made(Small(), tmp_path, "torch"), []
    monkeypatch.setattr(
        "benchmark.encoders.openvino_network._traced", lambda *_, real=_traced: told.append(1) or real(*_)
    )
    for _ in range(2):
        assert on_runtime(in_torch, cache=tmp_path, trying=told.append).runtime.name == "openvino"
    assert [getattr(one, "runtime", one) for one in told] == [in_torch.runtime, 1]  # and before it converts
    on_runtime(in_torch, "openvino", tmp_path / "by name", told.append)
    assert told[2:] == [1]  # nobody asks whether


def test_auto__leaves_to_torch_what_is_no_faster_and_does_not_try_again(tmp_path, monkeypatch, views):
    seen = measured(monkeypatch, 1.04)
    first = made(Small(), tmp_path)
    assert (first.runtime.name, first.runtime.key()) == ("torch", None)
    assert first.runtime.reason == "OpenVINO is 1.04 times as fast as torch here, and 1.05 times is asked for"
    assert torch.equal(first.embed(views), made(Small(), tmp_path, "torch").embed(views))
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.encoders.openvino_network.open_network", lambda *_: pytest.fail("it was tried again"))
        assert made(Small(), tmp_path).runtime == first.runtime
    assert seen == [1.04]
    assert made(Small(), tmp_path, "openvino").runtime.name == "openvino"
    for damage in ("", "[]", '{"reason": 3}', '{"reason": "", "speed": null}'):
        [file] = (tmp_path / "compiled").glob("*.choice.json")
        file.write_text(damage)
        made(Small(), tmp_path)
        assert json.loads(file.read_text()) == {"reason": first.runtime.reason, "speed": 1.04}
    assert len(seen) == 5


@pytest.mark.parametrize("module", [Counting, Beyond])
def test_auto__what_cannot_be_converted_is_not_tried_again(module, tmp_path, monkeypatch):
    first = made(module(), tmp_path)
    assert first.runtime.name == "torch"
    monkeypatch.setattr("benchmark.encoders.openvino_network.open_network", lambda *_: pytest.fail("tried again"))
    assert made(module(), tmp_path).runtime == first.runtime


def test_auto__memory_that_was_short_is_no_verdict(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:

        def short(*_):
            raise EncoderError("no room") from MemoryError()

        patch.setattr("benchmark.encoders.runtime._converted", short)
        assert made(Small(), tmp_path).runtime.reason == "no room"
    assert made(Small(), tmp_path).runtime.name == "openvino"


def test_choice_file__whatever_decides_is_in_the_name(tmp_path, monkeypatch):
    views, info = torch.zeros(3, 8, 8, 3, dtype=torch.uint8), made(Small(), tmp_path, "torch").info

    def name(runtime="openvino", info=info, views=views):
        return choice_file(tmp_path, runtime, info, views).name

    names = [
        name(),
        name("onnxruntime"),
        name(info=replace(info, weights_sha256="1" * 64)),
        name(info=replace(info, pooling="another")),
        name(info=replace(info, preprocessing={"size": 8})),
        name(views=views.float()),
        name(views=views[:, :4]),
    ]
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    names.append(name())
    torch.set_num_threads(before)
    (tmp_path / "cpuinfo").write_text("vendor_id : Another\nmodel name : One\n")
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.encoders.runtime_choice.CPU_INFO", tmp_path / "cpuinfo")
        names.append(name())
        for bound in ("LEAST", "CLEAR"):
            patch.setattr(f"benchmark.encoders.runtime_choice.{bound}", 2)
            names.append(name())
    monkeypatch.setattr("importlib.metadata.version", lambda package: "another")
    names.append(name())
    assert len(set(names)) == len(names)
    monkeypatch.undo()
    assert name(views=torch.ones(9, 8, 8, 3, dtype=torch.uint8)) == names[0]
    assert choice_file(tmp_path, "openvino", replace(info, weights_sha256=None), views) is None


@pytest.fixture
def on_a_clock(monkeypatch):
    """Two embedders on a clock that only they move, the other's first call taking 0.3 s more, and who was called."""
    now, called = [0.0], []

    def by(name, each, first=0.0):
        def embed(views):
            now[0] += each * len(views) + (0 if any(who == name for who, _ in called) else first)
            called.append((name, len(views)))
            return views

        return embed

    monkeypatch.setattr("benchmark.encoders.runtime_choice.time.process_time", lambda: now[0])
    return lambda each, share: (by("torch", each), by("other", share * each, 0.3)), called


def test_times_as_fast__processor_time_in_turns_on_the_same_views(on_a_clock):
    """The other takes 0.8 of torch's time: too near to it for three views."""
    embedders, called = on_a_clock
    before = torch.get_num_threads()
    try:
        for threads, each, batch, passes in (
            (1, 0.09, 5, 1),
            (1, 1.0, 4, 1),
            (1, 0.01, 8, 6),
            (2, 0.01, 16, 3),
            (1, 1e-6, 8, 64),
        ):
            torch.set_num_threads(threads)
            called.clear()
            assert times_as_fast(*embedders(each, 0.8), torch.arange(3.0)[:, None]) == pytest.approx(1.25)
            assert called[:3] == [("other", 3), ("torch", 3), ("other", 3)]
            turn = [("torch", batch)] * passes + [("other", batch)] * passes
            assert called[3:] == turn * 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("share", "speed"), [(1 / 1.41, 1.41), (1.41, 1 / 1.41)])
def test_times_as_fast__two_looks_decide_what_is_clear(on_a_clock, share, speed):
    embedders, called = on_a_clock
    assert times_as_fast(*embedders(0.01, share), torch.zeros(3, 1)) == pytest.approx(speed)
    assert called == [("other", 3), *[("torch", 3), ("other", 3)] * 2]


@pytest.mark.parametrize(
    ("times", "speed"),
    [
        ([1.0, 0.9, *[1.0, 9.0], *[1.0, 0.5], *[1.0, 0.6]], 1 / 0.6),  # one of three rounds was disturbed
        ([1.0, 0.5, *[1.0, 0.6]], 1 / 0.6),  # of two looks the nearer to 1
        ([1.0, 1.9, *[1.0, 1.6]], 1 / 1.6),
        ([1.0, 0.5, *[1.0, 0.9], *[1.0, 0.8] * 3], 1 / 0.8),  # the first of two looks was disturbed
        ([1.0, 1.9, *[1.0, 1.1], *[1.0, 0.8] * 3], 1 / 0.8),
        ([1.0, 0.5, *[1.0, 1.9], *[1.0, 0.8] * 3], 1 / 0.8),
    ],
)
def test_times_as_fast__no_single_disturbance_decides(times, speed, monkeypatch):
    left = iter(times)
    monkeypatch.setattr("benchmark.encoders.runtime_choice._seconds", lambda *_: next(left))
    assert times_as_fast(lambda v: v, lambda v: v, torch.zeros(1, 1)) == pytest.approx(speed)
    assert next(left, None) is None


def test_make_room__least_recently_used_first(tmp_path):
    for age, name in enumerate("cab"):
        (tmp_path / f"{name}.blob").write_bytes(bytes(10))
        os.utime(tmp_path / f"{name}.blob", (1000 + age, 1000 + age))
    (tmp_path / "c.json").write_text("{}")
    make_room(tmp_path, 30)
    assert len(list(tmp_path.glob("*.blob"))) == 3
    make_room(tmp_path, 29)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.blob", "b.blob", "c.json"]
    make_room(tmp_path, 10)
    assert sorted(path.name for path in tmp_path.glob("*.blob")) == ["b.blob"]


def test_largest_relative_error__by_hand():
    expected = np.array([[3.0, 4.0], [0.0, 10.0]])
    assert largest_relative_error(expected + np.array([0, 0.1]), expected) == pytest.approx(0.1 / 5)
    assert largest_relative_error(expected, expected) == 0
    assert largest_relative_error(np.array([[np.nan, 4.0], [0, 10]]), expected) == np.inf
    assert largest_relative_error(expected[:1], expected) == np.inf
    # an embedding of length 0 is compared with the longest
    zero = np.array([[0.0, 0.0], [0.0, 10.0]])
    assert largest_relative_error(np.array([[0.5, 0.0], [0.0, 10.0]]), zero) == pytest.approx(0.5 / 10)
    assert largest_relative_error(np.zeros((1, 2)), np.zeros((1, 2))) == 0


@pytest.mark.parametrize("trained", [False, True])
def test_openvino__weights_that_may_still_be_trained_are_converted_too(trained, views):
    """Torch makes constants, which weights of a traced function are, of no others."""
    module = Small().eval().requires_grad_(trained)
    embed = Embedder("e", module, lambda m, x: m(x), None, Placement("cpu", "float32"))
    network = OpenVinoNetwork([_core().compile_model(_traced(embed, views[:3]), "CPU", _settings(1))], 1)
    assert largest_relative_error(network([views.numpy()])[0], embed(views).numpy()) < 2e-6


def test_openvino__neither_its_import_nor_a_conversion_tells_anybody(tmp_path):
    """By itself ``import openvino`` sends an event from a process that it forks, and leaves a number in ``~/intel``."""
    code = (
        "import concurrent.futures.thread, json, os, pathlib, sys, urllib.request\n"
        "forked = []\n"
        "os.register_at_fork(before=lambda: forked.append(1))\n"
        "urllib.request.urlopen = lambda *_, **__: None\n"  # what a failing test would send
        "import torch, benchmark.encoders.openvino_network as n\n"
        "from benchmark.encoders.embedding import Embedder\n"
        "from benchmark.encoders.placement import Placement\n"
        "e = Embedder('e', torch.nn.Flatten(), lambda m, x: m(x) + 1, None, Placement('cpu', 'float32'))\n"
        "shape = str(n._traced(e, torch.zeros(2, 3, 4, 4)).outputs[0].partial_shape)\n"
        "concurrent.futures.thread._python_exit()\n"  # whatever threads have begun is done
        "left = os.listdir(pathlib.Path.home())\n"
        "found = [name for name in sys.modules if name.startswith('openvino_telemetry')]\n"
        "import openvino_telemetry\n"  # for whoever wants it, it is there
        "print(json.dumps([shape, left, found, forked]))\n"
    )
    # in continuous integration it would be silent by itself
    elsewhere = {name: word for name, word in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    done = run_python("-c", code, env={**elsewhere, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["[?,?]", [], [], []]


def test_openvino__stays_as_somebody_has_imported_it():
    code = (
        "import sys, types\n"
        "theirs = sys.modules['openvino'] = types.ModuleType('openvino')\n"
        "teller = sys.modules['openvino_telemetry'] = types.ModuleType('openvino_telemetry')\n"
        "import benchmark.encoders.untold_openvino as ours\n"
        "assert ours.openvino is theirs and sys.modules['openvino_telemetry'] is teller\n"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr


def test_onnxruntime__its_import_tells_nobody(tmp_path):
    """By itself it leaves a number of the user and a data base of events in the user's cache."""
    elsewhere = {name: word for name, word in os.environ.items() if name != "XDG_CACHE_HOME"}
    code = "import os, pathlib, benchmark.encoders.onnx_session\nprint(os.listdir(pathlib.Path.home()))\n"
    done = run_python("-c", code, env={**elsewhere, "HOME": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize(("users", "within", "after"), [(None, "1", "None"), ("0", "0", "0")])
def test_onnxruntime__what_the_user_has_said_stands(users, within, after, tmp_path):
    (tmp_path / "onnxruntime.py").write_text("import os\nprint(os.environ['ORT_DISABLE_TELEMETRY'])\n")
    code = (
        f"import os, sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport benchmark.encoders.untold_onnxruntime\n"
        "print(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
    )
    unsaid = {name: word for name, word in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = run_python("-c", code, env={**unsaid, "ORT_DISABLE_TELEMETRY": users} if users else unsaid)
    assert (done.returncode, done.stdout.split()) == (0, [within, after]), done.stderr


def test_openvino__signals_are_handled_after_networks_are_gone(tmp_path):
    """With a core for each network, the stack of signal handlers was that of one that was gone (SIGSEGV)."""
    code = (
        "import faulthandler, gc, os, pathlib, signal, sys\n"
        "faulthandler.enable()\n"
        "import torch\n"
        "from benchmark.encoders import as_encoder\n"
        "from benchmark.encoders.runtime import on_runtime\n"
        "from tests.benchmark.encoders.test_runtime import Small, made\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('handled', flush=True))\n"
        "networks = [made(Small(), pathlib.Path(sys.argv[1]) / f'{i}', 'openvino') for i in range(2)]\n"
        "assert all(encoder.runtime.name == 'openvino' for encoder in networks)\n"
        "while networks:\n"
        "    del networks[0]\n"
        "    gc.collect()\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
    )
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert (said.returncode, said.stdout.split()) == (0, ["handled"] * 2), said.stderr


def test_openvino__not_one_embedding_for_each_view_is_an_error(views):
    from openvino import opset13 as ops

    given = ops.parameter([-1, 3, 16, 16], np.float32)
    one = ops.reshape(ops.reduce_mean(given, np.array([0, 2, 3])), np.array([1, 3]), special_zero=False)
    model = openvino.Model([one], [given])
    wrong = OpenVinoNetwork([_core().compile_model(model, "CPU")], 1)
    with pytest.raises(RuntimeError, match="not one embedding for each view"):
        wrong([views[:4].numpy()])
