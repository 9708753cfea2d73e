"""The page of a run in a real browser: one file with an active policy and no requests."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from pathlib import Path

import pytest

from benchmark.judgement import conclude, statements
from benchmark.leaderboard import write_report_page
from benchmark.report import report_text
from benchmark.results import Failure, OutputScores, Result
from benchmark.tasks import all_tasks
from builders.pixels import STUDY_PROCESSINGS
from tests.benchmark.leaderboard.conftest import AXE, page_data, turn_to

KINDS = [f"{c}-class {p}-processing" for c in ("other", "same") for p in ("other", "same")]
COST = {"photos": 600, "views": 8400, "views_per_second": 310.0, "seconds": {"embedding": 27.1, "probe": 14.0}}


def histogram(query: int) -> dict[str, object]:
    """As large as a kNN task writes it."""
    edges = [-1 + 2 * (8192 + 37 * query + 31 * i) / 16384 for i in range(49)]
    counts = {kind: [(7 * i + row) % 97 * 11 for i in range(48)] for row, kind in enumerate(KINDS)}
    return {
        "query": f"train/n0144076{query}/n01440764_1002{query}.JPEG",
        "class": "tench",
        "processing": "jpeg-q75-420",
        "why": f"drawn at random, {query}",
        "beats": 0.123456789 + query / 100,
        "overlap": 0.3123456789,
        "edges": edges,
        "counts": counts,
    }


SUMMARY = {name: {"value": 0.25, "low": 0.2, "high": 0.3} for name in ("beats", "overlap")}
SUMMARY |= {"n": 90, "queries": 540, "photos": 100, "chance": 0.5}


def strip(query: int) -> dict[str, object]:
    """As large as ``knn/adversary`` writes it: five neighbours of 15 views, 30 photos in all."""
    views = [
        {
            "processing": name,
            "distance": 0.012345 * i,
            "answer": "tench",
            "right": 1.0,
            "neighbours": [(2 * i + n) % 30 for n in range(5)],
            "similarities": [0.9123 - 0.0101 * n for n in range(5)],
        }
        for i, name in enumerate((*STUDY_PROCESSINGS, "original"))
    ]
    photos = [{"id": f"train/n01440764/n01440764_{query}{i:04d}.JPEG", "class": "tench"} for i in range(30)]
    return {
        "query": f"val/n01440764_{query}.JPEG",
        "class": "tench",
        "why": f"{query}",
        "photos": photos,
        "views": views,
    }


def adversary(make):
    by = {name: {"accuracy": 0.512345, "distance": 0.012345} for name in (*STUDY_PROCESSINGS, "original")}
    details = {"worst": {"strips": [strip(q) for q in range(4)]}, "average": {"by_processing": by}}
    values = {"worst": 0.4, "average": 0.5, "best": 0.6, "flipped": 0.2}
    return [make.score("knn/adversary", name, v, k=10, **details.get(name, {})) for name, v in values.items()]


def whole(make, encoder: str = "timm/whole", data: str = "toy", shift: float = 0.0, **more) -> Result:
    neighbours = make.neighbours(0.6 - shift)
    for i, measured in enumerate(neighbours):
        if measured.metric == "spd":
            details = {"k": 10, "similarities": [histogram(q) for q in range(6)], "similarity_summary": SUMMARY}
            neighbours[i] = dataclasses.replace(measured, details=details)
    result = make.result(
        encoder, [*make.probes(0.5 + shift, 0.6, 0.7, 0.4), *neighbours, *adversary(make)], data=data, **more
    )
    environment = {**result.environment, "codec": {"pillow": "13.0.0"}, "command": "camtrace score --model a b"}
    return dataclasses.replace(result, cost=COST, environment=environment)


@pytest.fixture
def written(make, tmp_path):
    """A report of two encoders, one of them with a failure."""
    failures = [Failure("photo", "a | b.jpg", "the file is empty")]
    results = [whole(make), whole(make, "timm/other", shift=0.1, failures=failures)]
    text = report_text(results, all_tasks())
    path = tmp_path / "report.html"
    write_report_page(results, text, path)
    return path, page_data(path)["report"]


@pytest.mark.slow
def test_report__opens_alone_and_tells_everything(written, open_page):
    path, blocks = written
    page = open_page(path.as_uri())
    assert page.locator("h1").text_content() == "2 encoders"
    assert page.title() == "camtrace report: 2 encoders"
    page.eval_on_selector_all("details", "all => all.forEach(d => { d.open = true; })")
    shown = page.locator("#report").inner_text()
    for block in blocks:
        if block["kind"] != "table":
            text_shown = block["text"].replace("**", "")
            assert " ".join(text_shown.split()) in " ".join(shown.split())
    tables = [b for b in blocks if b["kind"] == "table"]
    read = page.eval_on_selector_all(
        "#report .told table", "all => all.map(t => [...t.rows].map(r => [...r.cells].map(c => c.textContent)))"
    )
    assert read == [[b["head"], *b["rows"]] for b in tables]
    assert ["photo a | b.jpg", "the file is empty"] in read[-1] or any(
        ["photo a | b.jpg", "the file is empty"] in table for table in read
    )


def opened_report(results, path, open_page, **options):
    """The page of some results, whose cost and codec are filled in."""
    codec = {"codec": {"pillow": "13.0.0"}}
    results = [dataclasses.replace(r, cost=COST, environment={**r.environment, **codec}) for r in results]
    write_report_page(results, report_text(results, all_tasks()), path)
    return open_page(path.as_uri(), **options)


@pytest.mark.slow
def test_first_screen__is_the_judges_answer_and_one_figure(make, tmp_path, open_page):
    results = [whole(make)]
    page = opened_report(results, tmp_path / "report.html", open_page, width=1400, height=900)
    short = conclude(results, all_tasks())
    cards = page.locator(".card")
    texts = short.keeps.text, short.costs.text, f"{short.sure.text} {short.photos}".strip()
    expected = list(zip((short.keeps.title, short.costs.title, short.sure.title), texts, strict=True))
    assert [(c.locator("h2").inner_text(), c.locator("p").last.inner_text()) for c in cards.all()] == expected
    plots = page.locator("#found svg")
    assert plots.count() == 2
    assert max(plot.bounding_box()["y"] for plot in plots.all()) < 400
    labels = " ".join(plot.get_attribute("aria-label") for plot in plots.all())
    assert all(s.words in labels for s in statements(results[0], all_tasks()) if s.kind in ("trace", "distraction"))
    strokes = page.locator("#found svg").first.locator("g[data-mark=rule] line").count()
    assert strokes > 4 * 47  # the published encoders under each of the four traces


@pytest.mark.slow
def test_first_screen__of_several_encoders_is_a_table(written, open_page):
    for width in (1280, 390):
        page = open_page(written[0].as_uri(), width=width)
        lines = page.locator("table.answers tbody tr")
        assert [line.locator("th").inner_text() for line in lines.all()] == ["timm/whole", "timm/other"]
        assert lines.first.locator("td strong").first.inner_text().startswith("4 of 4")
        assert "timm/other" in page.inner_text(".notices")


@pytest.mark.slow
def test_first_screen__of_copies_states_threshold_false_matches_and_who_matches_most(make, tmp_path, open_page):
    details = {"threshold": 0.9, "stated_rate": 0.02, "chosen_on": 99, "matches": 3, "expected_matches": [0, 6]}
    results = [
        make.result(
            f"timm/{name}",
            [
                dataclasses.replace(
                    make.score("copies/edited", "matched", value), details={"by_copy": {"turned": value}}
                ),
                dataclasses.replace(make.score("copies/edited", "false-matches", 0.03), details=details),
            ],
        )
        for name, value in (("least", 0.3), ("most", 0.9))
    ]
    page = opened_report(results, tmp_path / "two.html", open_page)
    lead = page.locator(".lead").all_inner_texts()[0]
    assert "timm/most" in lead
    assert "90.0 %" in lead
    titles = page.locator("table.answers tbody tr").last.locator("strong").all_inner_texts()
    assert all(value in title for value, title in zip(("90.0 %", "0.9000", "3 of 200"), titles, strict=True))
    page = opened_report(results[:1], tmp_path / "one.html", open_page)
    assert page.locator(".lead").count() == 0


@pytest.mark.slow
def test_first_screen__gives_a_place_on_the_studys_photos(make, tmp_path, open_page):
    scores = [dataclasses.replace(s, n=50_000) for s in make.probes(0.99, 0.99, 0.99, 0.99, protocol="iccv2025")]
    mine = make.result("timm/mine", scores, data="imagenet", preset=make.under_preset)
    mine = dataclasses.replace(mine, data={**mine.data, "photos": {"train": 1_281_167, "val": 50_000}})
    page = opened_report([mine], tmp_path / "a.html", open_page)
    assert "48 of 48" in page.inner_text(".standing")


def test_report__is_one_file_with_a_strict_policy(written):
    html = written[0].read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html).group(1)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "img-src data:;" in policy
    assert len(re.findall(r"<script", html.split('id="camtrace-board"')[0])) == 1
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", html.partition("<style>")[0])
    assert html.count("</script>") == 3


@pytest.mark.slow
def test_report__tables_and_figures_can_be_downloaded(written, open_page):
    page = open_page(written[0].as_uri())
    page.eval_on_selector_all("details", "all => all.forEach(d => { d.open = true; })")
    with page.expect_download() as download:
        page.locator("#report .told button").first.click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    first = next(b for b in written[1] if b["kind"] == "table")
    assert rows == [first["head"], *(["'" + c if c[:1] in "+-" and c else c for c in row] for row in first["rows"])]
    with page.expect_download() as download:
        page.locator("#found figcaption button").click()
    records = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert len(records) == 2 * (4 + 4)  # four traces and four differences of each
    read = {(r["encoder"], r["task"]): r for r in records}
    assert float(read["timm/other", "probe/jpeg"]["value"]) == 0.6
    assert "60.0 %" in read["timm/other", "probe/jpeg"]["sentence"]


@pytest.mark.slow
def test_report__every_figure_has_caption_words_and_data(written, open_page):
    page = open_page(f"{written[0].as_uri()}#view=figures")
    figures = page.locator("#figures section.figure:has(figure)")
    assert figures.count() >= 5
    for i in range(figures.count()):
        figure = figures.nth(i)
        assert figure.locator("figcaption").inner_text().strip()
        assert figure.locator(".summary").first.inner_text().strip()
        assert figure.locator("svg[role=img][aria-label], .strip table").count() >= 1
        assert figure.locator("figcaption button", has_text="CSV").count() == 1


def with_layers(make, name="timm/resnet50"):
    """A whole result whose layers and parts of the picture were scored."""

    def output(layer, pooling, value):
        scores = (make.score("probe/jpeg", "accuracy", value), make.score("knn/original", "accuracy", 0.5))
        return OutputScores(f"layers[{layer}]:{pooling}", f"block {layer}, x", layer, 3, pooling, 8, "hooks", scores)

    parts = [output(2, f"patch-{r}-{c}", 0.30 + 0.01 * (4 * r + c)) for r in range(4) for c in range(4)]
    outputs = (*(output(i, "mean", 0.4 + 0.1 * i) for i in range(3)), *parts)
    measured = whole(make)
    return dataclasses.replace(measured, encoder={**measured.encoder, "id": name}, outputs=outputs)


@pytest.mark.slow
def test_report__layers_and_parts_of_the_picture_are_figures(make, open_page, tmp_path):
    result = with_layers(make)
    write_report_page([result], report_text([result], all_tasks()), tmp_path / "report.html")
    page = open_page((tmp_path / "report.html").as_uri())
    depth, parts = page.locator("section[id^=depth-]"), page.locator("section[id^=parts-]")
    assert all(value in depth.locator(".summary").first.inner_text() for value in ("40.0 %", "60.0 %"))
    assert parts.locator(".panel").count() == 1
    printed = parts.locator(".summary").inner_text()
    assert all(value in printed for value in ("30.0", "45.0", "25.0"))
    texts = parts.locator("svg text").all_text_contents()
    assert texts[:16] == [f"{30 + i}.0" for i in range(16)]
    assert texts[16] == "28.0 to 32.0"


@pytest.mark.slow
def test_report__no_two_elements_share_an_id_whatever_has_been_looked_at(make, open_page, tmp_path):
    results = [with_layers(make, f"timm/{name}") for name in ("one", "two")]
    write_report_page(results, report_text(results, all_tasks()), tmp_path / "report.html")
    page = open_page((tmp_path / "report.html").as_uri())
    figures = page.eval_on_selector_all("section[id^=depth-], section[id^=parts-]", "all => all.map((one) => one.id)")
    assert len(figures) == 4
    for link in ("#nav-report", "nav a[data-view=board]", "#table tbody a", "nav a[data-view=figures]", "#nav-report"):
        page.locator(link).first.click()
        ids = page.eval_on_selector_all("[id]", "all => all.map((one) => one.id)")
        assert {measured for measured in ids if ids.count(measured) > 1} == set()
    assert (
        len([measured for measured in ids if measured.startswith(("depth-", "parts-"))]) == 6
    )  # and those of an encoder's own page


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_report__axe_finds_nothing(few_published, written, axe, open_page, width, scheme):
    page = open_page(written[0].as_uri(), width=width, scheme=scheme)
    page.evaluate(axe)
    for view in ("", "#view=board", "#view=figures", "#view=about"):
        if view:
            turn_to(page, view)
        page.eval_on_selector_all("details", "all => all.forEach(d => { d.open = true; })")
        passes, violations = page.evaluate(AXE)
        assert passes > 15
        assert violations == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_report__hostile_texts_are_text(make, tmp_path, open_page):
    evil = '<img src=x onerror="alert(1)"></script><script>alert(2)</script><!--<script>'
    measured = whole(make, evil, data="ok", failures=[Failure("photo", evil, evil)], training_data=evil)
    measured = dataclasses.replace(measured, environment={**measured.environment, "command": evil, "device": evil})
    path = tmp_path / "report.html"
    write_report_page([measured], report_text([measured], all_tasks()), path)
    page = open_page(path.as_uri())
    for view in ("", "#view=figures", "#view=board&family=summary", "#view=about"):
        if view:
            turn_to(page, view)
        assert page.locator("img, iframe, object").count() == 0
        assert page.locator("script").count() == 3
    assert evil in page.title()


def test_report__of_five_encoders_on_three_data_sets_is_small(make, tmp_path):
    results = [whole(make, f"timm/encoder-{e}", f"data-{d}", 0.01 * e) for e in range(5) for d in range(3)]
    path = tmp_path / "report.html"
    write_report_page(results, report_text(results, all_tasks()), path)
    assert path.stat().st_size < 1_500_000
    data = page_data(path)
    assert len(data["rows"]) == 5
    assert [len(entry) for entry in data["details"].values()] == [3] * 5


@pytest.mark.slow
def test_report__next_to_the_published_encoders(make, tmp_path, open_page):
    """As `reproduce` writes it: the study's numbers in the same columns, where photos and choices are the study's."""
    measured = make.result("timm/mine", make.probes(0.5, 0.6, 0.7, 0.4, protocol="iccv2025"), preset=make.under_preset)
    measured = dataclasses.replace(
        measured, cost=COST, environment={**measured.environment, "codec": {"pillow": "13.0.0"}}
    )
    path = tmp_path / "iccv2025.html"
    write_report_page([measured], report_text([measured], all_tasks()), path, published=True)
    page = open_page(f"{path.as_uri()}#view=board")
    assert page.locator("table.board tbody:last-child tr").count() == 48
    assert page.locator(".badge.measured").count() == 1
    figures = open_page(f"{path.as_uri()}#view=figures")
    for name in ("bars-processing", "bars-acquisition", "setups", "recall"):
        assert figures.locator(f"#{name} svg").count() >= 1
    assert path.stat().st_size < 1_500_000


def test_report__equal_input_gives_equal_bytes(make, tmp_path):
    results, paths = [whole(make)], [tmp_path / "a.html", tmp_path / "b.html"]
    for path in paths:
        write_report_page(results, report_text(results, all_tasks()), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
