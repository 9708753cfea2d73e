"""Objects of Python as encoders: what is refused, with which words, and what results record."""

from __future__ import annotations

import hashlib
import sys
import types
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmark.encoders import COMPLEX, as_encoder, is_module
from benchmark.encoders.loaders.python import function_encoder, load_callable
from benchmark.encoders.loaders.user_code import AsArray, AsVector, required_arguments, user_errors
from benchmark.encoders.network import hash_state_dict, probe_image
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, UsageError

PHOTO = Image.new("RGB", (6, 4), (10, 20, 30))


def refusal(function: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments, **named)
    assert "\n" not in str(refused.value)
    return f"{type(refused.value).__name__}: {refused.value}"


class Scaled(nn.Module):
    """Means of colours by a weight each."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean((2, 3)) * self.weight


def as_bytes(image: Image.Image) -> np.ndarray:
    return np.array(image.resize((4, 4)))


def as_floats(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.resize((4, 4)), np.float32)).permute(2, 0, 1)


def mean_colour(image: Image.Image) -> Any:
    return np.asarray(image, float).mean((0, 1))


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user in memory."""
    module = types.ModuleType("objects_of_a_test")
    monkeypatch.setitem(sys.modules, "objects_of_a_test", module)
    return module


def load(objects: Any, item: Any, **request: Any) -> Any:
    objects.item = item
    return load_callable(LoadRequest("objects_of_a_test:item", **request))


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ([1, 2], [1, 2]), ((True, False), [1, 0]), (np.uint8([3, 4]), [3, 4]), (torch.tensor([1.5]), [1.5]),
        (torch.tensor([1.5, 2], dtype=torch.bfloat16, requires_grad=True), [1.5, 2]),
        (np.array([1j]), f"mine: {COMPLEX}"), (["a"], "mine: expected a vector of numbers, got <U1"),
        (None, "mine: expected a vector of numbers, got object"),
        ([[1, 2]], "mine: expected a vector, got an array of shape (1, 2)"),
        (3.0, "mine: expected a vector, got an array of shape ()"),
        ([], "mine: expected a vector, got an array of shape (0,)"),
        ([1, np.inf], "mine: the vector of a photo is not finite"),
    ],
)  # fmt: skip
def test_vector__of_what_a_function_returns(returned: Any, expected: Any) -> None:
    encode = AsVector("mine", lambda image: returned)
    if isinstance(expected, str):
        assert refusal(encode, PHOTO) == f"EncoderError: {expected}"
        return
    vector = encode(PHOTO)
    assert (vector.tolist(), vector.dtype) == (expected, np.float32)


@pytest.mark.parametrize(
    ("returned", "dtype"),
    [
        (np.zeros((2, 2), np.uint8), np.uint8), (np.zeros((2, 2), np.int64), np.float32), (torch.zeros(2), np.float32),
        (np.zeros(2, bool), np.float32), ([1.0], np.float32), (np.zeros(2, complex), None), (["a"], None), (None, None),
    ],
)  # fmt: skip
def test_array__of_a_preprocessing(returned: Any, dtype: Any) -> None:
    preprocess = AsArray(lambda image: returned, "mine")
    if dtype is None:
        assert refusal(preprocess, PHOTO).startswith("EncoderError: preprocess gives ")
        assert "numbers" in refusal(preprocess, PHOTO)
        return
    assert preprocess(PHOTO).dtype == dtype


def test_required_arguments__are_those_without_a_default() -> None:
    class Two:
        def __init__(self, a: int, b: int) -> None: ...

    cases: list[tuple[Any, int]] = [
        (lambda: 0, 0), (lambda a: 0, 1), (lambda a, b=1: 0, 1), (lambda a, /, *, b: 0, 2), (lambda *a, **b: 0, 0),
        (lambda a, *, b=1: 0, 1), (Two, 2),
    ]  # fmt: skip
    assert [required_arguments(function) for function, _ in cases] == [count for _, count in cases]
    assert required_arguments(type("C", (), {"__signature__": 3})) == 1


def test_user_errors__are_one_sentence_and_those_of_camtrace_pass() -> None:
    def fail(error: Exception) -> None:
        with user_errors("mine"):
            raise error

    assert "EncoderError" in refusal(fail, ValueError("bad"))
    assert "UsageError" in refusal(fail, UsageError("as it is"))


