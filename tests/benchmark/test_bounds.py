"""Values at a limit and just beyond it, through each function that knows the limit."""

import argparse
import math
import time
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.audit.power import smallest_effect
from benchmark.audit.repair_plan import _Windows, parse_repair
from benchmark.audit.verdict import _percent
from benchmark.cli.cache import _age
from benchmark.cli.compare import _points
from benchmark.cli.erase import _share
from benchmark.compare.paired import _sizes
from benchmark.compute.threads import threads_for
from benchmark.encoders.layers.outputs import grid_cell, parse_output, parts_of_side, pooling_title
from benchmark.judgement import judge_loss, training_margin
from benchmark.judgement.training import rising
from benchmark.judgement.units import are_few, units_text
from benchmark.leaderboard.admission import _impossible
from benchmark.leaderboard.entries import _differ, _disagree, count_of, text_of
from benchmark.leaderboard.means import folded
from benchmark.leaderboard.report_page import _shortened, blocks_of
from benchmark.options.arguments import listed
from benchmark.options.roles import a_share, at_least
from benchmark.probe.parts import LearningCurve
from benchmark.publishing.table import _whole
from benchmark.report import figure, paper
from benchmark.report.course import step_of
from benchmark.report.groups import _cells
from benchmark.report.tables import markdown_table, p_value
from benchmark.results.failing import failed_encoder
from benchmark.results.proof import _agrees, _difference, _shown, miscounted, objection
from benchmark.results.schema import Failure, Score, _check_score, migrated
from benchmark.results.summary import GroupMean, group_means, log_odds_over_chance
from benchmark.scoring import store_paths
from benchmark.scoring.estimating.clocks import duration
from benchmark.scoring.trial import too_few_usable, trial_failures
from builders.errors import DataError, DiskError, UsageError
from builders.photos import PhotoSet


def score(**changed):
    fields = {"task": "probe/a", "data": "d", "metric": "accuracy", "value": 0.5, "low": 0.4, "high": 0.6, "n": 10}
    return Score(**{**fields, "chance": 0.25, "details": {}, **changed})


def seen(value, low=0.4, high=0.6, n=10, chance=0.25):
    return SimpleNamespace(value=value, low=low, high=high, n=n, chance=chance)


