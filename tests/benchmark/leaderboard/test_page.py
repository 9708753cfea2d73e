"""The page in a real browser, from a file and from a server, with its strict content policy on."""

import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import pytest

from benchmark.__main__ import camtrace
from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.entries import measured_entries
from benchmark.leaderboard.site import write_site
from benchmark.results import Refusal, ResultFile
from tests.benchmark.leaderboard.conftest import AXE, turn_to


@pytest.fixture
def address(site):
    return (site / "index.html").as_uri()


def rows(page):
    """Names of the encoders in view, from the top."""
    return page.eval_on_selector_all(
        "table.board tbody:last-child tr:not([hidden]) th a", "links => links.map(a => a.textContent)"
    )


def column(page, index):
    """Texts of one score column from the top, without intervals."""
    script = """(rows, index) => rows.map(row => {
        const cell = row.querySelectorAll("td.score")[index];
        return cell.classList.contains("missing") ? null : cell.firstChild.textContent; })"""
    return page.eval_on_selector_all("table.board tbody:last-child tr:not([hidden])", script, index)


@pytest.mark.slow
def test_page__opens_from_a_file_and_from_a_server(address, served, open_page):
    for where in (address, f"{served}/index.html"):
        page = open_page(where)
        assert len(rows(page)) == 3
        assert page.locator("h1").text_content() == "camtrace leaderboard"
        assert page.locator("#status").text_content().startswith("3 of 50 encoders")


def test_page__has_a_strict_policy_and_no_inline_code(site):
    html = (site / "index.html").read_text()
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in html
    assert "unsafe" not in html
    assert not re.search(r"\son\w+=|style=|<style|javascript:", html)


@pytest.mark.slow
def test_page__numbers_are_the_studys(address, open_page):
    page = open_page(f"{address}#family=processing&data=imagenet&sort=probe%2Fjpeg%7Eaccuracy%7Eimagenet.desc")
    assert rows(page)[0] == "OpenCLIP (ConvNeXt-L, LAION-2B)"
    assert column(page, 0)[0] == "90.6"


@pytest.mark.slow
def test_sort__by_keyboard_changes_order_and_aria_sort(address, open_page):
    page = open_page(f"{address}#family=processing&data=imagenet")
    assert page.locator("th[aria-sort]").count() == 1
    button = page.locator(".heads button", has_text="Sharpening")
    button.focus()
    page.keyboard.press("Enter")
    head = page.locator("th[aria-sort]")
    assert head.count() == 1
    assert head.get_attribute("aria-sort") == "ascending"
    values = [float(v) for v in column(page, 1) if v is not None]
    assert values == sorted(values)
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    values = [float(v) for v in column(page, 1) if v is not None]
    assert values == sorted(values, reverse=True)
    assert "sorted by Sharpening" in page.locator("#status").text_content()


@pytest.mark.slow
def test_sort__missing_values_come_last_in_either_direction(address, open_page):
    page = open_page(f"{address}#family=processing")
    for _ in range(2):
        page.locator(".heads button", has_text="JPEG").first.click()
        values = column(page, 0)
        assert values.count(None) == 3
        assert values[-3:] == [None] * 3


@pytest.mark.slow
def test_partial_run__has_no_mean_and_no_rank(address, open_page):
    for direction in ("invariance", "forensics"):
        page = open_page(f"{address}#family=summary&data=toy&origin=measured&direction={direction}")
        names = rows(page)
        assert names[-1] == "timm/part"
        assert column(page, 0)[-1] is None
        ranks = page.eval_on_selector_all(
            "tbody:last-child tr:not([hidden]) td.rank", "cells => cells.map(c => c.textContent)"
        )
        assert ranks == ["1", "2", ""]
        assert names[0] == ("timm/whole" if direction == "invariance" else "control:pixels")


@pytest.mark.slow
def test_filters__search_group_and_origin(address, open_page):
    page = open_page(address)
    page.fill("#search", "dinov2 reg")
    assert len(rows(page)) == 4
    assert all(name.startswith("DINOv2") for name in rows(page))
    assert page.locator("#status").text_content().startswith("4 of 50 encoders")
    page.fill("#search", "")
    page.locator(".more summary").click()
    page.get_by_label("self-supervised").check()
    assert len(rows(page)) == 12
    page.get_by_label("measured with camtrace").check()
    assert rows(page) == []
    page.get_by_role("button", name="Clear every filter").click()
    assert len(rows(page)) == 3


