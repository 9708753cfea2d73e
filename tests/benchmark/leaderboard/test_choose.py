"""The board's first view: what is wanted against trace, the answer in words, and how many steps a reader needs."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from benchmark.cli.leaderboard import main
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
    assert main(["--results", str(tmp_path / "results"), "--output", str(tmp_path / "site")]) == 0
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


def best(page):
    return page.locator(".best a").all_text_contents()


def test_choice__names_the_least_trace_that_is_accurate_enough(address, both, open_page):
    page = open_page(address)
    assert page.locator("#choice-want").input_value().startswith(WANT)
    assert page.locator("#choice-trace").input_value().startswith(TRACE)
    enough = float(page.locator("#choice-floor").input_value()) / 100
    assert 0 < max(a for a, _, _ in both) - enough <= 0.06
    expected = sorted((t, name) for a, t, name in both if a >= enough)
    assert best(page) == [name for _, name in expected[:5]]
    page.fill("#choice-floor", "70")
    page.press("#choice-floor", "Enter")
    assert best(page) == [name for _, name in sorted((t, n) for a, t, n in both if a >= 0.7)[:5]]
    assert "Least trace at 70.0 % or more" in page.locator(".answer").inner_text()
    assert best(open_page(page.url)) == best(page)  # the state is the address


def test_choice__most_trace_for_forensics(address, both, open_page):
    page = open_page(f"{address}#direction=forensics&floor=60")
    expected = sorted(((-t, name) for a, t, name in both if a >= 0.6))
    assert best(page) == [name for _, name in expected[:5]]
    assert page.locator(".answer").inner_text().startswith("Most trace at 60.0 %")


def test_choice__the_line_joins_those_that_none_beats(address, both, open_page):
    page = open_page(address)
    beaten = {name for a, t, name in both if any((a2 >= a and t2 <= t) and (a2 > a or t2 < t) for a2, t2, _ in both)}
    summary = page.locator("#choose .summary").inner_text()
    assert f"{len(both)} encoders have both scores; {len(both) - len(beaten)} of them no other one beats" in summary
    assert page.locator("#choose g[data-mark=dot] > *").count() == len(both)
    names = page.locator("#choose g[data-mark=text] text").all_text_contents()
    assert len(names) > 15  # at their points, as far as they do not cover each other


def test_choice__nothing_is_accurate_enough(address, open_page):
    page = open_page(f"{address}#floor=100")
    assert page.locator(".answer").inner_text() == "No encoder in view reaches 100.0 %."
    assert best(page) == []


def test_own_rows__are_found_from_the_first_view(address, open_page):
    """Measured on other photos than the pair in view: one click brings theirs, and there they are named in the list."""
    page = open_page(address)
    title = page.locator("#choose .own-title")
    assert title.inner_text().startswith(
        "2 encoders measured with camtrace have other scores: kNN all-same, toy against "
    )
    title.locator("a").click()
    page.locator(".best .measured").first.wait_for()  # the page follows its address a moment later
    assert page.locator("#choice-want").input_value().startswith("summary/all-same~mean~toy~")
    assert page.locator(".best .measured").first.inner_text().startswith("timm/whole (measured): trace 55.0")
    assert page.locator("#choose .own-title").count() == 0  # all in view are measured


def test_own_rows__say_where_they_stand(study_site, open_page):
    """Beside published rows the measured ones are listed wherever they stand."""
    page = open_page(f"{(study_site / 'index.html').as_uri()}#floor=60")
    board = json.loads((study_site / "data.json").read_text(encoding="utf-8"))
    at = [next(i for i, c in enumerate(board["columns"]) if c["id"] == name) for name in (WANT, TRACE)]
    traces = sorted(
        row["cells"][at[1]][0]
        for row in board["rows"]
        if row["cells"][at[0]] and row["cells"][at[1]] and row["cells"][at[0]][0] >= 0.6
    )
    changed = page.locator(".best.own li")
    assert changed.count() == 1
    place = 1 + next(i for i, trace in enumerate(traces) if abs(trace - 0.55) < 1e-9)
    assert place > 5  # it is not among the five that are listed anyway
    assert changed.inner_text().endswith(f"accuracy 71.0; place {place} of the {len(traces)} that reach it")
    page.fill("#choice-floor", "80")
    page.press("#choice-floor", "Enter")
    assert changed.inner_text().endswith("; below what is asked for")


def test_own_rows__come_first_on_request(study_site, open_page):
    page = open_page((study_site / "index.html").as_uri())
    rows = page.locator("table.board tbody:last-child tr:not([hidden])")
    assert rows.first.get_attribute("class") == "published"
    page.locator(".more summary").click()
    page.locator("label", has_text="measured rows first").click()
    assert "own=1" in page.url
    assert rows.first.get_attribute("class") == "measured"
    assert open_page(page.url).locator("table.board tr.measured").first.is_visible()
    with page.expect_download() as download:
        page.locator("#csv").click()
    assert Path(download.value.path()).read_text(encoding="utf-8").splitlines()[1].startswith("timm/mine,")


def test_data_set__leaves_the_rows_that_have_it_and_figures_follow(address, open_page):
    page = open_page(address)
    page.select_option("#data", "toy")
    assert page.locator("table.board tbody:last-child tr:not([hidden])").count() == 3
    page.locator("nav a", has_text="Figures").click()
    assert page.locator("#choice-pdata").input_value() == "toy"
    assert page.locator("#choice-kdata").input_value() == "toy"
    assert page.locator("#data").input_value() == "toy"


def test_phone__a_score_is_in_view_without_scrolling(address, open_page):
    page = open_page(address, width=390, height=844)
    box = page.locator(".best .want-value").first.bounding_box()
    assert box["y"] + box["height"] < 844
    assert re.search(r"\d\d\.\d", page.locator(".best .want-value").first.inner_text())
    assert page.locator("#controls").bounding_box()["y"] > box["y"]  # above every filter


def test_words__are_written_out(address, open_page):
    heads = " ".join(open_page(address).locator(".heads button").all_text_contents())
    for words in ("Metadata prediction (MP)", "Semantic distraction (SPD)"):
        assert words in heads


def test_colours__of_quality_and_trace_differ(address, open_page):
    page = open_page(f"{address}#family=summary&data=imagenet")
    paper = "c => getComputedStyle(document.querySelector(c)).backgroundColor"
    assert page.evaluate(paper, "td.want-shade.shade-6") != page.evaluate(
        paper, "td.trace-shade.shade-6, td.trace-shade"
    )
    greens = {
        page.evaluate(paper, f"td.want-shade.shade-{i}")
        for i in (5, 6, 7)
        if page.locator(f"td.want-shade.shade-{i}").count()
    }
    blues = {
        page.evaluate(paper, f"td.trace-shade.shade-{i}")
        for i in (1, 2, 3, 5)
        if page.locator(f"td.trace-shade.shade-{i}").count()
    }
    assert greens
    assert blues
    assert not greens & blues


def test_readers__five_tasks_take_few_clicks(address, open_page):
    """From the opened page to the answer: an entry is a click, a choice or a number typed."""
    # 1: which encoder keeps least of processing at the best accuracies? Read off the first view.
    page = open_page(address)
    clicks = {"least trace at good accuracy": 0}
    assert best(page)[0].startswith("DINOv2")

    # 2: and if 70 % were enough?
    page.fill("#choice-floor", "70")
    page.press("#choice-floor", "Enter")
    clicks["least trace at 70 %"] = 1
    assert "70.0 %" in page.locator(".answer").inner_text()

    # 3: which one shows most of JPEG, for forensics?
    page = open_page(address)
    page.locator("label", has_text="most trace (forensics)").click()
    page.locator("label", has_text="Processing probes").click()
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
    assert sum(clicks.values()) == 6
