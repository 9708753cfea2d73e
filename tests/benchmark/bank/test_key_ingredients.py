"""What a cache must distinguish, tested by runs: a second run embeds everything again, or nothing."""

import dataclasses
import hashlib
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.bank import PhotoHashes, bank_key, key_hash, key_of
from benchmark.bank.keys import encoder_key, ids_only_hash
from benchmark.encoders import Encoder, EncoderInfo
from benchmark.scoring.run import Scored
from builders.errors import PhotoError
from builders.photos import PhotoSet
from tests.support.images import image_bytes, mean_colour
from tests.support.scoring import as_floats, score_tasks


def png(seed: int) -> bytes:
    return image_bytes(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8), "PNG")


def photo_set(seeds=range(6), name="p") -> PhotoSet:
    files = {f"{name}{i}": png(seed) for i, seed in enumerate(seeds)}
    return PhotoSet.of_bytes("photos", files, None, ["train"] * 4 + ["val"] * 2)


def padded(batch: torch.Tensor) -> torch.Tensor:
    return torch.cat([batch.float(), batch[:, :1].float()], dim=1)


def encoder(*, dtype="float32", compiled=False, embed=as_floats, **changes) -> Encoder:
    fields = {
        "id": "toy",
        "library": "callable",
        "revision": "abc",
        "weights_sha256": "0" * 64,
        "dimension": embed(torch.zeros(1, 3)).shape[1],
        "preprocessing": {"size": 16},
        "pooling": "mean",
        "parameters": 0,
    }
    return Encoder(EncoderInfo(**{**fields, **changes}), mean_colour, embed, "cpu", dtype, compiled)


def run(cache, *, task="probe/interpolation", photos=None, options=None, **changes) -> Scored:
    given = photos or photo_set()
    return score_tasks(encoder(**changes), given, [task], cache, force_dtype=True, **(options or {}))


def test_cache__an_identical_run_embeds_nothing(tmp_path):
    assert run(tmp_path).result.cost["views"] == 6 * 4
    again = run(tmp_path)
    assert (again.result.cost["photos"], again.result.cost["views"]) == (0, 0)
    # neither the group of an encoder nor how a probe is fitted affects an embedding
    assert run(tmp_path, group="SSL", parameters=7, options={"assignment_seeds": 2}).result.cost["views"] == 0


def renamed(order: list[int]) -> PhotoSet:
    """The same bytes in the same order, with permuted ids."""
    photos = photo_set()
    return dataclasses.replace(photos, ids=tuple(photos.ids[i] for i in order))


CHANGES = {
    "id": {"id": "other"},
    "library": {"library": "timm"},
    "revision": {"revision": "abd"},
    "weights": {"weights_sha256": "1" * 64},
    "preprocessing": {"preprocessing": {"size": 17}},
    "pooling": {"pooling": "token"},
    "dimension": {"embed": padded},
    "dtype": {"dtype": "bfloat16"},
    "compiled": {"compiled": True},
    "storage": {"options": {"storage": "float16"}},
    "seed of the scale": {"options": {"seed": 1}},
    "fresh": {"options": {"fresh": True}},
    "ids": {"photos": photo_set(name="q")},
    "ids exchanged": {"photos": renamed([1, 0, 2, 3, 4, 5])},
    "bytes": {"photos": photo_set([0, 1, 2, 3, 4, 77])},
    "bytes of two exchanged": {"photos": photo_set([1, 0, 2, 3, 4, 5])},
    "order": {"photos": photo_set().select([1, 0, 2, 3, 4, 5])},
}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """A cache after the first run."""
    folder = tmp_path_factory.mktemp("embedded")
    run(folder)
    return folder


@pytest.mark.parametrize("what", list(CHANGES)[::3])
def test_cache__a_change_of_any_ingredient_embeds_again(embedded, tmp_path, what):
    shutil.copytree(embedded, tmp_path, dirs_exist_ok=True)
    assert run(tmp_path, **CHANGES[what]).result.cost["views"] == 6 * 4