def test_function__what_a_result_records() -> None:
    encoder = function_encoder(LoadRequest("mine"), mean_colour)
    info = encoder.info
    assert (info.id, info.library, info.dimension, info.parameters, info.weights_sha256) == (
        "mine",
        "callable",
        3,
        0,
        None,
    )
    assert (info.pooling, info.group, info.training_data) == ("what the function returns", "unknown", "unknown")
    assert info.preprocessing == {"size": "the photo's own", "backend": "your own", "transport": "float32"}

    def stated(image: Image.Image) -> Any:
        return mean_colour(image)

    vars(stated).update(cache_key=7, pooling="mean", group="CVL", training_data="mine")
    info = function_encoder(LoadRequest("mine"), stated).info
    assert info.weights_sha256 == hashlib.sha256(b"7").hexdigest()
    assert (info.pooling, info.group, info.training_data) == ("mean", "CVL", "mine")
    vars(stated).update(group="best")
    assert "'best'" in refusal(function_encoder, LoadRequest("mine"), stated)
    assert "EncoderError" in refusal(function_encoder, LoadRequest("mine"), lambda image: [0] * image.width)
    assert "--device" in refusal(function_encoder, LoadRequest("mine", "cuda"), mean_colour)


def test_load__each_kind_of_object(objects: Any) -> None:
    spec = "objects_of_a_test:item"
    assert load(objects, mean_colour).info.id == spec
    ready = as_encoder(mean_colour, name="ready")
    assert load(objects, lambda: ready) is ready
    assert load(objects, replace(ready, info=replace(ready.info, id=""))).info.id == spec
    assert f"{spec}" in refusal(load, objects, ready, dtype="bfloat16")
    for item in (3, lambda a, b: 0, lambda: "x"):
        assert f"{spec}" in refusal(load, objects, item)

    def broken() -> Any:
        raise KeyError("x")

    assert refusal(load, objects, broken) == f"EncoderError: {spec} failed (KeyError: 'x')"
    objects.item = types.SimpleNamespace(inner=mean_colour)
    assert (
        load_callable(LoadRequest("callable:objects_of_a_test:item.inner")).info.id
        == "callable:objects_of_a_test:item.inner"
    )
    assert "--model" in refusal(load_callable, LoadRequest("objects_of_a_test:item.other"))
    assert "--model" in refusal(load_callable, LoadRequest("no_such_module.inner:item"))


def test_load__a_module_with_attributes_of_its_own_or_of_its_factory(objects: Any) -> None:
    info = load(objects, Scaled()).info
    assert (info.preprocessing["source"], info.preprocessing["size"], info.weights_sha256) == (
        "default",
        [224, 224],
        None,
    )
    assert (info.pooling, info.group, info.training_data) == ("what the module returns", "unknown", "unknown")
    assert info.details == {"class": "Scaled"}

    def factory() -> Any:
        return Scaled(preprocess=as_bytes, mean=(0.0, 0.5, 1.0), std=(1.0, 1.0, 2.0), group="SSL")

    vars(factory).update(cache_key="k", pooling="p", group="CVL", training_data="t")
    encoder = load(objects, factory)
    info = encoder.info
    assert (info.pooling, info.group, info.training_data) == ("p", "SSL", "t")
    weights = hash_state_dict(Scaled().state_dict())
    assert info.weights_sha256 == hashlib.sha256(f"k\0{weights}".encode()).hexdigest()
    assert info.preprocessing == {
        "size": [4, 4, 3], "backend": "your own", "transport": "uint8", "mean": [0.0, 0.5, 1.0], "std": [1.0, 1.0, 2.0],
    }  # fmt: skip
    white = torch.full((1, 4, 4, 3), 255, dtype=torch.uint8)
    assert encoder.embed(white).tolist() == [[1.0, 1.0, 0.0]]
    floats = load(objects, Scaled(preprocess=as_floats)).info.preprocessing
    assert floats == {"size": [3, 4, 4], "backend": "your own", "transport": "float32"}
    for lacking in ("mean", "std"):
        attributes = {"preprocess": as_bytes, "mean": (0.0,) * 3, "std": (1.0,) * 3, lacking: None}
        assert "objects_of_a_test:item" in refusal(load, objects, Scaled(**attributes))


