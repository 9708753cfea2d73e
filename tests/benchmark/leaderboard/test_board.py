"""What a board says of results: who is compared with whom, values, ranks, means, flags and notes."""

import dataclasses
import json

import pytest

from benchmark.__main__ import camtrace
from benchmark.results import Failure, Score, summarise, write_result
from benchmark.tasks import all_tasks


def with_data(result, **data):
    return dataclasses.replace(result, data={**result.data, **data})


def with_environment(result, **environment):
    return dataclasses.replace(result, environment={**result.environment, **environment})


def with_options(result, **options):
    return with_environment(result, options={**result.environment["options"], **options})


def as_in_the_study(make, name="a", *, n=50_000, train=1_281_167, values=(0.5, 0.6, 0.7, 0.4)):
    scores = [dataclasses.replace(s, n=n) for s in make.probes(*values, protocol="iccv2025")]
    measured = make.result(name, scores, data="imagenet", preset=make.under_preset)
    return with_data(measured, photos={"train": train, "val": n})


def test_published__alone_have_every_number(board_of):
    board = board_of(published=True)
    assert len(board.rows) == 47
    assert [data["id"] for data in board.data["data"]] == ["imagenet", "inat2018", "flickrexif", "paircams"]
    assert all(column["ranked"] == 47 for column in board.columns)
    assert sum(not column["task"].startswith("summary/") for column in board.columns) == 58 + 9
    clip = board.cell("CLIP (ViT-B/16, WIT)", "probe/jpeg", data="imagenet")
    assert clip.value == pytest.approx(0.64834467)
    families = [family["id"] for family in board.data["families"]]
    order = [families.index(column["family"]) for column in board.columns]
    assert order == sorted(order)


def test_means__equal_those_of_the_summary(make, board_of):
    plain = make.score("knn/original", "accuracy", 0.62, chance=0.01, k=10)
    result = make.result("a", [*make.probes(0.5, 0.6, 0.7, 0.4), *make.neighbours(0.6, 0.1), plain])
    board, summary = board_of(result), summarise(result.scores, all_tasks())
    for name, value in (
        ("mp-processing", summary.mp_processing),
        ("all-same", summary.all_same),
        ("sp", summary.sp),
        ("spd-processing", summary.spd_processing),
        ("log-odds-processing", summary.log_odds_processing),
    ):
        assert board.cell("a", f"summary/{name}", "mean").value == pytest.approx(value), name
    mp = board.cell("a", "summary/mp-processing", "mean")
    assert mp.value == pytest.approx(0.55)
    assert (mp.low, mp.high) == pytest.approx((0.53, 0.57))  # means of the ends: 0.02 on either side of every part
    chance = board.columns[board.column("summary/mp-processing", "mean")]["chance"]
    assert chance == pytest.approx((1 / 6 + 1 / 3 + 1 / 3 + 1 / 4) / 4)


def test_means__of_differences_count_their_sizes_and_the_signed_ones_their_signs(make, board_of):
    board = board_of(make.result("a", make.neighbours(0.6, -0.1)))
    assert board.cell("a", "summary/spd-processing", "mean").value == pytest.approx(0.1)
    assert board.cell("a", "summary/spd-processing-signed", "mean").value == pytest.approx(-0.1)


def test_means__of_a_partial_run_do_not_exist(make, board_of):
    whole, part = make.result("whole", make.probes(0.5, 0.6, 0.7, 0.4)), make.result("part", make.probes(0.9, 0.9, 0.9))
    board = board_of(whole, part)
    assert board.cell("part", "summary/mp-processing", "mean") is None
    assert board.cell("whole", "summary/mp-processing", "mean").rank_high == 1
    assert (board.row("part")["status"], board.row("whole")["status"]) == ("partial", "")


