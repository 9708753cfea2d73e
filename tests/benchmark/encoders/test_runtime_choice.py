"""The library that ``auto`` chooses: the faster one, measured once per machine and network; else torch."""

import json
from dataclasses import replace

import pytest
import torch

from benchmark.compute import library_version
from benchmark.encoders.runtime.speed import LEAST, choice_file, choice_of, times_as_fast
from builders.errors import EncoderError
from tests.support.networks import Beyond, Counting, Small, made

pytestmark = pytest.mark.usefixtures("as_for_users")


def measured(monkeypatch, speed):
    """Let another library be so many times as fast; counts the measurements."""
    measurements = []
    monkeypatch.setattr(
        "benchmark.encoders.runtime.choose.times_as_fast", lambda *_: measurements.append(speed) or speed
    )
    return measurements


@pytest.mark.slow
def test_auto__chooses_the_faster_library_measured_once(tmp_path, monkeypatch, views):
    measurements = measured(monkeypatch, 1.234)
    first = made(Small(), tmp_path)
    assert (first.runtime.name, first.runtime.speed, first.runtime.reason) == ("openvino", 1.23, "")
    assert made(Small(), tmp_path).runtime == first.runtime
    assert measurements == [1.234]
    [blob] = (tmp_path / "compiled").glob("*.blob")
    blob.unlink()  # as if it had been removed for space: converted again, not measured again
    assert made(Small(), tmp_path).runtime.name == "openvino"
    assert measurements == [1.234]
    assert made(Small(), tmp_path, "openvino").runtime.speed is None  # requested by name: not measured
    assert first.runtime.key() == replace(first.runtime, speed=None).key()


def test_choice_of__the_least_speed_is_enough_to_three_digits():
    speeds = (LEAST - 0.01, LEAST - 0.0049, LEAST, LEAST + 0.01)
    assert [choice_of(speed, "OpenVINO").reason == "" for speed in speeds] == [False, True, True, True]


@pytest.mark.slow
def test_auto__stays_with_torch_where_a_library_is_not_faster_and_does_not_try_again(tmp_path, monkeypatch, views):
    measurements = measured(monkeypatch, 1.04)
    first = made(Small(), tmp_path)
    assert (first.runtime.name, first.runtime.key()) == ("torch", None)
    assert first.runtime.reason == "OpenVINO is 1.04 times as fast as torch here, and 1.05 times is required"
    assert torch.equal(first.embed(views), made(Small(), tmp_path, "torch").embed(views))
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.encoders.runtime.openvino.open_network", lambda *_: pytest.fail("it was tried again"))
        assert made(Small(), tmp_path).runtime == first.runtime
    assert measurements == [1.04]
    assert made(Small(), tmp_path, "openvino").runtime.name == "openvino"
    for damage in ("", "[]", '{"reason": 3}', '{"reason": "", "speed": null}'):
        [file] = (tmp_path / "compiled").glob("*.choice.json")
        file.write_text(damage)
        made(Small(), tmp_path)
        assert json.loads(file.read_text()) == {"reason": first.runtime.reason, "speed": 1.04}
    assert len(measurements) == 5


@pytest.mark.slow
@pytest.mark.parametrize("module", [Counting, Beyond])
def test_auto__what_cannot_be_converted_is_not_tried_again(module, tmp_path, monkeypatch):
    first = made(module(), tmp_path)
    assert first.runtime.name == "torch"
    monkeypatch.setattr("benchmark.encoders.runtime.openvino.open_network", lambda *_: pytest.fail("tried again"))
    assert made(module(), tmp_path).runtime == first.runtime


def test_auto__memory_that_was_short_is_no_verdict(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:

        def short(*_):
            raise EncoderError("no room") from MemoryError()

        patch.setattr("benchmark.encoders.runtime.choose._converted", short)
        assert made(Small(), tmp_path).runtime.reason == "no room"
    assert made(Small(), tmp_path).runtime.name == "openvino"


def test_choice_file__everything_that_decides_is_in_the_name(tmp_path, monkeypatch):
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
        patch.setattr("benchmark.encoders.runtime.speed.CPU_INFO", tmp_path / "cpuinfo")
        names.append(name())
        for bound in ("LEAST", "CLEAR"):
            patch.setattr(f"benchmark.encoders.runtime.speed.{bound}", 2)
            names.append(name())
    monkeypatch.setattr("importlib.metadata.version", lambda package: "another")
    library_version.cache_clear()
    names.append(name())
    assert len(set(names)) == len(names)
    monkeypatch.undo()
    library_version.cache_clear()
    assert name(views=torch.ones(9, 8, 8, 3, dtype=torch.uint8)) == names[0]
    assert choice_file(tmp_path, "openvino", replace(info, weights_sha256=None), views) is None


@pytest.fixture
def on_a_clock(monkeypatch):
    """Two embedders on a clock that only they move (the other's first call takes 0.3 s more), and the list of calls."""
    now, called = [0.0], []

    def by(name, each, first=0.0):
        def embed(views):
            now[0] += each * len(views) + (0 if any(who == name for who, _ in called) else first)
            called.append((name, len(views)))
            return views

        return embed

    monkeypatch.setattr("benchmark.encoders.runtime.speed.time.process_time", lambda: now[0])
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
def test_times_as_fast__two_measurements_decide_a_clear_case(on_a_clock, share, speed):
    embedders, called = on_a_clock
    assert times_as_fast(*embedders(0.01, share), torch.zeros(3, 1)) == pytest.approx(speed)
    assert called == [("other", 3), *[("torch", 3), ("other", 3)] * 2]
