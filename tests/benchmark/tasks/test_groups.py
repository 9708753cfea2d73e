"""Tasks of given groups: scores against loops by definition, chance, controls, and what cannot be answered."""

import dataclasses

import numpy as np
import pytest

from benchmark.compare import compare_runs
from benchmark.judgement import conclude, moves, verdicts
from benchmark.report import report_text
from benchmark.results import read_answers
from benchmark.results.answers import NO_FACTS
from benchmark.results.check import check_forms
from benchmark.results.proof import contradicted
from benchmark.robustness import clustering, drop
from benchmark.tasks import all_tasks, fitting_tasks, select_tasks, trace_of
from builders.errors import DataError, UsageError
from builders.photos import CLUSTER, Labels
from tests.support.grouped_photos import grouped_photos, pixel_rows
from tests.support.planted_groups import plain_counts
from tests.support.scoring import as_rows, score_tasks, toy_encoder

FEW = {**clustering.clustering_score.__kwdefaults__, "seeds": 2, "numbers": (2, 3, 4)}
TASKS = ("probe/scanner", "knn/scanner", "robustness/scanner")


@pytest.fixture(scope="module")
def photos():
    return grouped_photos(clusters=8, photos=3, effects=(2.0, 4.5, 0.5))


@pytest.fixture(scope="module")
def encoder():
    return toy_encoder(as_rows, pixel_rows, 12, name="pixels")