def numbers(**details):
    return SimpleNamespace(n=600, value=0.5, chance=0.2, low=0.4, high=0.6, details=details)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: [_percent(s) for s in (0.0, 0.0049, 0.005, 0.9949, 0.995, 1.0)],
         ["0 %", "0.5 %", "0 %", "99 %", "99.5 %", "100 %"]),
        (lambda: [smallest_effect(1, 1), smallest_effect(100, 1, values=1), smallest_effect(2, 1)], [1.0, 1.0, 1.0]),
        (lambda: smallest_effect(2000, 0) == smallest_effect(2000, 1), True),
        (lambda: [parse_repair(f"jpeg:{q}-444").quality for q in (1, 95)], [1, 95]),
        (lambda: [_age(time.time() - 3600 * h) for h in (47.9, 48.1, -5)], ["48 h ago", "2 days ago", "0 h ago"]),
        (lambda: [_points(text) for text in ("0", "99.9")], [0.0, 99.9]),
        (lambda: [_share(text) for text in ("0.001", "0.999")], [0.001, 0.999]),
        (lambda: [threads_for(n, 8) for n in (2**26 - 1, 2**26)], [1, 8]),
        (lambda: [judge_loss(*ends, 0.02) for ends in ((0.02, 0.05), (0.0200001, 0.05), (-1, 0.02), (0, 0.0200001))],
         ["undecided", "worse", "not worse", "undecided"]),
        (lambda: [are_few(*units) for units in ((10, 10.0), (10, 9.9), (40, 20.0), (40, 19.9))],
         [False, True, False, True]),
        (lambda: [count_of(value) for value in (1, 0, -1, True, "1", 1.0)], [1, None, None, None, None, None]),
        (lambda: [text_of("a" * 501), text_of(5)], ["a" * 500, ""]),
        (lambda: [_differ(0.5, other) for other in (0.5049, 0.5051, 0.4949)], [False, True, True]),
        (lambda: [folded(*ends) for ends in ((0.0, 0.2), (-0.2, 0.0), (-0.3, 0.1), (0.1, 0.2), (-0.2, -0.1))],
         [(0.0, 0.2), (0.0, 0.2), (0.0, 0.3), (0.1, 0.2), (0.1, 0.2)]),
        (lambda: [at_least(2)(n) for n in (1, 2)], ["at least 2 is needed", ""]),
        (lambda: [a_share(n) == "" for n in (0, 0.999, 1, -0.001, math.nan)], [True, True, False, False, False]),
        (lambda: [listed(["a", "b", "c", "d"]), listed(["a", "b"], 1)], ["a, b, c and d", "2 (, ...)"]),
        (lambda: [_whole(n) for n in (2**63 - 1, -(2**63 - 1), 2**63, -(2**63), True, 1.0)],
         [2**63 - 1, 1 - 2**63, None, None, None, None]),
        (lambda: [step_of(f"step_{'1' * n}") for n in (15, 16)], [("step", 111_111_111_111_111), None]),
        (lambda: [figure._short("a" * 24), figure._short("b" + "a" * 24)], ["a" * 24, "..." + "a" * 21]),
        (lambda: [paper._short("a" * 20, 20), paper._short("b" + "a" * 20, 20)], ["a" * 20, "..." + "a" * 16]),
        (lambda: [p_value(p) for p in (0.0001, 0.000099)], ["0.0001", "< 0.0001"]),
        (lambda: [duration(s) for s in (119, 120, 7199, 7200)], ["119 s", "2 min", "120 min", "2.0 h"]),
        (lambda: [store_paths.size(n) for n in (999_900_000, 10**9)], ["999.9 MB", "1.0 GB"]),
        (lambda: [parts_of_side(f"grid[{n}]") for n in (0, 1, 16, 17)], [None, 1, 16, None]),
        (lambda: [grid_cell(f"grid[3]-{at}") is None for at in ("0-2", "2-0", "0-3", "3-0")],
         [False, False, True, True]),
        (lambda: pooling_title("grid[3]-2-1"), "mean of the patches in row 2, column 1 of 3 x 3"),
        (lambda: [parse_output(f"layers[{n}]").layer_numbers(12) for n in (-12, -1, 0, 11)], [[0], [11], [0], [11]]),
        (lambda: list(parse_output("layers[1:9:3]").layer_numbers(12)), [1, 4, 7]),
        (lambda: [failed_encoder(photos(5, failed)) for failed in (1, 2)],
         ["", "2 of 5 photos failed, more than 20%"]),
        (lambda: group_means({"a": 1, "b": math.inf, "c": 3, "d": 5}, {"a": "x", "b": "x", "c": "x"}),
         {"x": GroupMean(2.0, 1.0, 3.0, 2)}),
    ],
)  # fmt: skip
def test_bound__value(call, expected):
    assert call() == expected


def photos(count, failed):
    failures = tuple(Failure("photo", f"p{i}", "r") for i in range(failed)) * 2  # of two tasks, and one photo each
    return SimpleNamespace(data={"photos": {"train": count - 2, "val": 2}}, failures=failures)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: parse_repair("jpeg:0-444"), "a JPEG quality is 1 to 95"),
        (lambda: parse_repair("jpeg:96-444"), "a JPEG quality is 1 to 95"),
        *((lambda text=text: _points(text), f"{text}: give percentage points") for text in ("-0.1", "100", "x", "nan")),
        *((lambda text=text: _share(text), f"{text}: give a share") for text in ("0", "1", "x", "nan")),
        (lambda: parse_output("layers[12]").layer_numbers(12), "^there are 12 layers, 0 to 11$"),
        (lambda: parse_output("layers[-13]").layer_numbers(12), "^there are 12 layers, 0 to 11$"),
        (lambda: parse_output("layers[12:]").layer_numbers(12), "no layer is left of the 12, 0 to 11"),
        *((lambda text=text: parse_output(f"layers[{text}]"), "is neither a layer nor a slice of layers")
          for text in ("::0", "", "1:2:3:4", "a")),
        (lambda: log_odds_over_chance(0.5, 10, 0), "chance must lie between 0 and 1, not 0"),
        (lambda: log_odds_over_chance(0.5, 10, 1), "chance must lie between 0 and 1, not 1"),
        (lambda: _check_score(score(value=1.0001), "f"), r"f: probe/a accuracy: value 1.0001 is outside \[-1, 1\]"),
        (lambda: _check_score(score(low=-1.0001), "f"), r"low -1.0001 is outside \[-1, 1\]"),
        (lambda: _check_score(score(high=math.nan), "f"), "high is not a number"),
        (lambda: _check_score(score(chance=True), "f"), "chance is not a number"),
        (lambda: _check_score(score(n=-1), "f"), "n is not a count"),
        (lambda: _check_score(score(n=True), "f"), "n is not a count"),
        (lambda: _check_score(score(n=1.0), "f"), "n is not a count"),
        *((lambda field=field: _check_score(score(**{field: 1}), "f"), "task, data or metric is not text")
          for field in ("task", "data", "metric")),
        (lambda: migrated({"schema_version": 0}, "f"), "schema_version is 0, this camtrace reads 1 to 2$"),
        (lambda: migrated({"schema_version": True}, "f"), "schema_version is True, this camtrace reads 1 to 2$"),
        (lambda: migrated({}, "f"), "schema_version is None, this camtrace reads 1 to 2$"),
        (lambda: migrated({"schema_version": 3}, "f"), "reads 1 to 2: it was written by a newer camtrace, install"),
    ],
)  # fmt: skip
def test_bound__refused(call, words):
    with pytest.raises((UsageError, DataError, ValueError, argparse.ArgumentTypeError), match=words):
        call()


