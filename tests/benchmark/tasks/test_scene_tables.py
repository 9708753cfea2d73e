"""Scenes and groups at the edges of their rules: refusals, what is left out, tables of a result, by plain loops."""

from __future__ import annotations

import dataclasses
import itertools
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.stats import photo_interval
from benchmark.tasks import Seconds, TaskInput, all_tasks
from benchmark.tasks.scenes.scene_table import blocks_of, known_scenes, scene_table
from builders.errors import DataError
from builders.photos import PhotoSet, labels_of
from tests.support.scenes import exact_embeddings, float32_recall, input_of, scene_photos

PAIRS, VARIANCE = all_tasks()["retrieval/pairs"], all_tasks()["variance/components"]


def photos_of(scenes: str, stored: tuple[str, ...] = (), column: str = "scene", **groups: str) -> PhotoSet:
    """One photo for each letter of ``scenes``; ``-`` is a photo without a scene, or without a value of a group."""
    photos = PhotoSet.of_bytes("toy", {f"{i}": b"" for i in range(len(scenes))})
    return dataclasses.replace(
        photos,
        columns={column: np.array(["" if s == "-" else s for s in scenes])} if scenes.strip() else {},
        groups={name: labels_of(None if v == "-" else v for v in values) for name, values in groups.items()},
        stored_views=stored,
    )


def test_scene_table__several_photos_of_a_scene_by_one_group_are_counted_and_the_most_named() -> None:
    photos = photos_of("aaabbbbcc", g="xxyxxxyxy")
    with pytest.raises(DataError) as refused:
        scene_table(photos, np.ones(9, bool))
    assert "several" in str(refused.value)


def test_scene_table__four_hundred_combinations_and_no_more() -> None:
    assert scene_table(scene_photos(2, 20, 20), np.ones(800, bool)).photos.shape == (400, 2)
    with pytest.raises(DataError) as refused:
        scene_table(scene_photos(2, 21, 20), np.ones(840, bool))
    assert "400" in str(refused.value)


def test_scene_table__groups_without_a_shared_scene_are_no_rows_and_their_photos_are_counted() -> None:
    """Scene c is shown by z alone, d by x and y; one photo is not usable, one has no group."""
    photos = photos_of("abcabddb", g="xxzyyxy-", note="11111111")
    usable = np.array([True, False, *[True] * 6])
    table = scene_table(photos, usable)
    assert (table.scenes, table.groups, dict(table.attributes)) == (("a", "d"), ("x", "y"), {"g": ("x", "y")})
    assert table.photos.tolist() == [[0, 5], [3, 6]]
    assert (table.used.tolist(), table.rows.tolist()) == ([0, 3, 5, 6], [[0, 2], [1, 3]])
    assert table.left_out == 3  # b of y, c of z, b without a group; the second is not usable


def test_known_scenes__scene_before_pair_and_factors() -> None:
    photos = photos_of("aabb", g="xyxy", h="uvuv")
    photos.columns["pair_id"] = np.array(["1", "2", "1", "2"])
    known = known_scenes(photos, np.ones(4, bool))
    assert (known.names, known.photos.tolist(), known.scene.tolist()) == (("a", "b"), [0, 1, 2, 3], [0, 0, 1, 1])
    assert known.groups == ("g",)  # h says the same; the first remains
    assert {name: values.tolist() for name, values in known.factors(photos).items()} == {
        "scene": [0, 0, 1, 1],
        "g": [0, 1, 0, 1],
    }


@pytest.mark.parametrize("most", [2, 3, 4, 5])
def test_blocks__as_many_as_units_or_as_the_most(most: int) -> None:
    units = SimpleNamespace(index=np.array([7, 3, 7, 9, 11, 3]))
    blocks = blocks_of(cast("Any", units), most)
    assert len(np.unique(blocks)) == min(most, 4) == blocks.max() + 1
    assert blocks[0] == blocks[2]
    assert blocks[1] == blocks[5]
    if most >= 4:
        assert blocks.tolist() == [1, 0, 1, 2, 3, 0]
    for index in ([], [4, 4, 4]):
        with pytest.raises(DataError, match="together"):
            blocks_of(cast("Any", SimpleNamespace(index=np.array(index, int))), most)


