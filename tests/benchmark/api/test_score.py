"""``camtrace.score`` and its ``Results``: objects in memory, lookups, files as the command writes them."""

import dataclasses
import inspect
import json
import re

import numpy as np
import pytest
import torch

import camtrace
from benchmark.api import NoSuchScore, ScoreOptions
from benchmark.api.notebook import html_table
from benchmark.cli.score import parser
from benchmark.encoders import as_encoder
from benchmark.options import RunOptions
from builders.errors import DataError, EncoderError, UsageError
from builders.photos import PhotoSet
from tests.support.images import mean_colour

OPTIONS = {"workers": 0, "device": "cpu"}


class Colours(torch.nn.Module):
    """Four channels' means: a module whose answers are known."""

    def __init__(self, weight=1.0):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor([weight, 2.0, 3.0]))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, pixels):
        return self.dropout(pixels.mean((2, 3)) * self.scale)


def transform(image):
    return torch.from_numpy(np.asarray(image.resize((16, 16)), dtype=np.float32) / 255).permute(2, 0, 1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def photos(photo_folder):
    """The specification of a folder, under a name that does not change."""
    return f"folder:{photo_folder}?name=folder:photos"


@pytest.fixture(scope="module")
def results(cache, photos):
    """A module and a function on a folder."""
    encoders = {"ours": Colours(), "mean": mean_colour}
    return camtrace.score(
        encoders, preprocess=transform, data=photos, tasks=["probe/jpeg", "knn/jpeg"],
        cache=cache, **OPTIONS,
    )  # fmt: skip


def test_score__has_the_options_of_the_command_with_their_defaults():
    computed = inspect.signature(camtrace.score).parameters
    reference = {name: value for name, value in vars(parser().parse_args([])).items() if name != "run"}
    of_the_command_alone = {"config", "figure", "json", "quiet", "verbose", "push_to", "dry_run"}
    assert set(computed) == set(reference) - of_the_command_alone
    written = {"model", "data", "tasks", "preprocess", "outputs", "eraser", "revision", "trust_remote_code"}
    assert set(ScoreOptions.__annotations__) == set(computed) - written - {"cache", "output"}
    for name in set(computed) & {field.name for field in dataclasses.fields(RunOptions)} - {"cache"}:
        assert computed[name].default == reference[name], name
        assert computed[name].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.slow
def test_results__lookup(results):
    one = results.select(encoder="ours")
    assert one["probe/jpeg"] is one["probe/jpeg", "accuracy"]
    score = one["knn/jpeg", "spd"]
    assert (score.task, score.metric) == ("knn/jpeg", "spd")
    assert score.value == pytest.approx(one["knn/jpeg", "pos-same"].value - one["knn/jpeg", "neg-same"].value)
    assert len(one) == len(list(one)) == 9
    assert next(iter(one)) == ("probe/jpeg", "accuracy")
    assert "probe/jpeg" in one
    assert one.get("probe/make") is None
    assert one["knn/jpeg"] is score  # the metric that stands for its question where one number is shown
    assert "knn/jpeg" in one


def test_results__is_an_honest_mapping(results):
    one = results.select(encoder="ours")
    for mapping, length in ((results, 4), (one, 2)):
        keys = list(mapping)
        assert {len(key) for key in keys} == {length}
        assert len(keys) == len(mapping) == len(set(keys))
        assert all(key in mapping for key in keys)
        assert dict(mapping) == {key: mapping[key] for key in keys} == dict(mapping.items())
        assert list(mapping.values()) == [mapping[key] for key in keys]
    encoder, data, *key = next(iter(results))
    full = (encoder, data, *key)
    assert results[full] is results.select(encoder=encoder)[tuple(key)]
    assert "probe/jpeg" not in results  # of two encoders: a key has one score
    assert results == dataclasses.replace(results)
    assert results != one
    failed = dataclasses.replace(results, missing={"gone": "why"})
    assert failed.select(encoder="ours").missing == {"gone": "why"}


@pytest.mark.slow
def test_load_results__are_those_that_were_saved(results, tmp_path):
    results.save(tmp_path)
    again = camtrace.load_results(tmp_path)
    assert again == results
    assert not again.single
    one = camtrace.Results.load(tmp_path / "ours" / "folder-photos")
    assert one == results.select(encoder="ours")
    assert one.single
    [row, *_] = one.compare(results.select(encoder="ours")).rows
    assert row.difference.value == 0
    one.save(tmp_path / "copy")
    assert camtrace.load_results(tmp_path / "copy") == one
    with pytest.raises(DataError, match="result"):
        camtrace.load_results(tmp_path / "nowhere")


def test_compare__with_a_margin_has_a_gate(results):
    actual, mean = (results.select(encoder=name) for name in results.encoders)
    comparison = camtrace.compare(actual, mean, worse_by=2)
    assert comparison.gate.margin == 0.02
    assert {(row.task, row.metric) for row in comparison.gate.rows} == {
        (row.task, row.metric) for row in comparison.rows
    }
    assert "2 points" in repr(comparison)


@pytest.mark.parametrize(
    ("encoder", "key", "sentence"),
    [
        (None, "probe/jpeg", "'mean'"),
        (None, ("ours", "folder:photos", "probe/jpeg", "n"), "list(results)"),
        ("ours", "probe/jpg", "'probe/jpeg'"),
        ("ours", ("knn/jpeg", "spt"), "spd"),
        ("ours", "?", "probe/jpeg"),
    ],
)
def test_results__what_is_ambiguous_or_absent_names_the_choices(results, encoder, key, sentence):
    with pytest.raises(NoSuchScore) as caught:
        results.select(encoder=encoder)[key]
    assert sentence in str(caught.value)
    assert isinstance(caught.value, UsageError)
    assert isinstance(caught.value, KeyError)


def test_results__select_and_frame(results):
    with pytest.raises(UsageError, match="ours"):
        results.select(encoder="our")
    frame = results.to_frame()
    assert list(frame) == ["encoder", "data", "task", "metric", "value", "low", "high", "n", "chance"]
    assert len(frame) == 18
    row = frame[(frame.encoder == "mean") & (frame.task == "probe/jpeg")].iloc[0]
    score = results.select(encoder="mean")["probe/jpeg"]
    assert (row.value, row.low, row.high, row.n, row.chance) == (
        *(score.value, score.low, score.high),
        *(score.n, score.chance),
    )


@pytest.mark.slow
def test_results__shown_as_text_and_as_html(results):
    text = repr(results)
    assert re.search(r"^\| ours +\| probe/jpeg +\| accuracy +\| +\d", text, re.MULTILINE)
    assert "ours and mean on folder:photos" in text
    html = results._repr_html_()
    assert html.count("<tr>") == 19
    assert html.count("data:image/png;base64,") == 2  # one picture for each encoder
    strange = dataclasses.replace(results, missing={"<script>alert(1)</script>": "a & b"})
    assert "<script>" not in strange._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: a &amp; b" in strange._repr_html_()
    assert html_table(["<b>"], [["1 < 2"]]).count("&lt;") == 2


@pytest.mark.slow
def test_results__save_as_the_command_does(results, tmp_path):
    results.save(tmp_path)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert files == [
        *("mean/folder-photos/answers.npz", "mean/folder-photos/result.json", "mean/report.png"),
        *("ours/folder-photos/answers.npz", "ours/folder-photos/result.json", "ours/report.png"),
        *("report.html", "report.md"),
    ]
    written = json.loads((tmp_path / "ours/folder-photos/result.json").read_text())
    assert written["scores"][0]["value"] == results.select(encoder="ours")["probe/jpeg"].value
    one = results.select(encoder="mean")
    one.save(tmp_path / "one")
    assert (tmp_path / "one" / "result.json").is_file()
    again = camtrace.compare(one, tmp_path / "one", tasks="probe/*")
    [row] = again.to_frame().to_dict("records")
    assert (row["difference"], row["task"], row["n"]) == (0.0, "probe/jpeg", 12)
    between = results.compare(one, all_metrics=True)
    assert {row.first for row in between.rows} == {"ours", "mean (first)"}
    assert "differences are significant" in repr(between)
    assert "<pre>| score" in between._repr_html_()


@pytest.mark.slow
def test_results__figure_for_papers(results, tmp_path):
    figure = results.plot(file=tmp_path / "traces.pdf")
    assert figure.get_size_inches()[0] == pytest.approx(3.3)
    assert (tmp_path / "traces.pdf").read_bytes().startswith(b"%PDF")
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown[:2] == ["ours", "mean"]
    probe, moved = figure.axes
    assert [label.get_text() for label in probe.get_yticklabels()] == ["JPEG"]
    assert "points" in moved.get_xlabel()
    one = results.select(encoder="ours").plot("probe/*", width=5)
    assert one.get_size_inches()[0] == pytest.approx(5)
    assert len(one.axes) == 1
    with pytest.raises(UsageError, match=r".svg"):
        results.plot(file=tmp_path / "traces.jpg")
    with pytest.raises(UsageError, match="probe/jpeg"):
        results.plot("probe/jpg")


@pytest.mark.slow
def test_score__a_module_is_copied_and_its_bank_stored(results, cache, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = Colours().train()
    module.requires_grad_(True)
    data = camtrace.open_photos(photos)
    ask = {"data": data, "tasks": ("probe/jpeg", "knn/jpeg"), "cache": cache, **OPTIONS}
    again = camtrace.score({"ours": module}, preprocess=transform, **ask)
    assert module.training
    assert module.scale.requires_grad
    [result] = again.results
    assert result.cost["views"] == 0  # the bank of ``results`` is that of the same weights
    assert again["probe/jpeg"].value == results.select(encoder="ours")["probe/jpeg"].value
    other = camtrace.score({"ours": Colours(weight=5.0)}, preprocess=transform, **ask)
    assert other.results[0].cost["views"] > 0
    brighter = camtrace.score({"ours": module}, preprocess=lambda image: transform(image) + 1, **ask)
    assert brighter.results[0].cost["views"] > 0
    assert brighter.results[0].encoder["weights_sha256"] == result.encoder["weights_sha256"]
    assert not list(tmp_path.iterdir())
    assert result.environment["command"] == (
        "camtrace score --model MODULE:NAME --data folder:PATH --tasks probe/jpeg --tasks knn/jpeg"
    )
    assert result.environment["local"]["model"].startswith("MODULE:NAME: your object in memory (ours)")


@pytest.mark.slow
def test_score__what_fails_among_others_is_a_warning_and_a_failure(cache, photos):
    def broken(image):
        raise RuntimeError("out of order")

    bad = PhotoSet.of_bytes("bad", {"a": b"?", "b": b"?"}, labels=["x", "y"], splits=["train", "val"])
    good = photos
    with pytest.warns(UserWarning, match="not scored") as warned:
        results = camtrace.score(
            [mean_colour, broken], data=[good, bad], tasks="knn/jpeg", cache=cache, limit=20, **OPTIONS
        )
    assert len(warned) == 2
    assert results.encoders == ("mean_colour",)
    assert [(failure.kind, failure.name) for failure in results.failures] == [
        ("not scored", "broken"),
        ("not scored", "bad"),
    ]
    assert "out of order" in results.missing["broken"]
    assert "out of order" in repr(results)
    with pytest.raises(EncoderError, match="out of order"):
        camtrace.score(broken, data=good, cache=cache)
    with pytest.raises(DataError, match="2 photos"):
        camtrace.score(mean_colour, data=bad, tasks="knn/jpeg", cache=cache, **OPTIONS)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"batchsize": 3}, "batch_size"),
        ({"task": "probe/*"}, "tasks"),
        ({"limit": 0}, "limit 0"),
        ({"protocol": "iccv"}, "iccv2025"),
        ({"views": "gpu"}, "unknown views 'gpu'"),
        ({"data": "cifar10"}, "hub:cifar10"),
        ({"data": []}, "nothing to score"),
        ({"tasks": "probe/jpg"}, "probe/jpeg"),
        ({"revision": "main"}, "revision"),
        ({"encoders": mean_colour}, "preprocess"),
        ({"encoders": "bundled:imgsim"}, "preprocess"),
        ({"encoders": 3, "preprocess": None}, "3 is no encoder"),
        ({"preprocess": None}, "preprocess="),
        ({"encoders": [mean_colour, mean_colour], "preprocess": None}, "mean_colour"),
    ],
)
def test_score__mistakes_are_one_sentence(tmp_path, wrong, sentence):
    ask = {"encoders": Colours(), "preprocess": transform, "data": "sample", "cache": tmp_path, **OPTIONS}
    with pytest.raises(UsageError) as caught:
        camtrace.score(**{**ask, **wrong})
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("preprocess", "sentence"),
    [
        (lambda image: transform(image) + torch.rand(1), "without random augmentation"),
        (lambda image: transform(image)[:, : image.width % 7 + 1], "different"),
        (lambda image: {"pixel_values": transform(image)}, "object"),
        (lambda image: image.resize((16, 16)), "uint8"),
        (lambda image: transform(image).mean(), "forward"),
    ],
)
def test_as_encoder__a_transform_that_is_none(preprocess, sentence):
    with pytest.raises(EncoderError, match=sentence):
        as_encoder(Colours(), preprocess=preprocess, device="cpu")


