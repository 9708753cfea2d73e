import dataclasses

import pytest

from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.board_data import commands
from benchmark.leaderboard.entries import measured_entries, published_entries
from benchmark.leaderboard.means import folded
from benchmark.results.files import ResultFile
from benchmark.results.published import published_encoders
from benchmark.results.schema import Failure
from benchmark.results.summary import summarise
from benchmark.tasks import all_tasks


def board_of(*results, published=False):
    files = [ResultFile(f"{i}.json", measured) for i, measured in enumerate(results)]
    study = published_entries(published_encoders(), {}) if published else []
    return build_board([*study, *measured_entries(files)])


def column(board, task, metric="accuracy", data="toy"):
    return next(c for c in board.columns if (c.task, c.metric, c.data) == (task, metric, data))


def cell(board, encoder, task, metric="accuracy", data="toy"):
    key = next(e.key for e in board.entries if e.id == encoder or e.name == encoder)
    return column(board, task, metric, data).cells.get(key)


def test_build_board__published_alone_has_every_number():
    board = board_of(published=True)
    assert len(board.entries) == 47
    assert [data.label for data in board.data] == ["ImageNet", "iNaturalist 2018", "FlickrExif", "PairCams"]
    assert all(len(c.cells) == 47 for c in board.columns)
    scores = [c for c in board.columns if not c.task.startswith("summary/")]
    assert len(scores) == 58 + 9
    assert cell(board, "CLIP (ViT-B/16, WIT)", "probe/jpeg", data="imagenet").value == pytest.approx(0.64834467)


def test_build_board__columns_stand_in_the_order_of_families():
    order = [c.meaning.family for c in board_of(published=True).columns]
    families = ["summary", "processing", "acquisition", "knn", "retrieval", "other"]
    assert order == sorted(order, key=families.index)


def test_means__equal_the_summary_numbers(make):
    plain = make.score("knn/original", "accuracy", 0.62, chance=0.01, k=10)
    result = make.result("a", [*make.probes(0.5, 0.6, 0.7, 0.4), *make.neighbours(0.6, 0.1), plain])
    board, summary = board_of(result), summarise(result.scores, all_tasks())
    assert cell(board, "a", "summary/mp-processing", "mean").value == summary.mp_processing == pytest.approx(0.55)
    assert cell(board, "a", "summary/all-same", "mean").value == summary.all_same == pytest.approx(0.6)
    assert cell(board, "a", "summary/sp", "mean").value == summary.sp == pytest.approx(0.62)
    assert cell(board, "a", "summary/spd-processing", "mean").value == pytest.approx(summary.spd_processing)
    assert cell(board, "a", "summary/log-odds-processing", "mean").value == summary.log_odds_processing
    mp = cell(board, "a", "summary/mp-processing", "mean")
    # Means of the ends: 0.02 on either side of every part.
    assert (mp.low, mp.high) == pytest.approx((0.53, 0.57))
    assert column(board, "summary/mp-processing", "mean").chance == pytest.approx((1 / 6 + 1 / 3 + 1 / 3 + 1 / 4) / 4)


def test_means__signs_count_and_sizes_do_not(make):
    board = board_of(make.result("a", make.neighbours(0.6, -0.1)))
    assert cell(board, "a", "summary/spd-processing", "mean").value == pytest.approx(0.1)
    assert cell(board, "a", "summary/spd-processing-signed", "mean").value == pytest.approx(-0.1)


def test_means__partial_run_has_none_and_never_a_rank(make):
    board = board_of(
        make.result("whole", make.probes(0.5, 0.6, 0.7, 0.4)),
        make.result("part", make.probes(0.99, 0.99, 0.99)),
    )
    assert cell(board, "part", "summary/mp-processing", "mean") is None
    assert cell(board, "whole", "summary/mp-processing", "mean").rank_high == 1
    part = next(e for e in board.entries if e.id == "part")
    assert board.notes[part.key] == ("Partial: 3 of 4 processing tasks on toy.",)


def test_ranks__clear_order_and_ties(make):
    names = {"best": 0.9, "tied-a": 0.505, "tied-b": 0.5, "worst": 0.2}
    board = board_of(*(make.result(name, [make.score("probe/jpeg", "accuracy", v)]) for name, v in names.items()))
    ranks = {name: cell(board, name, "probe/jpeg") for name in names}
    assert {name: (c.rank_low, c.rank_high) for name, c in ranks.items()} == {
        "best": (1, 1),
        "tied-a": (2, 3),
        "tied-b": (2, 3),
        "worst": (4, 4),
    }


