"""Parsed arguments as options of a run: presets and what replaces them, values from text, lists, environment."""

import argparse
from pathlib import Path

import pytest

from benchmark.cli.parser import scoring_parser
from benchmark.options import (
    DEFAULT_DATA,
    RunOptions,
    checked_data,
    choices,
    default_arguments,
    loading_options,
    to_run_options,
)
from builders.errors import UsageError
from builders.pixels import PROCESSINGS, use_processings


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


def test_choices__of_an_unknown_preset():
    assert choices("camtrace", {"ties": "random"})["ties"] == "random"
    assert choices("camtrace", {"ties": ""})["ties"] == "nearest"
    with pytest.raises(UsageError, match="iccv2025"):
        choices("iccv2024", {})


def test_checked_data__each_once_and_checked():
    assert checked_data(argparse.Namespace(data=None)) == list(DEFAULT_DATA) == ["sample", "simcams", "simpairs"]
    assert checked_data(argparse.Namespace(data=["simcams", "sample", "simcams"])) == ["simcams", "sample"]
    with pytest.raises(UsageError):
        checked_data(argparse.Namespace(data=["sample", "nothing:x"]))
