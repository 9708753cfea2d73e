"""Entries of a board: facts of any form, scores that belong together or contradict each other, settings and flags."""

import dataclasses

import pytest

from benchmark.leaderboard.board_data import commands
from benchmark.leaderboard.entries import (
    Entry,
    Observation,
    Photos,
    count_of,
    encoder_of,
    facts_of,
    measured_entries,
    published_entries,
    text_of,
)
from benchmark.results import PublishedEncoder, PublishedScore
from benchmark.results.files import ResultFile


def entries_of(*results):
    return measured_entries([ResultFile(f"{i}.json", result) for i, result in enumerate(results)])


def observation_of(result, task="probe/jpeg", metric="accuracy"):
    (entry,) = entries_of(result)
    (one,) = [o for o in entry.observations if (o.task, o.metric) == (task, metric)]
    return one


@pytest.mark.parametrize(("accuracy", "flagged"), [(0.49, False), (0.5, True), (0.51, True), (1, True), ("0.6", False)])
def test_metadata__a_control_that_does_as_well_is_a_flag(make, accuracy, flagged):
    made = make.score("probe/jpeg", "accuracy", 0.5, controls={"metadata": {"accuracy": accuracy}})
    assert observation_of(make.result("a", [made])).flags == (("metadata",) if flagged else ())
    for controls in ({}, {"metadata": {}}, {"metadata": {"accuracy": None}}, {"whole": {"accuracy": 0.9}}):
        made = make.score("probe/jpeg", "accuracy", 0.5, controls=controls)
        assert observation_of(make.result("a", [made])).flags == ()


SIZES = [
    ({"crop": 224}, 224),
    ({"size": 256}, 256),
    ({"crop": 224, "size": 256}, 224),
    ({"crop": None, "size": 256}, None),
    ({"crop": [3, 224, 336]}, 336),
    ({"crop": (224, 240)}, 240),
    ({"crop": []}, None),
    ({"size": {"height": 384, "width": 512}}, 384),
    ({"size": {"shortest_edge": 518}}, 518),
    ({"size": {"height": 384, "shortest_edge": 518}}, 384),
    ({"size": [{"height": 384}]}, 384),
    ({"size": {"longest_edge": 384}}, None),
    ({"crop": True}, None),
    ({"crop": -1}, None),
    ({"crop": "224"}, None),
    (None, None),
    ([224], None),
]


@pytest.mark.parametrize(("preprocessing", "side"), SIZES)
def test_facts__side_of_the_input(preprocessing, side):
    assert facts_of({"preprocessing": preprocessing})["input"] == side


def test_facts__texts_counts_and_erasers():
    assert [count_of(v) for v in (1, 10**12, 0, -3, True, 2.0, "3", None)] == [1, 10**12] + [None] * 6
    assert [text_of(v) for v in ("a", "b" * 501, 3, None, ["a"])] == ["a", "b" * 500, "", "", ""]
    empty = {"library": "", "training": "", "input": None, "parameters": None, "dimension": None, "revision": ""}
    empty["weights_sha256"] = ""
    assert facts_of({}) == facts_of({"training_data": "unknown", "library": 3, "dimension": True}) == empty
    full = {"library": "timm", "training_data": "ImageNet-1k", "parameters": 5, "dimension": 7, "revision": "r"}
    assert facts_of({**full, "weights_sha256": "f"}) == {
        **{"library": "timm", "training": "ImageNet-1k", "input": None, "parameters": 5, "dimension": 7},
        **{"revision": "r", "weights_sha256": "f"},
    }
    for details in (None, [], {}, {"eraser": "leace"}, {"encoder": "a"}):
        assert "eraser" not in facts_of({"details": details})
    erased = facts_of({"details": {"eraser": {"name": "n" * 201}, "encoder": "e" * 201}})
    assert (erased["eraser"], erased["encoder"]) == ("n" * 200, "e" * 200)
    assert facts_of({"details": {"eraser": {}}})["eraser"] == ""


def row(key, name, *, origin="measured", **facts):
    facts = {"weights_sha256": "f", **facts}
    return Entry(key, name, name, origin, "SUP", facts, ())


