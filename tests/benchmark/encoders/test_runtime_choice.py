"""The library that ``auto`` chooses: the faster one, measured once per machine and network; else torch."""

import json
from dataclasses import replace

import pytest
import torch

from benchmark.encoders.runtime.speed import LEAST, choice_of
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
    assert "OpenVINO" in first.runtime.reason
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