def test_cache__another_codec_embeds_again(embedded, tmp_path, monkeypatch):
    shutil.copytree(embedded, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr("benchmark.bank.keys.codec_canary", lambda: "another codec")
    assert run(tmp_path).result.cost["views"] == 6 * 4


def test_cache__an_encoder_that_cannot_be_identified_is_never_cached(tmp_path):
    assert run(tmp_path, weights_sha256=None).result.cost["views"] == 6 * 4
    assert list(tmp_path.rglob("*.npy")) == []
    assert run(tmp_path, weights_sha256=None).result.cost["views"] == 6 * 4


def test_bytes_hash__depends_on_every_photo_and_on_the_order():
    """More photos than are read at a time."""
    files = {f"{i}": f"{i}".encode() for i in range(1100)}
    full = PhotoSet.of_bytes("many", files)
    order = np.arange(1100)
    swapped = order.copy()
    swapped[[3, 1090]] = [1090, 3]
    measured = [
        PhotoHashes(full).bytes_hash(),
        PhotoHashes(PhotoSet.of_bytes("many", {**files, "1099": b"another"})).bytes_hash(),
        PhotoHashes(PhotoSet.of_bytes("many", {**files, "0": b"another"})).bytes_hash(),
        PhotoHashes(full.select(swapped)).bytes_hash(),
        PhotoHashes(full.select(order[:-1])).bytes_hash(),
    ]
    assert len(set(measured)) == 5
    assert PhotoHashes(dataclasses.replace(full, name="other")).bytes_hash() == measured[0]
    assert PhotoHashes(full, workers=1).bytes_hash() == measured[0]


@dataclasses.dataclass(frozen=True)
class Torn:
    """A photo that can be read, then one that cannot, for a reason."""

    reason: str

    def read(self, row: int) -> bytes:
        if row == 1:
            raise PhotoError(self.reason)
        return b"first"


def test_bytes_hash__an_unreadable_photo_counts_by_its_reason():
    """By hand: SHA-256 of all photos' SHA-256, with the reason in place of bytes; another reason gives another hash."""

    def of(reason: str) -> str:
        photos = PhotoSet.of_bytes("t", {"a": b"", "b": b""})
        return PhotoHashes(dataclasses.replace(photos, source=Torn(reason))).bytes_hash()

    parts = [b"first", b"unreadable: the file is empty"]
    by_hand = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]
    assert of("the file is empty") == by_hand
    assert of("the disk did not answer") != by_hand


@dataclasses.dataclass(frozen=True)
class Simulated:
    """Photos that follow from a number; reading them is an error."""

    number: int

    def fingerprint(self) -> str:
        return f"simulated {self.number}"

    def read(self, row: int) -> bytes:
        raise AssertionError("read")


def test_bytes_hash__of_simulated_photos_follows_from_their_fingerprint():
    def of(number: int, rows: list[int]) -> str:
        photos = PhotoSet.of_bytes("s", {f"{i}": b"" for i in rows})
        return PhotoHashes(dataclasses.replace(photos, source=Simulated(number), rows=np.array(rows))).bytes_hash()

    assert len({of(1, [0, 1, 2]), of(2, [0, 1, 2]), of(1, [0, 2, 1]), of(1, [0, 1])}) == 4
    assert of(1, [0, 1, 2]) == of(1, [0, 1, 2])


def test_key_hash__depends_on_every_value_but_not_on_the_order_of_names():
    key = {"a": 1, "b": {"c": [1, 2], "d": None}}
    assert key_hash(key) == key_hash({"b": {"d": None, "c": [1, 2]}, "a": 1})
    assert len({key_hash(key), key_hash({**key, "a": 2}), key_hash({"a": 1, "b": {"c": [2, 1], "d": None}})}) == 3


@pytest.mark.parametrize(("device", "counts"), [("", "cpu"), ("cpu", "cpu"), ("cuda:1", "cuda")])
def test_key_of__the_device_on_which_it_will_compute(device, counts):
    toy = encoder(dtype="bfloat16")
    key = key_of(toy, photo_set(), "h", "float16", device=device)
    assert key == bank_key(toy.info, "bfloat16", photo_set(), "h", "float16", device=counts)
    assert key != key_of(toy, photo_set(), "h", "float16", device="mps")


def test_ids_only_hash__where_one_id_ends_and_the_next_begins():
    ids = [("ab", "c"), ("a", "bc"), ("abc",), ("c", "ab"), ("ab", "c", ""), ("",), ("\udcff", "é")]
    raw = [b"ab\0c", b"a\0bc", b"abc", b"c\0ab", b"ab\0c\0", b"", b"\xff\0\xc3\xa9"]
    expected = [hashlib.sha256(one).hexdigest()[:16] for one in raw]
    assert [ids_only_hash(one) for one in ids] == expected
    assert len(set(expected)) == len(ids)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_encoder_key__every_part_and_the_device_where_it_rounds_differently(dtype, compiled):
    info = encoder().info
    runtime = SimpleNamespace(key=lambda: {"name": "onnx"})
    expected = {
        "id": info.id, "library": info.library, "revision": info.revision, "weights_sha256": info.weights_sha256,
        "dimension": info.dimension, "pooling": info.pooling, "preprocessing": dict(info.preprocessing), "dtype": dtype,
        **({"compiled": True} if compiled else {}), **({} if dtype == "float32" else {"device_type": "cuda"}),
    }  # fmt: skip
    assert encoder_key(info, dtype, compiled=compiled, device="cuda:3", runtime=None) == expected
    with_runtime = encoder_key(info, dtype, compiled=compiled, device="cuda:3", runtime=runtime)
    assert with_runtime == {**expected, "runtime": {"name": "onnx"}}
