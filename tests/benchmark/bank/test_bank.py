"""Banks: complete keys, resuming, and reading exactly the embeddings that were written."""

import dataclasses
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.bank import Bank, PhotoHashes, bank_key, fill_banks, key_hash
from benchmark.bank.fill.members import preprocess_index
from benchmark.encoders import Encoder, EncoderInfo, Pixels, Runtime
from benchmark.encoders.preprocess.pixels import CenterCrop, ResizeShort
from benchmark.encoders.preprocess.verified import FromTransform, candidates_of_transform, verified
from benchmark.encoders.runtime.choose import RuntimeEmbedder
from benchmark.views import ProcessingViews
from builders.errors import DataError, PhotoError
from builders.photos import PhotoSet
from builders.pixels import PROCESSINGS
from builders.pixels.process import process
from tests.support.images import ppm
from tests.support.processes import start_python

NAMES = ("jpeg-q75-420", "jpeg-q95-444", "interpolation-lanczos")


def some_photos(n: int = 150, broken: tuple[int, ...] = ()) -> PhotoSet:
    return PhotoSet.of_bytes("some", {f"{i}": b"broken" if i in broken else ppm(i) for i in range(n)})


def thumbnail(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((4, 4), Image.Resampling.BOX))


def flat(batch: torch.Tensor) -> torch.Tensor:
    return batch.flatten(1).float()


def toy_encoder(preprocess=thumbnail, **changes) -> Encoder:
    fields = {
        "id": "toy",
        "library": "callable",
        "revision": None,
        "weights_sha256": "0" * 64,
        "dimension": 48,
        "preprocessing": {"size": 4},
        "pooling": "none",
        "parameters": 0,
    }
    return Encoder(EncoderInfo(**{**fields, **changes}), preprocess, flat, "cpu", "float32")


def expected(photos: PhotoSet, index: int, name: str) -> np.ndarray:
    """Reference: the definition, photo by photo."""
    data = np.frombuffer(photos.read(index)[-24 * 32 * 3 :], np.uint8).reshape(24, 32, 3)
    image = process(Image.fromarray(data), PROCESSINGS[name], photos.ids[index], 0)
    return thumbnail(image).reshape(-1).astype(np.float32)


def opened(root, photos: PhotoSet, recipe, encoder: Encoder | None = None, storage="float32", **options) -> Bank:
    info = (encoder or toy_encoder()).info
    key = bank_key(info, "float32", photos, PhotoHashes(photos).bytes_hash(), storage)
    return Bank.open(root, key, recipe.view_keys(), **options)


def filled(root, photos: PhotoSet, names: tuple[str, ...] = NAMES, **options) -> Bank:
    recipe = ProcessingViews(names)
    bank = opened(root, photos, recipe)
    fill_banks(photos, recipe, [toy_encoder()], [bank], **{"workers": 0, **options})
    return bank


def folder_of(bank: Bank, name: str = NAMES[0]) -> Path:
    return bank._views[name].folder


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (64, 0), (7, 2)])
def test_fill_banks__equals_the_definition(tmp_path, batch_size, workers):
    photos = some_photos(70, broken=(0, 13, 69))
    bank = filled(tmp_path, photos, batch_size=batch_size, workers=workers)
    assert bank.complete
    assert set(bank.failures()) == {"0", "13", "69"}
    usable = np.array([i for i in range(70) if i not in (0, 13, 69)])
    for name in NAMES:
        view = bank.view(name, usable)
        assert view.shape == (67, 48)
        np.testing.assert_array_equal(view[0:67], np.stack([expected(photos, i, name) for i in usable]))
        np.testing.assert_array_equal(view[np.array([5, 2])], view[0:6][[5, 2]])


