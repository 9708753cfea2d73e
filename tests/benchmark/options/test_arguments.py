"""Parsed arguments as options of a run: presets and what replaces them, values from text, lists, environment."""

import argparse
from pathlib import Path

import pytest

from benchmark.cli.parser import scoring_parser
from benchmark.options import (
    DEFAULT_DATA,
    OPTIONS,
    RunOptions,
    automatic_runtime,
    checked_data,
    choices,
    default_arguments,
    initial_value,
    listed,
    loading_options,
    preset_label,
    to_run_options,
)
from builders.errors import UsageError
from builders.pixels import PROCESSINGS, use_processings

BY_NAME = {option.name: option for option in OPTIONS}


@pytest.fixture(autouse=True)
def built_in_processings():
    yield
    use_processings("")


def parsed(*words):
    return scoring_parser().parse_args(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("camtrace", "converged", "own", "nearest", "upright")),
        (["--preset", "iccv2025"], ("iccv2025", "iccv2025", "study", "random", "stored")),
        (["--preset", "iccv2025", "--ties", "nearest"], ("iccv2025", "iccv2025", "study", "nearest", "stored")),
        (["--protocol", "iccv2025"], ("camtrace", "iccv2025", "own", "nearest", "upright")),
        (
            ["--orientation", "stored", "--preprocess", "squash"],
            ("camtrace", "converged", "squash", "nearest", "stored"),
        ),
    ],
)
def test_presets__and_what_replaces_their_choices(words, expected):
    args = parsed(*words)
    options = to_run_options(args)
    assert (options.preset, options.protocol, options.preprocess, options.ties, options.orientation) == expected
    assert loading_options(args)["preprocess"] == expected[2]


def test_loading_options__are_those_that_were_given():
    args = parsed("--device", "cpu", "--dtype", "tf32", "--runtime", "torch", "--compile", "--cache", "c")
    assert loading_options(args) == {
        "preprocess": "own", "device": "cpu", "dtype": "tf32", "runtime": "torch", "compile": True,
        "cache": Path("c"), "trust_remote_code": False,
    }  # fmt: skip
    assert loading_options(parsed("--trust-remote-code"))["trust_remote_code"] is True


def test_to_run_options__values_of_every_kind():
    words = ["--limit", "7", "-k", "3", "--mask-ratio", "0.25", "--memory", "2G", "--outputs", "layers[0]", "--outputs"]
    options = to_run_options(
        parsed(*words, "layers[1]:cls", "--stream", "--readers", "knn,linear", "--min-usable", "0")
    )
    assert (options.limit, options.neighbours, options.mask_ratio, options.memory) == (7, 3, 0.25, 2 * 2**30)
    assert (options.outputs, options.stream, options.min_usable) == (("layers[0]", "layers[1]:cls"), True, 0.0)
    assert options.readers == "linear,knn"
    assert to_run_options(parsed()) == to_run_options(
        argparse.Namespace(**vars(default_arguments()), trust_remote_code=False)
    )
    assert to_run_options(parsed()) == RunOptions()


def test_to_run_options__its_processings_are_in_use(tmp_path):
    built_in = list(PROCESSINGS)
    to_run_options(parsed("--processings", "web"))
    assert list(PROCESSINGS) != built_in
    to_run_options(parsed())
    assert list(PROCESSINGS) == built_in


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_initial_value__is_none_where_a_preset_or_a_list_decides(option):
    undecided = {"preset", "protocol", "preprocess", "ties", "orientation", "outputs"}
    expected = None if option.name in undecided else option.default
    assert initial_value(option) == expected
    assert getattr(RunOptions(), option.name) == option.default
    assert option.flag == "--" + option.name.replace("_", "-")