def test_check_score__accepts_the_ends():
    for value in (-1, 1, 0):
        _check_score(score(value=value, low=value, high=value, chance=value, n=0), "f")
    assert migrated({"schema_version": 2, "a": 1}, "f") == {"schema_version": 2, "a": 1}


@pytest.mark.parametrize(
    ("kind", "changed", "reason"),
    [
        ("accuracy", {"n": 1}, ""),
        ("accuracy", {"n": 10**12}, ""),
        ("accuracy", {"n": 0}, "n is 0"),
        ("accuracy", {"n": 10**12 + 1}, "n is 1000000000001"),
        ("accuracy", {"low": 0, "high": 1}, ""),
        ("accuracy", {"low": 0.6, "high": 0.6}, ""),
        ("accuracy", {"low": 0.7, "high": 0.6}, "low is 0.7, above high, 0.6"),
        ("accuracy", {"low": -0.1}, "low is -0.1: not a share in [0, 1]"),
        ("accuracy", {"high": 1.1}, "high is 1.1: not a share in [0, 1]"),
        ("difference", {"low": -1, "high": -0.5}, ""),
        ("difference", {"chance": -1}, ""),
        ("trace", {"chance": 0}, "chance is 0: a guess between two classes or more is right sometimes"),
        ("trace", {"chance": 1}, "chance is 1: a guess between two classes or more is right sometimes"),
        ("trace", {"chance": 1.5}, "chance is 1.5: a guess between two classes or more is right sometimes"),
        ("accuracy", {"chance": 0}, ""),
        ("accuracy", {"chance": 1}, ""),
        ("accuracy", {"chance": 1.5}, "chance is 1.5"),
        ("accuracy", {"chance": -0.5}, "chance is -0.5"),
    ],
)
def test_impossible__scores_that_no_run_gives(kind, changed, reason):
    assert _impossible(score(**changed), kind) == reason


def test_disagree__of_two_results_of_one_score():
    base = seen(0.5)
    assert [_disagree(base, other, same_options=True) for other in (seen(0.504), seen(0.506), seen(0.5, n=11))] == [
        False, True, True,
    ]  # fmt: skip
    assert _disagree(base, seen(0.5, chance=0.256), same_options=True)
    for low, high, expected in ((0.6, 0.9, False), (0.61, 0.9, True), (0.1, 0.4, False), (0.1, 0.39, True)):
        assert _disagree(base, seen(0.9, low, high), same_options=False) is expected
    assert not _disagree(base, seen(0.9, None, None), same_options=False)


def test_units_text__cautions_begin_at_their_limits():
    def text(value=0.5, chance=0.2, **details):
        given = {"resampled": "owner", "units": 40, "effective_units": 40.0} | details
        return units_text([SimpleNamespace(n=600, value=value, chance=chance, details=given)])

    plain = "Photos of one owner err together: intervals and p-values are over 40 owners."
    assert text() == text(value=0.9499) == text(chance=0.8999, p_chance=0.1) == text(chance=0.9) == plain
    assert text(value=0.95).startswith(plain + " Intervals of accuracies near 100 % held the truth in 92 to 99 % of")
    assert text(chance=0.9, p_chance=0.1).startswith(
        plain + " With a chance of 90 % or more, p is below 0.05 in up to 11 of"
    )
    few = text(units=10, effective_units=9.9, value=0.99)
    assert "over 10 owners, as many as 9.9 of equal size. With few or very unequal units" in few
    assert "near 100 %" not in few
    assert "With few" not in text(units=10, effective_units=10)
    assert units_text([numbers(resampled="photo"), numbers()]) == ""