def test_means__an_extra_attribute_makes_no_encoder_partial(make, board_of):
    def of(name, *attributes):
        return make.result(name, [make.score(f"probe/{a}", "accuracy", 0.4) for a in attributes])

    board = board_of(of("two", "make", "iso"), of("extra", "make", "iso", "flash"), of("one", "make"))
    means = {name: board.cell(name, "summary/mp-acquisition", "mean") for name in ("two", "extra", "one")}
    assert means["two"].value == means["extra"].value == pytest.approx(0.4)
    assert means["one"] is None
    assert {row["id"]: row["status"] for row in board.rows} == {"two": "", "extra": "", "one": "partial"}


def test_ranks__clear_order_and_ties(make, board_of):
    names = {"best": 0.9, "tied-a": 0.505, "tied-b": 0.5, "worst": 0.2}
    board = board_of(*(make.result(name, [make.score("probe/jpeg", "accuracy", v)]) for name, v in names.items()))
    cells = {name: board.cell(name, "probe/jpeg") for name in names}
    ranks = {name: (cell.rank_low, cell.rank_high) for name, cell in cells.items()}
    assert ranks == {"best": (1, 1), "tied-a": (2, 3), "tied-b": (2, 3), "worst": (4, 4)}


def test_ranks__a_difference_counts_by_its_size(make, board_of):
    spd = {"down": -0.5, "none": 0.0, "up": 0.3}
    board = board_of(*(make.result(n, [make.score("knn/jpeg", "spd", v, chance=0.0)]) for n, v in spd.items()))
    assert [board.cell(name, "knn/jpeg", "spd").rank_low for name in spd] == [1, 3, 2]


def test_ranks__do_not_depend_on_the_order_of_files(make, board_of):
    results = [make.result(name, make.probes(v, 0.5, 0.6, 0.7)) for name, v in (("a", 0.3), ("b", 0.5), ("c", 0.7))]
    tables = [
        {
            (row["id"], column["id"]): cell
            for row in board.rows
            for column, cell in zip(board.columns, row["cells"], strict=True)
        }
        for board in (board_of(*results), board_of(*reversed(results)))
    ]
    assert tables[0] == tables[1]


def test_rows__newest_result_counts_and_tasks_are_merged(make, board_of):
    board = board_of(
        make.result("a", make.probes(0.5, 0.6), created="2026-01-01T00:00:00+00:00"),
        make.result("a", make.probes(0.7), created="2026-02-01T00:00:00+00:00"),
    )
    assert [row["id"] for row in board.rows] == ["a"]
    assert (board.cell("a", "probe/jpeg").value, board.cell("a", "probe/sharpening").value) == (0.7, 0.6)
    assert [file["file"] for file in board.row("a")["results"]] == ["1.json", "0.json"]


