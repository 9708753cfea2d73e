"""Banks of several outputs, and banks that are filled from a file of embeddings."""

import dataclasses

import numpy as np
import pytest

from benchmark.bank import Bank, OutputsBank, fill_from_file
from benchmark.encoders import StoredEmbeddings
from builders.errors import EncoderError
from builders.photos import PhotoSet
from tests.benchmark.bank.test_stores import LAYER, VIEWS, filled, key_of
from tests.support.images import image_bytes


def test_outputs_bank__columns_go_to_the_banks_that_lack_the_block(tmp_path):
    final = filled(tmp_path)
    layer = Bank.open(tmp_path, key_of(), VIEWS, output=LAYER)
    both = OutputsBank([final, layer], [slice(0, 3), slice(3, 5)], 7)
    assert (both.dim, both.encoder, len(both.blocks)) == (7, "toy", 2)
    assert both.key["encoder"] == {"id": "toy", "dimension": 7}
    assert final.key["encoder"]["dimension"] == 3
    assert (both.missing("plain"), both.missing("other")) == ({0, 1}, {0, 1})
    rows = np.arange(14.0).reshape(2, 7)
    both.write_rows("plain", 64, rows)
    both.finish_block("plain", 1, {"65": "cut"}, {"z": 6})
    assert final.view("plain", [64])[0:1].tolist() == [[192, 193, 194]]  # it had the block
    assert final.failures() == {"7": "broken", "3": "cut", "66": "gone"}
    assert layer.view("plain", [64, 65])[0:2].tolist() == [[3, 4], [10, 11]]
    assert layer.failures() == {"65": "cut"}
    assert (both.is_finished("plain", 1), both.is_finished("plain", 0)) == (True, False)
    assert both.missing("plain") == {0}
    both.write_rows("other", 0, rows)
    assert final.view("other", [1])[0:1].tolist() == [[7, 8, 9]]


PICTURE = image_bytes(np.zeros((4, 4, 3), np.uint8))


def stored(*ids, **more):
    vectors = np.arange(3 * len(ids), dtype=np.float32).reshape(-1, 3)
    return StoredEmbeddings("file", vectors, {"plain": {photo: i for i, photo in enumerate(ids)}}, **more)


def one_view(root, count):
    return Bank.open(root, key_of(count), {"plain": VIEWS["plain"]})


def test_fill_from_file__photos_that_cannot_be_decoded_may_lack(tmp_path):
    photos = PhotoSet.of_bytes("toy", {"a": PICTURE, "b": b"broken", "c": PICTURE})
    bank = one_view(tmp_path, 3)
    assert fill_from_file(stored("c", "a"), photos, bank) == 2
    assert bank.view("plain", [0, 1, 2])[0:3].tolist() == [[3, 4, 5], [0, 0, 0], [0, 1, 2]]
    assert list(bank.failures()) == ["b"]
    assert (bank.complete, bank.source_jpeg()) == (True, {})
    assert fill_from_file(stored("c", "a"), photos, bank) == 0  # it has them


def test_fill_from_file__a_photo_that_can_be_decoded_may_not_lack(tmp_path):
    photos = PhotoSet.of_bytes("toy", {"a": PICTURE, "b": PICTURE, "c": b"broken", "d": PICTURE})
    with pytest.raises(EncoderError) as error:
        fill_from_file(stored("a", "x"), photos, one_view(tmp_path, 4))
    assert "embedding" in str(error.value)
    bank = one_view(tmp_path / "scores", 4)
    assert fill_from_file(stored("a", "x", answers_only=True), photos, bank) == 4  # tasks know which they need
    assert bank.failures() == {}


def test_fill_from_file__of_a_built_set_every_photo_can_be_decoded(tmp_path):
    """Its pictures were decoded as it was built: a photo that the file lacks is an error, not one that is left out."""
    photos = PhotoSet.of_bytes("toy", {"a": PICTURE, "b": b"broken"})
    assert fill_from_file(stored("a"), photos, one_view(tmp_path / "plain", 2)) == 1
    built = dataclasses.replace(photos, stored_views=("original",))
    with pytest.raises(EncoderError, match="embedding"):
        fill_from_file(stored("a"), built, one_view(tmp_path / "built", 2))
    assert fill_from_file(stored("a", "b"), built, one_view(tmp_path / "whole", 2)) == 2


def test_fill_from_file__block_by_block(tmp_path):
    """Of 70 photos the last of each block cannot be decoded; rows stand at their photos, failures in their block."""
    ids = [f"{i:02d}" for i in range(70)]
    broken = {"63", "69"}
    photos = PhotoSet.of_bytes("toy", {i: b"broken" if i in broken else PICTURE for i in ids})
    bank = one_view(tmp_path, 70)
    order = [i for i in reversed(ids) if i not in broken]
    assert fill_from_file(stored(*order), photos, bank) == 68
    rows = bank.view("plain", np.arange(70))[0:70]
    assert rows[:, 0].tolist() == [0 if i in broken else 3 * order.index(i) for i in ids]
    assert [list(marker.failures) for marker in bank._views["plain"].markers()] == [["63"], ["69"]]