def lacking() -> tuple[PhotoSet, np.ndarray, np.ndarray]:
    """9 scenes by 2 x 2 groups of which some photos are missing; groups 0 and 3 share no scene."""
    photos, rows = scene_photos(9, 2, 2), exact_embeddings(9, 2, 2, seed=4)
    present = np.ones((4, 9), bool)
    present[0, 4:] = present[3, :4] = False
    present[1, [0, 8]] = False
    at = np.flatnonzero(present.reshape(-1))
    table = np.full(36, -1)
    table[at] = np.arange(len(at))
    return photos.select(at), rows[at], table.reshape(4, 9)


def test_group_matrix__every_cell_equals_a_plain_loop() -> None:
    photos, rows, table = lacking()
    scores = {s.metric: s for s in PAIRS.run(input_of(photos, rows)).scores}
    matrix = scores["at-1"].details["group_matrix"]
    assert [name for name, score in scores.items() if "group_matrix" in score.details] == ["at-1"]
    assert matrix["groups"] == [f"scanner {a}, staining {b}" for a in (0, 1) for b in (0, 1)]
    assert matrix["attributes"] == {
        "scanner": ["scanner 0", "scanner 0", "scanner 1", "scanner 1"],
        "staining": ["staining 0", "staining 1", "staining 0", "staining 1"],
    }
    similar = rows.astype(np.float64) @ rows.T.astype(np.float64)
    for a, b in itertools.product(range(4), repeat=2):
        scenes = [s for s in range(9) if a != b and table[a, s] >= 0 and table[b, s] >= 0]
        cells = [matrix[name][a][b] for name in ("low", "high", "chance", "cosine", "cosine_apart")]
        assert matrix["n"][a][b] == len(scenes)
        if not scenes:
            assert [matrix["recall"][str(k)][a][b] for k in (1, 3, 5, 10)] == [None] * 4
            assert cells[:2] == [None] * 2
            continue
        for k in (1, 3, 5, 10):
            expected = float32_recall(rows, table, a, b, k)
            assert matrix["recall"][str(k)][a][b] == pytest.approx(np.mean(expected), abs=5.1e-5)
        ends = photo_interval(np.array(float32_recall(rows, table, a, b, 1)), clusters=np.array(scenes))
        assert cells[:2] == pytest.approx([ends.low, ends.high], abs=5.1e-5)
        assert cells[3] == pytest.approx(np.mean([similar[table[a, s], table[b, s]] for s in scenes]), abs=5.1e-5)
        of_others = [similar[table[a, s], table[b, t]] for s in range(9) for t in range(9) if s != t]
        there = [table[a, s] >= 0 and table[b, t] >= 0 for s in range(9) for t in range(9) if s != t]
        assert cells[4] == pytest.approx(np.mean(np.array(of_others)[there]), abs=5.1e-5)
        assert 1 / 17 < cells[2] < 1 / 5
    assert matrix["n"][0][3] == matrix["n"][3][0] == 0


