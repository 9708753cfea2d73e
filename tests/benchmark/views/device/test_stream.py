"""Banks are equal whether workers or a device made the views; workers make the views that a device cannot make."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.bank import Bank, PhotoHashes, bank_key, fill_banks
from benchmark.encoders import Pixels, load_encoder
from benchmark.encoders.preprocess.pixels import CenterCrop, ResizeShort, ResizeTo
from benchmark.views import ProcessingViews, StoredViews, choose_views, iterate_views, view_stream
from benchmark.views import stream as stage
from benchmark.views.device import views as self_test
from builders.photos import PhotoSet
from builders.pixels import STUDY_PROCESSINGS
from tests.support.images import image_bytes
from tests.support.scoring import as_rows, toy_encoder

pytestmark = pytest.mark.usefixtures("short_projection")

CPU = torch.device("cpu")
NAMES = STUDY_PROCESSINGS  # those that a device makes
SMALL = Pixels((ResizeShort(16, 3), CenterCrop(16, 16)))
WIDE = Pixels((ResizeTo(21, 9, 2),))
SHAPES = [(40, 30)] * 5 + [(30, 40), (2, 2), (40, 30), (64, 48), (33, 20), (40, 30)]


def photo_set(broken=(3, 9)):
    """11 photos of 5 sizes, two of which cannot be read."""
    files = {}
    for i, (width, height) in enumerate(SHAPES):
        buffer = io.BytesIO()
        pixels = np.random.default_rng(i).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(buffer, "PNG" if i % 2 else "JPEG")
        files[f"photo {i}"] = b"broken" if i in broken else buffer.getvalue()
    return PhotoSet.of_bytes("some", files)


def flat_encoder(name, preprocess):
    """An encoder whose embedding is the view itself."""
    dimension = preprocess(Image.new("RGB", (32, 24))).size
    return toy_encoder(as_rows, preprocess, dimension, name=name, preprocessing={"size": name})


def filled(tmp_path, encoders, photos, way, names=NAMES, **options):
    """The files of the banks."""
    recipe = ProcessingViews(names, 7)
    keys = [bank_key(e.info, e.dtype, photos, PhotoHashes(photos).bytes_hash(), "float32") for e in encoders]
    banks = [Bank.open(tmp_path / way, key, recipe.view_keys()) for key in keys]
    outcome = fill_banks(photos, recipe, encoders, banks, batch_size=56, views=way, **{"workers": 0, **options})
    assert not outcome.failures
    return [
        (
            {name: bank.view(name, np.arange(len(photos)))[:].tobytes() for name in names},
            {name: bank._views[name].markers() for name in names},
        )
        for bank in banks
    ]


@pytest.fixture
def on_device(monkeypatch):
    """Batches of ``torch_views``, as (photos, height, width)."""
    seen = []

    def counted(photos, *args, **options):
        seen.append(tuple(photos.shape[:3]))
        return stage_torch_views(photos, *args, **options)

    stage_torch_views = stage.torch_views
    monkeypatch.setattr(stage, "torch_views", counted)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_banks__are_equal_by_workers_and_by_a_device(tmp_path, on_device, workers):
    encoders = [flat_encoder("small", SMALL), flat_encoder("wide", WIDE), flat_encoder("small too", SMALL)]
    by_workers = filled(tmp_path, encoders, photo_set(), "cpu", workers=workers)
    assert not on_device
    by_device = filled(tmp_path, encoders, photo_set(), "device", workers=workers)
    assert by_device == by_workers
    assert sorted(on_device) == [(1, 2, 2), (1, 40, 30), (1, 48, 64), (6, 30, 40)]


def test_banks__photos_of_similar_sizes_share_a_batch(tmp_path, on_device):
    files = {f"{width}x{height}": png(width, height) for width in range(61, 68) for height in (44, 45, 47)}
    photos, encoders = PhotoSet.of_bytes("alike", files), [flat_encoder("small", SMALL)]
    assert filled(tmp_path, encoders, photos, "device") == filled(tmp_path, encoders, photos, "cpu")
    assert on_device == [(21, 47, 67)]


@pytest.mark.slow
def test_banks__of_a_real_encoder(tmp_path, on_device):
    encoder = load_encoder("control:random-projection", device="cpu")
    assert filled(tmp_path, [encoder], photo_set(()), "device") == filled(tmp_path, [encoder], photo_set(()), "cpu")
    assert len(on_device) == 5


def test_banks__workers_make_the_views_of_too_large_photos(tmp_path, on_device, monkeypatch):
    encoders = [flat_encoder("small", SMALL), flat_encoder("wide", WIDE)]
    by_workers = filled(tmp_path, encoders, photo_set(), "cpu")
    monkeypatch.setattr(stage, "HOST_BYTES", 2 * 1200 * stage.BYTES_PER_PIXEL)
    assert filled(tmp_path, encoders, photo_set(), "device") == by_workers
    assert sorted(on_device) == [*[(1, 2, 2)], *[(1, 30, 40)] * 6, (1, 40, 30)]


@pytest.mark.parametrize("fits", [0, 2])
def test_banks__are_equal_after_memory_has_run_out(tmp_path, monkeypatch, fits):
    encoders = [flat_encoder("small", SMALL), flat_encoder("wide", WIDE)]
    by_workers = filled(tmp_path, encoders, photo_set(), "cpu")
    tried = []

    def hungry(photos, *args, **options):
        tried.append(len(photos))
        if len(photos) > fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return stage_torch_views(photos, *args, **options)

    stage_torch_views = stage.torch_views
    monkeypatch.setattr(stage, "torch_views", hungry)
    assert filled(tmp_path, encoders, photo_set(), "device") == by_workers
    assert tried[:3] == [6, 3, 1]
    assert (max(tried[3:]) == 1) or fits


def test_banks__a_size_that_one_preprocessing_refuses(tmp_path, on_device):
    """3 x 70: one preprocessing leaves no row, the other accepts the photo; workers and device give the same reason."""
    files = {"thin": png(70, 3), "ordinary": png(40, 30)}
    photos = PhotoSet.of_bytes("thin", files)
    encoders = [flat_encoder("small", SMALL), flat_encoder("refuses", Refuses((ResizeTo(8, 8, 2),)))]
    assert choose_views("device", ProcessingViews(NAMES), [e.preprocess for e in encoders], [CPU, CPU]).device is None
    refusing = flat_encoder("refuses", Pixels((LongOnly(),)))
    by_workers = filled(tmp_path, [encoders[0], refusing], photos, "cpu")
    assert filled(tmp_path, [encoders[0], refusing], photos, "device") == by_workers
    [(_, markers)] = by_workers[1:]
    assert {tuple(marker.failures) for [marker] in markers.values()} == {("thin",)}
    assert on_device == [(1, 30, 40)]


def test_view_stream__order_and_failures_equal_those_of_workers():
    photos, recipe, preprocesses = photo_set(), ProcessingViews(NAMES[:2]), [SMALL]
    order = [10, 0, 9, 3, 6, 1]
    for made, expected in zip(
        view_stream(photos, order, recipe, preprocesses, mode="device"),
        iterate_views(photos, order, recipe, preprocesses),
        strict=True,
    ):
        assert (made.index, made.failure, made.source_jpeg) == (expected.index, expected.failure, expected.source_jpeg)
        assert all(torch.equal(a, b) for a, b in zip(made.arrays, expected.arrays, strict=True))


def test_choose_views__workers_unless_requested_or_cuda():
    cuda, recipe = torch.device("cuda", 0), ProcessingViews(NAMES)
    assert choose_views("auto", recipe, [SMALL], [CPU]).device is None
    assert choose_views("device", recipe, [SMALL], [CPU]).device == CPU
    assert choose_views("cpu", recipe, [SMALL], [cuda]).device is None
    assert choose_views("device", StoredViews(NAMES, NAMES), [SMALL], [CPU]).device is None
    assert choose_views("device", recipe, [SMALL, np.asarray], [CPU, CPU]).device is None


def test_choose_views__a_device_whose_pixels_differ_is_reported_and_not_used(monkeypatch, capsys):
    def off_by_one(*args, **options):
        return [views ^ 1 for views in made(*args, **options)]

    made = self_test.torch_views
    monkeypatch.setattr(self_test, "torch_views", off_by_one)
    self_test.equals_pillow.cache_clear()
    try:
        assert choose_views("device", ProcessingViews(NAMES), [SMALL], [CPU]).device is None
        assert "differ from Pillow's" in capsys.readouterr().err
    finally:
        self_test.equals_pillow.cache_clear()


def png(width, height):
    return image_bytes(np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8), "PNG")


class Refuses(Pixels):
    """A subclass of ``Pixels``, whose effect is unknown."""


class LongOnly(ResizeTo):
    """Refuses thin pictures, as a preprocessing may."""

    def __init__(self):
        super().__init__(8, 8, 2)

    def target(self, width, height):
        return super().target(width, height) if height > 10 else ResizeTo(0, 8, 2).target(width, height)
