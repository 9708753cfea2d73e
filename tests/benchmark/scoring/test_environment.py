"""What a result records of encoder, machine, runs of ranks, costs and failures, by hand."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.bank import PrecisionVerdict, RuntimeVerdict
from benchmark.encoders import Output, Runtime
from benchmark.erasing import fit_eraser
from benchmark.options import RunOptions
from benchmark.results import Result, Score
from benchmark.scoring import EncoderRun, Invocation, encoder_record, reproduce_command
from benchmark.scoring.collect import OutputCollected, result_of
from benchmark.scoring.reproduce import environment_record, made_by_ranks, peak_memory
from benchmark.scoring.trial import Trial
from builders.photos import PhotoSet
from tests.support.scoring import as_rows, toy_encoder

PHOTOS = PhotoSet.of_bytes("p", dict.fromkeys("abcde", b""), list("xyxyx"), ["train", "train", "val", "val", "test"])


def toy(**more):
    return toy_encoder(as_rows, lambda image: np.asarray(image), 4, **more)


def environment(encoder=None, options=None, gate=None, compared=None):
    return environment_record(encoder or toy(), PHOTOS, options or RunOptions(), gate, compared)


def test_environment__what_is_there_only_sometimes():
    plain = environment()
    assert not {"devices", "cudnn", "runtime", "precision_gate", "processings_by"} & set(plain)
    names = ("device", "dtype", "storage", "compiled", "preprocessing_by")
    assert [plain[name] for name in names] == ["cpu", "float32", "float32", False, "its own code"]
    assert plain["options"]["seed"] == 0
    changed = environment(dataclasses.replace(toy(dtype="bfloat16"), compiled=True), RunOptions(storage="float16"))
    assert [changed[name] for name in names[1:4]] == ["bfloat16", "float16", True]
    gate = PrecisionVerdict(passed=False, reason="it blurs", ratio=0.1, photos=4)
    assert environment(gate=gate)["precision_gate"] == gate.record()


def test_environment__of_a_card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device}")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: None)
    on_card = environment(toy(device="cuda:1"))
    assert on_card["device"] == "card cuda:1"
    assert on_card["cudnn"]["version"] == 0
    assert list(on_card["cudnn"]) == ["version", "benchmark", "deterministic", "deterministic_algorithms"]
    assert peak_memory("cuda:1")["device"] == 7
    assert list(peak_memory("cpu")) == ["process", "largest_worker"]
    assert peak_memory("cpu")["process"] > 10_000_000  # bytes: Python with torch has more than 10 MB


def test_environment__of_another_runtime():
    runtime = Runtime("openvino", "2026.1", 1e-7)
    encoder = dataclasses.replace(toy(), runtime=runtime)
    record = environment(encoder)["runtime"]
    assert (record["name"], record["version"], record["relative_error"]) == ("openvino", "2026.1", 1e-7)
    assert None not in record.values()
    assert "" not in record.values()
    assert "on_photos" not in record
    compared = RuntimeVerdict(passed=True, reason="", ratio=0.5, photos=4)
    assert environment(encoder, compared=compared)["runtime"]["on_photos"] == compared.record()


def test_encoder_record__an_eraser_adds_its_name_and_record():
    rng = np.random.default_rng(0)
    eraser = fit_eraser(rng.normal(size=(60, 4)).astype(np.float32), rng.integers(0, 3, 60))
    encoder = toy(preprocessing={"size": (8, 8)})
    encoder = dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, details={"ema": True}))
    plain, erased = encoder_record(encoder), encoder_record(encoder, eraser)
    assert plain["preprocessing"] == {"size": [8, 8]}
    assert json.loads(json.dumps(erased)) == erased
    assert erased["id"] == f"toy+{eraser.name}"
    assert (erased["details"]["ema"], erased["details"]["encoder"]) == (True, "toy")
    assert erased["details"]["eraser"]["sha256"] == eraser.sha256
    assert {**erased, "id": "toy", "details": {"ema": True}} == plain


def test_made_by_ranks__devices_are_those_of_the_ranks_each_once():
    result = Result({"id": "a"}, {"name": "b"}, {"device": "cpu", "dtype": "float32"}, (), (), {}, "now")
    machines = [{"device": device, "host": "h"} for device in ("H100", "A100", "H100")]
    made = made_by_ranks(result, machines)
    assert made.environment == {"device": "A100, H100", "dtype": "float32", "ranks": machines}
    assert made_by_ranks(result, []).environment["device"] == "cpu"


@pytest.mark.parametrize(
    ("place", "public"),
    [
        ("me/eraser", True),
        ("me/eraser@v1", True),
        ("folder", False),
        ("/home/me/eraser", False),
        ("here/eraser", False),
    ],
)
def test_reproduce_command__an_eraser_of_the_hub_is_named_and_a_folder_is_not(place, public, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "eraser").mkdir(parents=True)
    erasing = SimpleNamespace(place=place, eraser=SimpleNamespace(name="leace-jpeg", sha256="1d5"))
    origin = Invocation("control:pixels", "sample", ("knn/*",), erasing=erasing)
    repeat = reproduce_command(origin, toy().info, PHOTOS, RunOptions())
    assert f"--data sample --eraser {place if public else 'ERASER'} --tasks 'knn/*'" in repeat.command
    about = {} if public else {"eraser": "ERASER: your folder of an eraser (leace-jpeg), SHA-256 1d5"}
    assert {name: text for name, text in repeat.local.items() if name == "eraser"} == about


FILE = "625ab1dc"


@pytest.mark.parametrize(
    ("spec", "name", "details", "shown", "about"),
    [
        ("weights:/me/a.pt", "weights:a.pt", {}, "weights:PATH", "PATH: your file of weights (weights:a.pt), SHA-256"),
        ("weights:/me/a.pt?arch=x", "weights:a.pt?arch=x", {}, "weights:PATH?arch=x", "PATH: your file of weights"),
        ("weights:/me/a.pt?arch=x", "weights:a.pt?arch=x", {"prefix": "net.", "ema": True},
         "weights:PATH?arch=x&prefix=net&ema=true", "PATH: your file of weights"),
        ("./runs/a", "weights:a", {"prefix": "net"}, "weights:PATH", "PATH: your file of weights (weights:a)"),
        ("onnx:/me/a.onnx", "onnx:a.onnx", {}, "onnx:PATH", "PATH: your file (onnx:a.onnx), SHA-256"),
        ("embeddings:/me/a.npy?k=1", "embeddings:a.npy", {}, "embeddings:PATH?k=1", "PATH: your file (embeddings:a."),
        ("answers:/me/a.csv?questions=/me/q.csv&embeddings=b/e.npy", "answers:a.csv", {},
         "answers:PATH?questions=q.csv&embeddings=e.npy", "PATH: your file (answers:a.csv)"),
        ("vlm:/me/model", "vlm:model?presence", {}, "vlm:MODEL?presence",
         f"MODEL: your folder of a model (vlm:model), SHA-256 {FILE}"),
        ("vlm:org/net", "vlm:org/net@main?questions=q.csv@1d5", {"revision": "abc"},
         "vlm:org/net@abc?questions=q.csv@1d5", "q.csv@1d5: your table of questions"),
        ("vlm:org/net", "vlm:org/net?choice", {"revision": "abc"}, "vlm:org/net@abc?choice", ""),
        ("vlm:/me/model", "vlm:model?questions=q.csv@1d5", {}, "vlm:MODEL?questions=q.csv@1d5",
         f"MODEL: your folder of a model (vlm:model), SHA-256 {FILE}; q.csv@1d5: your table of questions"),
    ],
)  # fmt: skip
def test_reproduce_command__models_in_files(spec, name, details, shown, about):
    details = dict(details)
    info = dataclasses.replace(
        toy(weights=FILE).info, id=name, revision=details.pop("revision", None), library="timm", details=details
    )
    repeat = reproduce_command(Invocation(spec, "sample"), info, PHOTOS, RunOptions())
    words = repeat.command.replace("'", "").split()
    assert shown in words[words.index("--model") + 1]
    assert repeat.local.get("model", "").startswith(about)
    assert ("model" in repeat.local) == bool(about)
    assert "/me" not in repeat.command + repeat.local.get("model", "")


def scored(task, value=0.5):
    return Score(task, "", "accuracy", value, 0.4, 0.6, 10, 0.5)


def test_result_of__everything_that_was_collected():
    output = Output("layers[1]:mean", 1, 12, "block", "mean", 4, "by hooks")
    silent = dataclasses.replace(output, name="layers[2]:mean")
    of_layer = EncoderRun({}, scores=[scored("knn/a")], failures={("task", "knn/b"): "odd", ("photo", "x"): "lost"},
                          retried={"knn/a": "first"})  # fmt: skip
    state = EncoderRun(
        {"embedding": 1.23456},
        scores=[scored("knn/a")],
        failures={("photo", "x"): "is empty", ("task", "knn/c"): "no memory"},
        retried={"knn/d": "once"},
        source_jpeg={"4:2:0": 5},
        photos=5,
        views=30,
        embedding_s=2.0,
        encoders_in_pass=3,
        trial=Trial("", 3, 0.000123456, 0.0, ""),
        outputs={o.name: OutputCollected(o, s) for o, s in ((output, of_layer), (silent, EncoderRun({})))},
    )
    result = result_of(toy(), PHOTOS, "bytes", RunOptions(), state, bytes_read=4)
    assert [(f.kind, f.name, f.reason) for f in result.failures] == [
        ("task", "knn/c", "no memory"), ("task", "knn/b of layers[1]:mean", "odd"), ("photo", "x", "is empty"),
    ]  # fmt: skip
    assert result.environment["retried"] == {"knn/d": "once", "knn/a of layers[1]:mean": "first"}
    assert result.environment["trial"] == {"photos": 3, "repeated": 0.00012, "alone": 0.0, "random": ""}
    assert [(o.name, [s.data for s in o.scores]) for o in result.outputs] == [("layers[1]:mean", ["p"])]
    assert [s.data for s in result.scores] == ["p"]
    cost = dict(result.cost)
    assert set(cost.pop("peak_memory_bytes")) == {"process", "largest_worker"}
    assert cost == {
        "bytes_read": 4, "photos": 5, "views": 30, "encoders_in_pass": 3, "views_per_second": 15.0,
        "seconds": {"embedding": 1.235},
    }  # fmt: skip
    data = {
        name: result.data[name] for name in ("name", "photos", "classes", "bytes_hash", "source_jpeg", "smoke_test")
    }
    assert data == {
        "name": "p", "photos": {"train": 2, "val": 2, "test": 1}, "classes": 2, "bytes_hash": "bytes",
        "source_jpeg": {"4:2:0": 5}, "smoke_test": False,
    }  # fmt: skip
    assert (result.data["question_hash"], result.data["ids_hash"]) == (PHOTOS.question_hash(), PHOTOS.ids_hash())
    empty = result_of(toy(), PHOTOS, "bytes", RunOptions(), EncoderRun({}))
    assert (empty.cost["views_per_second"], "bytes_read" in empty.cost) == (0.0, False)
    assert ("retried" in empty.environment, empty.outputs, empty.failures) == (False, (), ())