@pytest.mark.slow
def test_filters__never_move_a_rank(address, open_page):
    page = open_page(f"{address}#family=processing&data=imagenet")
    script = """rows => Object.fromEntries(rows.map(
        row => [row.querySelector("th a").textContent, row.querySelector("td.rank").textContent]))"""
    everyone = page.eval_on_selector_all("tbody:last-child tr:not([hidden])", script)
    page.fill("#search", "siglip")
    few = page.eval_on_selector_all("tbody:last-child tr:not([hidden])", script)
    assert len(few) == 4
    assert few.items() <= everyone.items()


@pytest.mark.slow
def test_state__round_trip_through_the_address(address, open_page):
    page = open_page(address)
    page.select_option("#family", "knn")
    page.select_option("#direction", "forensics")
    page.select_option("#data", "inat2018")
    page.fill("#search", "vit")
    page.locator(".heads button", has_text="SPD").first.click()
    page.locator(".more summary").click()
    page.get_by_label("contrastive visual-language").check()
    page.get_by_label("95 % intervals").uncheck()
    there = page.url
    seen = (rows(page), column(page, 5), page.locator("#status").text_content())
    assert seen[0]
    again = open_page(there)
    assert (rows(again), column(again, 5), again.locator("#status").text_content()) == seen
    assert again.locator("#search").input_value() == "vit"
    assert again.locator("#data").input_value() == "inat2018"
    assert again.locator("#table.with-intervals").count() == 0


@pytest.mark.slow
def test_state__nonsense_in_the_address_is_ignored(address, open_page):
    page = open_page(
        f"{address}#family=nothing&view=<b>&sort=a.b.c&data=../x&group=NONE&encoder=__proto__&constructor=1"
    )
    assert page.locator("#view-board").is_visible()
    assert rows(page) == []


@pytest.mark.slow
def test_history__back_returns_from_an_encoder(address, open_page):
    page = open_page(address)
    name = rows(page)[0]
    page.locator("tbody:last-child tr:not([hidden]) th a").first.click()
    assert name in page.locator("#view-encoder h2").text_content()
    page.go_back()
    assert page.locator("#view-board").is_visible()


@pytest.mark.slow
def test_csv__is_the_table_at_full_precision(address, site, open_page):
    page = open_page(f"{address}#family=processing&q=clip")
    with page.expect_download() as download:
        page.locator("#csv").click()
    table = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert [line["name"] for line in table] == rows(page)
    ids = page.eval_on_selector_all(".heads .score button", "buttons => buttons.length")
    values = [name for name in table[0] if name.startswith("probe/") and name.count("/") == 1]
    assert len(values) == ids
    for i, name in enumerate(values):
        for line, cell in zip(table, column(page, i), strict=True):
            assert (f"{100 * float(line[name]):.1f}" if line[name] else None) == cell
    board = json.loads((site / "data.json").read_text())
    exact = {row["name"]: row["cells"][[c["id"] for c in board["columns"]].index(values[0])] for row in board["rows"]}
    assert all(float(line[values[0]]) == exact[line["name"]][0] for line in table)


@pytest.mark.slow
def test_figures__have_one_mark_per_encoder(address, open_page):
    page = open_page(f"{address}#view=figures")
    panels = page.locator("#bars-processing .panel")
    assert panels.count() == 4
    for i in range(4):
        assert panels.nth(i).locator("g[data-mark=bar] rect").count() == 47
        # Two rules of one stroke each: chance and zero; the third holds the intervals.
        assert panels.nth(i).locator("g[data-mark=rule] line").count() == 47 + 2
    assert page.locator("#bars-acquisition .panel").count() == 8
    assert page.locator("#setups .panel").count() == 4
    assert page.locator("#setups .panel").first.locator("g[data-mark=line] path").count() == 47
    assert page.locator("#setups .panel").first.locator("g[data-mark=dot] > *").count() == 47 * 5
    assert page.locator("#recall g[data-mark=dot] > *").count() == 47
    assert page.locator("#recall g[data-mark=line] path").count() == 1
    assert page.locator("#forest g[data-mark=dot] > *").count() == 47
    page.fill("#search", "dinov2")
    assert page.locator("#recall g[data-mark=dot] > *").count() == 4


