"""The page of a run in a real browser: one file with an active policy and no requests."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import pytest

from benchmark.judgement import conclude, statements
from benchmark.leaderboard import write_report_page
from benchmark.leaderboard.report_page import blocks_of, report_page
from benchmark.report import report_text
from benchmark.results import Failure, OutputScores, Result
from benchmark.tasks import all_tasks
from builders.pixels import STUDY_PROCESSINGS
from tests.benchmark.leaderboard.conftest import AXE, turn_to
from tests.benchmark.report.test_scenes import result_of as scenes_result
from tests.benchmark.report.test_variance import variance_result

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
    return path, text


def test_report__opens_alone_and_tells_everything(written, open_page):
    path, text = written
    page = open_page(path.as_uri())
    assert page.locator("h1").text_content() == "2 encoders"
    assert page.title() == "camtrace report: 2 encoders"
    page.eval_on_selector_all("details", "all => all.forEach(d => { d.open = true; })")
    shown = page.locator("#report").inner_text()
    for block in blocks_of(text):
        if block["kind"] != "table":
            text_shown = block["text"].replace("**", "")
            assert " ".join(text_shown.split()) in " ".join(shown.split())
    tables = [b for b in blocks_of(text) if b["kind"] == "table"]
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
    assert "other photos and other training sets" in page.inner_text(".standing")


def test_first_screen__names_with_data_sets_are_within_the_figure(make, tmp_path, open_page):
    sets = ("table:photos-of-the-north.csv", "folder:holiday-pictures-2024")
    results = [make.result("timm/mine", [*make.probes(0.5, 0.6), *make.neighbours()], data=name) for name in sets]
    page = opened_report(results, tmp_path / "report.html", open_page, width=1400, height=900)
    left = "t.getBoundingClientRect().left - t.closest('svg').getBoundingClientRect().left"
    texts = page.eval_on_selector_all("#found svg text", f"texts => texts.map(t => [t.textContent, {left}])")
    assert any("(table:photos-of" in text for text, _ in texts)
    assert [text for text, at in texts if at < 0] == []


def test_first_screen__folds_the_rest_and_does_not_repeat_the_name(make, tmp_path, open_page):
    page = opened_report([whole(make)], tmp_path / "report.html", open_page)
    folds = page.locator(".fold")
    titles = folds.locator("summary").all_inner_texts()
    assert titles == ["Processing probes", "kNN set-ups", "A malicious agent", "How it was measured"]
    assert not any(page.locator(".fold").evaluate_all("all => all.map(fold => fold.open)"))
    assert page.locator("body").inner_text().count("timm/whole") == 1
    assert "1 encoder, " in page.inner_text("#stand")
    captions = page.locator(".fold caption").all_text_contents()
    assert "linear probe: 4 rows" in captions


def test_first_screen__of_several_encoders_is_a_table(written, open_page):
    for width in (1280, 390):
        page = open_page(written[0].as_uri(), width=width)
        lines = page.locator("table.answers tbody tr")
        assert [line.locator("th").inner_text() for line in lines.all()] == ["timm/whole", "timm/other"]
        assert lines.first.locator("td strong").first.inner_text() == "4 of 4 traces can be read"
        assert page.inner_text(".notices") == "timm/other: Recorded failures: 1 photo."


def test_first_screen__of_many_encoders_has_no_line_for_each(make, tmp_path, open_page):
    results = [make.result(f"timm/e{i}", make.probes(0.3 + 0.02 * i, 0.5)) for i in range(12)]
    page = opened_report(results, tmp_path / "report.html", open_page)
    plot = page.locator("#found svg")
    assert plot.locator("g[data-mark=dot] > *").count() == 24
    assert plot.bounding_box()["height"] < 200


def test_first_screen__without_processing_tasks_or_any_trace(make, tmp_path, open_page):
    camera = make.result(
        "timm/camera", [make.score("probe/make", "accuracy", 0.9), make.score("probe/iso", "accuracy", 0.26)]
    )
    page = opened_report([camera], tmp_path / "a.html", open_page)
    assert page.locator(".card h2").all_inner_texts()[:2] == ["1 of 2 traces can be read", "Costs were not scored"]
    assert page.locator("#found svg").count() == 1
    plain = make.result("timm/plain", [make.score("knn/original", "accuracy", 0.9)])
    page = opened_report([plain], tmp_path / "b.html", open_page)
    assert page.locator(".card h2").all_inner_texts()[2] == "Nothing was judged"
    assert page.locator("#found").count() == 0
    assert page.locator(".fold caption").first.text_content() == "plain kNN: 1 row"


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
    assert page.locator(".lead").all_inner_texts()[0].startswith("Near-copies: timm/most matches most, 90.0 %")
    titles = page.locator("table.answers tbody tr").last.locator("strong").all_inner_texts()
    assert titles == ["Matches 90.0 % of near-copies", "Cosine of 0.9000", "3 of 200 other photos match falsely"]
    assert page.locator("#tagline").inner_text().startswith("Which copies of a photo are found")
    page = opened_report(results[:1], tmp_path / "one.html", open_page)
    assert page.locator(".lead").count() == 0
    assert "nothing speaks against the threshold" in page.locator(".card p").last.inner_text()


def test_first_screen__of_a_given_group(make, tmp_path, open_page):
    group = [make.score("probe/scanner", "accuracy", 0.9), make.score("knn/scanner", "spd-beyond-chance", 0.1)]
    page = opened_report([make.result("timm/group", group)], tmp_path / "a.html", open_page)
    assert "scanner (90.0 % right" in page.locator(".card p").nth(1).inner_text()
    assert "share the query's group" in page.locator(".card").nth(1).inner_text()
    assert page.locator("#tagline").inner_text().startswith("What the embedding shows of scanner, and")


def test_first_screen__gives_a_place_on_the_studys_photos(make, tmp_path, open_page):
    scores = [dataclasses.replace(s, n=50_000) for s in make.probes(0.99, 0.99, 0.99, 0.99, protocol="iccv2025")]
    mine = make.result("timm/mine", scores, data="imagenet", preset=make.under_preset)
    mine = dataclasses.replace(mine, data={**mine.data, "photos": {"train": 1_281_167, "val": 50_000}})
    page = opened_report([mine], tmp_path / "a.html", open_page)
    expected = "Metadata prediction (MP), processing, ImageNet: place 48 of 48, least trace first."
    assert expected in page.inner_text(".standing")


def test_report__is_one_file_with_a_strict_policy(written):
    html = written[0].read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html).group(1)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "img-src data:;" in policy
    assert len(re.findall(r"<script", html.split('id="camtrace-board"')[0])) == 1
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", html.partition("<style>")[0])
    assert html.count("</script>") == 3


def test_report__tables_and_figures_can_be_downloaded(written, open_page):
    page = open_page(written[0].as_uri())
    page.eval_on_selector_all("details", "all => all.forEach(d => { d.open = true; })")
    with page.expect_download() as download:
        page.locator("#report .told button").first.click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    first = next(b for b in blocks_of(written[1]) if b["kind"] == "table")
    assert rows == [first["head"], *(["'" + c if c[:1] in "+-" and c else c for c in row] for row in first["rows"])]
    with page.expect_download() as download:
        page.locator("#found figcaption button").click()
    records = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert len(records) == 2 * (4 + 4)  # four traces and four differences of each
    read = {(r["encoder"], r["task"]): r for r in records}
    assert float(read["timm/other", "probe/jpeg"]["value"]) == 0.6
    assert read["timm/other", "probe/jpeg"]["sentence"].startswith("jpeg can be read from the embedding: 60.0 %")


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


def test_report__similarities_of_each_task(written, open_page):
    page = open_page(f"{written[0].as_uri()}#view=figures")
    assert page.locator("#choice-stask option").count() == 4
    assert page.locator("#choice-query option").count() == 6
    text_shown = page.locator("#similarities .summary").inner_text()
    assert "Over all processings of 90 of 100 photos: 25.0 % (20.0 to 30.0)" in text_shown
    page.select_option("#choice-query", "3")
    assert "query=3" in page.evaluate("location.hash")
    assert "15.3 % of the pairs" in page.locator("#similarities .summary").inner_text()
    with page.expect_download() as download:
        page.locator("#similarities figcaption button").click()
    records = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    edges = histogram(3)["edges"]
    assert [float(r["from"]) for r in records[:48]] == pytest.approx(edges[:-1])
    assert [float(r["to"]) for r in records[:48]] == pytest.approx(edges[1:])


def with_layers(make, name="timm/resnet50"):
    """A whole result whose layers and parts of the picture were scored."""

    def output(layer, pooling, value):
        scores = (make.score("probe/jpeg", "accuracy", value), make.score("knn/original", "accuracy", 0.5))
        return OutputScores(f"layers[{layer}]:{pooling}", f"block {layer}, x", layer, 3, pooling, 8, "hooks", scores)

    parts = [output(2, f"patch-{r}-{c}", 0.30 + 0.01 * (4 * r + c)) for r in range(4) for c in range(4)]
    outputs = (*(output(i, "mean", 0.4 + 0.1 * i) for i in range(3)), *parts)
    measured = whole(make)
    return dataclasses.replace(measured, encoder={**measured.encoder, "id": name}, outputs=outputs)


def test_report__layers_and_parts_of_the_picture_are_figures(make, open_page, tmp_path):
    result = with_layers(make)
    write_report_page([result], report_text([result], all_tasks()), tmp_path / "report.html")
    page = open_page((tmp_path / "report.html").as_uri())
    depth, parts = page.locator("section[id^=depth-]"), page.locator("section[id^=parts-]")
    assert "from 40.0 % at layer 0 to 60.0 % at layer 2" in depth.locator(".summary").first.inner_text()
    assert parts.locator(".panel").count() == 1
    assert "from one patch of each part, block 2, n = 200" in parts.locator("h3").inner_text()
    printed = parts.locator(".summary").inner_text()
    assert "From 30.0 in row 0, column 0 to 45.0 in row 3, column 3; chance 25.0." in printed
    texts = parts.locator("svg text").all_text_contents()
    assert texts[:16] == [f"{30 + i}.0" for i in range(16)]
    assert texts[16] == "28.0 to 32.0"


def test_report__pairs_of_groups_are_matrices_on_the_report_and_on_the_page_of_the_encoder(open_page, tmp_path, make):
    measured = whole(make)
    [score] = [s for s in scenes_result(3).scores if s.metric == "at-1"]
    result = dataclasses.replace(
        measured, scores=(*measured.scores, dataclasses.replace(score, data=measured.data["name"]))
    )
    write_report_page([result], report_text([result], all_tasks()), tmp_path / "report.html")
    page = open_page((tmp_path / "report.html").as_uri())
    figure = page.locator("section[id^=pairs-]")
    assert figure.locator(".panel").count() == 2
    assert "Recall@1, %, n = 300" in figure.locator("h3").first.inner_text()
    summary = (
        "From 60.0, scanner 0, staining 0 to scanner 0, staining 1, to 62.0, scanner 1, staining 0 to scanner 0, sta"
    )
    assert summary in figure.locator(".summary").first.inner_text()
    texts = figure.locator("svg").first.locator("text").all_text_contents()
    assert [text for text in texts if text.endswith(".0")] == ["60.0", "60.0", "61.0", "61.0", "62.0", "62.0"]
    assert sum(text == "scanner 0, staining 1" for text in texts) == 2
    for link in ("nav a[data-view=board]", "#table tbody a"):
        page.locator(link).first.click()
    page.locator("section[id=pairs-encoder-0]").wait_for()
    assert page.locator("section[id=pairs-encoder-0] .panel").count() == 2


def test_report__components_of_variance_are_bars(open_page, tmp_path, make):
    measured = whole(make)
    scores = [dataclasses.replace(score, data=measured.data["name"]) for score in variance_result().scores]
    result = dataclasses.replace(measured, scores=(*measured.scores, *scores))
    write_report_page([result], report_text([result], all_tasks()), tmp_path / "report.html")
    page = open_page((tmp_path / "report.html").as_uri())
    figure = page.locator("section[id^=variance-]")
    assert "Most is scene, 40.0 %, then rest, 35.0 %, and device, 20.0 %." in figure.locator(".summary").inner_text()
    texts = figure.locator("svg text").all_text_contents()
    assert [text for text in texts if re.fullmatch(r"\d+\.\d", text)] == ["40.0", "20.0", "0.0", "5.0", "35.0"]
    assert "scene x device" in texts
    assert figure.locator("rect").count() >= 5


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


def test_report__names_the_ends_of_equally_wide_bins(make):
    """Untrusted bins may have several widths: all their edges stay."""
    measured = whole(make)
    spd = next(i for i, s in enumerate(measured.scores) if s.details.get("similarities"))
    equal, unequal = histogram(0), {**histogram(1), "edges": [*histogram(1)["edges"][:-1], 0.9]}
    scores = list(measured.scores)
    scores[spd] = dataclasses.replace(scores[spd], details={"similarities": [equal, unequal]})
    page = report_page([dataclasses.replace(measured, scores=tuple(scores))], "text")
    data = json.loads(re.search(r'id="camtrace-board">(.*?)</script>', page, re.S).group(1))
    [[carried]] = data["details"].values()
    stored = carried["result"]["scores"][spd]["details"]["similarities"]
    assert stored[0]["edges"] == [equal["edges"][0], equal["edges"][-1]]
    assert stored[1]["edges"] == unequal["edges"]


def test_report__one_result_at_a_time_is_an_address(written, open_page):
    page = open_page(written[0].as_uri())
    assert page.locator(".result-section > summary h3").count() == 2
    page.select_option("#choice-result", label="timm/other on toy")
    assert page.locator(".result-section > summary h3").all_text_contents() == ["timm/other on toy"]
    again = open_page(page.url)
    assert again.locator(".result-section > summary h3").all_text_contents() == ["timm/other on toy"]


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


def test_report__of_five_encoders_on_three_data_sets_is_small(make):
    results = [whole(make, f"timm/encoder-{e}", f"data-{d}", 0.01 * e) for e in range(5) for d in range(3)]
    page = report_page(results, report_text(results, all_tasks()))
    assert len(page.encode("utf-8")) < 1_500_000
    data = json.loads(re.search(r'id="camtrace-board">(.*?)</script>', page, re.S).group(1))
    assert len(data["rows"]) == 5
    assert [len(entry) for entry in data["details"].values()] == [3] * 5


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


def test_report__equal_input_gives_equal_bytes(make):
    results = [whole(make)]
    text = report_text(results, all_tasks())
    assert report_page(results, text) == report_page(results, text)


def test_blocks__of_a_report_are_those_it_was_made_of():
    text = "**A smoke test**: so.\n\n## a | b\n\n| x |\n| :- |\n\n| only one line |\n\n    code\n      more"
    assert [b["kind"] for b in blocks_of(text)] == ["paragraph", "heading", "table", "paragraph", "code"]
    assert blocks_of(text)[-1]["text"] == "code\n  more"
    assert blocks_of("") == []


def test_tagline__says_that_a_set_in_the_layout_of_a_real_one_was_simulated(make):
    plain = make.result("timm/a", [make.score("probe/make", "accuracy", 0.9)])
    marked = {**plain.data, "name": "fodb:simulated-fodb", "evidence": {"simulated": "rendered", "terms": "none"}}
    sentence = "Simulated: no camera took the photos of fodb:simulated-fodb."
    assert sentence in report_page([dataclasses.replace(plain, data=marked)], "")
    assert "no camera took" not in report_page([plain], "")
