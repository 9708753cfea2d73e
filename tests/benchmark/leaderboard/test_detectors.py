"""The board's view of detectors of generated photos: verdicts first, numbers of one photo set, never among traces."""

import dataclasses

import pytest

from benchmark.cli.leaderboard import main
from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.board_data import board_json
from benchmark.leaderboard.entries import measured_entries
from benchmark.results.files import ResultFile
from benchmark.results.schema import Score, write_result

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


def test_view__verdicts_come_first_then_margins(results):
    board = build_board(measured_entries([ResultFile(f"{i}.json", r) for i, r in enumerate(results)]))
    (of_set,) = board_json(board, (), "title")["detectors"]["sets"]
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


def test_view__is_absent_without_detectors(results):
    board = build_board(measured_entries([ResultFile("0.json", results[-1])]))
    assert board_json(board, (), "title")["detectors"] is None


def test_page__has_detectors_in_a_view_of_their_own(results, tmp_path, open_page):
    for i, one in enumerate(results):
        write_result(one, tmp_path / "results" / str(i) / "result.json")
    assert main([str(tmp_path / "results"), "--output", str(tmp_path / "site"), "--no-published"]) == 0
    page = open_page((tmp_path / "site" / "index.html").as_uri())
    assert "Real or generated" not in page.locator("#family").text_content()
    page.locator("#nav-detectors").click()
    names = page.locator("table.detectors tbody th a").all_text_contents()
    assert names == ["wider margin", "best", "moved", "leak", "higher AUC"]
    verdicts = page.locator("table.detectors .verdict strong").all_text_contents()
    assert verdicts[0] == "✓ No control speaks against it"
    assert "Do not accuse anybody" in page.locator("#detectors").text_content()
    assert page.locator(".published-detectors tbody tr").count() == 30


def rows_of(*results):
    board = build_board(measured_entries([ResultFile(f"{i}.json", r) for i, r in enumerate(results)]))
    sets = board_json(board, (), "title")["detectors"]["sets"]
    return [(of_set["data"], [row["name"] for row in of_set["rows"]]) for of_set in sets]


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
def test_view__detectors_stand_together_on_the_same_photos_alone(make, one, other, together):
    results = [detector(make, name, 0.9, 0.5) for name in ("b", "a")]
    results = [dataclasses.replace(r, data={**r.data, **more}) for r, more in zip(results, (one, other), strict=True)]
    results[0] = dataclasses.replace(results[0], encoder={**results[0].encoder, "dimension": 100})  # the first entry
    sets = rows_of(*results)
    if together:  # equal rows by name
        assert sets == [("set", ["a", "b"])]
    else:
        assert sorted(names for _, names in sets) == [["a"], ["b"]]


def test_view__of_one_detector_the_newest_result_on_each_photo_set(make):
    old, new = (detector(make, "a", auc, 0.5) for auc in (0.8, 0.9))
    new = dataclasses.replace(new, created="2027-01-01T00:00:00+00:00")
    far = dataclasses.replace(old, data={**old.data, "bytes_hash": "others"})
    board = build_board(measured_entries([ResultFile(f"{i}.json", r) for i, r in enumerate((old, new, far))]))
    view = board_json(board, (), "title")["detectors"]
    assert sorted(row["auc"][0] for s in view["sets"] for row in s["rows"]) == [0.8, 0.9]


def test_view__every_field_of_a_row(make):
    result = detector(make, "a", 0.9, 0.5, bias=0.2)
    board = build_board(measured_entries([ResultFile("0.json", result)]))
    ((row,),) = [s["rows"] for s in board_json(board, (), "title")["detectors"]["sets"]]
    numbers = {"auc": 0.9, "floor": 0.5, "margin": 0.4, "worst": 0.8, "bias": 0.2}
    half = {"margin": 0.03, "bias": 0.01}
    assert {name: row[name] for name in numbers} == {
        name: pytest.approx([value, value - half.get(name, 0.02), value + half.get(name, 0.02)])
        for name, value in numbers.items()
    }
    rest = {name: row[name] for name in row if name not in numbers}
    (entry,) = board.entries
    assert rest.pop("reasons")[0].startswith("1 of 1 processings make photos look more generated")
    assert rest == {
        "key": entry.key,
        "name": "a",
        "answer": "limited",
        "title": "It recognises generated photos, with limits",
        "generator": "BigGAN",
        "n": 900,
    }
    scores = [s for s in result.scores if (s.task, s.metric) == ("forensics/detect", "auc")]
    bare = build_board(measured_entries([ResultFile("0.json", dataclasses.replace(result, scores=tuple(scores)))]))
    ((row,),) = [s["rows"] for s in board_json(bare, (), "title")["detectors"]["sets"]]
    assert [row[name] for name in ("floor", "margin", "worst", "bias", "generator")] == [None, None, None, None, ""]
