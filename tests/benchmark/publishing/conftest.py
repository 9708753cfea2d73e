"""Results with complete provenance, made by hand, and a client process against the Hub double."""

import dataclasses
import os
from pathlib import Path

import pytest

from benchmark.publishing.files import result_path
from benchmark.results import Result, Score, write_result
from builders.pixels import codec_canary, codec_versions
from tests.support.hub import OWNER_TOKEN, READER_TOKEN
from tests.support.processes import run_python

ROOT = Path(__file__).parents[3]


def result(encoder="timm/resnet50.a1_in1k", data="imagenet", value=0.5, **changes):
    """A result as ``benchmark.scoring.run`` writes it; ``changes`` replaces whole fields."""
    scores = (
        Score("probe/jpeg", data, "accuracy", value, value - 0.1, value + 0.1, 100, 1 / 6, {"protocol": "converged"}),
        Score("knn/jpeg", data, "all-same", 0.7, 0.6, 0.8, 100, 0.1, {"k": 10}),
        Score("knn/jpeg", data, "spd", 0.1, 0.05, 0.15, 100, 0.0, {"k": 10}),
    )
    made = Result(
        encoder={
            "id": encoder,
            "library": "timm",
            "revision": "a" * 40,
            "weights_sha256": "f" * 64,
            "dimension": 2048,
            "preprocessing": {"crop": 224},
            "pooling": "average",
            "parameters": 25_000_000,
            "group": "SUP",
            "training_data": "ImageNet-1k",
            "details": {},
        },
        data={
            "name": data,
            "photos": {"train": 400, "val": 100, "test": 0},
            "classes": 10,
            "question_hash": "9ue5",
            "ids_hash": "1d5",
            "bytes_hash": "b17e5",
            "source_jpeg": {},
            "smoke_test": False,
            "evidence": {"revision": "c" * 40},
        },
        environment={
            "versions": {"camtrace": "0.1.0", "torch": "2.13.0", "numpy": "2.4", "pillow": codec_versions()["pillow"]},
            "codec": codec_versions(),
            "codec_canary": codec_canary(),
            "device": "cpu",
            "dtype": "float32",
            "options": {"seed": 0, "protocol": "converged", "neighbours": 10, "mask_ratio": 0.9},
        },
        scores=scores,
        failures=(),
        cost={"photos": 500},
        created="2026-11-20T10:00:00+00:00",
    )
    return dataclasses.replace(made, **changes)


def changed(original, part, **values):
    """The result with some values of one of its mappings replaced."""
    return dataclasses.replace(original, **{part: {**getattr(original, part), **values}})


def published_as(folder):
    """Files of the results of a folder in a data set of results: bytes by path."""
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("result.json")]
    return {result_path(Result.from_json(text), text): text.encode() for text in texts}


@pytest.fixture
def make():
    class Make:
        pass

    Make.result, Make.changed, Make.path = staticmethod(result), staticmethod(changed), staticmethod(result_path)
    return Make


@pytest.fixture
def folder(tmp_path):
    """Two encoders' results, as a sweep writes them."""
    out = tmp_path / "out"
    write_result(result(), out / "one" / "imagenet" / "result.json")
    write_result(result("control:jpeg-statistics", value=0.8, data="simcams"), out / "two" / "simcams" / "result.json")
    return out


IMPATIENT = """
import time
sleep = time.sleep
time.sleep = lambda seconds: sleep(min(seconds, 0.05))
"""
"""What clients wait for after a failure is over at once in a process that has this as its ``sitecustomize``."""


@pytest.fixture(scope="session")
def impatient(tmp_path_factory):
    """A folder for ``PYTHONPATH``."""
    folder = tmp_path_factory.mktemp("impatient")
    (folder / "sitecustomize.py").write_text(IMPATIENT)
    return str(folder)


@pytest.fixture
def client(hub, tmp_path, impatient):
    """Run ``python -m benchmark ARGUMENTS`` as somebody with a Hub account would; no output may hold a token, and none
    of the clients' progress bars, for which nothing but our own code sees to here."""

    def run(*arguments, token=OWNER_TOKEN, expect=0, home="home"):
        environment = hub.environment(tmp_path / home, token) | {"CAMTRACE_CACHE": str(tmp_path / "cache")}
        places = (impatient, environment.get("PYTHONPATH"))
        environment["PYTHONPATH"] = os.pathsep.join(place for place in places if place)
        del environment["HF_HUB_DISABLE_PROGRESS_BARS"]
        done = run_python("-m", "benchmark", *arguments, env=environment, cwd=ROOT)
        assert done.returncode == expect, done.stdout + done.stderr
        assert OWNER_TOKEN not in done.stdout + done.stderr
        assert READER_TOKEN not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert "%|" not in done.stderr
        return done

    return run
