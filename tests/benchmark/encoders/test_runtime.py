"""Networks in OpenVINO and ONNX Runtime: equal to torch, independent of batches and threads; else torch, with a
reason."""

import importlib.metadata
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.encoders import as_encoder, largest_relative_error, load_encoder
from benchmark.encoders.runtime.choose import RuntimeEmbedder, on_runtime
from builders.errors import EncoderError, UsageError
from tests.support.networks import Beyond, Counting, Forgetful, Small, made

pytestmark = pytest.mark.usefixtures("as_for_users")


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_runtime__computes_what_torch_does_and_records_it(runtime, tmp_path, views):
    module = Small()
    expected = made(module, tmp_path, "torch")
    encoder = made(module, tmp_path, runtime)
    with torch.inference_mode():
        by_hand = module.eval()(views).numpy()
    embeddings = encoder.embed(views)
    assert embeddings.dtype == torch.float32
    assert largest_relative_error(embeddings.numpy(), by_hand) < 2e-6
    assert not np.array_equal(embeddings.numpy(), expected.embed(views).numpy())  # it was not torch
    assert encoder.runtime.name == runtime
    assert encoder.runtime.version == importlib.metadata.version(runtime).partition("-")[0]
    assert 0 < encoder.runtime.relative_error < 2e-6
    assert encoder.info == expected.info
    assert torch.equal(encoder.in_torch().embed(views), expected.embed(views))
    with pytest.raises(EncoderError, match="embeddings"):
        encoder.embed(views[:0])


@pytest.mark.slow
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
    sizes: list[int] = []

    class Sizes:
        version, batch_sizes = "1", ()

        def __call__(self, chunks):
            sizes.extend(map(len, chunks))
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
            sizes.clear()
            assert torch.equal(RuntimeEmbedder("e", Sizes())(views[:count]), views[:count].flatten(1))
            assert sizes == expected
        for batch_sizes, expected in (((16,), [16, 16, 5]), ((4, 1), [4] * 9 + [1])):
            Sizes.batch_sizes = batch_sizes
            sizes.clear()
            RuntimeEmbedder("e", Sizes())(views)
            assert sizes == expected
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_runtime__what_cannot_apply_is_torch_or_a_wrong_request(tmp_path, monkeypatch):
    lower = made(Small(), tmp_path, "auto", dtype="bfloat16")
    assert (lower.runtime.name, lower.dtype) == ("torch", "bfloat16")
    assert "float32" in lower.runtime.reason
    with pytest.raises(UsageError, match="bfloat16"):
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
    with pytest.raises(UsageError, match="'openvino'"):
        made(Small(), tmp_path, "openvin")
    monkeypatch.setattr("benchmark.encoders.runtime.choose.PACKAGES", {"openvino": "no_such_package"})
    without = made(Small(), tmp_path, "auto")
    assert without.runtime.name == "torch"
    assert "installed" in without.runtime.reason


@pytest.mark.slow
def test_runtime__the_environment_may_set_what_auto_is(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path))
    for named in ("torch", "onnxruntime", "openvino"):
        monkeypatch.setenv("CAMTRACE_RUNTIME", named)
        assert as_encoder(Small()).runtime.name == named
    assert len(list((tmp_path / "compiled").glob("*.blob"))) == 1
    assert made(Small(), tmp_path, "torch").runtime.name == "torch"
    monkeypatch.setenv("CAMTRACE_RUNTIME", "tensorflow")
    with pytest.raises(UsageError, match="'tensorflow'"):
        as_encoder(Small())


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


def test_runtime__what_cannot_be_exported_is_one_sentence(tmp_path, monkeypatch):
    def fails(*args, **options):
        raise RuntimeError("no symbol for aten::mine\nand more lines")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(EncoderError, match="exported"):
        made(Small(), tmp_path, "onnxruntime")