def test_as_encoder__names_and_answers():
    encoder = as_encoder(Colours(), preprocess=transform, device="cpu")
    assert encoder.info.id == f"Colours-{encoder.info.weights_sha256[:8]}"
    image = torch.full((2, 3, 16, 16), 0.5)
    assert encoder.embed(image).tolist() == [[0.5, 1.0, 1.5]] * 2  # no dropout
    assert as_encoder(encoder, name="mine").info.id == "mine"
    function = as_encoder(mean_colour)
    assert (function.info.id, function.info.weights_sha256) == ("mean_colour", None)  # nothing says what it computes


def test_score__earlier_and_near_names_of_options(monkeypatch, caplog):
    handed = []

    def stop(request, **_):
        handed.append(request)
        raise EncoderError("stopped")

    monkeypatch.setattr("benchmark.api.scoring.run_request", stop)
    for name in ("model", "encoders"):
        with pytest.raises(EncoderError, match="stopped"):
            camtrace.score(**{name: "some:encoder"}, data="sample", memory="2G")
    assert [list(request.encoders) for request in handed] == [["some:encoder"]] * 2
    assert [request.options.memory for request in handed] == [2 * 2**30] * 2
    (notice,) = caplog.messages
    assert "model=" in notice
    for name, hint in (
        ("encoder", "did you mean 'model'?"),
        ("batchsize", "did you mean 'batch_size'?"),
        ("quiet", r"help\(camtrace.score\) names the options"),
    ):
        with pytest.raises(UsageError, match=f"unknown option '{name}': {hint}"):
            camtrace.score(**{name: 1})
    with pytest.raises(UsageError, match="much"):
        camtrace.score(memory="much")