def test_training__a_margin_matters_from_a_third_of_the_half_width():
    def margin(deviation):
        return training_margin(numbers(training_spread={"deviation": deviation, "probes": 8}))

    assert margin(0.0140) is None  # t of 7 degrees of freedom: 2.365; a third of 0.1 is 0.0333
    assert margin(0.0142) == pytest.approx(2.3646 * 0.0142, rel=1e-4)
    assert training_margin(numbers(training_spread=1)) is None


def test_rising__takes_one_side_of_the_recorded_p_value():
    def curve(value, p, rises=True):
        gain = {"value": value, "low": value - 0.02, "high": value + 0.02, "p_value": p}
        return numbers(learning_curve={"gain": gain, "rises": rises})

    curves = [curve(0.04, 0.09), curve(0.04, 0.11), curve(-0.04, 0.01), curve(0.04, 0.001, rises=False)]
    assert [rising([c])[0] for c in curves] == [True, False, False, False]
    assert rising([numbers(), numbers(learning_curve={"gain": None, "rises": True}), curves[0]]) == [False, False, True]
    assert rising([curves[0]] * 2) == [False, False]  # Holm's correction: the first of two at half the level
    assert rising([curve(0.04, 0.04), curve(0.04, 0.06)]) == [True, True]
    assert rising([curve(0.04, 0.06), curve(0.04, 0.06)]) == [False, False]


def test_windows__of_sizes_around_a_few_or_nearly_all():
    few = _Windows.of(np.array(["100 x 200"] * 3 + ["400 x 300"]))
    assert (few.low.tolist(), few.high.tolist()) == ([[90, 180], [360, 270]], [[110, 220], [440, 330]])
    named = np.array(["90 x 180", "110 x 220", "89 x 200", "111 x 200", "100 x 221", "440 x 270", "x", "360 x 331"])
    assert few.at(named).tolist() == [0, 0, -1, -1, -1, 1, -1, -1]
    assert few.sentences()[0] == (
        "Sizes that stay, in pixels: 90 to 110 wide and 180 to 220 high; 360 to 440 wide and 270 to 330 high. Every "
        "class has the same mixture of these."
    )
    fifty = _Windows.of(np.array([f"{100 + i} x 100" for i in range(50)]))
    assert len(fifty.low) == 50
    assert "; and" not in fifty.sentences()[0]
    assert ", and 42 more. Every class" in fifty.sentences()[0]
    many = _Windows.of(np.array([f"{100 + i} x 100" for i in range(51)]))
    assert (many.low.tolist(), many.high.tolist()) == ([[92, 90]], [[163, 110]])  # 101.25 and 148.75, a tenth apart


def test_sizes__of_families():
    def rows(*pairs):
        return [SimpleNamespace(first=first, second=second) for first, second in pairs]

    assert _sizes(rows("ab")) == "1 row"
    assert _sizes(rows("ab", "ba")) == "2 rows"
    assert _sizes(rows("ab", "ba", "bc")) == "1 to 2 rows"


def test_zoom__keeps_zero_and_chance_where_that_costs_little():
    def zoomed(*scores):
        ax = Figure().add_subplot()
        figure._zoom(ax, scores, SimpleNamespace(axes=("x, %", "y")))
        return ax.get_xlim(), ax.get_xlabel().split("\n")[1:], len(ax.lines), [t.get_text() for t in ax.texts]

    assert zoomed(score(low=0.2, high=0.8)) == ((0, 81), [], 1, [])
    assert zoomed(score(low=0.253, high=0.795, chance=0.01)) == ((0, 81), [], 1, [])  # 24 is less than 0.3 of 81
    assert zoomed(score(low=0.263, high=0.795)) == ((25, 81), ["the axis begins at 25, not at 0"], 1, [])
    assert zoomed(score(low=0.9, high=1.0, chance=0.5)) == (
        (89, 101), ["the axis begins at 89, not at 0; chance, 50.0 %, lies outside it"], 0, ["\u25c2 chance"],
    )  # fmt: skip
    of_both = zoomed(score(low=0.9, high=1.0), score(low=0.5, high=0.6, chance=0.55))
    assert of_both == (
        (49, 101), ["the axis begins at 49, not at 0; chance, 25.0 %, lies outside it"], 1, ["\u25c2 chance"],
    )  # fmt: skip


