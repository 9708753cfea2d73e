"""The board's first view: what is wanted against trace, the answer in words, and how many steps a reader needs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmark.__main__ import camtrace
from benchmark.results import write_result

WANT, TRACE = "summary/all-same~mean~imagenet", "summary/mp-processing~mean~imagenet"


@pytest.fixture
def address(site):
    return (site / "index.html").as_uri()


@pytest.fixture
def study_site(make, tmp_path):
    """The published encoders and one measured on as many photos as the study's ImageNet, under its preset."""
    scores = [
        dataclasses.replace(s, n=50_000)
        for s in (*make.probes(0.5, 0.6, 0.7, 0.4, protocol="iccv2025"), *make.neighbours(0.71))
    ]
    mine = make.result("timm/mine", scores, data="imagenet", preset=make.under_preset)
    mine = dataclasses.replace(mine, data={**mine.data, "photos": {"train": 1_281_167, "val": 50_000, "test": 0}})
    write_result(mine, tmp_path / "results" / "mine" / "result.json")
    assert camtrace(["leaderboard", "--results", str(tmp_path / "results"), "--output", str(tmp_path / "site")]) == 0
    return tmp_path / "site"


@pytest.fixture
def both(site):
    """(accuracy, trace, name) of every row that has both, from the data of the board."""
    board = json.loads((site / "data.json").read_text(encoding="utf-8"))
    at = [next(i for i, c in enumerate(board["columns"]) if c["id"].startswith(name)) for name in (WANT, TRACE)]
    return [
        (row["cells"][at[0]][0], row["cells"][at[1]][0], row["name"])
        for row in board["rows"]
        if row["cells"][at[0]] and row["cells"][at[1]]
    ]


def rows(page):
    return page.locator("table.board tbody:last-child tr:not([hidden]) th a").all_text_contents()


def answer(page):
    return page.locator(".answer").inner_text()


@pytest.mark.slow
def test_overview__names_the_least_trace_that_is_accurate_enough(address, both, open_page):
    page = open_page(address)
    assert "toy" in page.locator("#choice-want").input_value()  # that of one's own encoders, which come first
    assert len(rows(page)) == 3
    page.locator(".elsewhere", has_text="47 published").locator("a").click()
    assert "3 encoders measured here" in page.locator(".elsewhere").inner_text()
    assert page.locator("#choice-want").input_value().startswith(WANT)
    assert page.locator("#choice-trace").input_value().startswith(TRACE)
    enough = float(page.locator("#choice-floor").input_value()) / 100
    assert 0 < max(a for a, _, _ in both) - enough <= 0.06
    trace, name = min((t, name) for a, t, name in both if a >= enough)
    assert answer(page).startswith(f"{name} keeps the least trace ({100 * trace:.1f} %) of those with at least ")
    ordered = sorted((a < enough, t, name) for a, t, name in both)  # those that are accurate enough come first
    assert rows(page)[: len(both)] == [name for _, _, name in ordered]
    line = page.locator("table.board tr.below-first")
    assert rows(page).index(line.locator("th a").inner_text()) == sum(not below for below, _, _ in ordered)
    for _ in "12":  # most first, then least first: a sort of one's own has no such line
        page.get_by_role("button", name="Trace").click()
    assert line.count() == 0
    assert rows(page)[: len(both)] == [name for _, name in sorted((t, name) for _, t, name in both)]
    assert len(rows(page)) == 50  # nobody is left out before the reader says what is enough
    page.fill("#choice-floor", "70")
    page.press("#choice-floor", "Enter")
    assert "at least 70.0 % accuracy" in answer(page)
    assert rows(page) == [name for _, name in sorted((t, n) for a, t, n in both if a >= 0.7)]
    again = open_page(page.url)
    assert rows(again) == rows(page)  # the state is the address
    again.locator(".more summary").click()
    again.get_by_role("button", name="Clear every filter").click()
    assert len(rows(again)) == 50


