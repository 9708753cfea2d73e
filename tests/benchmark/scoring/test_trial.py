"""Encoders that are none, through the real command, beside a good one: a recorded failure each, and touching none."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import camtrace
from benchmark import knn
from benchmark.__main__ import main
from benchmark.results import failed_encoder, read_result
from benchmark.results.check import check_forms
from builders.errors import EncoderError, UsageError
from tests.conftest import write_dark_and_light
from tests.support.scoring import values_of

CODE = '''
import collections, itertools, os, sys
import numpy as np
import torch
from PIL import ImageDraw
from torch import nn

calls = collections.defaultdict(itertools.count)  # by function

def good(image):
    pixels = np.asarray(image, dtype=np.float32)
    return np.r_[pixels.mean((0, 1)), np.abs(np.diff(pixels, axis=0)).mean((0, 1)), np.log(pixels.size)]

def draws(image):
    """Writes over the picture that it was given, then reads it."""
    vector = good(image)
    ImageDraw.Draw(image).rectangle((0, 0, *image.size), fill=(7, 7, 7))
    image.thumbnail((4, 4))
    return vector

buffer = np.zeros(7, np.float32)

def one_buffer(image):
    buffer[:] = good(image)
    return buffer

class Reads(nn.Module):
    """Its input is the mean colour, as floats that others of its kind share."""
    def preprocess(self, image):
        return good(image)[:3].reshape(3, 1, 1)
    def forward(self, x):
        return x.flatten(1)

reads = Reads()

class Writes(Reads):
    def forward(self, x):
        return x.mul_(0).add_(torch.arange(3.0).view(3, 1, 1)).flatten(1) + torch.rand(1) * 0

def random(image):
    return good(image) + np.random.default_rng(next(calls["random"])).normal(size=7)

def constant(image):
    return [1.0, 2.0]

def zeros(image):
    return np.zeros(3)

def complex_(image):
    return good(image) + 1j

class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")

def silent(image):
    raise Silent

def silent_late(image):
    if next(calls["silent_late"]) > 8:
        raise Silent
    return good(image)

def exits(image):
    sys.exit(0)

def exits_late(image):
    if next(calls["exits_late"]) > 8:
        sys.exit(0)
    return good(image)

def late(image):
    if next(calls["late"]) > 20:
        raise RuntimeError("tired")
    return good(image)

def ends_generators(image):
    if next(calls["ends_generators"]) > 20:
        raise GeneratorExit
    return good(image)

def forks(image):
    if next(calls["forks"]) > 20:
        os.fork()
    return good(image)

def moves(image):
    if next(calls["moves"]) > 20:
        os.chdir("/")
    return good(image)

def lengthens(image):
    return good(image) if next(calls["lengthens"]) < 20 else [*good(image), 0.0]

class Complex(nn.Module):
    def forward(self, x):
        return torch.complex(x.mean((2, 3)), x.mean((2, 3)))

class Infinite(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) / 0

class Exits(nn.Module):
    def forward(self, x):
        if len(x) > 1:
            sys.exit()
        return x.mean((2, 3))

class Normalises(nn.Module):
    """What a batch norm in training does: the others of its batch decide."""
    def forward(self, x):
        x = x.mean((2, 3))
        return x - x.mean(0) if len(x) > 1 else x

class Drops(nn.Module):
    """Dropout that evaluation does not switch off, in what says that it may be kept."""
    cache_key = "1"
    def forward(self, x):
        return nn.functional.dropout(x.mean((2, 3)), 0.5, training=True)

class Asserts(nn.Module):
    def forward(self, x):
        assert len(x) == 1, "one at a time"
        return x.mean((2, 3))
'''


pytestmark = pytest.mark.usefixtures("unpainted", "brief")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("trial")
    (root / "trial_encoders.py").write_text(CODE)
    (root / "trial_exit.py").write_text("import sys\nsys.exit(0)\n")
    write_dark_and_light(root / "photos", 10, 5, (24, 32))
    return root


@pytest.fixture
def score(folder, tmp_path, monkeypatch, capfd):
    """Run the command on encoders of the module; gives standard error. Results are in ``score.out``."""
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder)

    def run(*names, options=(), expect=0, out="out", tasks=("knn/jpeg",)):
        sys.modules.pop("trial_encoders", None)
        models = [word for name in names for word in ("-m", name if ":" in name else f"trial_encoders:{name}")]
        data = ("-d", "folder:photos", *(word for task in tasks for word in ("-t", task)), "--workers", "0")
        assert main(
            ["score", *models, *data, "-o", str(tmp_path / out), "--cache", str(tmp_path / "cache"), *options]
        ) == (expect)
        printed = capfd.readouterr()
        assert "Traceback" not in printed.err
        return printed.err

    run.out = tmp_path
    yield run
    sys.modules.pop("trial_encoders", None)


def scores(folder: Path) -> dict[tuple[str, str], tuple[float, float, float]]:
    return values_of(read_result(folder / "result.json"))


@pytest.mark.slow
def test_score__an_encoder_that_draws_on_its_picture_touches_no_other_and_not_itself(score):
    tasks = ("probe/sharpening", "knn/jpeg")
    score("good", out="alone", tasks=tasks)
    score("draws", "good", "one_buffer", out="together", tasks=tasks)
    alone = scores(score.out / "alone")
    assert alone["probe/sharpening", "accuracy"][0] > 0.6
    for name in ("draws", "good", "one_buffer"):
        assert scores(score.out / "together" / f"trial_encoders-{name}" / "folder-photos") == alone


@pytest.mark.slow
def test_score__a_network_that_writes_into_its_input_touches_no_other(score):
    tasks = ("probe/sharpening", "knn/jpeg")
    score("reads", out="alone", tasks=tasks)
    score("Writes", "reads", out="together", expect=1, tasks=tasks)
    assert scores(score.out / "together" / "trial_encoders-reads" / "folder-photos") == scores(score.out / "alone")
    failed = read_result(score.out / "together" / "trial_encoders-Writes" / "folder-photos" / "result.json").failures
    assert "30" in failed[0].reason


AT_ONCE = (
    ("random", "run twice on the same photos it gives embeddings"),
    ("constant", "one and the same embedding for all 30 photos"),
    ("zeros", "one and the same embedding for all 30 photos"),
    ("complex_", "it gives complex numbers"),
    ("Complex", "it gives complex numbers"),
    ("Infinite", "not finite"),
    ("silent", "Silent"),
    ("exits", "it called sys.exit(0)"),
    ("trial_exit:encode", "it called sys.exit(0)"),
    ("Exits", "it called sys.exit(None)"),
    ("Asserts", "one at a time"),
    ("Normalises", "depends on the others of its batch"),
)
"""Known before the pass over the photos."""

LATER = (
    ("ends_generators", "it harms the run: it raised GeneratorExit"),
    ("forks", "it harms the run: a fork of it went on with the run"),
    ("moves", "it harms the run: it left another working folder"),
    ("lengthens", "an array of shape (8,), and of (7,) for other photos"),
    ("silent_late", "which can be read (the first: preprocessing failed (Silent: no message))"),
    ("exits_late", "it called sys.exit(0)"),
    ("late", "which can be read (the first: preprocessing failed (RuntimeError: tired))"),
)
"""Known in the middle of the pass."""


@pytest.mark.slow
@pytest.mark.parametrize("failing", [AT_ONCE, LATER], ids=["at once", "later"])
def test_score__what_is_no_encoder_is_a_row_and_status_1(score, failing):
    """All in one run, the good one last; and the first of them alone."""
    score(*(name for name, _ in failing), "good", options=("--json",), expect=1)
    report = (score.out / "out" / "report.md").read_text().splitlines()
    for name, sentence in failing:
        full = name if ":" in name else f"trial_encoders:{name}"
        assert any(sentence in line and full in line for line in report), (name, report)
    assert scores(score.out / "out" / "trial_encoders-good" / "folder-photos")
    name, sentence = failing[0]
    printed = score(name, expect=1, out="single")
    assert sentence in printed or sentence in (score.out / "single" / "report.md").read_text()


@pytest.mark.slow
def test_score__too_few_usable_photos_are_no_score_unless_that_is_allowed(score, folder):
    """Three of ten of the photos of a split cannot be read."""
    files = sorted((folder / "photos").glob("val/*/*.jpg"))
    spoilt = files[:3]
    before = [path.read_bytes() for path in spoilt]
    try:
        for path in spoilt:
            path.write_bytes(b"no picture")
        score("good", expect=1)
        result = read_result(score.out / "out" / "result.json")
        assert result.scores == ()
        [failure] = [failure for failure in result.failures if failure.kind == "task"]
        share = "7 of 10 val photos (70.0 %)"
        assert f"{share}" in failure.reason
        assert failed_encoder(result) == ""  # of all photos fewer failed
        score("good", out="allowed", options=("--min-usable", "0.5"))
        allowed = read_result(score.out / "allowed" / "result.json")
        assert {s.n for s in allowed.scores} == {7}
        assert "--min-usable 0.5" in allowed.environment["command"]
    finally:
        for path, data in zip(spoilt, before, strict=True):
            path.write_bytes(data)


@pytest.mark.slow
def test_score__a_random_encoder_is_scored_where_that_is_requested_and_recorded(score):
    score("random", options=("--allow-random",))
    result = read_result(score.out / "out" / "result.json")
    assert len(result.scores) > 5
    assert result.failures == ()
    assert result.environment["trial"]["photos"] == 3
    assert result.environment["trial"]["repeated"] > 1e-3
    assert "its preprocessing already gives two different arrays" in result.environment["trial"]["random"]
    assert "--allow-random" in result.environment["command"]
    assert "one draw" in (score.out / "out" / "report.md").read_text()
    score("good", out="sure")
    sure = read_result(score.out / "sure" / "result.json").environment["trial"]
    assert sure == {"photos": 3, "repeated": 0.0, "alone": 0.0, "random": ""}


@pytest.mark.slow
def test_score__a_task_that_fails_inside_once_is_scored_reported_and_recorded(score, monkeypatch):
    def fail_first(*given, fails, **named):
        if fails:
            fails.pop()
            raise SystemError("AST constructor recursion depth mismatch (before=57, after=51)")
        return setups(*given, **named)

    setups = knn.knn_setups
    score("good", out="quiet")
    monkeypatch.setattr("benchmark.knn.knn_setups", partial(fail_first, fails=[1]))
    output = score("good", options=("--fresh",))
    reason = "SystemError: AST constructor recursion depth mismatch (before=57, after=51)"
    assert output.count(f"camtrace: knn/jpeg failed ({reason}); run once more, alone, it succeeded\n") == 1
    result = read_result(score.out / "out" / "result.json")
    check_forms(result)
    assert result.failures == ()
    assert result.environment["retried"] == {"knn/jpeg": reason}
    assert scores(score.out / "out") == scores(score.out / "quiet")
    assert "retried" not in read_result(score.out / "quiet" / "result.json").environment
    monkeypatch.setattr("benchmark.knn.knn_setups", partial(fail_first, fails=[1, 1]))
    score("good", options=("--fresh",), out="failed", expect=1)
    [failure] = read_result(score.out / "failed" / "result.json").failures
    assert (failure.kind, failure.name, failure.reason) == ("task", "knn/jpeg", reason)


def test_score__nothing_of_a_random_encoder_is_cached_although_its_weights_are_known(score):
    score("Drops", options=("--allow-random",))
    result = read_result(score.out / "out" / "result.json")
    assert result.encoder["weights_sha256"]
    assert result.environment["trial"]["random"]
    assert not list((score.out / "cache").glob("banks/*/*"))
    assert not list((score.out / "cache").glob("outcomes/*"))


@pytest.mark.slow
def test_score__batch_size_1_is_a_way_out_for_what_depends_on_its_batch(score):
    score("Normalises", "good", expect=1)
    score("Normalises", options=("--batch-size", "1"), out="single")
    assert read_result(score.out / "single" / "result.json").environment["trial"]["random"] == ""


@pytest.mark.parametrize("name", ["good", "control:jpeg-statistics"])
@pytest.mark.parametrize(
    "option",
    [("--device", "cuda"), ("--compile",)],
)
def test_score__an_option_that_cannot_apply_to_a_function_is_an_error(score, name, option):
    printed = score(name, options=option, expect=2)
    assert " ".join(option) in printed or option[0] in printed
    assert not (score.out / "out").exists()


def test_python__the_only_encoder_that_is_none_raises_and_one_of_several_warns(folder, tmp_path):
    noise = np.random.default_rng(0)

    def random(image):
        return noise.normal(size=3)

    def good(image):
        return np.asarray(image, dtype=np.float32).mean((0, 1))

    ask = {"data": f"folder:{folder}/photos", "tasks": "probe/sharpening", "cache": tmp_path, "workers": 0}
    with pytest.raises(EncoderError, match="random: run twice"):
        camtrace.score(random, **ask)
    with pytest.warns(UserWarning, match="failed"):
        results = camtrace.score([random, good], **ask)
    assert results.select(encoder="good")["probe/sharpening"].n == 10
    assert [(f.kind, f.name) for f in results.failures] == [("encoder", "random")]
    with pytest.raises(UsageError, match="--device"):
        camtrace.score(good, device="cuda", **ask)