def test_fill_banks__encoders_share_a_pass_and_a_failing_one_is_left_out(tmp_path):
    photos, recipe = some_photos(20), ProcessingViews(NAMES)

    def broken(batch: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no memory left")

    good, bad = toy_encoder(), Encoder(toy_encoder(id="bad").info, thumbnail, broken, "cpu", "float32")
    encoders = [bad, good]
    banks = [opened(tmp_path, photos, recipe, encoder) for encoder in encoders]
    outcome = fill_banks(photos, recipe, encoders, banks, workers=0)
    assert list(outcome.failures) == [0]
    assert "no memory left" in outcome.failures[0]
    assert not banks[0].complete
    np.testing.assert_array_equal(banks[1].view(NAMES[1], np.arange(20))[0:20][3], expected(photos, 3, NAMES[1]))
    assert outcome.cost.views == 60


class Another:
    """A network in another library than torch; records the addresses of its views."""

    version, batch_sizes = "1", ()

    def __init__(self) -> None:
        self.places: list[int] = []

    def __call__(self, chunks):
        self.places += [chunk.ctypes.data for chunk in chunks]
        return [chunk.reshape(len(chunk), -1).astype(np.float32) for chunk in chunks]


def test_fill_banks__networks_share_views_and_a_users_function_gets_a_copy(tmp_path):
    """A user's function may write into its views without effect on other encoders, whose views are not copied."""
    photos, recipe, networks = some_photos(20), ProcessingViews(NAMES), (Another(), Another())

    def writes(batch: torch.Tensor) -> torch.Tensor:
        return flat(batch.zero_())

    embeds = [writes, *(RuntimeEmbedder(f"network{i}", network) for i, network in enumerate(networks))]
    encoders = [
        Encoder(toy_encoder(id=f"e{i}").info, thumbnail, embed, "cpu", "float32") for i, embed in enumerate(embeds)
    ]
    banks = [opened(tmp_path, photos, recipe, encoder) for encoder in encoders]
    assert fill_banks(photos, recipe, encoders, banks, workers=1).failures == {}
    assert networks[0].places == networks[1].places
    assert not banks[0].view(NAMES[1], np.arange(20))[0:20].any()
    for bank in banks[1:]:
        np.testing.assert_array_equal(bank.view(NAMES[1], np.arange(20))[0:20][3], expected(photos, 3, NAMES[1]))


def test_preprocess_index__is_equal_for_equal_preprocessings_of_different_libraries():
    """Transforms of two libraries with the same pixels, and different ones."""
    from torchvision import transforms

    def loaded(size):
        steps = [transforms.Resize(size, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(8)]
        transform = transforms.Compose([*steps, transforms.ToTensor()])
        return verified("toy", FromTransform(transform), candidates_of_transform(transform), "pil").preprocess

    bicubic = Image.Resampling.BICUBIC
    known = []
    pixels = Pixels((ResizeShort(9, bicubic), CenterCrop(8, 8, "round")))
    loaded_and_other = (loaded(9), pixels, loaded(10), thumbnail, loaded(9))
    assert [preprocess_index(known, preprocess) for preprocess in loaded_and_other] == [0, 0, 1, 2, 0]


def test_fill_banks__embeds_only_unfinished_blocks(tmp_path):
    photos = some_photos(150)
    bank = filled(tmp_path, photos)
    assert len(bank.blocks) == 3
    (folder_of(bank, NAMES[1]) / "blocks" / "000001.json").unlink()
    again = opened(tmp_path, photos, ProcessingViews(NAMES))
    assert again.folder == bank.folder
    assert [again.missing(name) for name in NAMES] == [set(), {1}, set()]
    for name in NAMES:
        (folder_of(bank, name) / "blocks" / "000002.json").unlink()
    encoder, recipe = toy_encoder(), ProcessingViews(NAMES)
    outcome = fill_banks(photos, recipe, [encoder], [again], workers=0)
    # one view of the second block, and all three of the last one, which has 22 photos
    assert (outcome.cost.photos, outcome.cost.views) == (64 + 22, 64 + 22 * 3)
    assert fill_banks(photos, recipe, [encoder], [again], workers=0).cost.photos == 0


class Losing:
    """A source whose disk does not give some photos."""

    def __init__(self, source, reasons: dict[int, str]) -> None:
        self._source, self.reasons = source, reasons

    def read(self, row: int) -> bytes:
        if row in self.reasons:
            raise PhotoError(self.reasons[row])
        return self._source.read(row)


def test_open__photos_that_a_disk_did_not_give_are_tried_again_and_broken_ones_are_not(tmp_path):
    photos, recipe, key = some_photos(150), ProcessingViews(NAMES), PhotoHashes(some_photos(150)).bytes_hash()
    losing = Losing(photos.source, {3: "the file cannot be read (Stale file handle)", 70: "the file is empty"})
    key = bank_key(toy_encoder().info, "float32", photos, key, "float32")
    bank = Bank.open(tmp_path, key, recipe.view_keys())
    fill_banks(dataclasses.replace(photos, source=losing), recipe, [toy_encoder()], [bank], workers=0)
    assert set(bank.failures()) == {"3", "70"}
    assert bank.complete
    again = Bank.open(tmp_path, key, recipe.view_keys())
    assert [again.missing(name) for name in NAMES] == [{0}] * 3
    fill_banks(photos, recipe, [toy_encoder()], [again], workers=0)
    assert set(again.failures()) == {"70"}
    np.testing.assert_array_equal(again.view(NAMES[0], np.arange(64))[3:4][0], expected(photos, 3, NAMES[0]))


def test_bank__float16_storage_rounds_and_halves(tmp_path):
    photos, recipe, encoder = some_photos(10), ProcessingViews(NAMES), toy_encoder()
    bank = opened(tmp_path, photos, recipe, storage="float16")
    fill_banks(photos, recipe, [encoder], [bank], workers=0)
    row = bank.view(NAMES[0], np.arange(10))[0:1][0]
    assert row.dtype == np.float32
    np.testing.assert_allclose(row, expected(photos, 0, NAMES[0]), rtol=2**-11)
    assert np.load(folder_of(bank) / "rows.npy").nbytes == 10 * 48 * 2


def ingredients() -> dict:
    photos = some_photos(4)
    return {
        "info": toy_encoder().info,
        "compute_dtype": "float32",
        "photos": photos,
        "bytes_hash": PhotoHashes(photos).bytes_hash(),
        "storage": "float32",
    }


def changed_ingredients() -> dict[str, dict]:
    renamed = PhotoSet.of_bytes("some", {f"x{i}": ppm(i) for i in range(4)})
    swapped = PhotoSet.of_bytes("some", {f"{i}": ppm(i if i != 2 else 77) for i in range(4)})
    return {
        "encoder id": {"info": toy_encoder(id="other").info},
        "revision": {"info": toy_encoder(revision="abc").info},
        "weights": {"info": toy_encoder(weights_sha256="1" * 64).info},
        "preprocessing": {"info": toy_encoder(preprocessing={"size": 5}).info},
        "pooling": {"info": toy_encoder(pooling="mean").info},
        "compute dtype": {"compute_dtype": "bfloat16"},
        "compiled": {"compiled": True},
        "runtime": {"runtime": Runtime("openvino", "2026.4.1", 1e-7)},
        "photo ids": {"photos": renamed},
        "photo bytes": {"bytes_hash": PhotoHashes(swapped).bytes_hash()},
        "storage": {"storage": "float16"},
    }


@pytest.mark.parametrize("what", changed_ingredients())
def test_bank_key__depends_on_every_ingredient(what):
    change = changed_ingredients()[what]
    assert key_hash(bank_key(**ingredients())) != key_hash(bank_key(**{**ingredients(), **change}))


def test_bank_key__depends_on_version_error_and_views_of_a_runtime():
    runtimes = [None, *(Runtime("openvino", *known) for known in (("1", 1e-7), ("2", 1e-7), ("1", 2e-7)))]
    runtimes.append(Runtime("openvino", "1", 1e-7, views=1))
    keys = [key_hash(bank_key(**ingredients(), runtime=runtime)) for runtime in runtimes]
    assert len(set(keys)) == 5
    assert key_hash(bank_key(**ingredients(), runtime=Runtime("torch", "2.13"))) == keys[0]


def test_bank_key__is_equal_for_equal_ingredients():
    assert key_hash(bank_key(**ingredients())) == key_hash(bank_key(**ingredients()))


def test_open__folder_of_another_key_is_refused(tmp_path):
    bank = filled(tmp_path, some_photos(4))
    for folder in (folder_of(bank), bank.folder):
        key = json.loads((folder / "key.json").read_text())
        (folder / "key.json").write_text(json.dumps({**key, "storage": "tampered"}))
        with pytest.raises(DataError, match=f"{folder.name}: holds other embeddings"):
            filled(tmp_path, some_photos(4))


def test_complete__only_with_every_view(tmp_path):
    photos = some_photos(3)
    first = opened(tmp_path, photos, ProcessingViews(NAMES[:1]))
    fill_banks(photos, ProcessingViews(NAMES[:1]), [toy_encoder()], [first], workers=0)
    assert first.complete
    assert not opened(tmp_path, photos, ProcessingViews(NAMES[:2])).complete


@pytest.mark.parametrize("damage", ["lost", "cut off", "other shape", "no array"])
def test_open__an_incomplete_view_file_is_reported_and_made_again(tmp_path, capsys, damage):
    photos = some_photos(4)
    rows = folder_of(filled(tmp_path, photos), NAMES[1]) / "rows.npy"
    if damage == "lost":
        rows.unlink()
    elif damage == "other shape":
        np.save(rows, np.zeros((4, 47), np.float32))
    else:
        rows.write_bytes(rows.read_bytes()[:-7] if damage == "cut off" else b"")
    again = opened(tmp_path, photos, ProcessingViews(NAMES))
    assert [again.missing(name) for name in NAMES] == [set(), {0}, set()]
    [line] = capsys.readouterr().err.splitlines()
    assert f"{NAMES[1]}: 1 of 1 finished blocks do not match their checksums; made again" in line
    again = filled(tmp_path, photos)
    np.testing.assert_array_equal(again.view(NAMES[1], np.arange(4))[0:4][2], expected(photos, 2, NAMES[1]))


SLOW_RUN = """
import sys, time
sys.path.insert(0, sys.argv[2])
import helpers_of_bank as t
def slow(image, plain=t.thumbnail):
    time.sleep(0.002)
    return plain(image)
t.thumbnail = slow
t.filled(__import__("pathlib").Path(sys.argv[1]), t.some_photos(300, broken=(9,)))
"""


@pytest.mark.slow
def test_fill_banks__equals_an_undisturbed_run_after_kills_at_random_times(tmp_path):
    whole = filled(tmp_path / "whole", some_photos(300, broken=(9,)))
    shutil.copy(__file__, tmp_path / "helpers_of_bank.py")
    finished = False
    kills = 0
    rng = np.random.default_rng(time.time_ns())
    for _ in range(12):
        process_ = start_python("-c", SLOW_RUN, tmp_path / "killed", tmp_path)
        try:
            finished = process_.wait(timeout=None if kills >= 3 else 0.4 + rng.random() * 1.5) == 0
            break
        except subprocess.TimeoutExpired:
            process_.send_signal(signal.SIGKILL)
            process_.wait()
            kills += 1
    assert finished
    killed = opened(tmp_path / "killed", some_photos(300, broken=(9,)), ProcessingViews(NAMES))
    assert killed.complete
    assert killed.check() == {}
    assert killed.failures() == whole.failures() == {"9": "not an image in a format that can be read"}
    rows = np.arange(300) != 9
    for name in NAMES:
        expected_rows, rows_after_kills = (
            np.asarray(b.view(name, np.flatnonzero(rows))[0:299]) for b in (whole, killed)
        )
        np.testing.assert_array_equal(expected_rows, rows_after_kills)