def test_group_scores__details_means_and_bounds() -> None:
    photos, rows, table = lacking()
    cluster = np.array([f"slide {int(name[-1]) // 2}" for name in photos.columns["scene"]])
    photos = dataclasses.replace(photos, columns={**photos.columns, "cluster": cluster})
    usable = np.arange(len(photos)) != table[2, 0]  # then group 0 alone has the first scene
    inputs = dataclasses.replace(input_of(photos, rows, distractors="all"), usable=usable)
    outcome = PAIRS.run(inputs)
    scores = {s.metric: s for s in outcome.scores}
    assert {s.task for s in outcome.scores} == {"retrieval/pairs"}
    for name, score in scores.items():
        means = name in ("same", "different", "spd", "all")
        assert ("pairs" in score.details) is not means
        details = {n: score.details.get(n) for n in ("groups", "distractors", "photos_left_out", "unit", "units")}
        left_out = int(usable.sum()) - len(scene_table(photos, usable).used)
        expected = {"groups": 4, "distractors": "all", "photos_left_out": left_out, "unit": "cluster", "units": 5}
        assert details == expected
        assert left_out == 1
        assert (score.details["resampled"], "covers" in score.details) == ("cluster", not means)
    assert scores["at-1"].details["pairs"] == 5
    assert scores["spd"].value == pytest.approx(scores["same"].value - scores["different"].value)
    assert (scores["spd"].chance, scores["spd"].low < 0) == (0.0, scores["spd"].value < 0.5)
    read = PAIRS.read_answers(outcome.answers)
    signed = {name for name, values in read.items() if (values.limits or values.bounds) == (-1.0, 1.0)}
    assert signed == {name for name in scores if name.endswith("cosine") or name == "spd"}
    of_blocks = {name for name, values in read.items() if values.clusters is not None and values.freedom is not None}
    assert {"at-1", "at-10", "cosine"} <= of_blocks
    assert {read[name].freedom for name in of_blocks} == {4}
    alone = PAIRS.run(dataclasses.replace(inputs, photos=dataclasses.replace(photos, columns={"scene": photos.columns[
        "scene"]})))  # fmt: skip
    of_scenes = PAIRS.read_answers(alone.answers)
    assert [len(np.unique(of_scenes[name].clusters)) for name in ("at-1", "cosine")] == [8, 8]
    assert of_scenes["same"].clusters is not None or len(of_scenes["same"].values) == 8
    brief = {s.metric: s for s in PAIRS.run(dataclasses.replace(inputs, brief=True)).scores}
    assert "group_matrix" not in brief["at-1"].details
    assert brief["at-1"].value == scores["at-1"].value
    facts = PAIRS.read_facts(outcome.answers)
    assert {name: fact.chance for name, fact in facts.items()} == {name: s.chance for name, s in scores.items()}


def twos(pairs: list[str], types: list[str], usable: list[int] | None = None, **columns: list[str]) -> TaskInput:
    photos = PhotoSet.of_bytes(
        "pairs", {f"{p}-{t}-{i}": b"" for i, (p, t) in enumerate(zip(pairs, types, strict=True))}
    )
    photos = dataclasses.replace(
        photos,
        columns={
            "pair_id": np.array(pairs),
            "camera_type": np.array(types),
            **{name: np.array(values) for name, values in columns.items()},
        },
    )
    rng = np.random.default_rng(3)
    subjects, cameras = rng.normal(size=(26, 6)), 0.8 * rng.normal(size=(26, 6))
    rows = rng.normal(size=(len(pairs), 6)) * 0.7 + subjects[[ord(p) - 97 for p in pairs]]
    rows = (rows + cameras[[ord(t) - 97 for t in types]]).astype(np.float32)
    inputs = input_of(photos, rows)
    return dataclasses.replace(inputs, usable=np.isin(np.arange(len(pairs)), usable)) if usable is not None else inputs