def test_encoder_of__the_same_weights_and_origin_without_an_eraser():
    base = row("base", "timm/a")
    erased = row("erased", "timm/a+leace", eraser="leace", encoder="timm/a")
    others = [
        row("weights", "timm/a", weights_sha256="0"),
        row("published", "timm/a", origin="published"),
        row("name", "timm/b"),
        row("also-erased", "timm/a", eraser="inlp", encoder="timm/a"),
    ]
    assert encoder_of(erased, [*others, erased, base]) == "base"
    assert encoder_of(erased, [*others, erased]) == ""
    assert encoder_of(base, [base, erased]) == ""


def test_measured_entries__what_makes_another_encoder(make):
    base = make.result("timm/A b×c", make.probes(0.5))
    same = ("library", "parameters", "group", "training_data", "details")
    apart = ("revision", "weights_sha256", "preprocessing", "pooling", "dimension", "dtype")
    for name in (*same, *apart):
        counts = ("dimension", "parameters")
        value = {"crop": 7} if name in ("preprocessing", "details") else 3 if name in counts else "x"
        other = make.result("timm/A b×c", make.probes(0.5), **{name: value})
        entries = entries_of(base, other)
        assert len(entries) == (2 if name in apart else 1), name
        names = {entry.name for entry in entries}
        if name in apart:
            assert all(n.startswith("timm/A b×c #") and len(n) == len("timm/A b×c #") + 4 for n in names)
            assert len(names) == len({entry.key for entry in entries}) == 2
            for entry in entries:
                assert entry.key.startswith("measured-timm-a-bxc-")
                assert entry.key.rpartition("-")[2].startswith(entry.name.rpartition("#")[2])
        else:
            assert names == {"timm/A b×c"}
    assert entries_of(base)[0].origin == "measured"
    (long,) = entries_of(make.result("x" * 90, make.probes(0.5)))
    assert len(long.key) == len("measured-") + 60 + len("-12345678")


def test_measured_entries__the_newest_result_then_the_later_file(make):
    times = ["2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00", "2026-01-03T00:00:00+00:00"]
    results = [make.result("a", make.probes(v), created=t) for v, t in zip((0.1, 0.2, 0.3), times, strict=True)]
    (entry,) = entries_of(*results)
    assert [file.file for file in entry.files] == ["2.json", "1.json", "0.json"]
    assert [o.value for o in entry.observations] == [0.3]


def pair(make, first, second, *, seed=0, n=(200, 200), chance=(0.25, 0.25), half=0.02):
    """Two results of one encoder and their one observation, the newer one's."""
    results = []
    for i, value in enumerate((first, second)):
        score = make.score("probe/jpeg", "accuracy", value, n=n[i], chance=chance[i], half=half)
        made = make.result("a", [score], created=f"2026-01-0{2 - i}T00:00:00+00:00")
        options = {**made.environment["options"], "seed": i * seed}
        results.append(dataclasses.replace(made, environment={**made.environment, "options": options}))
    (entry,) = entries_of(*results)
    (only,) = entry.observations
    assert only.value == first
    return only


@pytest.mark.parametrize(
    ("values", "options", "conflict"),
    [
        ((0.5, 0.5), {}, False),
        ((0.5, 0.504), {}, False),
        ((0.5, 0.496), {}, False),
        ((0.5, 0.506), {}, True),
        ((0.5, 0.494), {}, True),
        ((0.5, 0.506), {"seed": 1}, False),
        ((0.5, 0.5390), {"seed": 1}, False),
        ((0.5, 0.55), {"seed": 1}, True),
        ((0.55, 0.5), {"seed": 1}, True),
        ((0.5, 0.5), {"n": (200, 201)}, True),
        ((0.5, 0.5), {"n": (200, 201), "seed": 1}, True),
        ((0.5, 0.5), {"chance": (0.25, 0.256)}, True),
        ((0.5, 0.5), {"chance": (0.25, 0.254), "seed": 1}, False),
    ],
)
def test_newest__results_that_contradict_each_other(make, values, options, conflict):
    assert pair(make, *values, **options).flags == (("conflict",) if conflict else ())


def test_newest__three_that_disagree_are_one_flag(make):
    results = [
        make.result("a", make.probes(v), created=f"2026-01-0{d}T00:00:00+00:00")
        for v, d in ((0.5, 3), (0.6, 2), (0.7, 1))
    ]
    (entry,) = entries_of(*results)
    assert [(o.value, o.flags) for o in entry.observations] == [(0.5, ("conflict",))]


