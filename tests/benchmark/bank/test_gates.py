"""Verdicts of gates without an encoder's time: edges of the ratio, views of a gate, what is cached, what is said."""

import dataclasses

import numpy as np
import pytest

from benchmark.bank import PrecisionVerdict, RuntimeVerdict, bank_key, check_precision, gates, key_hash, resolve_runtime
from benchmark.bank.gates import all_views, embedded_by_both
from benchmark.encoders import Runtime
from benchmark.options import RunOptions
from benchmark.views import PlainViews
from builders.errors import DataError, EncoderError
from builders.photos import PhotoSet
from tests.support.images import image_bytes
from tests.support.scoring import as_rows, toy_encoder


def grey(image):
    return np.asarray(image)[:1, :1]


def test_embedded_by_both__photos_that_fail_are_left_out():
    files = {f"{i}": b"broken" if i == 1 else image_bytes(np.full((4, 4, 3), 10 * i, np.uint8)) for i in range(4)}
    photos = PhotoSet.of_bytes("toy", files)
    exact, lower = (toy_encoder(lambda batch, k=k: as_rows(batch) * k, grey, 3) for k in (1, 2))
    reference, rounded = embedded_by_both(exact, lower, photos, PlainViews(), RunOptions(batch_size=2), workers=0)
    assert reference.tolist() == [[[0] * 3, [20] * 3, [30] * 3]]
    assert rounded.tolist() == [[[0] * 3, [40] * 3, [60] * 3]]
    with pytest.raises(DataError, match=r"^bad: none of 1 sampled photos can be used"):
        embedded_by_both(exact, lower, PhotoSet.of_bytes("bad", {"a": b""}), PlainViews(), RunOptions(), workers=0)


PHOTOS = PhotoSet.of_bytes("toy", {"a": image_bytes(np.zeros((4, 4, 3), np.uint8))})


@pytest.fixture
def judged(monkeypatch):
    """Verdicts that comparisons give, and how often they were made."""
    calls = []

    def judge(verdict):
        for name in ("_compare_precisions", "_compare_runtimes"):
            monkeypatch.setattr(gates, name, lambda *given: calls.append(given) or verdict)
        return calls

    return judge


@pytest.mark.parametrize(
    ("dtype", "storage", "gate"),
    [
        ("float32", "float32", False),
        ("float32", "float16", True),
        ("bfloat16", "float32", True),
        ("float16", "float16", True),
    ],
)
def test_check_precision__where_anything_is_rounded_and_once_for_each_key(judged, tmp_path, dtype, storage, gate):
    calls, options = judged(PrecisionVerdict(True, "")), RunOptions(storage=storage, cache=tmp_path)
    encoder = toy_encoder(as_rows, grey, 3, dtype=dtype)
    for _ in range(2):
        assert (check_precision(encoder, PHOTOS, "1f", options) is not None) == gate
    assert len(calls) == gate
    if gate:
        check_precision(encoder, PHOTOS, "2f", options)  # other photos
        check_precision(encoder, PHOTOS, "1f", dataclasses.replace(options, batch_size=7))
        check_precision(encoder, PHOTOS, "1f", dataclasses.replace(options, fresh=True))
        check_precision(toy_encoder(as_rows, grey, 3, dtype=dtype, weights=None), PHOTOS, "1f", options)
        check_precision(toy_encoder(as_rows, grey, 3, dtype=dtype, weights=None), PHOTOS, "1f", options)
        assert len(calls) == 6
        assert len(list((tmp_path / "gates").iterdir())) == 3  # none of an encoder that cannot be identified


def test_resolve_runtime__torch_in_its_place_says_why(judged, tmp_path):
    in_torch = toy_encoder(as_rows, grey, 3, name="t", runtime=Runtime("torch", "2.9"))
    encoder = toy_encoder(as_rows, grey, 3, runtime=Runtime("onnxruntime", "1"), in_torch=lambda: in_torch, reload=len)
    options = RunOptions(cache=tmp_path)
    judged(RuntimeVerdict(True, ""))
    assert resolve_runtime(encoder, PHOTOS, "1", options) == (encoder, RuntimeVerdict(True, ""))
    judged(RuntimeVerdict(False, "too far"))
    chosen, verdict = resolve_runtime(encoder, PHOTOS, "2", options)
    assert (chosen.info.id, chosen.runtime, chosen.reload) == ("t", Runtime("torch", "2.9", reason="too far"), len)
    assert verdict.reason == "too far"
    assert resolve_runtime(encoder, PHOTOS, "2", dataclasses.replace(options, runtime="torch"))[0].info.id == "t"
    with pytest.raises(EncoderError, match=r"^too far$"):
        resolve_runtime(encoder, PHOTOS, "2", dataclasses.replace(options, runtime="onnxruntime"))
    for alone in (in_torch, toy_encoder(as_rows, grey, 3), dataclasses.replace(encoder, in_torch=None)):
        assert resolve_runtime(alone, PHOTOS, "3", options) == (alone, None)


@pytest.fixture
def keys(monkeypatch):
    """Keys of the verdicts that are looked up."""
    looked_up = []

    def cached(kind, key, encoder, options, judge):
        looked_up.append((kind, key))
        return kind(True, "")

    monkeypatch.setattr(gates, "_cached", cached)
    return looked_up


def test_keys__everything_that_decides_a_verdict(keys, tmp_path):
    options = RunOptions(cache=tmp_path, storage="float16", batch_size=5, orientation="stored")
    views = all_views(PHOTOS, options).view_keys()
    lower = toy_encoder(as_rows, grey, 3, dtype="bfloat16", runtime=Runtime("onnxruntime", "1"))
    check_precision(lower, PHOTOS, "1f", options)
    of_bank = bank_key(lower.info, "bfloat16", PHOTOS, "1f", "float16", runtime=lower.runtime)
    gate = {"sample": 32, "threshold": 10.0, "batch_size": 5}
    assert keys.pop() == (PrecisionVerdict, {"gate": gate, **of_bank, "views": views})
    encoder = dataclasses.replace(lower, in_torch=lambda: lower)
    assert resolve_runtime(encoder, PHOTOS, "2f", options)[0] is encoder
    of_bank = bank_key(lower.info, "bfloat16", PHOTOS, "2f", "float32", runtime=lower.runtime)
    gate = {"runtime": True, "sample": 4, "by_far": 100.0, "threshold": 10.0, "largest_error": gates.LARGEST_ERROR}
    assert keys.pop() == (RuntimeVerdict, {"gate": gate, **of_bank, "views": views})


def test_keys__of_another_runtime_or_version_are_others(keys, tmp_path):
    options = RunOptions(cache=tmp_path)
    runtimes = [Runtime("onnxruntime", "1"), Runtime("onnxruntime", "2"), Runtime("openvino", "1")]
    for runtime in runtimes:
        encoder = toy_encoder(as_rows, grey, 3, runtime=runtime)
        resolve_runtime(dataclasses.replace(encoder, in_torch=lambda e=encoder: e), PHOTOS, "1f", options)
    assert len({key_hash(key) for _, key in keys}) == len(runtimes)