@pytest.mark.parametrize(
    ("changed", "rows"),
    [
        ({"revision": "fffffff"}, 2),
        ({"weights_sha256": "0" * 64}, 2),
        ({"preprocessing": {"crop": 7}}, 2),
        ({"pooling": "mean"}, 2),
        ({"dimension": 3}, 2),
        ({"library": "x"}, 1),
        ({"group": "SSL"}, 1),
        ({"training_data": "x"}, 1),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else str(value),
)
def test_rows__what_makes_another_encoder(make, board_of, changed, rows):
    other = make.result("a", make.probes(0.7), created="2026-01-01T00:00:00+00:00", **changed)
    board = board_of(make.result("a", make.probes(0.5)), other)
    assert len(board.rows) == len({row["name"] for row in board.rows}) == len({r["key"] for r in board.rows}) == rows


def test_rows__an_encoder_that_failed_has_no_rank_and_no_part_in_a_mean(make, board_of):
    """It was scored on the few photos that it could take, and would be the first."""
    honest, best = (make.result(n, make.probes(v, v, v, v)) for n, v in (("honest", 0.5), ("best", 0.9)))
    lost = tuple(Failure("photo", str(i), "broken") for i in range(sum(best.data["photos"].values()) // 5 + 1))
    for failures in ((Failure("encoder", "best", "it fails on 540 of 600 photos"),), lost):
        board = board_of(honest, dataclasses.replace(best, failures=failures))
        assert board.cell("best", "probe/jpeg") is None
        assert board.cell("best", "summary/mp-processing", "mean") is None
        assert board.cell("honest", "probe/jpeg").rank_high == 1
    assert board_of(honest, dataclasses.replace(best, failures=lost[:-1])).cell("best", "probe/jpeg").value == 0.9


def test_rows__an_eraser_knows_its_encoder_and_has_no_part_in_group_means(make, board_of):
    def erased(base):
        details = {"encoder": base, "eraser": {"name": "leace-jpeg", "method": "leace"}}
        return make.result(f"{base}+leace-jpeg", make.probes(0.3), details=details)

    board = board_of(make.result("timm/a", make.probes(0.9)), erased("timm/a"), erased("timm/other"))
    of = {row["id"]: (row["eraser"], row["of"]) for row in board.rows}
    assert of["timm/a"] == ("", "")
    assert of["timm/a+leace-jpeg"] == ("leace-jpeg", board.row("timm/a")["key"])
    assert of["timm/other+leace-jpeg"] == ("leace-jpeg", "")
    column = board.columns[board.column("probe/jpeg")]["id"]
    assert [(mean["mean"], mean["n"]) for mean in board.data["group_means"][column].values()] == [(0.9, 1)]


@pytest.mark.parametrize(
    ("preprocessing", "side"),
    [
        ({"crop": 224, "size": 256}, 224),
        ({"crop": [3, 224, 336]}, 336),
        ({"size": {"height": 384, "width": 512}}, 384),
        ({"size": {"shortest_edge": 518}}, 518),
        ({"crop": True}, None),
        ({"crop": "224"}, None),
    ],
)
def test_rows__side_of_the_input(make, board_of, preprocessing, side):
    assert board_of(make.result("a", make.probes(0.5), preprocessing=preprocessing)).row("a")["input"] == side


def test_rows__say_how_to_repeat_them_and_local_paths_in_comments_of_the_shell(make, board_of):
    plain = make.result("timm/a b", make.probes(0.5), data="toy x")
    (line,) = board_of(plain).row("timm/a b")["repeat"]
    assert line.startswith("camtrace score --model 'timm/a b' --data 'toy x' --revision 0123abc")
    local = {"data": "PATH: your folder"}
    (line,) = board_of(with_environment(plain, command="camtrace score -x", local=local)).row("timm/a b")["repeat"]
    assert line == "# PATH: your folder\ncamtrace score -x"


def test_flags__chance_controls_and_contradictions(make, board_of):
    controls = {"metadata": {"accuracy": 0.6}}
    scores = {
        ("probe/jpeg", "accuracy"): (0.26, {}, ("at-chance",)),
        ("probe/sharpening", "accuracy"): (0.1, {}, ("below-chance",)),
        ("probe/make", "accuracy"): (0.5, {"controls": controls}, ("metadata",)),
        ("probe/flash", "accuracy"): (0.7, {"controls": controls}, ()),
        ("probe/iso", "accuracy"): (0.5, {"most_frequent_class": 0.49}, ("undecided",)),
        ("probe/aperture", "accuracy"): (0.5, {"most_frequent_class": 0.47}, ()),
        ("knn/jpeg", "pos-same"): (0.7, {}, ()),
        ("knn/jpeg", "neg-same"): (0.5, {}, ()),
        ("knn/jpeg", "spd"): (0.1, {"chance": 0.0}, ("inconsistent",)),
    }
    made = [make.score(*name, value, **details) for name, (value, details, _) in scores.items()]
    board = board_of(make.result("a", made))
    assert {name: board.cell("a", *name).flags for name in scores} == {name: f for name, (*_, f) in scores.items()}
    assert {flag for *_, flags in scores.values() for flag in flags} <= set(board.data["flags"])


@pytest.mark.parametrize(
    ("values", "options", "conflict"),
    [
        ((0.5, 0.504), {}, False),
        ((0.5, 0.506), {}, True),
        ((0.5, 0.494), {}, True),
        ((0.5, 0.539), {"seed": 1}, False),  # another seed may move a score within its interval
        ((0.5, 0.55), {"seed": 1}, True),
        ((0.5, 0.5), {"n": 201}, True),
        ((0.5, 0.5), {"chance": 0.256}, True),
    ],
)
def test_flags__results_of_one_encoder_that_contradict_each_other(make, board_of, values, options, conflict):
    seed = options.pop("seed", 0)
    scores = [make.score("probe/jpeg", "accuracy", v, **o) for v, o in zip(values, ({}, options), strict=True)]
    old, new = (
        make.result("a", [s], created=f"2026-01-0{d}T00:00:00+00:00") for s, d in zip(scores, (2, 1), strict=True)
    )
    board = board_of(old, with_options(new, seed=seed))
    assert board.cell("a", "probe/jpeg").value == 0.5
    assert board.cell("a", "probe/jpeg").flags == (("conflict",) if conflict else ())


def test_notes__failures_and_smoke_tests_are_stated(make, board_of):
    failures = [Failure("photo", "1", "broken"), Failure("photo", "2", "broken"), Failure("task", "x", "no memory")]
    board = board_of(make.result("a", make.probes(0.5, 0.6, 0.7, 0.4), failures=failures))
    assert board.row("a")["status"] == "failures"
    assert [note.rstrip(".").split()[-2:] for note in board.row("a")["notes"]] == [["1", "task"], ["2", "photos"]]
    smoke = with_data(make.result("a", make.probes(0.5, 0.6, 0.7, 0.4)), smoke_test=True)
    assert board_of(smoke).row("a")["status"] == "smoke test"


@pytest.mark.slow
def test_data_sets__whole_imagenet_joins_the_studys_columns(make, board_of):
    board = board_of(as_in_the_study(make), published=True)
    assert board.cell("a", "probe/jpeg", data="imagenet").value == 0.5
    assert board.columns[board.column("probe/jpeg", data="imagenet")]["ranked"] == 48


@pytest.mark.slow
@pytest.mark.parametrize("other", [{"n": 2_000}, {"train": 10_000}])
def test_data_sets__a_part_of_imagenet_stands_apart(make, board_of, other):
    board = board_of(as_in_the_study(make, **other), published=True)
    assert board.cell("a", "probe/jpeg", data="imagenet") is None
    (apart,) = [data for data in board.data["data"] if data["id"].startswith("imagenet-")]
    assert f"{other.get('n', 50_000):,} photos" in apart["label"]


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{"preset": "camtrace"}, {"protocol": "converged"}, {"preprocess": "squash"}])
def test_data_sets__other_choices_than_the_studys_have_columns_of_their_own(make, board_of, changed):
    measured = with_options(as_in_the_study(make), **changed)
    scores = [dataclasses.replace(s, details={**s.details, **changed}) for s in measured.scores]
    board = board_of(dataclasses.replace(measured, scores=tuple(scores)), published=True)
    assert ["a"] in board.together("probe/jpeg")


def test_data_sets__only_equal_photos_questions_and_codecs_share_a_column(make, board_of):
    def of(name, canary="c0dec", **data):
        return with_data(make.result(name, make.probes(0.5), canary=canary), **data)

    board = board_of(
        of("a", question_hash="q1"),
        of("b", question_hash="q1"),
        of("c", question_hash="q2"),  # the same ids under other labels
        of("d"),  # an older form: by ids
        of("e"),
        of("f", ids_hash="other"),
        of("g", question_hash="q1", canary="other"),
    )
    assert board.together("probe/jpeg") == [["a", "b"], ["c"], ["d", "e"], ["f"], ["g"]]


def test_data_sets__another_k_is_another_column(make, board_of):
    board = board_of(*(make.result(f"k{k}", [make.score("knn/jpeg", "all-same", 0.5, k=k)]) for k in (10, 1)))
    assert board.together("knn/jpeg") == [["k1"], ["k10"]]
    assert {c["label"] for c in board.columns} >= {"all-same (k = 1)", "all-same (k = 10)"}


def refusal(board_of, result):
    """Why a board refuses a result; "" where it does not."""
    return board_of(result).refused.get("0.json", "")


@pytest.mark.parametrize(
    ("score", "why"),
    [
        (("probe/jpeg", "accuracy", 0.5, {"chance": 0.0}), "chance is 0"),
        (("probe/jpeg", "accuracy", 0.5, {"chance": 1.0}), "chance is 1"),
        (("probe/jpeg", "accuracy", 0.5, {"chance": 1e-9}), ""),
        (("probe/jpeg", "accuracy", -0.5, {}), "low is -0.5"),
        (("probe/jpeg", "accuracy", 1.5, {}), "1.5"),
        (("probe/jpeg", "accuracy", 0.5, {"low": 0.6}), "probe/jpeg accuracy"),
        (("knn/jpeg", "all-same", 0.5, {"chance": -0.1}), "chance is -0.1"),
        (("knn/jpeg", "spd", -0.5, {"chance": 0.0}), ""),
        (("knn/jpeg", "spd", 0.5, {"n": 0}), "n is 0"),
        (("knn/jpeg", "spd", 0.5, {"n": 10**12 + 1}), "n is 1000000000001"),
        (("probe/charm", "accuracy", 0.5, {}), "probe/charm"),
    ],
)
def test_refused__numbers_that_cannot_be_and_questions_that_are_not_known(make, board_of, score, why):
    task, metric, value, details = score
    fields = {"data": "toy", "low": value, "high": value, "n": 200, "chance": 0.25, "details": {}, **details}
    given = Score(task=task, metric=metric, value=value, **fields)
    reason = refusal(board_of, dataclasses.replace(make.result("a", make.probes()), scores=(given,)))
    assert why in reason
    assert bool(reason) == bool(why)


def test_refused__a_question_about_a_group_unless_the_photos_state_it(make, board_of):
    result = make.result("a", [make.score("probe/charm", "accuracy", 0.5)])
    assert "group=charm=" in refusal(board_of, result)
    assert refusal(board_of, with_data(result, evidence={"label=": "folder:1", "group=charm=": "folder:1"})) == ""


def test_main__refuses_changed_and_future_results_by_name_and_goes_on(make, tmp_path, capsys):
    write_result(make.result("good", make.probes(0.5)), tmp_path / "in" / "good.json")
    raw = json.loads((tmp_path / "in" / "good.json").read_text())
    raw["scores"][0]["value"] += 0.001
    (tmp_path / "in" / "touched.json").write_text(json.dumps(raw))
    late = make.result("late", make.probes(0.5), created="9999-01-01T00:00:00+00:00")
    write_result(late, tmp_path / "in" / "late.json")
    assert (
        camtrace(["leaderboard", "--results", str(tmp_path / "in"), "-o", str(tmp_path / "site"), "--no-published"])
        == 0
    )
    out = capsys.readouterr().out
    board = json.loads((tmp_path / "site" / "data.json").read_text())
    assert sorted(refused["file"] for refused in board["refused"]) == ["late.json", "touched.json"]
    assert [row["id"] for row in board["rows"]] == ["good"]
    assert "touched.json" in out
    assert "9999-01-01" in out


def test_main__goes_on_where_it_was_killed_and_touches_no_other_folder(make, tmp_path):
    write_result(make.result("a", make.probes(0.5)), tmp_path / "in" / "a.json")
    words = ["--results", str(tmp_path / "in"), "--no-published", "-o"]
    killed = tmp_path / "killed"
    (killed / "encoders").mkdir(parents=True)
    (killed / "encoders" / "measured-a-0123.js").write_text("half a board")
    assert camtrace(["leaderboard", *words, str(killed)]) == 0
    assert (killed / "index.html").is_file()
    assert not (killed / "encoders" / "measured-a-0123.js").exists()
    for name in ("README.md", "encoders/thesis.js"):
        other = tmp_path / name.partition("/")[0].lower()
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text("mine")
        assert camtrace(["leaderboard", *words, str(other)]) == 2
        assert (other / name).read_text() == "mine"