@pytest.mark.parametrize(
    ("spd", "metrics", "flags"),
    [
        (0.2, ("pos-same", "neg-same"), ()),
        (0.2 + 1e-7, ("pos-same", "neg-same"), ()),
        (0.2 + 1e-5, ("pos-same", "neg-same"), ("inconsistent",)),
        (-0.2, ("pos-same", "neg-same"), ("inconsistent",)),
        (0.9, ("pos-same",), ()),
        (0.9, ("neg-same",), ()),
    ],
)
def test_consistency__a_difference_is_that_of_its_two_metrics(make, spd, metrics, flags):
    values = {"pos-same": 0.7, "neg-same": 0.5}
    scores = [make.score("knn/jpeg", m, values[m]) for m in metrics]
    scores.append(make.score("knn/jpeg", "spd", spd, chance=0.0))
    assert observation_of(make.result("a", scores), "knn/jpeg", "spd").flags == flags
    apart = [dataclasses.replace(s, details={"k": i}) for i, s in enumerate(scores)]  # other settings: another question
    assert observation_of(make.result("a", apart), "knn/jpeg", "spd").flags == ()


@pytest.mark.parametrize(
    ("data", "details", "settings"),
    [
        ("toy", {}, "preset camtrace"),
        ("toy", {"k": 10}, "preset camtrace, k = 10"),
        ("toy", {"k": 2.5, "mask_ratio": 0.9}, "preset camtrace, k = 2.5, mask ratio = 0.9"),
        ("toy", {"k": True, "mask_ratio": "0.5", "query_seed": None}, "preset camtrace"),
        ("toy", {"sampled_queries": 500, "query_seed": 0}, "preset camtrace, sampled queries = 500, query seed = 0"),
        ("imagenet", {"k": 10}, "preset camtrace"),
        ("imagenet", {"k": 1}, "preset camtrace, k = 1"),
        ("inat2018", {"k": 1}, "preset camtrace"),
        ("flickrexif", {"mask_ratio": 0.9}, "preset camtrace"),
        ("hub:camtrace/flickrexif", {"mask_ratio": 0.9}, "preset camtrace"),
        ("hub:camtrace/flickrexif", {"mask_ratio": 0.5}, "preset camtrace, mask ratio = 0.5"),
        ("paircams", {"k": 1}, "preset camtrace, k = 1"),
        ("toy", {"over": ["a", "b" * 41, 3]}, f"preset camtrace, over a {'b' * 40} "),
        ("toy", {"over": []}, "preset camtrace"),
        ("toy", {"over": "ab"}, "preset camtrace"),
    ],
)
def test_settings__what_differs_from_the_studys(make, data, details, settings):
    made = make.result("a", [make.score("knn/jpeg", "all-same", 0.5, **details)], data=data)
    assert observation_of(made, "knn/jpeg", "all-same").settings == settings


def test_settings__choices_that_affect_the_score(make):
    def settings(task, options, data="toy", **details):
        made = make.result("a", [make.score(task, "accuracy", 0.5, **details)], data=data)
        recorded = {**made.environment["options"], **options}
        made = dataclasses.replace(made, environment={**made.environment, "options": recorded})
        return observation_of(made, task).settings

    changed = {"preset": "camtrace", "orientation": "stored", "ties": "random", "preprocess": "squash"}
    assert settings("probe/jpeg", changed) == "preset camtrace with preprocess squash and orientation stored"
    assert settings("probe/make", changed) == "preset camtrace with preprocess squash"
    assert settings("probe/make", changed, ties={"share": 0.1}).endswith("preprocess squash and ties random")
    assert settings("probe/make", {}, protocol="iccv2025") == "preset camtrace with protocol iccv2025"
    under = dict(make.under_preset)
    assert settings("probe/jpeg", under, "imagenet", protocol="iccv2025") == ""
    assert settings("probe/jpeg", under, "toy", protocol="iccv2025") == "preset iccv2025"
    assert settings("probe/jpeg", under, "imagenet", protocol="converged") == "preset iccv2025 with protocol converged"
    made = make.result("a", make.probes(0.5))
    made = dataclasses.replace(made, environment={**made.environment, "options": [1]})
    assert observation_of(made).settings == "preset camtrace"


