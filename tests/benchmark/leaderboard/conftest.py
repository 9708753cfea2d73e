"""Results made by hand, a site made of them, and a real Chromium to look at it."""

import dataclasses
import functools
import http.server
import json
import re
import shutil
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmark.__main__ import camtrace
from benchmark.leaderboard import build_leaderboard
from benchmark.results import Failure, Result, Score, published_encoders, write_result

PARAMETERS = {"jpeg": 6, "sharpening": 3, "resizing": 3, "interpolation": 4}


def score(task, metric, value, *, data="toy", half=0.02, n=200, chance=0.25, **details):
    floor = -1.0 if metric == "spd" else 0.0
    return Score(task, data, metric, value, max(floor, value - half), min(1.0, value + half), n, chance, details)


def result(
    encoder_id,
    scores,
    *,
    data="toy",
    created="2026-11-20T10:00:00+00:00",
    canary="c0dec",
    failures=(),
    preset=None,
    **encoder,
):
    """A result in the form of ``benchmark.scoring.run`` with the scores of a test."""
    facts = {
        "id": encoder_id,
        "library": "timm",
        "revision": "0123abc",
        "weights_sha256": "f" * 64,
        "dimension": 512,
        "preprocessing": {"crop": 224},
        "pooling": "cls",
        "parameters": 5_000_000,
        "group": "SUP",
        "training_data": "ImageNet-1k",
        "details": {},
        **encoder,
    }
    return Result(
        encoder=facts,
        data={
            "name": data,
            "photos": {"train": 400, "val": 200, "test": 0},
            "classes": 10,
            "ids_hash": "1d5",
            "bytes_hash": "b",
            "source_jpeg": {},
            "smoke_test": False,
        },
        environment={
            "versions": {"torch": "2.13.0"},
            "codec": {},
            "codec_canary": canary,
            "device": "cpu",
            "dtype": "float32",
            "options": {**(preset or {"protocol": "converged"}), "neighbours": 10, "mask_ratio": 0.9, "seed": 0},
        },
        scores=tuple(dataclasses.replace(s, data=data) for s in scores),
        failures=tuple(failures),
        cost={"photos": 600},
        created=created,
    )


UNDER_PRESET = {
    "preset": "iccv2025",
    "protocol": "iccv2025",
    "preprocess": "study",
    "ties": "random",
    "orientation": "stored",
}
"""The choices of a run that may stand in the study's columns."""


def probes(*values, protocol="converged"):
    """The four processing probes."""
    return [
        score(f"probe/{p}", "accuracy", v, chance=1 / c, protocol=protocol)
        for (p, c), v in zip(PARAMETERS.items(), values, strict=False)
    ]


def neighbours(plain=0.6, spd=0.1):
    """Every kNN set-up of the four parameters."""
    scores = []
    for p in PARAMETERS:
        values = {
            "all-same": plain,
            "all-diff": plain - 0.01,
            "pos-same": plain + spd / 2,
            "neg-same": plain - spd / 2,
            "uniform": plain - 0.005,
            "uniform-test": plain - 0.005,
        }
        scores += [score(f"knn/{p}", metric, value, chance=0.01, k=10) for metric, value in values.items()]
        scores.append(score(f"knn/{p}", "spd", values["pos-same"] - values["neg-same"], chance=0.0, k=10))
    return scores


HISTOGRAM = {
    "query": "photo-1.jpg",
    "class": "cat",
    "processing": "jpeg-q75-420",
    "edges": [0.0, 0.25, 0.5, 0.75, 1.0],
    "counts": {
        "same-class same-processing": [0, 1, 2, 7],
        "same-class other-processing": [0, 2, 6, 2],
        "other-class same-processing": [1, 5, 3, 1],
        "other-class other-processing": [4, 5, 1, 0],
    },
}


@pytest.fixture
def make():
    """The makers of results, for tests that build their own."""

    class Make:
        under_preset = UNDER_PRESET

    for maker in (score, result, probes, neighbours):
        setattr(Make, maker.__name__, staticmethod(maker))
    return Make


class Cell(NamedTuple):
    """One score of a board, as ``data.json`` has it."""

    value: float
    low: float | None
    high: float | None
    n: int
    rank_low: int | None
    rank_high: int | None
    flags: tuple[str, ...] = ()


class Board:
    """The ``data.json`` of a board, by the names that people know."""

    def __init__(self, folder: Path) -> None:
        self.data: dict[str, Any] = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        self.csv = (folder / "board.csv").read_text(encoding="utf-8")
        self.rows: list[dict[str, Any]] = self.data["rows"]
        self.columns: list[dict[str, Any]] = self.data["columns"]
        self.refused = {each["file"]: each["reason"] for each in self.data["refused"]}

    def row(self, name: str) -> dict[str, Any]:
        (row,) = [row for row in self.rows if name in (row["id"], row["name"])]
        return row

    def column(self, task: str, metric: str = "accuracy", data: str = "toy") -> int:
        wanted = (task, metric, data)
        return next(i for i, c in enumerate(self.columns) if (c["task"], c["metric"], c["data"]) == wanted)

    def cell(self, name: str, task: str, metric: str = "accuracy", data: str = "toy") -> Cell | None:
        cell = self.row(name)["cells"][self.column(task, metric, data)]
        return cell and Cell(*cell[:6], *map(tuple, cell[6:]))

    def together(self, task: str) -> list[list[str]]:
        """Ids of the rows of each column of a task."""
        at = [i for i, column in enumerate(self.columns) if column["task"] == task]
        return sorted(sorted(row["id"] for row in self.rows if row["cells"][i]) for i in at)


