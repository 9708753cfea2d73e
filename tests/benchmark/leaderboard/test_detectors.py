"""The board's view of detectors of generated photos: verdicts first, numbers of one photo set, never among traces."""

import dataclasses

import pytest

from benchmark.__main__ import camtrace
from benchmark.results import Score, write_result

FAIR = {"flagged": False, "verdict": "", "photos": 900}


def detector(make, name, auc, floor, *, audit=FAIR, worst=0.8, bias=0.0, data="set"):
    def score(task, metric, value, half=0.02, **details):
        chance = 0.0 if metric in ("margin", "bias", "bias-jpeg") else 0.5
        return Score(f"forensics/{task}", data, metric, value, value - half, value + half, 900, chance, details)

    row = {"bias": bias, "low": bias - 0.01, "high": bias + 0.01, "p_value": 1e-9 if bias else 1.0}
    scores = (
        score("floor", "auc", floor),
        score("detect", "auc", auc, audit=audit),
        score("detect", "margin", auc - floor, 0.03),
        score("leave-one-out", "worst", worst, generator="BigGAN"),
        score("crossing", "bias", bias, 0.01, by_processing={"jpeg-q75-420": row}),
        score("crossing", "bias-jpeg", bias, 0.01),
    )
    return make.result(name, scores, data=data)


@pytest.fixture
def results(make):
    return [
        detector(make, "best", 0.85, 0.55),
        detector(make, "higher AUC", 0.95, 0.94),
        detector(make, "moved", 0.9, 0.5, bias=0.2),
        detector(make, "leak", 0.97, 0.5, audit={**FAIR, "flagged": True}),
        detector(make, "wider margin", 0.92, 0.55),
        make.result("timm/plain", make.probes(0.5, 0.6, 0.7, 0.4)),
    ]


def test_view__verdicts_come_first_then_margins(results, board_of):
    (of_set,) = board_of(*results).data["detectors"]["sets"]
    assert [(row["name"], row["answer"]) for row in of_set["rows"]] == [
        ("wider margin", "yes"),
        ("best", "yes"),
        ("moved", "limited"),
        ("leak", "no"),
        ("higher AUC", "no"),
    ]
    first = of_set["rows"][0]
    assert first["margin"] == pytest.approx([0.37, 0.34, 0.40])
    assert (first["generator"], first["worst"][0], first["bias"][0]) == ("BigGAN", 0.8, 0.0)
    assert "rank" not in str(first)


def test_view__is_absent_without_detectors(results, board_of):
    assert board_of(results[-1]).data["detectors"] is None


@pytest.mark.slow
def test_page__has_detectors_in_a_view_of_their_own(results, tmp_path, open_page):
    for i, one in enumerate(results):
        write_result(one, tmp_path / "results" / str(i) / "result.json")
    assert (
        camtrace(["leaderboard", str(tmp_path / "results"), "--output", str(tmp_path / "site"), "--no-published"]) == 0
    )
    page = open_page((tmp_path / "site" / "index.html").as_uri())
    assert "Real or generated" not in page.locator("#family").text_content()
    page.locator("#nav-detectors").click()
    names = page.locator("table.detectors tbody th a").all_text_contents()
    assert names == ["wider margin", "best", "moved", "leak", "higher AUC"]
    verdicts = page.locator("table.detectors .verdict strong").all_text_contents()
    assert [verdict[0] for verdict in verdicts].count("✓") == 2
    assert page.locator(".published-detectors tbody tr").count() == 30


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ({}, {}, True),
        ({}, {"bytes_hash": "others"}, False),
        ({}, {"ids_hash": "others"}, False),
        ({"question_hash": "q"}, {"question_hash": "others"}, False),
        ({"question_hash": "q"}, {"question_hash": "q", "ids_hash": "others"}, True),  # which is in the question
        ({}, {"name": "another"}, False),
        ({}, {"photos": {"train": 1}}, True),
    ],
)
def test_view__detectors_stand_together_on_the_same_photos_alone(make, board_of, one, other, together):
    results = [detector(make, name, 0.9, 0.5) for name in ("b", "a")]
    results = [dataclasses.replace(r, data={**r.data, **more}) for r, more in zip(results, (one, other), strict=True)]
    results[0] = dataclasses.replace(results[0], encoder={**results[0].encoder, "dimension": 100})  # the first entry
    sets = board_of(*results).data["detectors"]["sets"]
    sets = [(of_set["data"], [row["name"] for row in of_set["rows"]]) for of_set in sets]
    if together:  # equal rows by name
        assert sets == [("set", ["a", "b"])]
    else:
        assert sorted(names for _, names in sets) == [["a"], ["b"]]
