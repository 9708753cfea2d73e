"""Parts of a sweep: its encoders, presets, groups and data sets, and which results count as finished."""

import dataclasses

import pytest

from benchmark.__main__ import main
from benchmark.cli import score as score_command
from benchmark.cli import sweep as sweep_command
from benchmark.encoders import Runtime
from benchmark.options import RunOptions, loading_options
from benchmark.scoring import Request
from benchmark.scoring.request import groups_of, open_sets, read_specs
from benchmark.scoring.sweep import RECORDED_ELSEWHERE, _library, _library_of, options_without_record
from builders.errors import DataError, UsageError
from tests.conftest import write_dark_and_light


def test_groups_of__keeps_every_encoder_and_puts_equal_sizes_together():
    from benchmark.encoders.provenance import STUDY

    groups = groups_of([row.spec for row in STUDY], 8)
    assert sorted(s for g in groups for s in g) == sorted(row.spec for row in STUDY)
    sizes = {row.spec: row.input_px for row in STUDY}
    flat = [sizes[s] for g in groups for s in g]
    assert flat == sorted(flat)
    assert max(map(len, groups)) == 8


def test_read_specs(tmp_path):
    file = tmp_path / "models"
    file.write_text("a/b # one\n\n  # nothing\nc:d\n")
    assert read_specs(file) == ["a/b", "c:d"]
    file.write_text("# nothing\n")
    with pytest.raises(UsageError, match="names no encoder"):
        read_specs(file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_specs(tmp_path / "absent")


def test_sweep__needs_encoders(capsys):
    assert main(["sweep", "--data", "sample"]) == 2
    assert "which encoders?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "preset", "preprocess", "protocol"),
    [
        (["--published"], "iccv2025", "study", "iccv2025"),
        (["--published", "--preset", "camtrace"], "camtrace", "own", "converged"),
        (["--published", "--preprocess", "squash"], "iccv2025", "squash", "iccv2025"),
        (["--model", "control:random-projection"], "camtrace", "own", "converged"),
    ],
)
def test_sweep__preset_of_published_encoders_is_the_studys(given, preset, preprocess, protocol, monkeypatch):
    """What the run and the loading of encoders are told; nothing is loaded."""

    class Stopped(Exception):
        pass

    def stop(args, specs, data, options, together):
        loading = loading_options(args)
        raise Stopped(options.preset, loading["preprocess"], options.protocol, options.preprocess)

    monkeypatch.setattr(score_command, "_request", stop)
    with pytest.raises(Stopped) as caught:
        sweep_command.run(sweep_command.parser().parse_args([*given, "--data", "sample", "--dry-run"]))
    assert caught.value.args == (preset, preprocess, protocol, preprocess)


@pytest.fixture
def groups(monkeypatch):
    """How many encoders each group of a sweep would have; nothing is loaded."""

    class Grouped(Exception):
        pass

    def stop(request, console):
        raise Grouped([len(group) for group in request.groups()])

    monkeypatch.setattr(score_command, "_estimate", stop)

    def of(*options: str) -> list[int]:
        names = [option for i in range(5) for option in ("--model", f"some:encoder{i}")]
        with pytest.raises(Grouped) as caught:
            sweep_command.run(sweep_command.parser().parse_args([*names, "--data", "sample", "--dry-run", *options]))
        return caught.value.args[0]

    return of


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ((), [5]),
        (("--together", "1"), [1] * 5),
        (("--together", "2"), [2, 2, 1]),
        (("--one-at-a-time",), [1] * 5),
        (("--one-at-a-time", "--together", "3"), [1] * 5),
    ],
)
def test_sweep__as_many_encoders_together_as_requested(groups, options, sizes):
    assert groups(*options) == sizes


@pytest.mark.parametrize("together", ["0", "-1"])
def test_sweep__no_encoder_together_is_refused(together):
    arguments = ["--model", "some:encoder", "--data", "sample", "--together", together]
    with pytest.raises(UsageError, match=f"--together: {together}: at least 1 is needed"):
        sweep_command.run(sweep_command.parser().parse_args(arguments))


def test_chosen_specs__each_once_in_the_order_of_the_options(tmp_path):
    (tmp_path / "models").write_text("b/b\na/a\nc/c")
    arguments = ["--model", "a/a", "--model", "d/d", "--model", "a/a", "--models", str(tmp_path / "models")]
    assert sweep_command.chosen_specs(sweep_command.parser().parse_args(arguments)) == ["a/a", "d/d", "b/b", "c/c"]


def test_open_sets__two_sets_of_one_name_are_refused(tmp_path):
    write_dark_and_light(tmp_path / "photos", 8, 4, (24, 32))
    places = [f"folder:{tmp_path / 'photos'}?name={name}" for name in ("one", "two")]

    def names(*specs):
        return [opened.photos.name for opened in open_sets(specs, ["knn/sharpening"], RunOptions())]

    assert names(*places) == ["one", "two"]
    again = places[0].replace("photos?", "photos/?")
    with pytest.raises(UsageError, match="two data sets are called one"):
        names(places[0], again)


def test_open_sets__one_that_cannot_answer_costs_a_run_its_results_and_ends_a_sweep(tmp_path):
    write_dark_and_light(tmp_path / "photos", 8, 4, (24, 32))
    unfit = []
    folder = f"folder:{tmp_path / 'photos'}?name=plain"
    request = Request({}, [folder, "simpairs"], ["retrieval/*"], RunOptions())
    assert [opened.spec for opened in request.open(lambda name, error: unfit.append(name))] == ["simpairs"]
    assert unfit == ["plain"]
    with pytest.raises(DataError, match="plain"):
        dataclasses.replace(request, together=2).open(lambda name, error: unfit.append(name))


def test_finished__what_auto_refused_on_these_photos_is_reused_for_auto():
    openvino, torch = Runtime("openvino", "2026.1", 1e-7), Runtime("torch", "2")
    refused = {"name": "torch", "version": "2", "on_photos": {"passed": False}}
    auto, requested = RunOptions(runtime="auto"), RunOptions(runtime="openvino")
    assert _library_of(refused, openvino, auto) == _library(openvino) == ("openvino", "2026.1")
    assert _library_of(refused, openvino, requested) is None
    assert _library_of({"name": "torch"}, openvino, auto) is None
    assert _library_of({}, torch, auto) is _library(torch) is _library(None) is None
    assert _library_of({"name": "openvino", "version": "2025.3"}, torch, auto) == ("openvino", "2025.3")


def test_finished__every_option_that_affects_scores_is_compared(monkeypatch):
    assert options_without_record() == []
    fewer = {name: value for name, value in RECORDED_ELSEWHERE.items() if name != "outputs"}
    monkeypatch.setattr("benchmark.scoring.sweep.RECORDED_ELSEWHERE", fewer)
    assert options_without_record() == ["outputs"]
