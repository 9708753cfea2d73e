"""An option is declared once: its role says whether it affects scores, and everything else follows."""

import argparse
import ast
import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest

from benchmark.encoders import load_encoder
from benchmark.options import CHOICES, GROUPS, OPTIONS, PRESETS, RunOptions, default_arguments, loading_options
from benchmark.options.roles import Role
from benchmark.scoring.reproduce import options_key
from benchmark.scoring.tasks_run import cached_outcome
from benchmark.tasks import all_tasks
from builders.photos import PhotoSet
from tests.support.source_copy import SourceCopy

ROOT = Path(__file__).parents[3]
PHOTOS = PhotoSet.of_bytes("pets", {"a.jpg": b"1", "b.jpg": b"2"})
ROLE = {"help": "x", "group": GROUPS[0]}
OTHER = {"readers": "linear,knn", "device": "cuda:1", "outputs": ("layers",), "cache": Path("elsewhere")}
"""Other values of options whose type does not give one."""


def moved(option):
    """Another legal value."""
    if option.name in OTHER:
        return OTHER[option.name]
    if option.is_flag:
        return not option.default
    if option.role.choices:
        return next(value for value in option.known() if value != option.default)
    return 0.5 if option.type is float else (option.default or 6) + 1


def key(options):
    """Of an outcome, all but the folder that it lies in."""
    bank = {"of": "an encoder"}
    slot = cached_outcome(all_tasks()["probe/jpeg"], PHOTOS, np.ones(2, dtype=bool), bank, options, "cpu", None)
    return slot.key


def test_role__must_say_whether_scores_are_affected_and_why_the_key_lacks_the_value():
    with pytest.raises(TypeError, match="affects_scores"):
        Role(**ROLE)
    with pytest.raises(TypeError, match="'x'"):
        Role(**ROLE, affects_scores=False)
    assert Role(**ROLE, affects_scores=True, repeat=True, in_result="always").in_key
    for less in ({"repeat": True}, {"in_result": "if changed"}):  # a sweep would take a result of other options as done
        with pytest.raises(TypeError, match="'x'"):
            Role(**ROLE, affects_scores=True, **less)
    assert not Role(**ROLE, affects_scores=True, reason="the bank's key").in_key
    assert not Role(**ROLE, affects_scores=False, reason="a folder").in_key


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option__another_value_moves_the_key_of_outcomes_or_a_reason_is_declared(option):
    value = moved(option)
    assert value != option.default
    before, after = key(RunOptions()), key(dataclasses.replace(RunOptions(), **{option.name: value}).checked())
    moves = before != after
    assert moves == option.role.in_key
    assert moves or option.role.reason


def test_options_key__what_photos_settle_is_there_as_it_is_settled():
    k = PHOTOS.neighbours
    assert options_key(RunOptions(), PHOTOS)["neighbours"] == k
    assert options_key(RunOptions(neighbours=k), PHOTOS) == options_key(RunOptions(), PHOTOS)
    stored = dataclasses.replace(PHOTOS, stored_views={"original": PHOTOS.source})
    assert options_key(RunOptions(orientation="stored"), PHOTOS)["orientation"] == "stored"
    assert options_key(RunOptions(orientation="stored"), stored)["orientation"] == "upright"