@pytest.mark.slow
def test_overview__ranks_those_accurate_enough_among_each_other(address, site, open_page):
    page = open_page(f"{address}#want={WANT}&trace={TRACE}&floor=70")
    board = json.loads((site / "data.json").read_text(encoding="utf-8"))
    want, trace = (
        next(i for i, c in enumerate(board["columns"]) if c["id"].startswith(name)) for name in (WANT, TRACE)
    )
    cells = {row["name"]: row["cells"] for row in board["rows"] if row["cells"][want] and row["cells"][trace]}
    count = len(cells)
    whole = {  # the board's ranks count from the most trace
        name: (count + 1 - c[trace][5], count + 1 - c[trace][4]) for name, c in cells.items() if c[want][0] >= 0.7
    }
    assert 1 < len(whole) < count
    expected = {}
    for name, (low, high) in whole.items():
        before = sum(other_high < low for _, other_high in whole.values())
        after = sum(other_low > high for other_low, _ in whole.values())
        ends = {str(1 + before), str(len(whole) - after)}
        expected[name] = "\u2013".join(sorted(ends, key=int))
    shown = page.eval_on_selector_all(
        "table.board tbody:last-child tr:not([hidden])",
        "rows => rows.map(row => [row.querySelector('th a').textContent, row.querySelector('td.rank').textContent])",
    )
    assert {name: rank for name, rank in shown if rank} == expected
    assert min(int(rank.split("\u2013")[0]) for rank in expected.values()) == 1


@pytest.mark.slow
def test_own_rows__come_first_and_are_marked(study_site, open_page):
    page = open_page((study_site / "index.html").as_uri())
    first = page.locator("table.board tbody:last-child tr:not([hidden])").first
    assert rows(page)[0] == "timm/mine"
    assert first.get_attribute("class") == "measured"
    note = "Measured encoders"
    assert note in page.locator("table.board caption").inner_text()
    below = page.locator("table.board tr.below-first")  # the line between them and the others
    assert rows(page).index(below.first.locator("th a").inner_text()) == page.locator("table.board tr.measured").count()
    assert first.locator("td.score").all_inner_texts()[0].startswith("55.0")
    assert page.locator("#choose g[data-mark=text] text[font-weight='700']").count() == 0
    bold = page.locator("#choose g[data-mark=text][font-weight='700'] text")
    assert bold.all_text_contents() == ["timm/mine"]
    page.locator(".more summary").click()
    page.locator("label", has_text="measured rows first").click()
    assert "own=" in page.url
    assert rows(page)[0] != "timm/mine"
    assert note not in page.locator("table.board caption").inner_text()
    assert page.locator("table.board tr.below-first").count() == 1  # of those that are accurate enough
    assert rows(open_page(page.url)) == rows(page)
    with page.expect_download() as download:
        page.locator("#csv").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert not lines[1].startswith("timm/mine,")


@pytest.mark.slow
def test_data_set__leaves_the_rows_that_have_it_and_figures_follow(address, open_page):
    page = open_page(address)
    page.select_option("#data", "toy")
    assert page.locator("table.board tbody:last-child tr:not([hidden])").count() == 3
    page.locator("nav a", has_text="Figures").click()
    assert page.locator("#choice-pdata").input_value() == "toy"
    assert page.locator("#choice-kdata").input_value() == "toy"
    assert page.locator("#data").input_value() == "toy"


@pytest.mark.slow
def test_readers__five_tasks_take_few_clicks(address, open_page):
    """From the opened page to the answer: an entry is a click, a choice or a number typed."""
    # 1: which encoder keeps least of processing at the best accuracies? Read off the first view.
    page = open_page(address)
    page.locator(".elsewhere a").click()
    clicks = {"least trace at good accuracy": 1}
    assert answer(page).startswith("DINOv2")

    # 2: and if 70 % were enough?
    page.fill("#choice-floor", "70")
    page.press("#choice-floor", "Enter")
    clicks["least trace at 70 %"] = 1
    assert "70.0 %" in answer(page)

    # 3: which one shows most of JPEG, for forensics?
    page = open_page(address)
    page.select_option("#direction", "forensics")
    page.select_option("#family", "processing")
    clicks["most of JPEG"] = 2
    top = page.locator("table.board tbody:last-child tr:not([hidden]) th a").first
    assert top.inner_text() == "OpenCLIP (ConvNeXt-L, LAION-2B)"

    # 4: how does my own encoder stand? Own rows are marked; its page has every score.
    page = open_page(address)
    page.fill("#search", "timm/whole")
    page.locator("table.board tr:not([hidden]) th a", has_text="timm/whole").click()
    clicks["every score of my encoder"] = 2
    assert page.locator("#encoder h2").inner_text().startswith("timm/whole")

    # 5: the numbers as a file.
    page = open_page(address)
    with page.expect_download() as download:
        page.locator("#csv").click()
    clicks["numbers as a file"] = 1
    assert download.value.suggested_filename == "camtrace-board.csv"
    assert max(clicks.values()) <= 2
    assert sum(clicks.values()) == 7
