"""The plan of a pass: which blocks lack what, how photos are gathered, which views belong together, what it cost."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.answers import ClosedQuestion, questions_hash, reversed_order
from benchmark.bank import Asking, Blocks, PassCost, PhotoHashes, answering, hash_of_block
from benchmark.bank.fill.batches import of_same_shapes
from benchmark.bank.fill.device_copy import joined
from benchmark.bank.fill.device_process import check_same_encoder
from benchmark.bank.fill.fill import PassOutcome
from benchmark.bank.fill.members import (
    EncoderState,
)
from benchmark.bank.keys import encoder_key
from benchmark.encoders import Runtime
from benchmark.views import PhotoViews
from builders.errors import EncoderError
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder


class Store:
    """A store that lacks given blocks by view."""

    def __init__(self, photos, **lacks):
        self.blocks, self.lacks = Blocks(photos), {name: set(blocks) for name, blocks in lacks.items()}

    def missing(self, name):
        return self.lacks[name]

    def is_finished(self, name, block):
        return block not in self.lacks[name]


def views_of(*shapes, failures=(), index=3):
    arrays = tuple(torch.zeros(shape) for shape in shapes)
    return PhotoViews(index, arrays, "", "jpeg", 0.5, view_failures=failures)


def test_of_same_shapes__a_preprocessing_that_changes_its_shape_fails_for_that_photo_alone():
    shapes = {}
    first = views_of((2, 4, 4), (2, 5))
    assert of_same_shapes(first, shapes, ("a", "b")) is first
    assert shapes == {0: (4, 4), 1: (5,)}
    empty = views_of((0,), (2, 5))
    assert of_same_shapes(empty, shapes, ("a", "b")) is empty
    odd = of_same_shapes(views_of((2, 4, 4), (2, 6)), shapes, ("a", "b"))
    assert [len(array) for array in odd.arrays] == [2, 0]
    assert dict(odd.view_failures[0]) == {}
    reasons = odd.view_failures[1]
    assert list(reasons) == ["a", "b"]
    assert "photos" in reasons["a"]
    both = of_same_shapes(views_of((2, 3), (2, 5), failures=({"a": "x"}, {"b": "y"})), shapes, ("a", "b"))
    assert both.view_failures[1] == {"b": "y"}
    assert set(both.view_failures[0]) == {"a", "b"}
    assert shapes == {0: (4, 4), 1: (5,)}


def test_patches_of__places_repeated_for_views():
    state = EncoderState(toy_encoder(as_rows, None, 3), Store(4, a=[]), 8)
    assert state.patches_of([0, 1], 2) is None
    state.patches = np.arange(8.0).reshape(4, 2)
    assert state.patches_of((3, 0), 2).tolist() == [[6, 7], [6, 7], [0, 1], [0, 1]]


def test_joined__only_what_is_adjacent_in_one_memory():
    slot = torch.arange(24).reshape(8, 3)
    other = slot.clone()
    cases = [
        ([slot[0:2], slot[2:5], slot[5:8]], [8]),
        ([slot[0:2], slot[3:5]], [2, 2]),
        ([slot[2:4], slot[0:2]], [2, 2]),
        ([slot[0:2], other[2:4]], [2, 2]),
        ([slot[0:2], slot[2:4].double()], [2, 2]),
        ([slot[0:2, :2], slot[2:4, :2]], [2, 2]),
        ([slot[0:1]], [1]),
        ([slot.flatten()[0:3].reshape(1, 3), slot.flatten()[3:5].reshape(1, 2)], [1, 1]),
    ]
    for parts, sizes in cases:
        runs = joined(parts)
        assert [len(run) for run in runs] == sizes
        assert [row.tolist() for run in runs for row in run] == [row.tolist() for part in parts for row in part]
    assert joined(cases[0][0])[0].data_ptr() == slot.data_ptr()


@pytest.mark.parametrize("seed", range(6))
def test_joined__views_of_one_memory_in_any_layout(seed):
    """Rows stay what they were; two neighbours are one where both are rows in order, and the second begins at once."""
    rng, memory = np.random.default_rng(seed), torch.arange(400)
    parts, start = [], 0
    for _ in range(40):
        rows, layout = int(rng.integers(1, 4)), rng.choice(["rows", "rows", "rows", "columns", "gap"])
        strides = {"rows": (3, 1), "columns": (1, rows), "gap": (4, 1)}[layout]
        parts.append(memory.as_strided((rows, 3), strides, start))
        start = (start + 3 * rows + int(rng.choice([0, 0, 0, 1]))) % 350
    sizes: list[int] = []
    for before, part in zip([None, *parts], parts, strict=False):
        in_order = [one is not None and (one.stride() == (3, 1) or (one.shape == (1, 3) and one.stride()[1] == 1))
                    for one in (before, part)]  # fmt: skip
        if all(in_order) and before.storage_offset() + 3 * len(before) == part.storage_offset():
            sizes[-1] += len(part)
        else:
            sizes.append(len(part))
    runs = joined(parts)
    assert [row.tolist() for run in runs for row in run] == [row.tolist() for part in parts for row in part]
    assert [len(run) for run in runs] == sizes


def test_cost_of__shares_sum_to_the_pass():
    cost = PassCost(10, 30, 8.0, 1.5, 4.5, 3.0, 0.6)  # the thread was busy for longer than its encoders
    outcome = PassOutcome(cost, {}, (20, 10), (2.5, 1.5))
    first, second = outcome.cost_of(0), outcome.cost_of(1)
    assert (first.photos, first.views, first.forward_s) == (10, 20, 2.5)
    assert first.wall_s == pytest.approx(2.5 + (8 - 4) * 2 / 3)
    for name in ("wall_s", "waiting_s", "making_s", "compiling_s"):
        assert getattr(first, name) + getattr(second, name) == pytest.approx(getattr(cost, name))
        assert getattr(second, name) < getattr(first, name)
    nothing = PassOutcome(PassCost(0, 0, 1.0, 0.4, 0.0, 0.2), {}, (0, 0, 0, 0), (0.0,) * 4)
    assert nothing.cost_of(3).waiting_s == pytest.approx(0.1)


CAT = ClosedQuestion("1", "a", "What is it?", ("cat", "dog", "cow"), 0)
YES = ClosedQuestion("2", "a", "Is it night?", ("yes", "no"), 1)
OTHER = ClosedQuestion("1", "b", "Is it?", ("yes", "no"), 1)


def test_asking__columns_of_each_photo_and_a_key_of_what_decides_logits():
    asking = Asking((CAT, OTHER, YES))
    assert {photo: [put.columns for put in puts] for photo, puts in asking.by_photo.items()} == {
        "a": [slice(0, 3), slice(3, 5)],
        "b": [slice(0, 2)],
    }
    assert (asking.width, Asking((OTHER,)).width) == (5, 2)
    assert [prompt.text for prompt in asking.prompts()] == [CAT.prompt, YES.prompt, OTHER.prompt]
    every = questions_hash((CAT, OTHER, YES))
    assert asking.key() == {"questions": every}
    assert Asking((CAT, OTHER, YES), reverse=True).key() == {"questions": every, "reverse": True}
    assert Asking((CAT, OTHER, YES), batch=7).key() == {"questions": every, "batch": 7}
    assert reversed_order(CAT) == (2, 1, 0)


def test_answering__its_identity_is_the_models_and_it_takes_no_pixels():
    identity = {"id": "vlm", "library": "l", "revision": "r", "weights_sha256": "w", "processor": {"size": 4}}
    model = SimpleNamespace(identity=identity, device="cpu", dtype="bfloat16")
    encoder = answering(model, Asking((CAT,), reverse=True))
    info = encoder.info
    assert (info.id, info.library, info.revision, info.weights_sha256, info.dimension) == ("vlm", "l", "r", "w", 3)
    assert info.preprocessing == {"processor": {"size": 4}, "questions": questions_hash((CAT,)), "reverse": True}
    assert (encoder.device, encoder.dtype) == ("cpu", "bfloat16")
    with pytest.raises(EncoderError, match="pictures"):
        encoder.preprocess(None)
    with pytest.raises(EncoderError, match="questions"):
        encoder.embed(torch.zeros(1))


def same(encoder, key, **more):
    return check_same_encoder(encoder, SimpleNamespace(key={"encoder": key}, encoder="named"), "cuda:1", **more)


def test_check_same_encoder__every_difference_is_named():
    encoder = toy_encoder(as_rows, None, 3, name="loaded", preprocessing={"sizes": (1, 2)})
    key = encoder_key(encoder.info, "float32", compiled=False, device="cpu", runtime=None)
    key = {**key, "id": "named", "preprocessing": {"sizes": [1, 2]}}  # as JSON holds it
    assert same(encoder, key).info.id == "named"
    for change, named in (
        ({"weights_sha256": "1"}, "weights_sha256"),
        ({"dtype": "float16", "device_type": "cuda"}, "dtype, device_type"),
        ({"runtime": {"name": "onnx"}}, "runtime"),
        ({"pooling": "x", "compiled": True}, "pooling, compiled"),
    ):
        with pytest.raises(EncoderError) as error:
            same(encoder, {**key, **change})
        assert f"{named}" in str(error.value)


def test_check_same_encoder__torch_where_the_gate_chose_it():
    in_torch = toy_encoder(as_rows, None, 3, name="loaded")
    by_runtime = toy_encoder(as_rows, None, 3, name="loaded", runtime=Runtime("onnx", "1"), in_torch=lambda: in_torch)
    key = {**encoder_key(in_torch.info, "float32", compiled=False, device="cpu", runtime=None), "id": "named"}
    assert same(by_runtime, key).runtime is None
    with_runtime = encoder_key(by_runtime.info, "float32", compiled=False, device="cpu", runtime=by_runtime.runtime)
    assert same(by_runtime, {**with_runtime, "id": "named"}).runtime == by_runtime.runtime


def test_hashes__without_a_cache_and_of_unreadable_photos():
    photos = PhotoSet.of_bytes("toy", {"a": b"1", "b": b"2"})
    hashes = PhotoHashes(photos)
    assert (hashes.unknown, hashes.hashed_in_pass, hashes.earlier_name) == (2, False, None)
    first = hashes.bytes_hash()
    assert (hashes.unknown, hashes.read_now, len(first)) == (0, 2, 32)
    assert PhotoHashes(PhotoSet.of_bytes("toy", {"a": b"2", "b": b"1"})).bytes_hash() != first
    assert PhotoHashes(PhotoSet.of_bytes("other", {"x": b"1", "y": b"2"})).bytes_hash() == first
    assert hash_of_block([b"", b"x" * 32]) == hash_of_block([bytes(32), b"x" * 32])
    assert len({hash_of_block([b"a" * 32, b"b" * 32]), hash_of_block([b"b" * 32, b"a" * 32])}) == 2
    hashes.learn(0, b"z" * 32)  # known ones stay
    assert hashes.bytes_hash() == first
