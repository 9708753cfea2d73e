"""Several devices by hand: which blocks each process fills, with what, its messages, and how its end is reported."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import pickle
import queue
import signal
import sys
from types import SimpleNamespace

import pytest
import torch

from benchmark.bank import PassCost
from benchmark.bank.fill import device_process, devices
from benchmark.bank.fill.device_process import Share, Work, _Messages, check_same_encoder, fill_share
from benchmark.bank.fill.fill import PassOutcome
from benchmark.bank.keys import encoder_key
from benchmark.encoders import Runtime
from benchmark.views import PlainViews
from builders.errors import DataError, DiskError, EncoderError
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

PHOTOS = PhotoSet.of_bytes("set", dict.fromkeys(map(str, range(4)), b"x"))
RECIPE = PlainViews()
COST = PassCost(4, 8, 1.0, 0.0, 0.5, 2.0)


def toy(name="a", **more):
    return toy_encoder(as_rows, lambda image: image, 4, name=name, **more)


def bank_of(encoder, name=None, blocks=()):
    key = encoder_key(
        encoder.info, encoder.dtype, compiled=encoder.compiled, device=encoder.device, runtime=encoder.runtime
    )
    return SimpleNamespace(encoder=name or encoder.info.id, key={"encoder": key}, blocks=blocks)


class Blocks(list):
    """Numbers of photos of blocks."""

    def photos_of(self, block):
        return range(self[block])


class Lacking(SimpleNamespace):
    """A bank that lacks some blocks."""

    def missing(self, name):
        return self.lacks


@pytest.fixture
def pass_on(monkeypatch):
    """``fill_banks_on`` with filling and processes by hand: what was filled here, works and shares, moved encoders."""
    w = SimpleNamespace(filled=[], made=[], moved=[], bars=[], closed=0, outcomes=[PassOutcome(COST, {}, (1,), (2.0,))])

    class Processes:
        def __init__(self, work, shares):
            w.made.append((work, shares))

        def outcomes(self, bar, learn):
            w.learn = learn
            if isinstance(w.outcomes, Exception):
                raise w.outcomes
            return w.outcomes

        def close(self):
            w.closed += 1

    monkeypatch.setattr(devices, "_Processes", Processes)
    monkeypatch.setattr(devices, "fill_banks", lambda *given, **how: w.filled.append((given, how)) or "filled here")
    monkeypatch.setattr(devices, "move_to_host", w.moved.append)
    monkeypatch.setattr(devices, "available_cores", lambda: 6)
    monkeypatch.setattr(devices, "progress_bar", lambda **how: w.bars.append(how) or contextlib.nullcontext())
    return w


def test_fill_banks_on__blocks_are_dealt_out_to_the_devices(pass_on):
    loaders = [lambda **how: None, lambda **how: None]
    encoders = [dataclasses.replace(toy(name), reload=load) for name, load in zip("ab", loaders, strict=True)]
    blocks = Blocks([64, 64, 64, 64, 10])
    banks = [Lacking(blocks=blocks, lacks={0, 2, 4}), Lacking(blocks=blocks, lacks={3})]
    learn = print
    outcome = devices.fill_banks_on(
        ("cuda:0", "cuda:1", "cuda:2"), PHOTOS, RECIPE, encoders, banks,
        batch_size=5, workers=4, views="device", label="a on set", learn=learn,
    )  # fmt: skip
    [(work, shares)] = pass_on.made
    assert work == Work(PHOTOS, RECIPE, banks, loaders, 5, 2, "device", 3)  # two cores for each
    assert shares == [Share("cuda:0", (0, 4)), Share("cuda:1", (2,)), Share("cuda:2", (3,))]
    assert pass_on.bars == [{"total": 64 * 3 + 10, "desc": "a on set, 3 devices", "unit": "photo", "delay": 1}]
    assert (pass_on.learn, pass_on.closed, pass_on.filled) == (learn, 1, [])
    assert pass_on.moved == encoders
    assert outcome.views == (1,)
    pass_on.outcomes = DataError("died")
    with pytest.raises(DataError, match=r"^died$"):
        devices.fill_banks_on(("cpu", "cpu"), PHOTOS, RECIPE, encoders, banks, workers=0)
    assert (pass_on.closed, pass_on.made[-1][0].workers, pass_on.made[-1][0].processes) == (2, 0, 2)
    banks[0].lacks = {1}
    pass_on.outcomes = [PassOutcome(COST, {}, (1,), (2.0,))]
    devices.fill_banks_on(("cpu",) * 5, PHOTOS, RECIPE, encoders, banks, workers=9)
    work, shares = pass_on.made[-1]
    assert (work.processes, work.workers, len(shares)) == (2, 3, 2)  # no more devices than blocks


@pytest.mark.parametrize(
    ("names", "lacks", "reload", "line"),
    [
        (("cpu",), {0, 1}, True, ""),
        (("cpu", "cpu"), {1}, True, ""),
        (("cpu", "cpu"), {0, 1}, False, "camtrace: b exists in this process only: this pass embeds on mps alone\n"),
        (("cpu",), {0, 1}, False, ""),
        (("cpu", "cpu"), set(), False, ""),
    ],
)
def test_fill_banks_on__this_process_alone(pass_on, capsys, names, lacks, reload, line):
    again = [lambda **how: None, (lambda **how: None) if reload else None]
    encoders = [dataclasses.replace(toy(n, device="mps"), reload=load) for n, load in zip("ab", again, strict=True)]
    banks = [Lacking(blocks=Blocks([64, 64]), lacks=lacks)] * 2
    how = {"batch_size": 5, "workers": 4, "views": "cpu", "label": "l", "learn": print, "ahead": SimpleNamespace()}
    assert devices.fill_banks_on(names, PHOTOS, RECIPE, encoders, banks, **how) == "filled here"
    assert pass_on.filled == [((PHOTOS, RECIPE, encoders, banks), how)]
    assert (pass_on.made, pass_on.moved, capsys.readouterr().err) == ([], [], line)


@pytest.fixture
def share(monkeypatch):
    """What a process of a pass calls."""
    w = SimpleNamespace(calls=[], filled=[])
    monkeypatch.setattr(device_process, "share_machine", lambda count: w.calls.append(("share", count)))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: w.calls.append(("threads", count)))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: w.calls.append(("device", str(device))))

    def fill(*given, **how):
        w.filled.append((given, how))
        return PassOutcome(COST, w.failures, w.views, w.seconds)

    monkeypatch.setattr(device_process, "fill_banks", fill)
    w.failures, w.views, w.seconds = {}, (8,), (0.5,)
    return w


def test_fill_share__loads_its_encoders_and_fills_its_blocks(share):
    encoders, loaded = [toy("a"), toy("b"), toy("c")], []

    def loader(encoder):
        def load(*, device):
            loaded.append((encoder.info.id, device))
            if encoder.info.id == "b":
                raise EncoderError("b: no memory")
            return encoder

        return load

    banks = [bank_of(encoder) for encoder in encoders]
    work = Work(PHOTOS, RECIPE, banks, [loader(encoder) for encoder in encoders], 5, 2, "cpu", 3)
    share.failures, share.views, share.seconds = {1: "c: it failed"}, (8, 0), (0.5, 0.25)
    outcome = fill_share(work, Share("cuda:1", (0, 2)), print)
    assert share.calls == [("share", 3), ("threads", 2), ("device", "cuda:1")]
    assert loaded == [("a", "cuda:1"), ("b", "cuda:1"), ("c", "cuda:1")]
    how = {"batch_size": 5, "workers": 2, "views": "cpu", "learn": print, "blocks": (0, 2), "silent": True}
    assert share.filled == [((PHOTOS, RECIPE, [encoders[0], encoders[2]], [banks[0], banks[2]]), how)]
    assert outcome == PassOutcome(COST, {1: "b: no memory", 2: "c: it failed"}, (8, 0, 0), (0.5, 0.0, 0.25))
    share.calls.clear()
    alone = Work(PHOTOS, RECIPE, banks[1:2], work.encoders[1:2], 5, 2, "cpu", 9)
    with pytest.raises(EncoderError, match=r"^b: no memory$"):
        fill_share(alone, Share("cpu", (0,)), print)
    assert share.calls == [("share", 9), ("threads", 1)]
    two = dataclasses.replace(alone, banks=banks[1:2] * 2, encoders=work.encoders[1:2] * 2)
    with pytest.raises(EncoderError, match=r"^b: no memory; b: no memory$"):
        fill_share(two, Share("cpu", (0,)), print)


def test_check_same_encoder__as_the_banks_key_has_it():
    encoder = toy("loaded")
    same = check_same_encoder(encoder, bank_of(toy("of the bank")), "cuda:1")
    assert same == dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, id="of the bank"))
    in_torch = toy("by torch")
    faster = dataclasses.replace(toy("fast"), runtime=Runtime("openvino", "1", 1e-7), in_torch=lambda: in_torch)
    assert check_same_encoder(faster, bank_of(toy("x")), "cpu").info.id == "x"  # the run has chosen torch
    assert check_same_encoder(faster, bank_of(toy("x")), "cpu").runtime is None
    assert check_same_encoder(faster, bank_of(faster), "cpu").runtime == faster.runtime
    other = dataclasses.replace(toy("x", dtype="bfloat16", weights="1" * 64), compiled=True)
    with pytest.raises(EncoderError) as refused:
        check_same_encoder(other, bank_of(toy("x")), "cuda:1")
    assert str(refused.value) == (
        "x: loaded again for cuda:1 it is another encoder (weights_sha256, dtype, compiled, device_type differ); have "
        "its files changed? Run the command again"
    )


def sent(stream):
    """The messages that were written."""
    stream.seek(0)
    messages = []
    with contextlib.suppress(EOFError):
        while True:
            messages.append(pickle.load(stream))
    return messages


def test_messages__digests_are_gathered(monkeypatch):
    now, stream = [10.0], io.BytesIO()
    monkeypatch.setattr(device_process.time, "monotonic", lambda: now[0])
    messages = _Messages(stream)
    messages.add_digest(3, b"x")
    now[0] = 10.2
    messages.add_digest(4, b"y")
    assert sent(stream) == []
    now[0] = 10.3
    messages.add_digest(5, b"z")
    assert sent(stream) == [("digests", [(3, b"x"), (4, b"y"), (5, b"z")])]
    now[0] = 10.4
    messages.add_digest(6, b"w")
    messages.flush()
    messages.flush()
    assert sent(stream)[1:] == [("digests", [(6, b"w")])]
    ended = []
    monkeypatch.setattr(device_process.os, "_exit", ended.append)
    closed = SimpleNamespace(write=lambda data: (_ for _ in ()).throw(BrokenPipeError()), flush=lambda: None)
    _Messages(closed).send("line", "x")
    assert ended == [1]


@pytest.fixture
def process(monkeypatch):
    """``main`` on work and a share from standard input: its messages, and what was prepared."""
    w = SimpleNamespace(calls=[])

    def run(fill):
        stream, given = io.BytesIO(), io.BytesIO(pickle.dumps("WORK") + pickle.dumps("SHARE"))
        with monkeypatch.context() as patch:  # pytest needs the real ones at the end of a test
            patch.setattr(device_process.os, "dup", lambda number: w.calls.append(("dup", number)) or 77)
            patch.setattr(device_process.os, "dup2", lambda *given: w.calls.append(("dup2", *given)))
            patch.setattr(device_process.os, "fdopen", lambda number, mode: w.calls.append((number, mode)) or stream)
            patch.setattr(device_process, "prepare_process", lambda: w.calls.append("prepared"))
            patch.setattr(device_process.threading, "Thread", lambda **how: SimpleNamespace(start=lambda: None))
            patch.setattr(device_process, "fill_share", fill)
            patch.setattr(sys, "stdin", SimpleNamespace(buffer=given))
            device_process.main()
        return sent(stream)

    w.run = run
    return w


def test_main__digests_then_the_outcome(process):
    def fill(work, share, learn):
        learn(1, b"x")
        print("a warning", file=sys.stderr)
        return f"{work} {share}"

    messages = process.run(fill)
    assert messages == [("line", "a warning"), ("digests", [(1, b"x")]), ("done", "WORK SHARE")]
    assert process.calls == [("dup", 1), (77, "wb"), ("dup2", 2, 1), "prepared"]


def test_main__errors_of_the_run_are_messages_and_others_end_the_process(process):
    def failing(error):
        def fill(work, share, learn):
            learn(1, b"x")
            raise error

        return fill

    digests = ("digests", [(1, b"x")])
    assert process.run(failing(EncoderError("no memory"))) == [digests, ("failed", ("EncoderError", "no memory"))]
    full = OSError(28, "No space left on device")
    first, (kind, (name, text)) = process.run(failing(full))
    assert (first, kind, name) == (digests, "failed", "DiskError")
    assert "No space left on device" in text or "full" in text
    with pytest.raises(OSError, match="odd"):
        process.run(failing(OSError("odd")))


def running(*statuses):
    """Processes of a pass that have not sent anything."""
    made = devices._Processes.__new__(devices._Processes)
    made._lines, made._messages = set(), queue.Queue()
    made._running = [
        devices._DeviceProcess(Share(f"cuda:{i}", ()), SimpleNamespace(poll=lambda s=s: s, wait=lambda seconds: None))
        for i, s in enumerate(statuses)
    ]
    return made


def test_outcomes__digests_lines_and_results_in_any_order(capsys):
    made, updates, learnt = running(None, None), [], []
    first, second = made._running
    bar = SimpleNamespace(update=updates.append, write=lambda line, file: print(line, file=file))
    for message in (
        (second, "line", "a warning"), (first, "digests", [(3, b"x"), (5, b"y")]), (first, "line", "a warning"),
        (second, "done", "of second"), (second, "closed", None), (first, "line", "another"),
        (first, "done", "of first"),
    ):  # fmt: skip
        made._messages.put(message)
    assert made.outcomes(bar, lambda index, digest: learnt.append((index, digest))) == ["of first", "of second"]
    assert (updates, learnt) == ([2], [(3, b"x"), (5, b"y")])
    assert capsys.readouterr().err == "a warning\nanother\n"


@pytest.mark.parametrize(
    ("kind", "raised"), [("DiskError", DiskError), ("EncoderError", EncoderError), ("Unknown", DataError)]
)
def test_outcomes__an_error_of_a_process_is_raised_as_it_was(kind, raised):
    made = running(None)
    made._messages.put((made._running[0], "failed", (kind, "why")))
    with pytest.raises(raised, match=r"^why$") as error:
        made.outcomes(None, print)
    assert type(error.value) is raised


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize(
    ("status", "how"),
    [
        (-signal.SIGKILL, "was killed by signal 9 (probably for memory: use fewer --workers)"),
        (-signal.SIGSEGV, "was killed by signal 11 (one --device may show why)"),
        (3, "ended with status 3 (one --device may show why)"),
    ],
)
def test_outcomes__a_process_that_died(monkeypatch, status, how, closes):
    monkeypatch.setattr(devices, "LOOK_S", 0.001)
    made = running(None, status)
    if closes:
        made._messages.put((made._running[1], "closed", None))
    with pytest.raises(DataError) as error:
        made.outcomes(None, print)
    assert str(error.value) == (
        f"the process that embeds on cuda:1 {how}; finished embeddings are saved, the same command makes the others"
    )


def test_processes__work_that_cannot_be_sent(monkeypatch):
    work = Work(PHOTOS, lambda: None, [], [], 5, 0, "cpu", 2)
    with pytest.raises(DataError, match=r"^set: cannot be handed to other processes \(.+\); use one --device$"):
        devices._Processes(work, [])