def test_ranks__a_difference_counts_by_its_size(make):
    spd = {"down": -0.5, "none": 0.0, "up": 0.3}
    board = board_of(*(make.result(n, [make.score("knn/jpeg", "spd", v, chance=0.0)]) for n, v in spd.items()))
    assert [cell(board, name, "knn/jpeg", "spd").rank_low for name in spd] == [1, 3, 2]


def test_entries__newest_result_counts_and_tasks_are_merged(make):
    board = board_of(
        make.result("a", make.probes(0.5, 0.6), created="2026-01-01T00:00:00+00:00"),
        make.result("a", make.probes(0.7), created="2026-02-01T00:00:00+00:00"),
    )
    assert len(board.entries) == 1
    assert cell(board, "a", "probe/jpeg").value == 0.7
    assert cell(board, "a", "probe/sharpening").value == 0.6
    assert [f.file for f in board.entries[0].files] == ["1.json", "0.json"]


def test_entries__another_revision_is_another_encoder(make):
    board = board_of(make.result("a", make.probes(0.5)), make.result("a", make.probes(0.7), revision="fffffff"))
    assert len(board.entries) == 2
    assert len({e.name for e in board.entries}) == 2
    assert len({e.key for e in board.entries}) == 2


def test_entries__unknown_group_is_not_stated(make):
    assert board_of(make.result("a", make.probes(0.5), group="best ever")).entries[0].group == "unknown"


def test_flags__chance_protocol_metadata_and_inconsistent(make):
    board = board_of(
        make.result(
            "a",
            [
                make.score("probe/jpeg", "accuracy", 0.26),
                make.score("probe/sharpening", "accuracy", 0.1),
                make.score("probe/make", "accuracy", 0.5, controls={"metadata": {"accuracy": 0.6}}),
                make.score("probe/iso", "accuracy", 0.5, most_frequent_class=0.49),
                make.score("probe/aperture", "accuracy", 0.5, most_frequent_class=0.47),
                make.score("knn/jpeg", "pos-same", 0.7),
                make.score("knn/jpeg", "neg-same", 0.5),
                make.score("knn/jpeg", "spd", 0.1, chance=0.0),
            ],
        )
    )
    assert cell(board, "a", "probe/iso").flags == ("undecided",)  # the most frequent class alone gives 49 %
    assert cell(board, "a", "probe/aperture").flags == ()
    assert cell(board, "a", "probe/jpeg").flags == ("at-chance",)
    assert cell(board, "a", "probe/sharpening").flags == ("below-chance",)
    assert cell(board, "a", "probe/make").flags == ("metadata",)
    assert cell(board, "a", "knn/jpeg", "spd").flags == ("inconsistent",)
    assert cell(board, "a", "knn/jpeg", "pos-same").flags == ()


def as_in_the_study(make, *, n=50_000, train=1_281_167, canary="c0dec"):
    scores = [dataclasses.replace(s, n=n) for s in make.probes(0.5, 0.6, 0.7, 0.4, protocol="iccv2025")]
    measured = make.result("a", scores, data="imagenet", canary=canary, preset=make.under_preset)
    return dataclasses.replace(measured, data={**measured.data, "photos": {"train": train, "val": n}})


def test_data_sets__whole_imagenet_joins_the_studys_columns(make):
    board = board_of(as_in_the_study(make), published=True)
    jpeg = cell(board, "a", "probe/jpeg", data="imagenet")
    assert jpeg.value == 0.5
    assert jpeg.flags == ()
    assert len(column(board, "probe/jpeg", data="imagenet").cells) == 48


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        (None, "preset camtrace"),
        ({"protocol": "iccv2025"}, "preset camtrace with protocol iccv2025"),
        ({"preset": "iccv2025", "preprocess": "squash"}, "preset iccv2025 with preprocess squash"),
    ],
)
def test_data_sets__another_preset_than_the_studys_has_separate_columns(make, preset, settings):
    """On the photos of the study; the last two each differ from the study's preset in one choice."""
    protocol = "converged" if preset is None else "iccv2025"
    scores = [dataclasses.replace(s, n=50_000) for s in make.probes(0.5, 0.6, 0.7, 0.4, protocol=protocol)]
    scores.append(dataclasses.replace(make.score("knn/jpeg", "all-same", 0.7, k=10, ties={"share": 0.1}), n=50_000))
    measured = make.result(
        "a", scores, data="imagenet", preset=preset and {**make.under_preset, "preset": "", **preset}
    )
    if preset == {"protocol": "iccv2025"}:
        measured.environment["options"].update(preprocess="own", ties="nearest", orientation="upright")
    measured = dataclasses.replace(measured, data={**measured.data, "photos": {"train": 1_281_167, "val": 50_000}})
    board = board_of(measured, published=True)
    columns = [c for c in board.columns if (c.task, c.metric) == ("probe/jpeg", "accuracy") and c.data == "imagenet"]
    assert sorted((c.settings, len(c.cells)) for c in columns) == [("", 47), (settings, 1)]
    assert any(c.meaning.label.endswith(f"({settings})") for c in columns)
    of_votes = [c for c in board.columns if (c.task, c.metric) == ("knn/jpeg", "all-same") and c.data == "imagenet"]
    assert len(of_votes) == 2