def test_photos__facts_that_keep_columns_apart(make):
    base = make.result("a", make.probes(0.5))
    for data, environment, expected in (
        ({}, {}, Photos("toy", "1d5", "c0dec", 400)),
        ({"ids_hash": 3, "question_hash": "q", "smoke_test": 1}, {}, Photos("toy", "", "c0dec", 400, True, "q")),
        ({"photos": [400]}, {"codec_canary": None}, Photos("toy", "1d5", "", 0)),
        ({"photos": {"val": 3}}, {}, Photos("toy", "1d5", "c0dec", 0)),
        ({"photos": {"train": -3, "val": 300}}, {}, Photos("toy", "1d5", "c0dec", 0)),
    ):
        made = dataclasses.replace(base, data={**base.data, **data}, environment={**base.environment, **environment})
        assert observation_of(made).photos == expected
    score = observation_of(base)
    assert (score.low, score.high, score.n, score.chance) == (0.48, 0.52, 200, 1 / 6)


def test_published_entries__scores_without_intervals_have_no_flag():
    scores = tuple(
        PublishedScore("probe/jpeg", data, "accuracy", value, *ends, n, 0.5)
        for data, value, ends, n in (
            ("imagenet", 0.5, (0.499, 0.501), 100),
            ("inat2018", 0.5, (None, None), 100),
            ("flickrexif", 0.9, (0.85, 0.95), 100),
        )
    )
    encoder = PublishedEncoder(name="A (B/16×2)", group="SSL", scores=scores)
    (entry,) = published_entries([encoder], {"A (B/16×2)": {"id": "timm/a", "library": "timm"}})
    assert (entry.key, entry.name, entry.id, entry.group) == ("published-a-b-16x2", "A (B/16×2)", "timm/a", "SSL")
    assert (entry.origin, entry.facts["library"], entry.files) == ("published", "timm", ())
    assert [o.flag for o in entry.observations] == ["at-chance", "", ""]
    assert [o.photos for o in entry.observations] == [Photos(s.data) for s in scores]
    (unknown,) = published_entries([encoder], {})
    assert (unknown.id, unknown.facts, commands(unknown)) == ("", {}, [])
    assert commands(entry) == [
        "camtrace score --model timm/a --data imagenet:PATH --data inat2018:PATH --preset iccv2025"
    ]


def test_commands__of_results_that_record_none(make):
    def of(data="toy", revision="0123abc", **options):
        made = make.result("timm/a b", make.probes(0.5), data=data, revision=revision)
        return commands(*entries_of(dataclasses.replace(made, environment={**made.environment, "options": options})))

    start = "camtrace score --model 'timm/a b' --data"
    assert of(data="toy x", revision="") == [f"{start} 'toy x'"]
    assert of(data="imagenet", revision="") == [f"{start} imagenet:PATH"]
    assert of(data="inat2018", revision="r 1") == [f"{start} inat2018:PATH --revision 'r 1'"]
    (line,) = of(preprocess="squash", ties=None, orientation=["x"], protocol=True, device="cuda")
    assert line == f"{start} toy --revision 0123abc --preprocess squash"
    one = make.result("a", make.probes(0.5))
    again = dataclasses.replace(one, created="2026-11-21T10:00:00+00:00")
    (entry,) = entries_of(one, again)
    assert len(commands(entry)) == 1
    recorded = {"command": "c" * 2001, "local": {"data": "x " * 300, "n": 3}}
    made = dataclasses.replace(one, environment={**one.environment, **recorded})
    (text,) = commands(*entries_of(made))
    assert text == f"# {('x ' * 300)[:500]}\n{'c' * 2000}"
    made = dataclasses.replace(one, environment={**one.environment, "command": "c", "local": ["x"]})
    assert commands(*entries_of(made)) == ["c"]


def test_observation__of_a_mean_compares_without_its_parts():
    photos = Photos("toy")
    one = Observation("probe/jpeg", "accuracy", photos, 0.5, 0.4, 0.6, 9, 0.1)
    assert dataclasses.replace(one, flag="at-chance") == one
    assert dataclasses.replace(one, flags=("conflict",)) != one
