"""The request that ``camtrace.score`` makes of its arguments, how encoders are loaded, and what becomes of failures."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import camtrace
from benchmark.api import scoring as module
from benchmark.options import DEFAULT_DATA, DEFAULT_MODEL, default_arguments, to_run_options
from benchmark.results import Failure
from builders.errors import DataError, EncoderError, UsageError
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

PHOTOS = PhotoSet.of_bytes("set", dict.fromkeys("ab", b"x"))


def scored_of(name, scores=("score",), failures=()):
    result = SimpleNamespace(scores=scores, failures=failures, encoder={"id": name})
    return SimpleNamespace(result=result, photos=PHOTOS)


@pytest.fixture
def world(monkeypatch):
    """Calls of what runs a request and of what loads encoders."""
    w = SimpleNamespace(requests=[], loads=[], scored=[scored_of("a")], failed=(), warned=(), saved=[])

    def run(request, *, scored, log):
        w.requests.append(request)
        for sentence in w.warned:
            log.warning(sentence)
            log.info("not shown")
            log.debug("not shown")
        for one in w.scored:
            scored(one)
        return SimpleNamespace(failed=w.failed)

    monkeypatch.setattr(module, "run_request", run)
    monkeypatch.setattr(module, "load_encoder", lambda *given, **how: w.loads.append((given, how)) or "loaded")
    monkeypatch.setattr(module, "as_encoder", lambda *given, **how: w.loads.append((given, how)) or "made")
    monkeypatch.setattr(module.Results, "save_reports", lambda self, folder: w.saved.append((self, folder)))

    def score(*given, **how):
        results = camtrace.score(*given, **how)
        return results, w.requests[-1]

    w.score = score
    return w


def loaded(world, source, **how):
    world.loads.clear()
    made = source.load(**how)
    [(given, named)] = world.loads
    return made, given, named


def test_score__without_arguments_is_the_smoke_test(world):
    results, request = world.score()
    assert (list(request.encoders), request.encoders[DEFAULT_MODEL].spec) == ([DEFAULT_MODEL], DEFAULT_MODEL)
    assert (request.data, request.tasks, request.trust_remote_code) == (list(DEFAULT_DATA), [], False)
    assert request.options == to_run_options(default_arguments())
    assert (request.erasing, request.output, request.together, request.by_ranks) == (None, None, None, None)
    assert (results.scored, dict(results.missing), results.single) == ((world.scored[0],), {}, request.single)
    assert world.saved == []


def test_score__a_specification_is_loaded_with_every_option(world, tmp_path):
    before = []
    _, request = world.score("a/b", data=PHOTOS, cache=tmp_path, revision="r", device="cpu", dtype="bfloat16")
    made, given, how = loaded(world, request.encoders["a/b"], before_conversion=before.append)
    assert (made, given, how.pop("before_conversion")) == ("loaded", ("a/b",), before.append)
    assert how.pop("revision") == "r"
    assert how.pop("trust_remote_code") is False
    assert (how["device"], how["dtype"], how["preprocess"], request.data) == ("cpu", "bfloat16", "own", [PHOTOS])
    assert set(how) >= {"device", "dtype", "compile", "runtime", "cache", "preprocess"}
    assert (how["compile"], how["cache"]) == (False, tmp_path)
    _, request = world.score("a/b", trust_remote_code=True, preprocess="squash", compile=True, preset="iccv2025")
    _, _, how = loaded(world, request.encoders["a/b"])
    assert (how["trust_remote_code"], how["preprocess"], how["compile"]) == (True, "squash", True)
    assert (how["revision"], request.trust_remote_code, request.options.preset) == (None, True, "iccv2025")


class Network(torch.nn.Module):
    def forward(self, pixels):
        return pixels


def test_score__objects_in_memory_are_made_encoders_with_every_option(world):
    def transform(image):
        return image

    def function(image):
        return [0.0]

    network, ready = Network(), toy_encoder(as_rows, transform, 4, name="ready")
    given = {"net": network, "fun": function, "enc": ready, "spec": "a/b"}
    _, request = world.score(given, preprocess=transform, device="cpu")
    assert list(request.encoders) == list(given)
    assert [source.spec for source in request.encoders.values()] == [None, None, None, "a/b"]
    for name, thing in list(given.items())[:3]:
        made, things, how = loaded(world, request.encoders[name], before_conversion=print)
        assert (made, things) == ("made", (thing,))
        assert (how["name"], how["preprocess"], how["mode"]) == (name, transform if thing is network else None, "own")
        assert (how["device"], "trust_remote_code" in how, "before_conversion" in how) == ("cpu", False, False)
    _, things, how = loaded(world, request.encoders["spec"])
    assert (things, how["preprocess"]) == (("a/b",), "own")
    _, request = world.score([network, function, Network(), ready, "a/b"], preprocess=transform)
    assert list(request.encoders) == ["Network", "function", "Network, number 3", "Encoder", "a/b"]
    assert loaded(world, request.encoders["Network, number 3"])[2]["name"] == ""
    _, request = world.score(network, preset="iccv2025")
    how = loaded(world, request.encoders["Network"])[2]
    assert (how["preprocess"], how["mode"]) == (None, "study")
    world.score((network, "a/b"), preprocess=transform)
    assert list(world.requests[-1].encoders) == ["Network", "a/b"]
    with pytest.raises(UsageError) as refused:
        world.score([function, "a/b"], preprocess=transform)
    sentence = "preprocess goes with a torch.nn.Module in memory; every other encoder brings its own"
    assert str(refused.value) == sentence


def test_score__lists_and_single_values(world, tmp_path, monkeypatch):
    monkeypatch.setattr(module.Erasing, "load", lambda place: ("eraser of", place))
    out = tmp_path / "out"
    results, request = world.score(
        "a/b", data=["sample", PHOTOS], tasks=("x/*", "y/*"), outputs="layers[1]", eraser=Path("e"), output=str(out),
        memory="2G", processings=Path("web"),
    )  # fmt: skip
    assert (request.data, request.tasks, request.options.outputs) == (
        ["sample", PHOTOS],
        ["x/*", "y/*"],
        ("layers[1]",),
    )
    assert (request.erasing, request.output, request.single) == (("eraser of", "e"), out, False)
    assert (request.options.memory, request.options.processings) == (2 * 2**30, "web")
    assert world.saved == [(results, out)]
    _, request = world.score("a/b", data="sample", tasks="x/*", outputs=["layers[1]", "layers[2]"], memory=5)
    assert (request.data, request.tasks) == (["sample"], ["x/*"])
    assert (request.options.outputs, request.options.memory) == (("layers[1]", "layers[2]"), 5)
    assert request.single


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"model": []}, "nothing to score: give at least one encoder and one data set"),
        ({"model": {}}, "nothing to score: give at least one encoder and one data set"),
        ({"data": []}, "nothing to score: give at least one encoder and one data set"),
        ({"model": ["a", "b"], "revision": "r"},
         "revision goes with one encoder of the Hub; with several, write each as NAME@REVISION"),
        ({"model": Network(), "revision": "r"},
         "revision goes with one encoder of the Hub; with several, write each as NAME@REVISION"),
        ({"memory": "x"}, "memory 'x' is no size: write it like 512M or 8G"),
        ({"photos": "sample"}, "unknown option 'photos': did you mean 'data'?"),
        ({"layers": "x"}, "unknown option 'layers': did you mean 'outputs'?"),
        ({"models": "x"}, "unknown option 'models': did you mean 'model'?"),
        ({"dtyp": "x"}, "unknown option 'dtyp': did you mean 'dtype'?"),
        ({"xyz": "x"}, "unknown option 'xyz': help(camtrace.score) names the options"),
    ],
)  # fmt: skip
def test_score__what_is_wrong_is_one_sentence(world, wrong, sentence):
    with pytest.raises(UsageError) as refused:
        world.score(**wrong)
    assert str(refused.value) == sentence
    assert world.requests == []


def failed(name, reason):
    return SimpleNamespace(name=name, reason=reason, error=DataError(reason))


def test_score__failures_are_warnings_where_something_was_scored(world):
    broken = [Failure("encoder", "b", "b: broken"), Failure("photo", "x", "is empty"), Failure("task", "t", "no")]
    world.scored = [scored_of("a"), scored_of("b", (), broken)]
    world.failed, world.warned = (failed("c", "c: no weights"),), ("a: 3 photos are missing",)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        results, _ = world.score(["a", "b", "c"])
    assert [str(one.message) for one in warned] == [
        "a: 3 photos are missing", "failed: b: broken", "not scored: c: c: no weights",
    ]  # fmt: skip
    assert {one.filename for one in warned[1:]} == {__file__}
    assert dict(results.missing) == {"c": "c: no weights"}


def test_score__failures_are_errors_where_nothing_was_scored(world):
    world.scored = []
    world.failed = (failed("a", "a: no weights"), failed("b", "b: no weights"))
    with pytest.raises(DataError, match=r"^a: no weights$"):
        world.score(["a", "b"])
    world.failed = ()
    world.scored = [scored_of("a", (), [Failure("encoder", "a", "a: broken")])]
    with pytest.raises(EncoderError, match=r"^a: broken$"):
        world.score("a")
    world.scored = [scored_of("a", (), [Failure("task", "t", "no")])]
    results, _ = world.score("a")
    assert results.scored == tuple(world.scored)
