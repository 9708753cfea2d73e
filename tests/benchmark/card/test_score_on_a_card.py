"""``camtrace score`` on a card as strict as a real one: odd photos, memory that runs out, how often the host waits."""

import gc
import json
import os

import pytest
import torch

from benchmark.__main__ import main
from benchmark.bank.fill import device_copy
from benchmark.bank.fill.device_copy import DeviceCopy
from benchmark.encoders import Pixels, load_encoder, network
from benchmark.views import ProcessingViews, choose_views
from benchmark.views import stream as stage
from benchmark.views.device import dct, jpeg
from benchmark.views.device import views as self_test
from builders.errors import EncoderError
from tests.conftest import photo_bytes
from tests.support import card as fake_card
from tests.support.processes import run_python

pytestmark = pytest.mark.usefixtures("unpainted", "brief", "short_projection")

KNN, PROBE = "knn/sharpening", "probe/sharpening"
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


STORED = (jpeg._on, dct._matrix, network._constants)
"""What is made once for a device and kept: not from one card to the next."""


@pytest.fixture(scope="module", autouse=True)
def unknown_card():
    """The comparison with Pillow, of whose tensors nothing stays, is made by the first test that needs it."""
    self_test.equals_pillow.cache_clear()
    yield
    self_test.equals_pillow.cache_clear()


@pytest.fixture
def card(monkeypatch):
    for stored in STORED:
        stored.cache_clear()
    card = fake_card.card(monkeypatch)
    yield card
    for stored in STORED:
        stored.cache_clear()
    gc.collect()
    assert card.clashes == []


def score(folder, out, device, tasks, *more):
    """Exit status, scores by task and metric, failures."""
    model = ("-m", "control:random-projection", "--data", f"folder:{folder}")
    named = [part for task in tasks for part in ("-t", task)]
    requested = ["score", *model, *named, "--device", device, "-q", "--fresh", *more]
    status = main([*requested, "-o", str(out), "--cache", str(out / "cache")])
    result = json.loads((out / "result.json").read_text())
    scores = {(s["task"], s["metric"]): (s["value"], s["n"]) for s in result["scores"]}
    return status, scores, {(f["kind"], f["name"]) for f in result["failures"]}


@pytest.fixture(scope="module")
def on_cpu(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("cpu")
    result = score(folder, out, "cpu", (KNN, PROBE), "--workers", "0")
    assert "cudnn" not in json.loads((out / "result.json").read_text())["environment"]
    return result


def alone(of_all, tasks):
    """The same as if these tasks alone had been asked."""
    return (of_all[0], {key: value for key, value in of_all[1].items() if key[0] in tasks}, of_all[2])


TWO_CARDS = """
import os, sys
import pytest
from tests.support import card as fake_card
from benchmark.encoders.loaders import controls
card = fake_card.card(pytest.MonkeyPatch(), count=2)
controls.PROJECTION_DIMENSION = 64
if "benchmark.bank.fill.device_process" in "".join(sys.orig_argv):
    import atexit, torch
    def note():
        with open(os.environ["CARDS_SEEN"], "a") as file:
            file.write(f"{torch.cuda.current_device()} {card.kernels > 20} {len(card.clashes)}\\n")
    atexit.register(note)
"""


@pytest.mark.slow
def test_score__two_cards_a_process_each(tmp_path):
    """The whole command, in processes whose torch has two cards: the scores of the CPU, and each card had its part."""
    many = tmp_path / "many"
    for split in ("train", "val"):  # more than one block of 64 photos
        for label, name in enumerate(("cat", "dog")):
            for i in range(17):
                path = many / split / name / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(photo_bytes(100 * label + i + 1000 * (split == "val"), (40, 30)))
    requested = ["score", "-m", "control:random-projection", "--data", f"folder:{many}", "-t", KNN, "--workers", "0"]
    assert (
        main([*requested, "--device", "cpu", "-q", "-o", str(tmp_path / "cpu"), "--cache", str(tmp_path / "c0")]) == 0
    )
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(TWO_CARDS)
    places = os.pathsep.join([str(tmp_path / "site"), os.getcwd()])
    env = {**os.environ, "PYTHONPATH": places, "CARDS_SEEN": str(tmp_path / "seen")}
    out = ("-o", str(tmp_path / "cards"), "--cache", str(tmp_path / "c1"))
    done = run_python("-m", "benchmark", *requested, "--device", "cuda:all", *out, env=env, timeout=600, forking=True)
    assert done.returncode == 0, done.stderr
    cpu, cards = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("cpu", "cards"))
    stored = ("task", "metric", "value", "low", "high", "n")
    assert [[s[k] for k in stored] for s in cards["scores"]] == [[s[k] for k in stored] for s in cpu["scores"]]
    assert (cards["environment"]["device"], cards["environment"]["devices"]) == ("fake card", 2)
    assert sorted((tmp_path / "seen").read_text().split("\n")) == ["", "0 True 0", "1 True 0"]


PASS = ("bank", "views", "on_device", "compute")


