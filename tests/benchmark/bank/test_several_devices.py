"""A pass by several processes fills the same bank as one process, also after a kill; CPU processes replace GPUs."""

import dataclasses
import importlib
import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from benchmark.bank import Bank, PassCost, PhotoHashes, bank_key, fill_banks, fill_banks_on
from benchmark.bank.fill.device_process import check_same_encoder
from benchmark.bank.fill.devices import merge_outcomes
from benchmark.bank.fill.fill import PassOutcome
from benchmark.compute import free_on_host, named_devices, share_machine
from benchmark.scoring import PassTimes
from benchmark.scoring.estimating.measuring import Measured
from benchmark.scoring.estimating.text import pass_seconds
from benchmark.views import PlainViews
from builders.errors import DataError, EncoderError, UsageError
from builders.photos import PhotoSet, photo_digest
from tests.support import card as fake_card
from tests.support.processes import start_forking, start_python

TOYS = '''
"""An encoder that another process can load: three numbers per photo; files in a folder make it slow or deadly."""
import os, signal, time
from pathlib import Path
import numpy as np
from benchmark.encoders import Encoder, EncoderInfo

def middle(image):
    return np.asarray(image)[image.height // 2, image.width // 2]

class Embed:
    def __init__(self, folder):
        self.folder = folder

    def __call__(self, batch):
        (self.folder / str(os.getpid())).touch()
        if (self.folder / "slow").exists():
            time.sleep(0.2)
        if (self.folder / "deadly").exists() and len(list(self.folder.glob("[0-9]*"))) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch.flatten(1).float()

def load(folder, device="cpu", weights="0"):
    if (Path(folder) / "other weights").exists():
        weights = "1"
    info = EncoderInfo("loaded by that name", "callable", None, weights * 64, 3, {"size": 1}, "none", 0)
    return Encoder(info, middle, Embed(Path(folder)), device, "float32")
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """(encoder, folder): the files ``slow``, ``deadly`` and ``other weights`` in it make the encoder so."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "toys_elsewhere.py").write_text(TOYS)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    toys = importlib.import_module("toys_elsewhere")
    (tmp_path / "notes").mkdir()
    encoder = toys.load(tmp_path / "notes")
    named = dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, id="toy"))
    yield dataclasses.replace(named, reload=partial(toys.load, tmp_path / "notes")), tmp_path / "notes"
    del sys.modules["toys_elsewhere"]


@pytest.fixture
def _forking(monkeypatch):
    """Fork the processes of a pass; another test starts them as new processes."""
    monkeypatch.setattr(subprocess, "Popen", start_forking)


def photos_of(n=300):
    def ppm(seed):
        return b"P6 6 4 255\n" + np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8).tobytes()

    return PhotoSet.of_bytes("some", {f"{i}": b"broken" if i == 70 else ppm(i) for i in range(n)})


def opened(root, encoder, photos):
    key = bank_key(encoder.info, "float32", photos, PhotoHashes(photos).bytes_hash(), "float32")
    return Bank.open(root, key, PlainViews().view_keys())


def files(root):
    return {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.slow
@pytest.mark.usefixtures("_forking")
def test_fill_banks_on__equals_one_process_to_the_byte(toy, tmp_path):
    encoder, notes = toy
    photos, learnt = photos_of(), {}
    bank = opened(tmp_path / "two", encoder, photos)
    options = {"workers": 1, "learn": lambda index, digest: learnt.update({index: digest})}
    outcome = fill_banks_on(("cpu",) * 2, photos, PlainViews(), [encoder], [bank], **options)
    assert len(list(notes.iterdir())) == 2
    assert not (notes / str(os.getpid())).exists()
    assert (outcome.cost.photos, outcome.views, outcome.failures) == (300, (299,), {})
    assert learnt == {i: photo_digest(photos.read(i)) for i in range(300)}
    single = opened(tmp_path / "one", encoder, photos)
    fill_banks(photos, PlainViews(), [encoder], [single], workers=0)
    assert files(tmp_path / "two") == files(tmp_path / "one")
    again = fill_banks_on(("cpu",) * 2, photos, PlainViews(), [encoder], [bank], workers=2)
    assert again.cost.photos == 0


@pytest.mark.slow
@pytest.mark.usefixtures("_forking")
def test_fill_banks_on__a_killed_process_is_an_error_and_the_next_run_makes_its_blocks(toy, tmp_path):
    encoder, notes = toy
    photos = photos_of()
    bank = opened(tmp_path / "killed", encoder, photos)
    (notes / "slow").touch()
    (notes / "deadly").touch()
    with pytest.raises(DataError, match="process"):
        fill_banks_on(("cpu", "cpu"), photos, PlainViews(), [encoder], [bank], workers=0)
    assert not any(alive(pid) for pid in pids(notes))
    for file in notes.iterdir():
        file.unlink()
    missing = bank.missing("original")
    assert missing
    outcome = fill_banks_on(("cpu",), photos, PlainViews(), [encoder], [bank], workers=0)
    assert outcome.cost.photos == sum(len(bank.blocks.photos_of(block)) for block in missing)
    single = opened(tmp_path / "one", encoder, photos)
    fill_banks(photos, PlainViews(), [encoder], [single], workers=0)
    assert files(tmp_path / "killed") == files(tmp_path / "one")


ABANDONED = """
import dataclasses, sys
from functools import partial
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import toys_elsewhere as toys
from benchmark.bank import Bank, bank_key, fill_banks_on
from benchmark.views import PlainViews
from builders.photos import PhotoSet
notes = Path(sys.argv[2])
encoder = dataclasses.replace(toys.load(notes), reload=partial(toys.load, notes))
photo = b"P6 6 4 255\\n" + bytes(72)
photos = PhotoSet.of_bytes("some", {str(i): photo for i in range(3000)})
key = bank_key(encoder.info, "float32", photos, "", "float32")
bank = Bank.open(notes.parent / "bank", key, PlainViews().view_keys())
fill_banks_on(("cpu", "cpu"), photos, PlainViews(), [encoder], [bank], workers=1)
"""


@pytest.mark.slow
def test_fill_banks_on__processes_end_when_the_process_that_started_them_is_killed(toy, tmp_path):
    notes = toy[1]
    (notes / "slow").touch()
    process = start_python("-c", ABANDONED, tmp_path / "code", notes, env={**os.environ, "PYTHONPATH": os.getcwd()})
    deadline = time.monotonic() + 120
    while len(pids(notes)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert len(pids(notes)) == 2
    while any(alive(pid) for pid in pids(notes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids(notes))


def pids(notes):
    return [int(file.name) for file in notes.glob("[0-9]*")]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_check_same_encoder__other_weights_than_the_banks_are_refused(toy, tmp_path):
    encoder, notes = toy
    bank = opened(tmp_path / "bank", encoder, photos_of(130))
    assert check_same_encoder(encoder.reload(device="cpu"), bank, "cpu").info.id == "toy"
    (notes / "other weights").touch()
    with pytest.raises(EncoderError, match="weights_sha256"):
        check_same_encoder(encoder.reload(device="cpu"), bank, "cuda:1")


def test_fill_banks_on__an_encoder_that_cannot_be_loaded_again_runs_in_this_process(toy, tmp_path, capsys):
    encoder, notes = toy
    encoder = dataclasses.replace(encoder, reload=None)
    bank = opened(tmp_path / "bank", encoder, photos_of(130))
    fill_banks_on(("cpu", "cpu"), photos_of(130), PlainViews(), [encoder], [bank], workers=0)
    assert pids(notes) == [os.getpid()]
    assert bank.complete
    assert "process" in capsys.readouterr().err


def test_merge_outcomes__work_is_summed_and_time_is_the_mean():
    def outcome(photos, views, waiting, forward, making, compiling, failures):
        cost = PassCost(photos, sum(views), 9.0, waiting, sum(forward), making, compiling)
        return PassOutcome(cost, failures, views, forward)

    both = [
        outcome(6, (6, 6), 1.0, (2.0, 1.0), 5.0, 3.0, {1: "a"}),
        outcome(4, (4, 0), 3.0, (4.0, 0.0), 3.0, 1.0, {1: "b", 0: "c"}),
    ]
    merged = merge_outcomes(both, 9.0)
    assert merged.cost == PassCost(10, 16, 9.0 - 2.0, 2.0, 3.5, 8.0, 2.0)
    assert (merged.views, merged.forward_s, merged.failures) == ((10, 6), (3.0, 0.5), {1: "a", 0: "c"})


def test_named_devices__only_existing_gpus_each_once(monkeypatch):
    with pytest.raises(UsageError, match="there"):
        named_devices("cuda:all")
    fake_card.card(monkeypatch, count=3)
    assert named_devices("cuda:all") == ("cuda:0", "cuda:1", "cuda:2")
    assert named_devices("cuda:0, cuda:2") == ("cuda:0", "cuda:2")
    for requested, reason in (
        ("cuda:0,cuda:3", "cuda:3"),
        ("cuda,cuda:1", "cards"),
        ("cuda:0,cuda:0", "each card once"),
        ("cuda:0,cpu", "one type"),
        ("cuda:0,", "devices"),
    ):
        with pytest.raises(UsageError, match=reason):
            named_devices(requested)


def test_share_machine__divides_the_free_memory(monkeypatch):
    from benchmark.compute import memory

    monkeypatch.setattr(memory, "_free_in_system", lambda: 1200)
    monkeypatch.setattr(memory, "_group_folders", lambda: [])
    assert free_on_host() == 1200
    monkeypatch.setattr(memory, "_sharing", 1)
    share_machine(4)
    assert free_on_host() == 300


def test_pass_s__several_gpus_divide_the_forward_passes(monkeypatch):
    from benchmark.bank.fill import devices as several_devices
    from benchmark.scoring.estimating import text

    monkeypatch.setattr(several_devices, "available_cores", lambda: 16)
    monkeypatch.setattr(text.os, "cpu_count", lambda: 16)
    cards = ("cuda:0", "cuda:1", "cuda:2", "cuda:3")

    def clock(devices=(), making_s=80.0, by_device=False):
        times = PassTimes(making_s=making_s, forward_s=100.0, devices=devices, by_device=by_device)
        return pass_seconds([Measured("a", "b", times=times, on_gpu=True)], 4).wall

    assert clock() == 100.0
    assert clock(cards) == 25.0
    assert clock(cards, 800.0) == 50.0  # 4 x 4 workers make views
    assert clock(cards, by_device=True) == 25.0 + 80.0 / 4  # a card makes its views itself, not meanwhile
