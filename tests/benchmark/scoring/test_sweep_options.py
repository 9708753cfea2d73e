"""Options of a sweep: its encoders, presets, groups and data sets."""

import dataclasses

import pytest

from benchmark.__main__ import main
from benchmark.cli import score as score_command
from benchmark.cli import sweep as sweep_command
from benchmark.options import RunOptions
from benchmark.scoring import Request, groups_of, open_sets
from benchmark.scoring.request import read_specs
from builders.errors import DataError, UsageError
from tests.conftest import write_dark_and_light


def test_groups_of__keeps_every_encoder_and_puts_equal_sizes_together():
    from benchmark.encoders import STUDY

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
    with pytest.raises(UsageError, match=f"{together}"):
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
    with pytest.raises(UsageError, match="called"):
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