@pytest.mark.parametrize("other", [{"n": 2_000}, {"train": 10_000}])
def test_data_sets__a_part_of_imagenet_stands_apart(make, other):
    board = board_of(as_in_the_study(make, **other), published=True)
    assert cell(board, "a", "probe/jpeg", data="imagenet") is None
    apart = [d for d in board.data if d.id.startswith("imagenet-")]
    assert len(apart) == 1
    assert f"({other.get('n', 50_000):,} photos" in apart[0].label


def test_data_sets__other_codecs_never_share_a_column(make):
    board = board_of(
        make.result("a", make.probes(0.5), canary="one"),
        make.result("b", make.probes(0.6), canary="two"),
    )
    assert len(board.data) == 2
    assert all(len(c.cells) == 1 for c in board.columns)
    assert all("codec canary" in d.note for d in board.data)


def with_hashes(measured, question, ids="1d5"):
    data = {k: v for k, v in measured.data.items() if k != "question_hash"}
    return dataclasses.replace(
        measured, data={**data, "ids_hash": ids, **({"question_hash": question} if question else {})}
    )


def test_data_sets__only_equal_questions_share_a_column(make):
    board = board_of(
        with_hashes(make.result("a", make.probes(0.5)), "q1"),
        with_hashes(make.result("b", make.probes(0.6)), "q1"),
        with_hashes(make.result("c", make.probes(0.7)), "q2"),  # the same ids under other labels
        with_hashes(make.result("d", make.probes(0.8)), None),  # schema version 1: by ids
        with_hashes(make.result("e", make.probes(0.9)), None),
        with_hashes(make.result("f", make.probes(0.4)), None, ids="other"),
    )
    ids = {e.key: e.id for e in board.entries}
    together = sorted(sorted(ids[k] for k in c.cells) for c in board.columns if c.task == "probe/jpeg")
    assert together == [["a", "b"], ["c"], ["d", "e"], ["f"]]
    notes = [d.note for d in board.data]
    assert sum("question q1" in note for note in notes) == sum("question q2" in note for note in notes) == 1
    assert sum("labels not recorded" in note for note in notes) == 2


def test_data_sets__the_studys_column_goes_to_one_question_and_first_to_a_named_one(make):
    older, newer = as_in_the_study(make), as_in_the_study(make)
    newer = dataclasses.replace(with_hashes(newer, "q1"), encoder={**newer.encoder, "id": "b"})
    third = dataclasses.replace(with_hashes(newer, "q2"), encoder={**newer.encoder, "id": "c"})
    board = board_of(older, third, newer, published=True)
    joined = column(board, "probe/jpeg", data="imagenet").cells
    assert [e.id for e in board.entries if e.origin == "measured" and e.key in joined] == ["b"]


def test_commands__say_what_is_local_in_comments_of_the_shell(make):
    measured = make.result("a", make.probes(0.5))
    local = {"data": "PATH: your folder of 3 photos\nrm -r x", "model": 7}
    measured = dataclasses.replace(
        measured, environment={**measured.environment, "command": "camtrace score -x", "local": local}
    )
    (entry,) = board_of(measured).entries
    assert commands(entry) == ["# PATH: your folder of 3 photos rm -r x\ncamtrace score -x"]


def test_settings__another_k_is_another_column(make):
    measured = make.result("a", [make.score("knn/jpeg", "all-same", 0.5, k=10)])
    two = make.result("b", [make.score("knn/jpeg", "all-same", 0.6, k=1)])
    board = board_of(measured, two)
    assert sorted(c.meaning.label for c in board.columns) == ["all-same (k = 1)", "all-same (k = 10)"]


def test_columns__foreign_tasks_have_a_place(make):
    board = board_of(make.result("a", [make.score("zeroshot/cars", "top5", 0.5)]))
    assert board.columns[0].meaning.family == "other"
    assert board.columns[0].meaning.label == "zeroshot/cars top5"


