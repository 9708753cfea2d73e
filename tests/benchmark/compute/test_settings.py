"""Settings of a process and of products, sentences about memory, and devices by name: each decision by itself."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

import pytest
import torch

from benchmark.compute import devices, json_records, kernels, named_devices, process
from benchmark.compute.memory import FittingBatch, with_less_memory
from builders.errors import EncoderError, UsageError


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
    ("requested", "named"),
    [
        ("cuda:all", ("cuda:0", "cuda:1", "cuda:2")),
        ("cuda:0,cuda:2", ("cuda:0", "cuda:2")),
        (" cuda:2 ,cuda:1 ", ("cuda:2", "cuda:1")),
        ("cuda:9", ("cuda:9",)),
        ("cpu,cpu,cpu", ("cpu", "cpu", "cpu")),
    ],
)
def test_named_devices__of_three_cards(requested: str, named: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    cards(monkeypatch, 3)
    assert named_devices(requested) == named


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


def test_uploaded__to_a_card_through_pinned_memory() -> None:
    calls: list[Any] = []

    class Given:
        device = torch.device("cpu")

        def pin_memory(self) -> Any:
            calls.append("pinned")
            return self

        def to(self, device: torch.device, **more: Any) -> str:
            calls.append((device.type, more))
            return "there"

    given: Any = Given()
    assert devices.uploaded(given, torch.device("cuda")) == "there"
    assert calls == ["pinned", ("cuda", {"non_blocking": True})]
    calls.clear()
    given.device = torch.device("cuda", 1)
    assert devices.uploaded(given, torch.device("cuda", 0)) == "there"
    assert calls == [("cuda", {})]


def test_sentences__where_memory_runs_out(capsys: pytest.CaptureFixture[str]) -> None:
    def none(batch: torch.Tensor) -> torch.Tensor:
        raise MemoryError("no room")

    with pytest.raises(EncoderError) as error:
        FittingBatch("toy", none, 4)(torch.zeros(3, 2))
    assert str(error.value) == (
        "toy: the memory does not hold the forward pass of one view; use another --device, fewer encoders at a time "
        "(sweep --together) or a smaller encoder"
    )
    assert capsys.readouterr().err == "camtrace: toy: 3 views do not fit, 1 at a time now\n"
    with pytest.raises(EncoderError) as error:
        with_less_memory("kNN", none, 1 << 20)  # type: ignore[arg-type]
    assert str(error.value) == "kNN: memory runs out however small its parts are (no room); use --device cpu"


def test_write_record__is_one_line_of_json(tmp_path: Any) -> None:
    import dataclasses

    @dataclasses.dataclass
    class Speed:
        views: float
        names: tuple[str, ...] = ()

    json_records.write_record(tmp_path / "new" / "speed.json", Speed(3.5, ("a",)))
    assert (tmp_path / "new" / "speed.json").read_text() == '{"views": 3.5, "names": ["a"]}\n'