def test_tasks__read_no_option_that_the_key_lacks():
    in_key = {option.name for option in OPTIONS if option.role.in_key}
    read = {}
    for path in (ROOT / "benchmark" / "tasks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                of = node.value
                name = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
                if name == "options":
                    read[node.attr] = path.name
    assert {"seed", "ties", "readers"} <= set(read)
    assert {name: file for name, file in read.items() if name not in in_key} == {}


def test_loading_options__are_the_parameters_of_load_encoder():
    parameters = inspect.signature(load_encoder).parameters
    assert {o.name for o in OPTIONS if o.role.loads} == {o.name for o in OPTIONS if o.name in parameters}
    args = argparse.Namespace(**vars(default_arguments()), trust_remote_code=True)
    assert set(loading_options(args)) <= set(parameters)


def test_presets__decide_options():
    assert CHOICES == ("protocol", "preprocess", "ties", "orientation")
    defaults = {name: getattr(RunOptions(), name) for name in CHOICES}
    assert defaults == {name: getattr(PRESETS["camtrace"], name) for name in CHOICES}


NEW = """    brightness: int | None = option(
        None,
        help="of everything",
        group=QUESTIONS,
        affects_scores=True,
        repeat=True,
        in_result="if changed",
        metavar="N",
        limits=at_least(1),
    )
"""

PROGRAM = """
import dataclasses, sys
from pathlib import Path
import numpy as np
import camtrace
from benchmark.encoders import EncoderInfo
from benchmark.options import RunOptions
from benchmark.scoring import Invocation, reproduce_command, options_record
from benchmark.cli.score import parser
from benchmark.options import to_run_options
from benchmark.scoring.tasks_run import cached_outcome
from benchmark.tasks import all_tasks
from builders.errors import UsageError
from builders.photos import PhotoSet

photos = PhotoSet.of_bytes("pets", {"a.jpg": b"1", "b.jpg": b"2"})
config = Path("options.toml")
config.write_text("brightness = 5")
options = to_run_options(parser().parse_args(["--brightness", "5"]))
assert options == to_run_options(parser().parse_args(["--config", str(config)])) and options.brightness == 5
by_score = lambda: camtrace.score("control:pixels", data="nothing", brightness=0)
by_command = lambda: to_run_options(parser().parse_args(["--brightness", "0"]))
for wrong in (by_score, by_command):
    try:
        wrong()
    except UsageError as error:
        assert str(error) == "brightness 0: at least 1 is needed", error
    else:
        raise AssertionError
assert options_record(options, photos)["brightness"] == 5
assert "brightness" not in options_record(RunOptions(), photos)
info = EncoderInfo("control:pixels", "control", None, "0", 2, {}, "none", 0)
command = reproduce_command(Invocation("control:pixels", "sample"), info, photos, options).command
assert command == "camtrace score --model control:pixels --data sample --brightness 5", command
task = all_tasks()["probe/jpeg"]
both = [cached_outcome(task, photos, np.ones(2, bool), {}, o, "cpu", None) for o in (RunOptions(), options)]
one, other = (outcome.folder for outcome in both)
assert one != other
from benchmark.tasks.task import TaskInput
print(TaskInput(photos, np.ones(2, bool), None, options, "cpu").brightness())
"""


@pytest.mark.slow
def test_new_option__is_one_field_and_the_task_that_reads_it(tmp_path):
    copy = SourceCopy(tmp_path)
    copy.insert("benchmark/options/run_options.py", "    mask_ratio: float = option(\n", NEW)
    reads = "    def brightness(self) -> int | None:\n        return self.options.brightness\n\n"
    copy.insert("benchmark/tasks/task.py", "    def indices(self, split: str)", reads)
    assert copy.run(PROGRAM) == "5\n"


LEAST = {
    "seed": 0,
    "assignment_seeds": 1,
    "resamples": 1,
    "neighbours": 1,
    "queries": 1,
    "limit": 1,
    "batch_size": 1,
    "memory": 1,
    "workers": 0,
}
SHARES = {"mask_ratio": 0.999, "min_usable": 1}
"""Most of each."""


def test_limits__of_every_option_that_has_some():
    limited = {option.name: option.role.limits for option in OPTIONS if option.role.limits}
    assert set(limited) >= {*LEAST, *SHARES}
    for name, least in LEAST.items():
        assert [limited[name](value) for value in (least, 10**9)] == ["", ""]
        assert limited[name](least - 1) == f"at least {least} is needed"
    for name, most in SHARES.items():
        assert [limited[name](value) for value in (0, most)] == ["", ""]
        assert all("share" in limited[name](value) for value in (most + 0.001, -0.001))