@pytest.fixture(scope="module", autouse=True)
def few_seeds():
    """k-means with two seeds and few numbers of clusters, which takes a hundredth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clustering.clustering_score, "__kwdefaults__", FEW)
        patch.setattr(drop.performance_drop, "__kwdefaults__", {**drop.performance_drop.__kwdefaults__, "repeats": 3})
        yield


@pytest.fixture(scope="module")
def scored(photos, encoder, tmp_path_factory):
    return score_tasks(encoder, photos, TASKS, tmp_path_factory.mktemp("groups"))


def test_tasks__find_a_planted_scanner(scored):
    result = scored.result
    table = {(s.task, s.metric): s for s in result.scores}
    probe = table["probe/scanner", "accuracy"]
    assert probe.low > probe.chance == 0.5
    assert verdicts(result, all_tasks())["probe/scanner", "accuracy"].answer == "yes"
    assert probe.details["split"] == "as given"
    assert probe.details["controls"]["balanced"]["accuracy"] > 0.8
    assert 0.2 < probe.details["controls"]["shuffled"]["accuracy"] < 0.8
    index = table["robustness/scanner", "index"]
    assert index.high < index.chance
    assert table["robustness/scanner", "balanced"].chance == 0.5
    assert table["robustness/scanner", "pull"].low > 0
    assert moves(result, all_tasks())["robustness/scanner", "pull"].answer == "yes"
    assert table["knn/scanner", "spd"].low > 0
    assert table["knn/scanner", "pos-same"].value > table["knn/scanner", "neg-same"].value
    at_random = table["knn/scanner", "pos-same"].chance - table["knn/scanner", "neg-same"].chance
    assert table["knn/scanner", "spd"].chance == pytest.approx(at_random)
    assert at_random < 0
    assert table["robustness/scanner", "drop"].value < 0
    assert table["robustness/scanner", "drop"].details["accuracies"][0] > 0.6
    assert table["robustness/scanner", "clustering"].value < 0
    check_forms(result)


@pytest.mark.parametrize("effects", [(9.0, 0.0, 0.0), (0.0, 0.0, 0.0)], ids=["content alone", "no structure"])
def test_spd__where_the_group_moves_nothing_the_judge_does_not_say_that_it_does(effects, encoder, tmp_path):
    """Content alone gives an SPD of 0 and no structure that of random neighbours, which is below 0 here."""
    plain = grouped_photos(clusters=4, photos=3, effects=effects)
    result = score_tasks(encoder, plain, ("knn/scanner",), tmp_path).result
    if effects[0]:
        assert abs(result.score("knn/scanner", "spd").value) < 0.02
        assert abs(result.score("knn/scanner", "spd-beyond-chance").value) < 0.02
    assert moves(result, all_tasks())["knn/scanner", "spd-beyond-chance"].answer != "yes"


def test_pull__of_a_robust_embedding_is_no_cost(encoder, tmp_path):
    robust = grouped_photos(clusters=6, photos=3, effects=(9.0, 1.0, 0.3))
    result = score_tasks(encoder, robust, ("robustness/scanner", "knn/scanner"), tmp_path).result
    assert result.score("robustness/scanner", "pull").high < 0
    assert "the class attracts more than the group" in report_text([result], all_tasks())
    costs = conclude([result], all_tasks())
    assert [f.statement.metric for f in costs.findings] == ["spd-beyond-chance"]
    assert "Search moves by" not in costs.costs.title


def test_index__equals_the_plain_loop(photos, scored):
    rows = np.stack([pixel_rows(_image(photos, i)) for i in range(len(photos))])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    counts = plain_counts(
        unit, photos.labels.values, photos.groups["scanner"].values, photos.columns[CLUSTER].astype(str), 61
    )
    so, os = counts[1].sum(axis=0), counts[2].sum(axis=0)
    index = scored.result.score("robustness/scanner", "index")
    assert index.value == pytest.approx(so[4] / (so[4] + os[4]), abs=1e-12)
    assert [point["index"] for point in index.details["curve"]] == pytest.approx(so / (so + os), abs=1e-6)
    assert scored.result.score("robustness/scanner", "decides").value == pytest.approx((so + os)[4] / (5 * len(photos)))


def _image(photos, i):
    import io

    from PIL import Image

    return Image.open(io.BytesIO(photos.read(i)))


def test_answers__have_the_scores_as_means_and_their_intervals_over_clusters(scored):
    answers = read_answers(scored.answers, all_tasks())
    assert not answers.unreadable
    for score in scored.result.scores:
        values = answers.values[score.task, score.metric]
        assert values.values.mean() == pytest.approx(score.value, abs=1e-9)
        assert len(values.photos) == score.n
        assert len(np.unique(values.clusters)) == score.details["units"]
        assert contradicted(score, values, answers.facts.get((score.task, score.metric), NO_FACTS), scored.result) == ""
        wider = dataclasses.replace(score, high=score.high + 0.01)
        assert "high" in contradicted(wider, values, NO_FACTS, scored.result)


def test_report__has_cells_the_curve_and_that_a_group_is_given(scored):
    text = report_text([scored.result], all_tasks())
    assert "given, not assigned" in text
    assert "24 (8)" in text
    assert "Index over k, in %: " in text
    assert "Robustness against groups" in text or "robustness/scanner" in text


def test_selection__names_come_from_the_photos(photos):
    tasks = select_tasks(["probe/scanner", "robustness/*"], all_tasks(), photos.groups)
    assert [t.name for t in fitting_tasks(tasks, photos, named=True)] == ["robustness/scanner", "probe/scanner"]
    default = [t.name for t in fitting_tasks(select_tasks([], all_tasks(), photos.groups), photos, named=False)]
    assert default == ["knn/original", *TASKS]
    made = dataclasses.replace(photos, attributes={"make": photos.groups["scanner"]})
    default = [t.name for t in fitting_tasks(select_tasks([], all_tasks(), made.groups), made, named=False)]
    assert default == ["probe/make", "knn/original", *TASKS]
    assert [t.name for t in select_tasks(["*/scanner"], all_tasks(), photos.groups)] == list(TASKS)
    assert select_tasks(["*/scanner"], all_tasks()) == []  # before the photos are known
    with pytest.raises(UsageError, match="'probe/scanner'"):
        select_tasks(["probe/scaner"], all_tasks(), photos.groups)
    with pytest.raises(UsageError, match="unknown task"):
        select_tasks(["prob/scanner"], all_tasks())
    assert select_tasks(["probe/scanner"], all_tasks()) == []
    taken = dataclasses.replace(photos, groups={"jpeg": photos.groups["scanner"]})
    with pytest.raises(UsageError, match="group=NAME=SOURCE"):
        fitting_tasks(list(all_tasks().values()), taken, named=False)
    with pytest.raises(DataError, match="scanner"):
        fitting_tasks([all_tasks()["probe/scanner"]], dataclasses.replace(photos, groups={}), named=True)
    assert trace_of("scanner", photos, None).classes == ("scanner 0", "scanner 1")


def test_what_cannot_be_compared__is_a_sentence(encoder, tmp_path):
    photos = grouped_photos()
    one = dataclasses.replace(photos, groups={"scanner": Labels(("a",), np.zeros(len(photos), np.int32))})
    assert "one value" in all_tasks()["probe/scanner"].unfit(one)
    unlabelled = dataclasses.replace(photos, labels=Labels((), np.full(len(photos), -1, np.int32)))
    assert "no class labels" in all_tasks()["robustness/scanner"].unfit(unlabelled)
    assert not all_tasks()["probe/scanner"].unfit(unlabelled)
    stored = np.flatnonzero((photos.groups["scanner"].values == 0) | np.isin(np.arange(len(photos)) // 4 % 4, [0, 3]))
    few = photos.select(stored).select(np.arange(len(stored) - 4))
    result = score_tasks(encoder, few, ["robustness/scanner"], tmp_path).result
    notes = " ".join(result.score("robustness/scanner", "index").details["notes"])
    assert "1 of 4 cells have one cluster" in notes
    assert "Cells have 4 to 16 photos" in notes
    assert "Performance drop: no two labels have three clusters" in notes
    assert ("robustness/scanner", "drop") not in {(s.task, s.metric) for s in result.scores}


def test_compare__pairs_two_encoders_by_cluster(photos, scored, encoder, tmp_path):
    from benchmark.results import Run

    blind = toy_encoder(lambda batch: as_rows(batch)[:, :6], pixel_rows, 6)
    other = score_tasks(blind, photos, TASKS[1:], tmp_path)
    runs = []
    for folder, run in (("a", scored), ("b", other)):
        values = {k: v for k, v in read_answers(run.answers, all_tasks()).values.items() if k[0] != "probe/scanner"}
        runs.append(Run(tmp_path / folder, run.result, values, {}))
    rows, _ = compare_runs(runs, ["robustness/*"], all_metrics=True)
    index = next(row for row in rows if row.metric == "index")
    assert index.difference.value == pytest.approx(index.first_value - index.second_value)
    assert index.difference.units == 32
    assert index.difference.low < index.difference.value < index.difference.high
