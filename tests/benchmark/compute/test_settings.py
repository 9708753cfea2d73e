"""Settings of a process and of products, sentences about memory, and devices by name: each decision by itself."""

from __future__ import annotations

import gc
import os
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from benchmark.compute import budget, devices, json_records, kernels, memory, named_devices, process, threads
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


def test_prepare_process__waits_asleep_and_reuses_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(process, "wait_asleep", lambda: done.append("asleep"))
    monkeypatch.setattr(process, "keep_freed_memory", lambda: done.append("memory"))
    process.prepare_process()
    assert done == ["asleep", "memory"]


@pytest.mark.parametrize(
    ("accepted", "sizes", "result"),
    [({1 << 28}, [1 << 28], True), ({1 << 25}, [1 << 28, 1 << 25], True), (set(), [1 << 28, 1 << 25], False)],
)
def test_keep_freed_memory__asks_glibc_for_the_largest_that_it_accepts(
    accepted: set[int], sizes: list[int], result: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []

    def mallopt(name: int, value: int) -> int:
        calls.append((name, value))
        return int(name != -3 or value in accepted)

    monkeypatch.setattr(process.sys, "platform", "linux")
    monkeypatch.setattr(process, "ctypes", SimpleNamespace(CDLL=lambda name: SimpleNamespace(mallopt=mallopt)))
    assert process.keep_freed_memory() is result
    assert calls == [(-8, 1), (-1, 1 << 30), *((-3, size) for size in sizes)]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_keep_freed_memory__without_glibc_nothing_is_set(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def library(name: None) -> Any:
        if platform == "darwin":
            raise AssertionError("it is not looked for")
        return SimpleNamespace()

    monkeypatch.setattr(process.sys, "platform", platform)
    monkeypatch.setattr(process, "ctypes", SimpleNamespace(CDLL=library))
    assert process.keep_freed_memory() is False


@pytest.mark.parametrize("was_enabled", [True, False])
def test_import_torch__leaves_garbage_collection_as_it_was(was_enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setitem(sys.modules, "torch", torch)
    process.import_torch()  # it is there already
    with monkeypatch.context() as patch:
        patch.setattr(process, "sys", SimpleNamespace(modules={}))
        collector = SimpleNamespace(
            isenabled=lambda: was_enabled,
            disable=lambda: done.append("disable"),
            enable=lambda: done.append("enable"),
            freeze=lambda: done.append("freeze"),
        )
        patch.setattr(process, "gc", collector)
        patch.setattr(process, "atexit", SimpleNamespace(register=lambda function: done.append(function.__name__)))
        process.import_torch()
    assert done == ["disable", *(["enable"] if was_enabled else []), "freeze", "<lambda>"]
    assert gc.isenabled()


class Registered:
    """``atexit`` of a process in which some functions are registered already."""

    def __init__(self, count: int) -> None:
        self.count, self.functions = count, []

    def _ncallbacks(self) -> int:
        return self.count

    def register(self, *given: Any) -> None:
        self.functions.append(given)

    def _run_exitfuncs(self) -> None:
        self.functions.append(("run",))


@pytest.mark.parametrize(("count", "ends"), [(0, True), (1, False)])
def test_run_and_exit__registers_its_end_only_where_it_is_the_first(
    count: int, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = Registered(count)
    monkeypatch.setattr(process, "atexit", registered)
    monkeypatch.setattr(process.threading, "enumerate", lambda: [threading.main_thread()])
    assert process.run_and_exit(lambda: len(registered.functions)) == int(ends)  # before the run
    assert registered.functions == ([(process._end, [1])] if ends else [])


def test_run_and_exit__of_a_thread_that_does_not_end_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registered, ends = Registered(0), []
    monkeypatch.setattr(process, "atexit", registered)
    monkeypatch.setattr(process.os, "_exit", ends.append)
    monkeypatch.setattr(process, "THREADS_S", 0.01)
    clean_up = threading.Event()
    process._end_without_threads(clean_up, 6)
    assert ends == [6]
    assert registered.functions == [("run",)]
    assert capsys.readouterr().err == (
        "camtrace: threads that an encoder or a library started do not end; ended without them\n"
    )
    clean_up.set()
    process._end_without_threads(clean_up, 6)
    assert ends == [6]


@pytest.mark.parametrize("daemon", [True, False])
def test_run_and_exit__watches_only_where_python_would_wait_for_a_thread(
    daemon: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered, made = Registered(0), []
    other = SimpleNamespace(daemon=daemon)

    def thread(**given: Any) -> Any:
        made.append(given)
        return SimpleNamespace(start=lambda: made.append("started"))

    monkeypatch.setattr(process, "atexit", registered)
    monkeypatch.setattr(process.threading, "enumerate", lambda: [threading.main_thread(), other])
    monkeypatch.setattr(process.threading, "Thread", thread)
    assert process.run_and_exit(lambda: 5) == 5
    if daemon:
        assert (made, len(registered.functions)) == ([], 1)
        return
    options, started = made
    clean_up, status = options.pop("args")
    assert (options, status, started) == ({"target": process._end_without_threads, "daemon": True}, 5, "started")
    (end,) = registered.functions[1]
    assert not clean_up.is_set()
    end()
    assert clean_up.is_set()


def test_end__only_after_a_run_that_returned_and_with_output_written(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr(process.os, "_exit", ends.append)
    flushed: list[Any] = []
    library = SimpleNamespace(fflush=flushed.append)
    monkeypatch.setattr(process, "ctypes", SimpleNamespace(CDLL=lambda name: library))
    process._end([])
    assert (ends, flushed) == ([], [])
    process._end([4])
    assert (ends, flushed) == ([4], [None])
    monkeypatch.setattr(process, "ctypes", SimpleNamespace(CDLL=lambda name: SimpleNamespace()))
    process._end([4])
    assert ends == [4]  # Python's clean-up handles it


@pytest.mark.parametrize(
    ("text", "system", "processor", "vendor"),
    [
        ("processor\t: 0\nvendor_id\t: GenuineIntel\nvendor_id\t: Other\n", "Linux", "x", "GenuineIntel"),
        ("vendor_id : A: B\n", "Linux", "x", "A: B"),
        ("model name : vendor_id\n", "Linux", "Intel64 Family, GenuineIntel", ""),
        (None, "Windows", "Intel64 Family 6 Model 85, GenuineIntel", "GenuineIntel"),
        (None, "Darwin", "arm AuthenticAMD", ""),
    ],
)
def test_vendor__of_the_processor(
    text: str | None, system: str, processor: str, vendor: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "CPU_INFO", tmp_path / "cpuinfo")
    if text is not None:
        kernels.CPU_INFO.write_text(text)
    monkeypatch.setattr(kernels.platform, "system", lambda: system)
    monkeypatch.setattr(kernels.platform, "processor", lambda: processor)
    assert kernels._vendor() == vendor


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


@pytest.mark.parametrize(
    ("rows", "count", "least"), [(100, 3, 33), (2000, 3, 512), (2, 3, 1), (0, 3, 1), (1535, 3, 511)]
)
def test_in_parts__least_rows_of_a_part(rows: int, count: int, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: count)
    monkeypatch.setattr(kernels, "chunks", lambda *given: calls.append(given) or [slice(2, 5), slice(5, 9)])
    monkeypatch.setattr(kernels, "parallel_map", lambda work, pieces: [work(piece) for piece in pieces])
    parts: list[tuple[int, int]] = []
    kernels.in_parts(rows, lambda first, last: parts.append((first, last)))
    assert calls == [(rows, least)]
    assert parts == [(2, 5), (5, 9)]


def test_parallel_map__one_piece_or_one_thread_has_no_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_pool", lambda *given: pytest.fail("a pool is made"))
    for count, pieces in ((1, [1, 2, 3]), (4, [5]), (4, [])):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
        assert threads.parallel_map(lambda piece: piece * 2, pieces) == [2 * piece for piece in pieces]


def test_parallel_map__its_pool_has_as_many_threads_as_torch(three_threads: None) -> None:
    pool = threads._pool(os.getpid(), 3)
    assert pool is threads._pool(os.getpid(), 3)
    assert pool is not threads._pool(os.getpid(), 2)
    assert (pool._max_workers, pool._thread_name_prefix) == (3, "side-by-side")
    names = threads.parallel_map(lambda _: threading.current_thread().name, range(9))
    assert all(name.startswith("side-by-side") for name in names)


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


def test_budget__of_a_card_is_a_share_of_what_is_free_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_on_gpu", lambda device: {1: 10 << 30}[device.index])
    monkeypatch.setattr(memory, "free_on_host", lambda: 8 << 30)
    assert budget("cuda:1") == 5 << 30
    assert budget(torch.device("cuda", 1), 0.25) == (10 << 30) // 4
    assert budget("cpu") == budget("mps") == 4 << 30
    monkeypatch.setattr(memory, "free_on_host", lambda: 1)
    assert budget("cpu") == 256 << 20


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


def test_free_cached__collects_garbage_and_empties_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(memory, "gc", SimpleNamespace(collect=lambda: done.append("collect")))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("empty"))
    for available, expected in ((False, ["collect"]), (True, ["collect", "empty"])):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        for call in (
            memory.free_cached,
            lambda: with_less_memory("x", fails_first(), 4 << 20),
            lambda: FittingBatch("x", fails_first(), 4)(torch.zeros(2, 1)),
        ):
            done.clear()
            call()
            assert done == expected


def fails_first() -> Any:
    tried: list[Any] = []

    def work(given: Any) -> Any:
        tried.append(given)
        if len(tried) == 1:
            raise MemoryError
        return given

    return work


def test_write_record__is_one_line_of_json(tmp_path: Any) -> None:
    import dataclasses

    @dataclasses.dataclass
    class Speed:
        views: float
        names: tuple[str, ...] = ()

    json_records.write_record(tmp_path / "new" / "speed.json", Speed(3.5, ("a",)))
    assert (tmp_path / "new" / "speed.json").read_text() == '{"views": 3.5, "names": ["a"]}\n'
