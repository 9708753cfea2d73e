"""``camtrace score`` on a card as strict as a real one: odd photos, memory that runs out, and how often the host waits."""

import gc
import json

import numpy as np
import pytest
import torch

from benchmark.__main__ import main
from benchmark.bank import device_copy
from benchmark.bank.device_copy import DeviceCopy
from benchmark.encoders import load_encoder
from benchmark.views import stream as stage
from benchmark.views.choice import chosen_maker
from benchmark.views.on_device import self_test
from benchmark.views.views import ProcessingViews
from builders.errors import EncoderError
from tests import fake_card
from tests.conftest import photo_bytes

TASKS = ("knn/sharpening", "probe/sharpening", "--protocol", "converged")
LARGE = (420, 300)
"""Plays the photo of 61 megapixels: the card's memory is scaled so that it does not take it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """12 train and 6 val photos of two classes, among them one too large for the card, one of 1 x 3000, one broken."""
    root = tmp_path_factory.mktemp("odd")
    for split, count in (("train", 6), ("val", 3)):
        for label, name in enumerate(("cat", "dog")):
            for i in range(count):
                path = root / split / name / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                size = {(0, 1): LARGE, (1, 2): (1, 3000)}.get((label, i)) if split == "train" else None
                broken = (split, label, i) == ("train", 1, 4)
                path.write_bytes(b"broken" if broken else photo_bytes(100 * label + i + 1000 * (split == "val"), size))
    return root


@pytest.fixture
def card(monkeypatch):
    self_test.equals_pillow.cache_clear()
    card = fake_card.card(monkeypatch)
    yield card
    self_test.equals_pillow.cache_clear()
    gc.collect()
    assert card.clashes == []


def score(folder, out, device, *more):
    """Exit status, scores by task and metric, failures."""
    model = ("-m", "control:random-projection", "--data", f"folder:{folder}")
    asked = ["score", *model, "-t", TASKS[0], "-t", TASKS[1], "--device", device, "-q", "--fresh", *more]
    status = main([*asked, "-o", str(out), "--cache", str(out / "cache")])
    result = json.loads((out / "result.json").read_text())
    scores = {(s["task"], s["metric"]): (s["value"], s["n"]) for s in result["scores"]}
    return status, scores, {(f["kind"], f["name"]) for f in result["failures"]}


@pytest.fixture(scope="module")
def on_cpu(folder, tmp_path_factory):
    return score(folder, tmp_path_factory.mktemp("cpu"), "cpu", "--workers", "0")


@pytest.mark.parametrize("views", ["cpu", "device"])
def test_score__on_a_card_as_on_the_cpu(card, folder, on_cpu, tmp_path, monkeypatch, views):
    """A photo too large for the card comes from a worker, beside those that the card makes."""
    monkeypatch.setattr(stage, "MEMORY_SHARE", 2 * 640 * 100_000 / card.total)
    made = score(folder, tmp_path, "cuda", "--workers", "2", "--views", views)
    assert made == on_cpu
    assert made[0] == 0
    assert made[2] == {("photo", "train/dog/4.jpg")}
    files = {"cat/0.jpg"}
    assert files  # the folder is the module's
    waits = {place: count for place, count in card.where.items() if place.split(":")[0] in PASS_FILES}
    assert not waits, "the pass makes the host wait"


PASS_FILES = (
    "embed.py",
    "batches.py",
    "device_copy.py",
    "stream.py",
    "taps.py",
    "blocks.py",
    "sharpening.py",
    "chroma.py",
)


@pytest.mark.parametrize("stage_name", ["torch_views", "_embed", "_search", "fit", "start"])
def test_score__memory_runs_out_for_a_moment(card, folder, on_cpu, tmp_path, capsys, stage_name):
    """At views, forward pass, kNN, probe and the gather: half the work is tried, and the scores are the same."""
    seen = []

    def armed(name=stage_name):
        seen.append(name)
        card.exhaust(name, times=1)

    calls = {"fit": "converged", "_search": "neighbour_lists"}
    armed(calls.get(stage_name, stage_name)) if stage_name not in ("_embed", "start") else None
    if stage_name in ("_embed", "start"):
        _arm_after_loading(card, "_embed" if stage_name == "_embed" else "start")
    made = score(folder, tmp_path, "cuda:0", "--workers", "0", "--views", "device")
    assert card.failing == dict.fromkeys(card.failing, 0)
    assert made == on_cpu


def _arm_after_loading(card, name):
    """The network's first try is part of loading: what comes after it runs out of memory."""
    check, count = card.check, [0]

    def later():
        import sys

        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_name == "_begun" or (name == "start" and frame.f_code.co_name == "gather"):
                if not count[0]:
                    count[0] = 1
                    card.exhaust(name, times=1)
                break
            frame = frame.f_back
        check()

    card.check = later