def test_table__right_aligned_where_all_cells_are_numbers():
    rows = [["a", "1.0 (+0.5 to 1.5)", "< 0.1", "1 s", "x|y"], ["b", "", "-", "\u00b1 2 GB", "1\n2"]]
    head, rule, *_ = markdown_table(["name", "n", "p", "time", "text"], rows).splitlines()
    assert [cell.strip() for cell in rule.strip("|").split("|")] == [
        ":" + "-" * 3, "-" * 16 + ":", "-" * 4 + ":", "-" * 5 + ":", ":" + "-" * 3,
    ]  # fmt: skip
    assert head.startswith("| name |")
    assert markdown_table(["a"], [["x|y\nz"]]).splitlines()[2] == "| x\\|y z |"


def test_proof__what_agrees_with_answers():
    near, far = 0.5 + 1.9e-5, 0.5 + 2.1e-5
    assert [_agrees("value", stated, 0.5, 0.5, True) for stated in (near, far)] == [True, False]
    assert [_agrees("p_chance", 0.5 + d, 0.5, 0.5, True) for d in (5.1e-4, 5.3e-4)] == [True, False]
    assert [_agrees("low", 0.4 + d, 0.4, 0.5, False) for d in (0.0519, 0.0521)] == [True, False]
    assert [_agrees("a.high[0]", 0.6 - d, 0.6, 0.5, False) for d in (0.0519, 0.0521)] == [True, False]
    assert [_agrees("low", stated, 0.4, 0.5, True) for stated in (0.4, 0.401)] == [True, False]
    assert [_agrees("a", stated, True, 0.5, True) for stated in (True, 1.5, "x")] == [True, False, False]
    assert _difference("a", {"low": 0.4, "b": [1, 2]}, {"low": 0.4, "b": [1, 3], "c": 5}, 0.5, True) == ("a.b[1]", 2, 3)
    assert _difference("a", {"b": None}, {"b": 1}, 0.5, True) is None
    assert _difference("a", 1, {"b": 1}, 0.5, True) == ("a", 1, {"b": 1})
    assert _difference("a", [1], [1, 2], 0.5, True) == ("a", [1], [1, 2])
    assert _difference("a", (1, 2), [1, 2], 0.5, True) == ("a", (1, 2), [1, 2])
    assert _difference("a", {"value": 0.9, "low": 0.46}, {"value": 0.9, "low": 0.4}, 0.5, False) is None
    assert _difference("a", {"low": 0.46}, {"low": 0.4}, 0.5, False) == ("a.low", 0.46, 0.4)
    assert [_shown(v) for v in (1 / 3, [1, 2], "a" * 101)] == ["0.333333", "a list of 2", "a" * 100]


def test_proof__value_and_count():
    answers = SimpleNamespace(values=np.array([0.0, 1.0]), photos=np.arange(2))
    assert objection(score(n=2), answers) == objection(score(n=2, value=0.5 + 9e-7), answers) == ""
    reason = "probe/a accuracy is 0.500002 of 2, but its answers in answers.npz give 0.5 of 2"
    assert objection(score(n=2, value=0.5 + 2e-6), answers) == reason
    assert objection(score(n=3), answers).endswith("is 0.5 of 3, but its answers in answers.npz give 0.5 of 2")


def test_proof__numbers_of_photos():
    def counted(stated, splits, photos):
        return miscounted(SimpleNamespace(data={"photos": stated}), splits, photos)

    stated, splits = {"train": 2, "val": 1, "test": 0}, np.array([0, 0, 1], np.int8)
    assert counted(None, splits, 3) == counted(stated, splits, 3) == counted(stated, None, 3) == ""
    assert counted(stated, None, 4) == "data.photos has 3 photos, but answers.npz has answers of photo 3"
    assert counted(stated, splits, 4) == "answers.npz has answers of photo 3 of 3"
    assert counted({"train": 2}, splits, 3) == "data.photos.val is 0, but answers.npz gives 1"