@pytest.mark.slow
def test_figures__each_has_caption_summary_and_table(address, open_page):
    page = open_page(f"{address}#view=figures")
    figures = page.locator(".figure figure")
    assert figures.count() == 7
    for i in range(figures.count()):
        assert figures.nth(i).locator("figcaption a").count() == 1
        assert figures.nth(i).locator(".summary").first.text_content().strip()
        assert figures.nth(i).locator("svg.plot").first.get_attribute("aria-label").strip()
    page.locator("#setups figcaption a").click()
    assert page.locator("table.board caption").text_content().startswith("kNN set-ups")


@pytest.mark.slow
def test_encoder_page__shows_everything(address, site, open_page):
    key = next(p.stem for p in (site / "encoders").iterdir() if "part" in p.stem)
    page = open_page(f"{address}#view=encoder&encoder={key}")
    page.wait_for_selector(".result")
    text = page.locator("#view-encoder").text_content()
    assert "Partial: 2 of 4 processing tasks on toy." in text
    assert "task probe/resizing: ran out of </script> memory" in text
    assert "camtrace score --model timm/part --data toy --revision 0123abc --seed 0 --protocol converged" in text
    assert "torch 2.13.0" in text
    assert "c0dec" in text
    assert page.locator("#view-encoder table").first.locator("tbody tr").count() == 2


@pytest.mark.slow
def test_hostile_names__are_shown_as_text(make, tmp_path, open_page):
    evil = '<img src=x onerror="alert(1)">=cmd()</script><script>alert(2)</script>'
    measured = make.result(
        "ok", [*make.probes(0.5, 0.6, 0.7, 0.4), *make.neighbours()], data="ok", training_data=evil, library=evil
    )
    # As if the reader had let them through: names, data, settings and free text.
    measured = dataclasses.replace(
        measured,
        encoder={**measured.encoder, "id": evil},
        data={**measured.data, "name": evil},
        scores=tuple(dataclasses.replace(s, data=evil) for s in measured.scores),
        environment={**measured.environment, "device": evil, "command": evil, "versions": {evil: evil}},
    )
    board = build_board(measured_entries([ResultFile(evil, measured)]))
    write_site(board, [Refusal(evil, evil)], tmp_path / "site", title=evil)
    where = (tmp_path / "site" / "index.html").as_uri()
    key = board.entries[0].key
    page = open_page(where)
    for view in ("", "#family=summary", "#family=knn", "#view=figures", "#view=about", f"#view=encoder&encoder={key}"):
        if view:
            turn_to(page, view)
        if "encoder" in view:
            page.wait_for_selector(".result")
        assert page.locator("img, iframe, object").count() == 0
        assert page.locator("script").count() <= 3
        assert evil in page.locator("body").inner_text()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (320, "light")])
def test_accessibility__axe_finds_nothing(results_folder, few_published, axe, tmp_path, open_page, width, scheme):
    assert camtrace(["leaderboard", "--results", str(results_folder), "--output", str(tmp_path)]) == 0
    encoder = "#view=encoder&encoder=published-clip-vit-b-16-wit"
    page = open_page((tmp_path / "index.html").as_uri(), width=width, scheme=scheme)
    page.evaluate(axe)
    for view in (
        "#q=clip",
        "#family=summary&q=clip",
        "#family=knn&facts=1&q=dinov2",
        "#view=figures&q=dinov2",
        "#view=about",
        encoder,
    ):
        turn_to(page, view)
        page.eval_on_selector_all("details", "all => all.forEach(d => { d.open = true; })")
        passes, violations = page.evaluate(AXE)
        assert passes > 15
        assert violations == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_weight__of_the_first_view(site):
    first = sum((site / name).stat().st_size for name in ("index.html", "style.css", "board.js", "data.js"))
    assert first < 1_500_000