def test_load__weights_that_do_not_fit_are_one_sentence(card):
    card.exhaust("_placed")
    with pytest.raises(EncoderError, match="its weights do not fit into the memory of cuda:0"):
        load_encoder("control:random-projection", device="cuda")


def test_device_copy__parts_of_workers_and_of_the_card_in_one_batch(card):
    """What was a crash at the first large photo: views of a worker among those of the card."""
    ours, theirs = torch.full((2, 3), 7, dtype=torch.uint8), torch.full((1, 3), 9, dtype=torch.uint8, device="cuda")
    batch = DeviceCopy("cuda:0").start([ours, theirs, ours])()
    assert batch.device == torch.device("cuda:0")
    assert batch.cpu().tolist() == [[7] * 3] * 2 + [[9] * 3] + [[7] * 3] * 2


def test_device_copy__no_room_on_the_card(card):
    card.exhaust("start")
    parts = [torch.full((2, 3), 7, dtype=torch.uint8)]
    assert DeviceCopy("cuda:0").start(parts)().device.type == "cpu"


def test_device_copy__one_copy_for_a_slot_and_its_memory_is_held_until_it_is_read(card):
    slot = torch.arange(24, dtype=torch.uint8).reshape(4, 2, 3).pin_memory()
    copy = DeviceCopy("cuda:0")
    waited = copy.start([slot[0], slot[1], slot[2]])
    assert (card.uploads, card.blocking) == (1, 0)
    assert len(copy._in_flight) == 1
    assert waited().cpu().tolist() == slot[:3].flatten(0, 1).tolist()
    for _ in range(5):
        copy.start([slot[3]])
    assert len(copy._in_flight) <= device_copy.IN_FLIGHT


def test_chosen_maker__workers_where_there_are_enough(card, monkeypatch):
    from benchmark.encoders.pixels import Pixels, ResizeTo
    from benchmark.views import choice

    recipe, preprocess, home = ProcessingViews(("jpeg-q75-420",)), Pixels((ResizeTo(8, 8, 2),)), torch.device("cuda:0")
    monkeypatch.setattr(choice, "chosen_engine", lambda: choice)
    for cores, workers, device in ((16, 8, None), (16, 5, home), (4, 8, home), (16, 6, None)):
        monkeypatch.setattr(choice, "_cores", lambda cores=cores: cores)
        assert chosen_maker("auto", recipe, [preprocess], [home], workers).device == device
    monkeypatch.setattr(choice, "chosen_engine", lambda: None)
    found = chosen_maker("auto", recipe, [preprocess], [home], 16)
    assert found.device == home
    assert "4 workers" not in str(found)
    assert "fewer than the 42 that are worth a whole GPU" in str(found)


def test_fake_card__is_strict(monkeypatch):
    """What it is there for: it finds what it says it finds."""
    card = fake_card.card(monkeypatch)
    there = torch.ones(4, device="cuda")
    with pytest.raises(RuntimeError, match="two devices"):
        there + torch.ones(4)
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    other = torch.cuda.Stream()
    with torch.cuda.stream(other):
        late = torch.ones(4, device="cuda")
    with pytest.raises(fake_card.Clash, match="has not waited"):
        late + 1
    pinned = torch.ones(4).pin_memory()
    sent = pinned.to("cuda", non_blocking=True)
    pinned.fill_(5)  # too early
    assert sent.tolist() == [5] * 4
    here = torch.empty(4, pin_memory=True)
    here.copy_(there, non_blocking=True)
    assert here.tolist() != [1] * 4  # read before it has arrived
    torch.cuda.current_stream().synchronize()
    assert here.tolist() == [1] * 4
    assert np.isclose(float((there @ there).item()), 4)
    assert card.clashes
    card.clashes.clear()