def test_space__spare_bytes_stay_free(tmp_path, monkeypatch):
    spare = 256 * 2**20

    def required(needed, free):
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))
        lines = []
        store_paths.require_space([SimpleNamespace(missing_bytes=lambda: needed)], tmp_path / "new", lines.append)
        return lines

    assert required(5, spare + 5) == required(99_999_999, 10**9) == required(0, 0) == []
    assert required(100_000_000, 10**9) == [f"embeddings: 100.0 MB more in {tmp_path / 'new'} (1.0 GB free)"]
    with pytest.raises(DiskError, match=r"0\.0 MB of embeddings do not fit, 268\.4 MB are free"):
        required(6, spare + 5)


def test_report_page__histograms_with_even_bins_are_shortened():
    even = {"edges": [0.0, 0.25, 0.5, 0.75, 1.0], "counts": {}}
    assert _shortened(even) == {"edges": [0.0, 1.0], "counts": {}}
    for edges in ([0.0, 0.2, 0.5, 0.75, 1.0], [0.0, 0.25, 0.5, 0.75 + 1e-8, 1.0]):
        assert _shortened({"edges": edges}) == {"edges": edges}


def test_report_page__blocks_of_a_text():
    assert blocks_of("# a\nb") == [{"kind": "paragraph", "text": "# a b"}]
    assert blocks_of("| a |") == [{"kind": "paragraph", "text": "| a |"}]
    assert blocks_of("| a |\n| b |") == [{"kind": "paragraph", "text": "| a | | b |"}]
    assert blocks_of("    a\nb") == [{"kind": "paragraph", "text": "a b"}]
    assert blocks_of("### a #") == [{"kind": "heading", "level": 3, "text": "a #"}]
    assert blocks_of("\n\n") == []
    (table,) = blocks_of("| a |\n| --: |\n| 1 |")
    assert table == {"kind": "table", "head": ["a"], "rows": [["1"]], "right": [True]}


def test_trial__one_photo_in_twenty_may_fail():
    def failing(count, total, reason="preprocessing failed (ValueError: x)"):
        return trial_failures("mine", {f"p{i}": reason for i in range(count)} | {"z": "the file is empty"}, total)

    assert failing(1, 20) == failing(0, 1) == failing(9, 9, "the file is empty") == ""
    assert failing(1, 19).startswith("mine: it fails on 1 of 19 photos, which can be read (the first: preprocessing")
    assert failing(2, 40) == ""
    assert failing(3, 40).startswith("mine: it fails on 3 of 40 photos")


def test_usable__the_least_share_of_each_split():
    split = PhotoSet.of_bytes("toy", dict.fromkeys("abcdefghij", b""), None, ["train"] * 5 + ["val"] * 5)

    def usable(*failed):
        return too_few_usable(split, np.array([i not in failed for i in range(10)]), 0.8)

    assert usable() == usable(0) == usable(0, 9) == ""
    assert usable(8, 9) == "3 of 5 val photos (60.0 %) can be used, fewer than 80.0 %: no score (--min-usable)"
    assert usable(0, 1, 8, 9).startswith("3 of 5 train photos")


@pytest.mark.parametrize(
    ("value", "low", "rises"),
    [(0.005, 0.001, True), (0.0049, 0.001, False), (0.1, 0.0, False), (0.1, -0.1, False), (0.1, 0.0001, True)],
)
def test_curve__rises_by_half_a_point_or_more(value, low, rises):
    gain = SimpleNamespace(value=value, low=low, high=0.2, p_value=0.01)
    curve = LearningCurve((0.5, 1.0), (5, 10), (), gain, 1)
    assert curve.rises is rises
    assert curve.details()["rises"] is rises
    assert curve.details()["gain"] == {"value": value, "low": low, "high": 0.2, "p_value": 0.01}
    assert not LearningCurve((1.0,), (10,), (), None, 1).rises


def test_cells_of_a_group__at_most_sixty_in_a_table():
    def shown(labels, groups):
        sizes = [[7 * i + j for j in range(groups)] for i in range(labels)]
        details = {
            "labels": [f"l{i}" for i in range(labels)],
            "groups": [f"g{j}" for j in range(groups)],
            "cells": sizes,
        }
        return _cells("site", {**details, "resampled": "owner"})

    assert len(shown(12, 5).splitlines()) == 2 + 12
    assert shown(2, 2).splitlines()[0].startswith("| photos (owners) by label and site | ")
    assert [cell.strip() for cell in shown(2, 2).splitlines()[3].split("|")[1:4]] == ["l1", "7 (7)", "8 (8)"]
    assert shown(61, 1) == "61 labels x 1 groups: 0 to 420 photos a cell."