def test_option__what_is_known_of_its_field():
    flags = {o.name for o in OPTIONS if o.is_flag}
    assert flags == {"stream", "compile", "force_dtype", "allow_random", "verify_bytes", "fresh"}
    assert {o.name for o in OPTIONS if o.is_repeated} == {"outputs"}
    types = {name: BY_NAME[name].type for name in ("seed", "limit", "memory", "mask_ratio", "ties", "cache")}
    assert types == {"seed": int, "limit": int, "memory": int, "mask_ratio": float, "ties": str, "cache": Path}
    questions = {o.name for o in OPTIONS if o.changes_question}
    assert questions >= {"preset", "preprocess", "protocol", "seed", "neighbours", "mask_ratio"}
    assert not questions & {"limit", "device", "dtype", "batch_size", "min_usable", "outputs"}
    assert BY_NAME["ties"].known() == ("nearest", "random")
    assert "linear" in BY_NAME["readers"].known()
    assert BY_NAME["seed"].known() == ()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("neighbours", None, ""),
        ("neighbours", 1, ""),
        ("neighbours", 0, "neighbours 0: at least 1 is needed"),
        ("batch_size", 0, "batch size 0: at least 1 is needed"),
        ("min_usable", 1.0, "min usable 1.0: give a share of at least 0 and less than 1"),
        ("ties", "nearst", "unknown ties 'nearst': did you mean 'nearest'"),
        ("dtype", "float8", "unknown dtype 'float8'"),
        ("distractors", "all-groups", "unknown distractors 'all-groups'"),
        ("readers", "anything", ""),  # its function checks it
    ],
)
def test_check__limits_and_known_values(name, value, sentence):
    if not sentence:
        assert BY_NAME[name].check(value) is None
        return
    with pytest.raises(UsageError) as refused:
        BY_NAME[name].check(value)
    assert str(refused.value).startswith(sentence)


def test_choices__of_an_unknown_preset():
    assert choices("camtrace", {"ties": "random"})["ties"] == "random"
    assert choices("camtrace", {"ties": ""})["ties"] == "nearest"
    with pytest.raises(UsageError, match="unknown preset 'iccv2024': did you mean 'iccv2025'"):
        choices("iccv2024", {})


@pytest.mark.parametrize(
    ("recorded", "label"),
    [
        ({}, "camtrace"),
        ({"preset": None, "ties": "random"}, "camtrace with ties random"),
        ({"preset": "iccv2025", "protocol": "iccv2025", "ties": None}, "iccv2025"),
        (
            {"preset": "iccv2025", "ties": "nearest", "protocol": "converged"},
            "iccv2025 with protocol converged and ties nearest",
        ),
        ({"preset": "later", "ties": "nearest"}, "later"),
    ],
)
def test_preset_label(recorded, label):
    assert preset_label(recorded) == label


def test_checked_data__each_once_and_checked():
    assert checked_data(argparse.Namespace(data=None)) == list(DEFAULT_DATA) == ["sample", "simcams", "simpairs"]
    assert checked_data(argparse.Namespace(data=["simcams", "sample", "simcams"])) == ["simcams", "sample"]
    with pytest.raises(UsageError):
        checked_data(argparse.Namespace(data=["sample", "nothing:x"]))


def test_listed__names_up_to_four():
    names = ["a", "b", "c", "d", "e"]
    assert [listed(names[:n]) for n in (1, 2, 3, 4, 5)] == [
        "a",
        "a and b",
        "a, b and c",
        "a, b, c and d",
        "5 (a, b, c, ...)",
    ]


def test_automatic_runtime__by_the_environment(monkeypatch):
    for value, runtime in (("", "openvino"), ("torch", "torch"), ("onnxruntime", "onnxruntime")):
        monkeypatch.setenv("CAMTRACE_RUNTIME", value)
        assert automatic_runtime() == runtime
    monkeypatch.delenv("CAMTRACE_RUNTIME")
    assert automatic_runtime() == "openvino"
    for wrong in ("auto", "tensorrt"):
        monkeypatch.setenv("CAMTRACE_RUNTIME", wrong)
        with pytest.raises(UsageError, match=f"unknown runtime in CAMTRACE_RUNTIME '{wrong}'"):
            automatic_runtime()