@pytest.mark.slow
@pytest.mark.parametrize(("views", "tasks"), [("cpu", (KNN, PROBE)), ("device", (KNN,))])
def test_score__on_a_card_as_on_the_cpu(card, folder, on_cpu, tmp_path, monkeypatch, views, tasks):
    """A photo too large for the card comes from a worker beside those that the card makes; in the pass none waits."""
    made_there = []
    copies = []
    torch_views = stage.torch_views

    def counted(photos, *arguments, **options):
        before = card.uploads
        made = torch_views(photos, *arguments, **options)
        made_there.append(len(photos))
        copies.append(card.uploads - before)
        return made

    monkeypatch.setattr(stage, "torch_views", counted)
    monkeypatch.setattr(stage, "MEMORY_SHARE", 2 * 640 * 100_000 / card.total)
    assert score(folder, tmp_path, "cuda", tasks, "--workers", "2", "--views", views) == alone(on_cpu, tasks)
    assert on_cpu[0] == 0
    assert on_cpu[2] == {("photo", "train/dog/4.jpg"), ("photo", "train/dog/2.jpg")}
    assert sum(made_there) == {"cpu": 0, "device": 18 - 3}[views]  # not the large, the thin and the broken one
    assert set(copies[1:]) <= {0, 1}  # all tables of a batch at once; the first brings constants too
    waits = {place: n for place, n in card.where.items() if place.split("/")[0] in PASS}
    once = {place: waits.pop(place, 0) for place in ("on_device/self_test.py", "on_device/dct.py", "on_device/jpeg.py")}
    assert waits == {}
    assert sum(once.values()) <= 16  # a self-test of three sizes, and constants, once for a device
    assert card.where["encoders/embedding.py"] <= 8  # weights, constants, the first try


@pytest.mark.slow
@pytest.mark.parametrize(
    ("places", "tasks", "views"),
    [
        ([("torch_views", "_batch"), ("_embed", "_start"), ("start", "gather")], (KNN,), "device"),
        ([("neighbour_lists", "knn_setups"), ("converged", "processing_probe")], (KNN, PROBE), "cpu"),
    ],
    ids=["pass", "tasks"],
)
def test_score__memory_runs_out_for_a_moment(card, folder, on_cpu, tmp_path, places, tasks, views):
    """At views, forward pass, gather, kNN and probe: half the work is tried, and the scores are the same."""
    for function, caller in places:
        card.exhaust(function, within=caller)
    made = score(folder, tmp_path, "cuda:0", tasks, "--workers", "0", "--views", views)
    assert not card.failing, "it never ran out"
    assert made == alone(on_cpu, tasks)


def test_load__weights_that_do_not_fit_are_one_sentence(card):
    card.exhaust("_placed")
    with pytest.raises(EncoderError, match="cuda:0"):
        load_encoder("control:random-projection", device="cuda")


def test_device_copy__parts_of_workers_and_of_the_card_in_one_batch(card):
    """What was a crash at the first large photo: views of a worker among those of the card."""
    computed, reference = (
        torch.full((2, 3), 7, dtype=torch.uint8),
        torch.full((1, 3), 9, dtype=torch.uint8, device="cuda"),
    )
    batch = DeviceCopy("cuda:0").start([computed, reference, computed])()
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


def test_choose_views__workers_where_there_are_enough(card, monkeypatch):
    from benchmark.encoders.preprocess.pixels import ResizeTo
    from benchmark.views import choose

    recipe, preprocess, home = ProcessingViews(("jpeg-q75-420",)), Pixels((ResizeTo(8, 8, 2),)), torch.device("cuda:0")
    monkeypatch.setattr(choose, "chosen_engine", lambda: choose)
    for cores, workers, device in ((16, 8, None), (16, 5, home), (4, 8, home), (16, 6, None)):
        monkeypatch.setattr(choose, "available_cores", lambda cores=cores: cores)
        assert choose_views("auto", recipe, [preprocess], [home], workers).device == device
    monkeypatch.setattr(choose, "chosen_engine", lambda: None)
    measured = choose_views("auto", recipe, [preprocess], [home], 16)
    assert measured.device == home
    assert "4 workers" not in str(measured)
    assert "fewer than the 42 that are worth a whole GPU" in str(measured)


@pytest.mark.slow
def test_score__on_the_second_card_makes_no_context_on_the_first(monkeypatch, folder, on_cpu, tmp_path):
    """Pinning the workers' memory made one, of some 300 MB, on whichever card was the current one."""
    for stored in STORED:
        stored.cache_clear()
    two = fake_card.card(monkeypatch, count=2)
    made = score(folder, tmp_path, "cuda:1", (KNN,), "--workers", "2", "--views", "cpu")
    for stored in STORED:
        stored.cache_clear()
    gc.collect()
    assert made == alone(on_cpu, (KNN,))
    assert two.contexts == {1}
    assert two.uploads > 0
    assert two.clashes == []


@pytest.mark.slow
def test_score__pinning_that_is_refused_leaves_no_error_for_the_next_kernel(
    card, folder, on_cpu, tmp_path, monkeypatch
):
    """And settings of cuDNN are recorded: a user's module may set them, and algorithms round differently."""
    card.refuses_to_pin = True
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    made = score(folder, tmp_path, "cuda", (KNN,), "--workers", "2", "--views", "cpu")
    assert made == alone(on_cpu, (KNN,))
    assert card.last_error == ""
    recorded = {"version": 0, "benchmark": True, "deterministic": False, "deterministic_algorithms": False}
    assert json.loads((tmp_path / "result.json").read_text())["environment"]["cudnn"] == recorded