def page_data(path: Path) -> dict[str, Any]:
    """The data that a report's page holds."""
    html = path.read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(re.search(r'id="camtrace-board">(.*?)</script>', html, re.S)[1])
    return data


@pytest.fixture
def board_of(tmp_path):
    """Function that writes results and builds the board of them."""
    made = []

    def built(*results: Result, published: bool = False) -> Board:
        made.append(results)
        folder = tmp_path / f"board-{len(made)}"
        for i, one in enumerate(results):
            write_result(one, folder / "results" / f"{i}.json")
        sources = [str(folder / "results")] if results else []
        build_leaderboard(sources, folder / "site", published=published)
        return Board(folder / "site")

    return built


@pytest.fixture(scope="session")
def results_folder(tmp_path_factory):
    """Three measured encoders (one of them partial, one a control) and a file that is not a result."""
    folder = tmp_path_factory.mktemp("board") / "results"
    with_similarities = neighbours()
    with_similarities[0] = dataclasses.replace(with_similarities[0], details={"k": 10, "similarities": [HISTOGRAM]})
    whole = result("timm/whole", [*probes(0.5, 0.6, 0.7, 0.4), *with_similarities])
    control = result(
        "control:pixels", [*probes(0.9, 0.8, 0.9, 0.8), *neighbours(0.1, 0.05)], group="control", library="control"
    )
    part = result(
        "timm/part", probes(0.2, 0.4), failures=[Failure("task", "probe/resizing", "ran out of </script> memory")]
    )
    for name, one in (("whole", whole), ("control", control), ("part", part)):
        write_result(one, folder / name / "toy" / "result.json")
    (folder / "broken.json").write_text('{"schema_version": 1}')
    return folder.parent


@pytest.fixture(scope="session")
def site(results_folder, tmp_path_factory):
    """The site of those results and the 47 published encoders."""
    folder = tmp_path_factory.mktemp("site") / "board"
    assert camtrace(["leaderboard", "--results", str(results_folder), "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def few_published(monkeypatch):
    """Boards and reports have every eighth published encoder, of all groups: axe looks at each cell of each row."""
    few = published_encoders()[::8]
    for module in ("site", "report_page"):
        monkeypatch.setattr(f"benchmark.leaderboard.{module}.published_encoders", lambda: few)


AXE = """axe.run({ preload: false, resultTypes: ["violations"] }).then(found => [
    found.passes.length, found.violations.map(v => [v.id, v.impact, v.nodes[0].html])])"""
"""How many rules are kept, and those that are not. Without preload axe does not try to fetch the style sheet, which the
policy forbids."""


@pytest.fixture(scope="module")
def chromium():
    """A real headless Chromium, or a skip that says what is missing.

    Not for the whole session: while Playwright runs, its event loop counts as running in this thread, and every later
    test that calls ``asyncio.run`` would fail.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no chromium here: apt-get install chromium")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe():
    """The accessibility checker's source, or a skip that says what is missing."""
    web = Path(__file__).parents[3] / "benchmark" / "leaderboard" / "web"
    source = web / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        pytest.skip("axe-core is not there: run npm ci in benchmark/leaderboard/web")
    return source.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def served(site):
    """Address of the site on a loopback server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Tab:
    """A page in a context of its own, for one test after another: opening it costs more than what it shows."""

    def __init__(self, chromium, options):
        self.context = chromium.new_context(accept_downloads=True, **options)
        self.page = page = self.context.new_page()
        self.site, self.problems = "", []
        page.set_default_timeout(10_000)
        page.set_default_navigation_timeout(60_000)  # a busy machine loads a file slowly; nothing is measured by it
        page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: (self.problems.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda r: None if r.url.startswith((self.site, "data:", "blob:")) else self.problems.append(r.url),
        )

    def show(self, address):
        self.site = address.partition("#")[0].split("index.html")[0]
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready]")
        return self.page

    def leave(self):
        """As if it were new; returns what went wrong."""
        self.page.evaluate("localStorage.clear()")
        self.page.mouse.move(0, 0)
        self.page.goto("about:blank")
        measured, self.problems = self.problems, []
        return measured


@pytest.fixture(scope="module")
def idle_tabs(chromium):
    """Tabs that no test uses at the moment, by their options."""
    tabs = {}
    yield tabs
    for tab in [tab for some in tabs.values() for tab in some]:
        tab.context.close()


@pytest.fixture
def open_page(chromium, idle_tabs):
    """Opens an address in a page of its own; afterwards no console error, no exception, no request off the page."""
    used = []

    def opened(address, *, width=1280, height=900, scheme="light", instead_of=None):
        """``instead_of``: a page that is done with, which shows this one."""
        if instead_of is not None:
            return next(tab for _, tab in used if tab.page is instead_of).show(address)
        options = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
        key = (width, height, scheme)
        idle = idle_tabs.setdefault(key, [])
        tab = idle.pop() if idle else Tab(chromium, options)
        used.append((key, tab))
        return tab.show(address)

    yield opened
    problems = []
    for key, tab in used:
        problems += tab.leave()
        idle_tabs[key].append(tab)
    assert problems == []


def turn_to(page, view):
    """Another view of the same page, as a link within it leads there."""
    page.evaluate(
        """view => new Promise(done => {
            addEventListener("hashchange", () => requestAnimationFrame(() => done()), { once: true });
            location.hash = view; })""",
        view,
    )
