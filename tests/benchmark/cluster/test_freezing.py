"""Which encoders a plan takes: those that ranks can share, whose answers repeat, precise enough or forced."""

from types import SimpleNamespace

import pytest

from benchmark.bank import PrecisionVerdict
from benchmark.cluster import plan
from benchmark.options import RunOptions
from benchmark.scoring import PassTimes
from builders.errors import EncoderError, UsageError

REFUSED, PASSED = PrecisionVerdict(False, "too coarse"), PrecisionVerdict(True, "")


@pytest.fixture
def freeze(monkeypatch):
    """The frozen facts of an encoder, of which all that is measured is given."""

    def frozen(verdict=None, *, force=False, trial=("", ""), reason="", runtime=None, **encoder):
        given = {"stored": None, "cacheable": True, "runtime": runtime, **encoder}
        monkeypatch.setattr(plan, "planned_passes", lambda *_: [SimpleNamespace(recipe=None)])
        monkeypatch.setattr(plan, "cached_trials", lambda *_: [SimpleNamespace(reason=trial[0], random=trial[1])])
        monkeypatch.setattr(plan, "resolve_runtime", lambda one, *_: (one, None))
        monkeypatch.setattr(plan, "check_precision", lambda *_: verdict)
        monkeypatch.setattr(plan, "pass_times", lambda *_: PassTimes(views=3, reason=reason))
        monkeypatch.setattr(plan, "key_of", lambda *given, device: {"device": device})
        requested = SimpleNamespace(options=RunOptions(force_dtype=force))
        job = SimpleNamespace(tasks=(), photos=None)
        return plan._freeze("some", SimpleNamespace(**given), job, "0", requested, "cuda")

    return frozen


@pytest.mark.parametrize(
    ("verdict", "force"), [(None, False), (None, True), (PASSED, False), (PASSED, True), (REFUSED, True)]
)
def test_freeze__a_precision_that_is_enough_or_forced(freeze, verdict, force):
    result = freeze(verdict, force=force)
    assert (result.key, result.runtime, result.times.views) == ({"device": "cuda"}, "torch", 3)


def test_freeze__names_the_runtime_that_ranks_are_to_use(freeze):
    assert freeze(runtime=SimpleNamespace(name="openvino")).runtime == "openvino"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"verdict": REFUSED}, "too coarse"),
        ({"stored": "a file"}, "there is nothing to embed"),
        ({"cacheable": False}, "could not tell whether theirs are the same"),
        ({"trial": ("broken", "")}, "broken"),
        ({"trial": ("", "two answers")}, "two answers"),
        ({"trial": ("broken", "two answers")}, "broken"),
        ({"reason": "no photo can be used"}, "no photo can be used"),
    ],
)
def test_freeze__what_ranks_cannot_share_is_refused(freeze, given, message):
    with pytest.raises(EncoderError, match=message):
        freeze(**given)


@pytest.mark.parametrize(
    ("device", "gpu", "expected"),
    [
        ("cpu", False, ("cpu", "cpu")),
        ("cpu", True, ("cpu", "cpu")),
        ("auto", False, ("cpu", "cpu")),
        ("auto", True, ("cuda", "cuda")),
        ("cuda", True, ("cuda", "cuda")),
        ("cuda", False, ("cuda", "cpu")),
    ],
)
def test_devices__of_the_ranks_and_of_this_machine(monkeypatch, device, gpu, expected):
    assert devices(monkeypatch, gpu, device=device) == expected


def devices(monkeypatch, gpu: bool, **given):
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    args = SimpleNamespace(**{"compile": False, "dtype": "float32", **given})
    return plan._devices(SimpleNamespace(parsed=lambda output: args))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "cuda:1"}, "a rank takes the one GPU that it is given"),
        ({"device": "cuda", "dtype": "bfloat16"}, "^--dtype bfloat16: its gate needs a GPU"),
        ({"device": "cuda", "compile": True}, "^--compile: its gate needs a GPU"),
    ],
)
def test_devices__what_cannot_be_planned_here(monkeypatch, given, message):
    with pytest.raises(UsageError, match=message):
        devices(monkeypatch, False, **given)
    if given["device"] == "cuda":
        assert devices(monkeypatch, True, **given) == ("cuda", "cuda")
    assert devices(monkeypatch, False, **{**given, "device": "cpu"}) == ("cpu", "cpu")