def test_notes__failures_are_counted(make):
    failures = [Failure("photo", "1", "broken"), Failure("photo", "2", "broken"), Failure("task", "x", "no memory")]
    board = board_of(make.result("a", make.probes(0.5, 0.6, 0.7, 0.4), failures=failures))
    assert board.notes[board.entries[0].key] == ("Recorded failures: 1 task.", "Recorded failures: 2 photos.")


def test_build_board__does_not_depend_on_the_order_of_files(make):
    results = [make.result(name, make.probes(v, 0.5, 0.6, 0.7)) for name, v in (("a", 0.3), ("b", 0.5), ("c", 0.7))]

    def numbers(board):
        return [
            (c.id, sorted((k, x.value, x.rank_low, x.rank_high) for k, x in c.cells.items())) for c in board.columns
        ]

    assert numbers(board_of(*results)) == numbers(board_of(*reversed(results)))


@pytest.mark.parametrize(
    ("low", "high", "size"), [(-0.2, 0.1, (0, 0.2)), (0.1, 0.3, (0.1, 0.3)), (-0.3, -0.1, (0.1, 0.3))]
)
def test_folded(low, high, size):
    assert folded(low, high) == size


def test_means__an_extra_attribute_makes_no_encoder_partial(make):
    board = board_of(
        make.result("two", [make.score("probe/make", "accuracy", 0.5), make.score("probe/iso", "accuracy", 0.3)]),
        make.result("extra", [make.score(f"probe/{a}", "accuracy", 0.4) for a in ("make", "iso", "flash")]),
        make.result("one", [make.score("probe/make", "accuracy", 0.5)]),
    )
    assert cell(board, "two", "summary/mp-acquisition", "mean").value == pytest.approx(0.4)
    assert cell(board, "extra", "summary/mp-acquisition", "mean").value == pytest.approx(0.4)
    assert cell(board, "one", "summary/mp-acquisition", "mean") is None
    notes = {e.id: board.notes[e.key] for e in board.entries}
    assert notes == {"two": (), "extra": (), "one": ("Partial: 1 of 2 acquisition tasks on toy.",)}


def test_build_board__an_encoder_that_failed_has_no_rank_and_no_part_in_a_mean(make):
    """It was scored on the few photos that it could take, and would be the first."""
    honest = make.result("honest", make.probes(0.5, 0.6, 0.7, 0.4))
    best = make.result("best", make.probes(0.9, 0.9, 0.9, 0.9))
    by_code = dataclasses.replace(best, failures=(Failure("encoder", "best", "it fails on 540 of 600 photos"),))
    count = sum(best.data["photos"].values())
    lost = tuple(Failure("photo", str(i), "preprocessing failed") for i in range(count // 5 + 1))
    by_photos = dataclasses.replace(best, failures=lost)
    for failed in (by_code, by_photos):
        board = board_of(honest, failed)
        assert cell(board, "best", "probe/jpeg") is None
        assert cell(board, "best", "summary/mp-processing", "mean") is None
        assert cell(board, "honest", "probe/jpeg").rank_low == cell(board, "honest", "probe/jpeg").rank_high == 1
        key = next(entry.key for entry in board.entries if entry.id == "best")
        assert "Failed on its photos in 1 of 1 results: those are not ranked." in board.notes[key]
    few = dataclasses.replace(best, failures=lost[:-1])
    assert cell(board_of(honest, few), "best", "probe/jpeg").value == 0.9


def test_notes__of_a_row_with_several_results(make):
    """Two results that failed of three, two that disagree about two scores, and a smoke test."""
    fails = (Failure("encoder", "a", "it fails on all photos"),)
    results = [
        make.result("a", make.probes(0.5, 0.6, 0.7, 0.4), created="2026-11-20T10:00:00+00:00"),
        make.result("a", make.probes(0.2, 0.3, 0.7, 0.4), created="2026-11-19T10:00:00+00:00"),
        make.result("a", make.probes(0.5), data="b", failures=(*fails, *fails)),
        make.result("a", make.probes(0.5), data="c", failures=fails),
    ]
    results[0] = dataclasses.replace(results[0], data={**results[0].data, "smoke_test": True})
    results[1] = dataclasses.replace(results[1], data={**results[1].data, "smoke_test": True})
    board = board_of(*results)
    assert board.notes[board.entries[0].key] == (
        "Conflicting results: 4 files disagree on 2 scores; the newest is shown.",
        "Recorded failures: 3 encoders.",
        "Failed on its photos in 2 of 4 results: those are not ranked.",
        "Holds a smoke test: bundled photos show that the installation works, nothing more.",
    )