def test_pairs__counts_lost_queries_and_their_neighbours_by_a_loop() -> None:
    """Of 7 pairs one lacks a photo in the data, one a usable one; pairs are not in the order of their ids."""
    pairs = ["g", "b", "c", "a", "e", "f", "b", "c", "a", "e", "f", "z", "g"]
    types = ["x", "y", "x", "y", "x", "y", "x", "y", "x", "y", "x", "y", "y"]
    inputs = twos(pairs, types, [i for i in range(13) if i != 12])
    outcome = PAIRS.run(inputs)
    scores = {s.metric: s for s in outcome.scores}
    rows = inputs.bank.view("", np.arange(13)).astype(np.float64)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    similar = unit @ unit.T
    complete = [i for i in range(13) if pairs[i] in "abcef"]
    target = {i: next(j for j in complete if pairs[j] == pairs[i] and j != i) for i in complete}
    same_type = {i: [j for j in complete if types[j] == types[i] and j != i] for i in complete}
    other_type = {i: [j for j in complete if types[j] != types[i] and j != target[i]] for i in complete}
    lost = [i for i in complete if max(similar[i, same_type[i]]) > similar[i, target[i]]]
    by_camera = [i for i in lost if max(similar[i, other_type[i]]) < similar[i, target[i]]]
    assert scores["different"].value == pytest.approx(1 - len(lost) / 10)
    assert scores["same"].value == pytest.approx(
        np.mean([similar[i, target[i]] > max(similar[i, other_type[i]]) for i in complete])
    )
    for score in scores.values():
        assert (score.details["queries"], score.details["pairs_left_out"], score.details["unit"]) == (10, 2, "pair")
        assert score.n == 5
    assert [name for name, s in scores.items() if "lost" in s.details] == ["different"]
    details = scores["different"].details["lost"]
    assert (details["queries"], details["lost"], details["by_camera"]) == (10, len(lost), len(by_camera))
    assert len(details["shown"]) == len(lost) > len(by_camera) > 0
    for at, one in enumerate(details["shown"]):
        i = inputs.photos.ids.index(one["query"])
        nearest = max(same_type[i], key=lambda j: similar[i, j])
        assert one["by_camera"] is (i in by_camera) is (at < len(by_camera))
        assert (one["target"], one["distractor"]) == (inputs.photos.ids[target[i]], inputs.photos.ids[nearest])
        assert (one["camera"], one["target_camera"]) == (types[i], "y" if types[i] == "x" else "x")
        assert one["target_similarity"] == pytest.approx(similar[i, target[i]], abs=1e-4)
        assert one["distractor_similarity"] == pytest.approx(similar[i, nearest], abs=1e-4)
    for name in ("same-to-x", "different-to-y"):
        assert name in scores
    assert {name: scores[name].chance for name in ("same", "spd", "all")} == {"same": 1 / 5, "spd": 0.0, "all": 1 / 9}
    values = PAIRS.read_answers(outcome.answers)["spd"].values
    ends = photo_interval(values, bounds=(-1.0, 1.0))
    assert (scores["spd"].low, scores["spd"].high) == pytest.approx((ends.low, ends.high), abs=1e-9)
    read = PAIRS.read_answers(outcome.answers)
    assert set(read) == set(scores)
    assert read["spd"].bounds == (-1.0, 1.0)
    assert read["same"].bounds == read["same-to-x"].bounds == (0.0, 1.0)
    older = {name: array for name, array in outcome.answers.items() if name != "camera_types"}
    assert set(PAIRS.read_answers(older)) == {name for name in scores if "-to-" not in name}
    assert PAIRS.read_facts(outcome.answers)["different"].details["lost"]["lost"] == len(lost)


def test_pairs__of_one_scene_err_together_in_the_order_of_values() -> None:
    pairs, types = [p for p in "dcba" for _ in "xy"], ["x", "y"] * 4
    inputs = twos(pairs, types, scene=[{"a": "1", "b": "1", "c": "2", "d": "3"}[p] for p in pairs])
    outcome = PAIRS.run(inputs)
    assert {(s.details["unit"], s.details["units"]) for s in outcome.scores} == {("scene", 3)}
    clusters = outcome.answers["clusters"]
    assert outcome.answers["pair_ids"].tolist() == list("abcd")
    assert clusters[0] == clusters[1] != clusters[2]
    assert len(set(clusters.tolist())) == 3
    with pytest.raises(DataError, match="photos"):
        PAIRS.run(dataclasses.replace(inputs, usable=np.arange(8) % 2 == 0))


