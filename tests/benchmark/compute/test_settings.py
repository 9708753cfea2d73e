"""Settings of a process and of products, sentences about memory, and devices by name: each decision by itself."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest
import torch

from benchmark.compute import kernels, named_devices, process
from builders.errors import UsageError


def test_wait_asleep__unless_the_user_set_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("OMP_WAIT_POLICY", "PASSIVE"), ("OPENBLAS_THREAD_TIMEOUT", "4")):
        monkeypatch.delenv(name, raising=False)
        process.wait_asleep()
        assert os.environ[name] == value
        monkeypatch.setenv(name, "mine")
        process.wait_asleep()
        assert os.environ[name] == "mine"


def test_compiled_module__is_tried_out_once_and_without_it_torch_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    tried: list[str] = []
    good, bad = ModuleType("camtrace_good"), ModuleType("camtrace_bad")
    good.try_out = lambda: tried.append("good")  # type: ignore[attr-defined]

    def broken() -> None:
        raise ValueError("no such type")

    bad.try_out = broken  # type: ignore[attr-defined]
    for module in (good, bad):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    assert kernels.compiled_module("camtrace_good", "Good ones") is good
    assert kernels.compiled_module("camtrace_good", "Good ones") is good
    assert tried == ["good"]

    def of_a_module() -> ModuleType | None:  # which is the module that the warning is about
        return kernels.compiled_module("camtrace_bad", "Bad ones")

    with pytest.warns(RuntimeWarning) as warned:
        assert of_a_module() is None
    assert [str(one.message) for one in warned] == [
        "Bad ones cannot be compiled (ValueError: no such type); going on with torch, slower"
    ]
    assert warned[0].filename == __file__


def cards(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("count", "requested", "sentence"),
    [
        (0, "cuda:all", "there is no CUDA card here (or CUDA_VISIBLE_DEVICES hides all of them)"),
        (2, "cuda:0,cuda:2", "cuda:2 is not one of the 2 cards here (cuda:0, cuda:1, ...)"),
        (2, "cuda:1,cuda", "cuda is not one of the 2 cards here (cuda:0, cuda:1, ...)"),
        (2, "cuda:1,cuda:1", "each card once"),
        (2, "cuda:1,cpu", "devices of one type share a run, others round differently"),
        (2, "cuda:1,", "give devices such as cuda:0,cuda:2, or cuda:all"),
        (2, "cuda:1,gpu", "give devices such as cuda:0,cuda:2, or cuda:all"),
    ],
)
def test_named_devices__refuses_in_a_sentence(
    count: int, requested: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards(monkeypatch, count)
    with pytest.raises(UsageError) as error:
        named_devices(requested)
    assert str(error.value) == f"--device {requested}: {sentence}"