def test_load__attributes_of_a_module_before_those_of_its_factory(objects: Any) -> None:
    of_module = {
        "preprocess": as_bytes, "mean": (0.0, 0.5, 1.0), "std": (1.0, 2.0, 4.0), "cache_key": "k", "pooling": "p",
        "group": "SSL", "training_data": "t",
    }  # fmt: skip
    other = {
        "preprocess": as_floats, "mean": (0.25,) * 3, "std": (8.0,) * 3, "cache_key": "o", "pooling": "other",
        "group": "CVL", "training_data": "others",
    }  # fmt: skip

    def factory() -> Any:
        return Scaled(**of_module)

    expected = load(objects, factory)
    vars(factory).update(other)
    made = load(objects, factory)
    assert made.info == expected.info
    assert (made.info.preprocessing["mean"], made.info.preprocessing["std"]) == ([0.0, 0.5, 1.0], [1.0, 2.0, 4.0])
    views = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    assert torch.equal(made.embed(views), expected.embed(views))


def test_as_encoder__of_a_module() -> None:
    module = Scaled()
    encoder = as_encoder(module, preprocess=as_floats, device="cpu", runtime="torch")
    weights = hash_state_dict(module.state_dict())
    assert (encoder.info.id, encoder.info.weights_sha256) == (f"Scaled-{weights[:8]}", weights)
    arrays = [as_floats(probe_image(*size)).numpy() for size in ((320, 240), (200, 300))]
    vectors = encoder.embed(torch.from_numpy(np.stack(arrays))).numpy()
    digest = hashlib.sha256(b"".join(array.tobytes() for array in (*arrays, vectors))).hexdigest()
    assert encoder.info.preprocessing == {
        "size": [3, 4, 4], "backend": "your own", "transport": "float32", "two_pictures_sha256": digest,
    }  # fmt: skip
    embed: Any = encoder.embed
    assert embed.module is not module
    assert module.training
    assert encoder.in_float32 is None
    assert as_encoder(module, name="mine", preprocess=as_floats, device="cpu", runtime="torch").info.id == "mine"
    lower = as_encoder(module, preprocess=as_floats, device="cpu", dtype="bfloat16", runtime="torch")
    assert lower.in_float32 is not None
    again = lower.in_float32()
    assert (again.dtype, again.info.id, again.info.preprocessing) == (
        "float32",
        lower.info.id,
        encoder.info.preprocessing,
    )
    stated = Scaled(mean=(0.0,) * 3, std=(1.0,) * 3, preprocess=as_bytes)
    assert as_encoder(stated, device="cpu", runtime="torch").embed(
        torch.full((1, 4, 4, 3), 255, dtype=torch.uint8)
    ).tolist() == [[1.0, 2.0, 3.0]]


def test_as_encoder__refusals_of_a_module() -> None:
    def refused(module: Any = None, **options: Any) -> str:
        return refusal(as_encoder, module or Scaled(), name="mine", device="cpu", runtime="torch", **options)

    assert "UsageError" in refused()
    assert "EncoderError" in refused(preprocess=lambda image: np.zeros((3, image.height, 4)))
    for mean, std in ((None, (1.0,) * 3), ((0.0,) * 3, None)):
        assert "uint8" in refused(Scaled(mean=mean, std=std), preprocess=as_bytes)
    calls: list[int] = []

    def varies(image: Image.Image) -> Any:
        calls.append(1)
        return np.full((3, 4, 4), float(len(calls) == 4))

    assert "EncoderError" in refused(preprocess=varies)
    assert "ZeroDivisionError" in refused(preprocess=lambda image: 1 / 0)

    class Uncopied:
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("no copy")

    assert "EncoderError" in refused(Scaled(other=Uncopied()), preprocess=as_floats)


def test_as_encoder__of_other_objects() -> None:
    assert as_encoder(mean_colour).info.id == "mean_colour"
    assert as_encoder(lambda image: [1.0]).info.id == "lambda"
    assert as_encoder(mean_colour, name="mine").info.id == "mine"
    ready = as_encoder(mean_colour)
    assert as_encoder(ready) is ready
    assert as_encoder(ready, name="mine").info.id == "mine"
    assert "--dt" in refusal(as_encoder, ready, dtype="bfloat16")
    for thing in (mean_colour, ready):
        assert "torch.nn.Module" in refusal(as_encoder, thing, preprocess=as_floats)
    assert f"{'x' * 59}" in refusal(as_encoder, "x" * 99)
    assert "mean_colour" in refusal(as_encoder, mean_colour, mode="squash")
    assert (is_module(nn.Identity()), is_module(nn.Identity)) == (True, False)