def test_variance__details_and_rows_of_effects() -> None:
    rng = np.random.default_rng(2)
    photos = scene_photos(12, 2, 2)
    rows = (rng.normal(size=(1, 12, 8)) + 0.4 * rng.normal(size=(4, 1, 8)) + 0.3 * rng.normal(size=(4, 12, 8))).reshape(
        48, 8
    )
    inputs = dataclasses.replace(input_of(photos, rows), usable=np.arange(48) != 5)
    scene = photos.columns["scene"].copy()
    scene[7] = ""
    inputs = dataclasses.replace(inputs, photos=dataclasses.replace(photos, columns={"scene": scene}))
    scores = {s.metric: s for s in VARIANCE.run(inputs).scores}
    listed = [name for name, s in scores.items() if "components" in s.details]
    assert listed == ["scene"]
    effects = scores["scene"].details["components"]
    for score in scores.values():
        details = score.details
        assert (details["units"], details["resampled"], details["photos_left_out"]) == (12, "scene", 1)
        assert details["variance"] == scores["scene"].details["variance"] > 0
        assert details["estimate"] == pytest.approx(score.value, abs=1e-6) or score.value in (0.0, 1.0)
        assert "jackknife" in details["covers"]
        assert (score.n, score.low >= 0, score.high <= 1) == (46, True, True)
    by_effect = {row["effect"]: row for row in effects}
    assert by_effect["scene"]["share"] == pytest.approx(scores["scene"].value, abs=1e-6)
    assert by_effect["rest"]["share"] == pytest.approx(scores["rest"].value, abs=1e-6)
    assert by_effect["scene"]["p_value"] < 0.001
    cells = {"scene": 12, "scanner": 2, "scanner x staining": 4, "scene x scanner": 24, "rest": 46}
    assert {effect: by_effect[effect]["cells"] for effect in cells} == cells
    assert [name for name in scores if name.startswith("by-")] == [
        f"by-{row['effect'].replace(' ', '-')}"
        for row in sorted(effects, key=lambda row: "scene" in row["effect"])
        if row["effect"] not in ("scene", "rest")
    ]
    assert all(0 <= row["low"] <= row["share"] <= row["high"] <= 1 for row in effects)
    assert all(row["low"] < row["high"] for row in effects)


def test_variance__pairs_are_scenes_and_one_scene_or_single_photos_are_refused() -> None:
    rng = np.random.default_rng(4)
    photos = photos_of("".join(3 * s for s in "abcdefgh"), g="xyz" * 8)
    rows = rng.normal(size=(24, 5)) + np.repeat(rng.normal(size=(8, 5)), 3, axis=0)
    pairs = dataclasses.replace(photos, columns={"pair_id": photos.columns["scene"]})
    of_scenes, of_pairs = ({s.metric: s for s in VARIANCE.run(input_of(p, rows)).scores} for p in (photos, pairs))
    for name, score in of_scenes.items():
        assert of_pairs[name] == score
        assert (score.details["resampled"], score.details["units"]) == ("scene", 8)
    clock = lambda some: Seconds(1.0 + len(some), 2.0)  # noqa: E731
    assert VARIANCE.cost is not None
    assert VARIANCE.cost(input_of(pairs, rows), 5, clock) == VARIANCE.cost(input_of(photos, rows), 5, clock)
    for few in (photos_of("aaa", g="xyx"), photos_of("aabb", g="xyx-", h="z-zw")):
        with pytest.raises(DataError, match="scenes"):
            VARIANCE.run(input_of(few, rows))


def test_pairs_by_difference__a_family_without_shared_scenes_leaves_the_others() -> None:
    photos = photos_of("aabbccdd", s="xyyyxyyy", t="pqpqpqpq")
    rows = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    names = {s.metric for s in PAIRS.run(input_of(photos, rows)).scores}
    assert {"other-t-at-1", "other-s-t-at-1", "at-1"} <= names
    assert "other-s-at-1" not in names
    of_two = twos(["a", "a", "b", "b"], ["x", "y", "x", "y"]).photos
    assert PAIRS.unfit(dataclasses.replace(of_two, groups={"g": labels_of("xxxx")})) == ""


def test_recipe_and_growth_of_tasks_about_scenes() -> None:
    assert PAIRS.growth == "pairs"
    assert [n.recipe(scene_photos(2, 2, 1), RunOptions()).names for n in (PAIRS, VARIANCE)] == [("original",)] * 2
    assert PAIRS.unfit(dataclasses.replace(photos_of("aabb"), columns={})) == "its photos do not come in pairs"
    one = photos_of("aabb", g="xyxy")
    assert PAIRS.unfit(one) == ""
