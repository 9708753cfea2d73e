"""A result of a run, whole: every entry of its environment, its data and its cost, and nothing else."""

import dataclasses
import datetime
import platform

from benchmark.compute import library_version
from benchmark.options import RunOptions
from benchmark.results import Failure, Score
from benchmark.scoring.collect import EncoderRun, result_of
from benchmark.scoring.reproduce import encoder_record, environment_record, options_record
from benchmark.scoring.trial import Trial
from benchmark.stats import METHODS
from builders.photos import PhotoSet
from builders.pixels import codec_canary, codec_versions
from tests.support.scoring import as_rows, toy_encoder

SPLITS = ["train", "train", "val", "val", "test"]
PHOTOS = PhotoSet.of_bytes("p", dict.fromkeys("abcde", b""), list("xyxyx"), SPLITS)


def toy(**more):
    return toy_encoder(as_rows, lambda image: image, 4, **more)


def test_environment__whole():
    options = RunOptions(storage="float16", seed=3)
    packages = ("camtrace", "torch", "torchvision", "transformers", "timm", "open_clip_torch", "numpy", "pillow")
    assert environment_record(toy(dtype="tf32"), PHOTOS, options, None, None) == {
        "versions": {name: library_version(name) for name in packages},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "codec": codec_versions(),
        "codec_canary": codec_canary(),
        "preprocessing_by": "its own code",
        "device": "cpu",
        "dtype": "tf32",
        "storage": "float16",
        "compiled": False,
        "options": options_record(options, PHOTOS),
    }


def test_result__whole():
    encoder, options = toy(), RunOptions()
    score = Score("knn/original", "", "accuracy", 0.5, 0.4, 0.6, 2, 0.5)
    state = EncoderRun(
        {"embedding": 1.23456, "knn": 2.0},
        scores=[score],
        failures={("photo", "e"): "is empty", ("task", "knn/jpeg"): "no memory"},
        source_jpeg={"4:2:0": 4},
        photos=5,
        views=30,
        embedding_s=2.0,
        encoders_in_pass=3,
        trial=Trial("", 3, 0.25, 0.0, ""),
    )
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    photos = dataclasses.replace(PHOTOS, evidence={"revision": "c0"}, smoke_test=True)
    result = result_of(encoder, photos, "bytes", options, state, bytes_read=4)
    assert result.encoder == encoder_record(encoder)
    assert result.data == {
        "name": "p",
        "photos": {"train": 2, "val": 2, "test": 1},
        "classes": 2,
        "question_hash": photos.question_hash(),
        "ids_hash": photos.ids_hash(),
        "bytes_hash": "bytes",
        "source_jpeg": {"4:2:0": 4},
        "smoke_test": True,
        "evidence": {"revision": "c0"},
    }
    assert result.environment == {
        **environment_record(encoder, photos, options, None, None),
        "statistics": METHODS,
        "trial": {"photos": 3, "repeated": 0.25, "alone": 0.0, "random": ""},
    }
    assert result.scores == (dataclasses.replace(score, data="p"),)
    assert result.outputs == ()
    assert result.failures == (Failure("task", "knn/jpeg", "no memory"), Failure("photo", "e", "is empty"))
    cost = dict(result.cost)
    assert sorted(cost.pop("peak_memory_bytes")) == ["largest_worker", "process"]
    assert cost == {
        "bytes_read": 4,
        "photos": 5,
        "views": 30,
        "encoders_in_pass": 3,
        "views_per_second": 15.0,
        "seconds": {"embedding": 1.235, "knn": 2.0},
    }
    created = datetime.datetime.fromisoformat(result.created)
    assert before <= created <= datetime.datetime.now(datetime.timezone.utc)
    assert result.created.endswith("+00:00")
