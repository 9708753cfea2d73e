"""Every text that is rendered from results: what is left of it without the judge's sentences has no judgement.

Everything that other packages get from the judge is put into brackets. Then pages are rendered, the brackets are cut
out, and the rest is searched. Who takes words from the judge is found in the sources: a module that no renderer here
makes speak fails.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import html
import importlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import judgement
from benchmark.judgement import Answer
from benchmark.results import ResultFile, Score
from benchmark.results.schema import Result
from tests.benchmark.audit.planted import exif, jpeg, picture, planted
from tests.benchmark.judgement.test_words import JUDGEMENT
from tests.benchmark.judgement.test_words import planted as planted_result
from tests.benchmark.report.test_scenes import result_of as scenes_result
from tests.benchmark.report.test_variance import variance_result

ROOT = Path(__file__).parents[3]

OPEN, CLOSE = "\u27e6", "\u27e7"

RENDERED = re.compile(
    JUDGEMENT.pattern
    + r"|\b(?:can be read|leaves no|still rises?|looks? (?:real|generated)|can be predicted|goes with "
    r"the|can use this|could have been found|cannot be shown|is confounded|accuracies still)",
    re.IGNORECASE,
)

ANSWERS = frozenset(
    {"yes", "no", "undecided", "worse", "not worse", "at-chance", "below-chance", "readable", "weak", "none"}
)
"""Answers of the judge in cells of tables and in data."""


def bracketed(value: Any) -> Any:
    """Texts with a space in brackets, also those within a value."""
    if isinstance(value, str):
        return f"{OPEN}{value}{CLOSE}" if " " in value else value
    if isinstance(value, Mapping):
        return {key: bracketed(part) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(bracketed, value))
    if isinstance(value, list | tuple):
        return type(value)(map(bracketed, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Result | Score):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: bracketed(part) for name, part in parts.items()})
    return value


def takers() -> set[tuple[str, str]]:
    """(module, name) of everything that other packages import from the judge, by a search of the sources."""
    return {
        (".".join(path.relative_to(ROOT).with_suffix("").parts), alias.name)
        for path in (ROOT / "benchmark").rglob("*.py")
        if path.parent.name != "judgement"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "benchmark.judgement"
        for alias in node.names
    }


TAKEN: set[tuple[str, str]] = set()
"""(module, function of the judge) of every call while pages are rendered."""


@pytest.fixture(scope="module", autouse=True)
def bracketed_judge() -> Iterator[None]:
    """Other packages get the judge's functions and sentences in brackets."""

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **named: Any) -> Any:
            TAKEN.add((sys._getframe(1).f_globals["__name__"], function.__name__))
            return bracketed(function(*args, **named))

        return noted

    for name in {"benchmark.judgement", *(module for module, _ in takers())}:
        importlib.import_module(name)
    public = [getattr(judgement, name) for name in judgement.__all__]
    functions = {id(value): wrapped(value) for value in public if hasattr(value, "__code__")}
    constants = {id(value): bracketed(value) for value in public if isinstance(value, str | tuple | Mapping)}
    words = {id(word): word for value in public if isinstance(value, Mapping) for word in value.values()}

    def replaced(value: Any) -> Any:
        """The value, or what stands for it; also of tables that were made of the judge's words."""
        if id(value) in functions:
            return functions[id(value)]
        if id(value) in constants:
            return constants[id(value)]
        if isinstance(value, dict) and any(id(part) in words for part in value.values()):
            return {key: bracketed(part) if id(part) in words else part for key, part in value.items()}
        return value

    with pytest.MonkeyPatch.context() as patch:
        for name in judgement.__all__:  # for imports within functions
            patch.setattr(judgement, name, replaced(getattr(judgement, name)))
        for name, module in list(sys.modules.items()):
            if name.startswith("benchmark.") and not name.startswith("benchmark.judgement"):
                for attribute, value in list(vars(module).items()):
                    if attribute[:2] != "__" and (new := replaced(value)) is not value:
                        patch.setattr(module, attribute, new)
        yield


def rest_of(text: str) -> str:
    """A page without tags, without the judge's brackets, and without cells that are answers alone."""
    plain = html.unescape(text)
    while (inner := re.sub(rf"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", "", plain)) != plain:
        plain = inner
    assert OPEN not in plain
    assert CLOSE not in plain
    return re.sub(r"(?<=[|,>])\s*(?:" + "|".join(ANSWERS) + r")\s*(?=[|,\n<])", "", plain)


def strings(value: Any) -> Iterator[str]:
    """Texts within JSON values; those that are an answer alone are left out."""
    if isinstance(value, str):
        if value not in ANSWERS:
            yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from strings(str(key))
            yield from strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings(part)


def assert_only_the_judge_judges(text: str) -> None:
    assert OPEN in text
    assert_no_judgement(text)


def assert_no_judgement(text: str) -> None:
    rest = rest_of(text)
    assert [rest[max(0, m.start() - 60) : m.end() + 30] for m in RENDERED.finditer(rest)] == []


def with_everything(seed: int) -> Result:
    """A result with every kind of statement, those about generated photos, units and train photos among them."""
    result = planted_result(np.random.default_rng(seed))
    curve = {
        **{"share": [0.5, 1.0], "accuracy": [0.5, 0.9], "low": [0.4, 0.8], "high": [0.6, 0.95], "n_train": [150, 300]},
        **{"gain": {"value": 0.4, "low": 0.3, "high": 0.5, "p_value": 1e-6}, "rises": True},
    }
    more = {"learning_curve": curve, "training_spread": {"deviation": 0.05, "probes": 8}}
    more |= {"resampled": "scene", "units": 9, "effective_units": 4.0, "p_chance": 1e-9}
    shuffled = {"accuracy": 0.2, "low": 0.1, "high": 0.3, "permutations": 100, "p_value": 0.5 if seed % 2 else 0.01}
    first = dataclasses.replace(
        result.scores[0],
        value=0.9,
        low=0.85,
        high=0.95,
        details={**more, "classes": 6, "controls": {"shuffled": shuffled}},
    )
    rows = {
        name: {
            **{"both": 0.7, "real_only": 0.6, "generated_only": 0.8},
            "bias": b,
            "low": b - 0.002,
            "high": b + 0.002,
            "p_value": p,
        }
        for name, b, p in (
            ("jpeg-q75-420", 0.2, 1e-6),
            ("resizing-x2", -0.2, 1e-6),
            ("sharpening-x2", 0.001, 0.5),
            ("x", 0.02, 0.2),
        )
    }
    scores = [
        Score("forensics/crossing", "toy", "bias", 0.2, 0.1, 0.3, 200, 0.0, {"by_processing": rows}),
        Score("forensics/detect", "toy", "margin", 0.2, 0.1, 0.3, 200, 0.0, {}),
        Score("forensics/detect", "toy", "auc", 0.9, 0.8, 0.95, 200, 0.5, {}),
        Score("robustness/site", "toy", "pull", 0.2, 0.1, 0.3, 200, 0.0, {}),
        *scenes_result(value=(0.6, 0.021, 0.05)[seed % 3]).scores,
        *variance_result().scores,
    ]
    return dataclasses.replace(result, scores=(first, *result.scores[1:], *scores))


def report_pages() -> Iterator[str]:
    """Report, page of a report with its heading, board and its table."""
    from benchmark.leaderboard import report_page as pages
    from benchmark.leaderboard.board import build_board
    from benchmark.leaderboard.board_data import board_csv, board_json
    from benchmark.leaderboard.entries import measured_entries
    from benchmark.report import as_json, report_text
    from benchmark.tasks import all_tasks

    for seed in range(6):
        result = with_everything(seed)
        yield report_text([result, dataclasses.replace(result, encoder={"id": "other"})], all_tasks())
        data = pages._data([result], report_text([result], all_tasks()), False, ())
        for entry in data["details"].values():
            for file in entry:
                del file["result"]  # the result itself, whose strings are no sentences of a page
        yield "\n".join(strings(as_json([result], {"other": "no such model"}, all_tasks())))
        yield "\n".join([pages._heading([result]), pages._subject([result]), *strings(data)])
        board = build_board(measured_entries([ResultFile("result.json", result)]))
        yield "\n".join([*strings(board_json(board, (), "title")), board_csv(board)])


def first_screens() -> Iterator[str]:
    """The first screen about a detector alone."""
    from benchmark.leaderboard.first_screen import first_screen

    result = with_everything(0)
    of_detection = tuple(s for s in result.scores if s.task.startswith("forensics/"))
    first = first_screen([dataclasses.replace(result, scores=of_detection, outputs=())], [], [])
    assert first["encoders"][0]["answers"][0]["head"] == "Measured"
    yield "\n".join(strings(first))


def audits() -> Iterator[Any]:
    """Audits: confounded, silent, of few slides, of sources of their own, of pixels."""
    from benchmark.audit import audit

    yield audit(planted("quality", 1.0, 200), progress=False)
    yield audit(planted("quality", 0.0, 200), pixels=200, progress=False)
    yield audit(planted("quality", 1.0, 200), pixels=200, progress=False)
    yield audit(sliced(), progress=False)
    yield audit(rare_trait(), progress=False)
    photos = planted("quality", 1.0, 200)
    labels = [photos.labels.names[value] for value in photos.labels.values]
    columns = {**photos.columns, "source": np.array([f"site of {label}" for label in labels])}
    yield audit(dataclasses.replace(photos, columns=columns), progress=False)


def rare_trait() -> Any:
    """Photos of which a few of one class name a program: associated, but of no use for a classifier."""
    from builders.photos import PhotoSet

    image = picture(np.random.default_rng(5))
    program = [exif(Software="GIMP 2.10") if i % 2 and i < 32 else b"" for i in range(400)]
    files = {f"{i}": jpeg(image, exif=tags) + f"{i}".encode() for i, tags in enumerate(program)}
    return PhotoSet.of_bytes("rare", files, [("real", "fake")[i % 2] for i in range(400)])


def sliced() -> Any:
    """Photos of 12 slides."""
    from builders.photos import CLUSTER, PhotoSet

    image = picture(np.random.default_rng(5))
    files = {f"{i}": jpeg(image, exif=exif(Software=f"v{i % 3}")) for i in range(120)}
    photos = PhotoSet.of_bytes("slides", files, [f"class {i // 10 % 2}" for i in range(120)])
    slides = np.array([f"slide {i // 10}" for i in range(120)], dtype=object)
    return dataclasses.replace(photos, columns={CLUSTER: slides}, evidence={"cluster=": "slide_id"})


def audit_pages() -> Iterator[str]:
    """Text, page and section of a card of audits, and what the command prints."""
    from benchmark.audit.report import audit_text, card_section
    from benchmark.audit.result import page_html

    verdicts = set()
    for audited in audits():
        verdicts.add(audited.verdict.answer)
        yield from (audit_text(audited), page_html(audited), card_section(audited))
    assert verdicts == {"yes", "no", "undecided"}


def eraser_pages() -> Iterator[str]:
    """Card, table, curve, verdict and matrix of erasers."""
    from benchmark.erasing import Row, fit_eraser
    from benchmark.erasing.card import MeasuredEraser, card_text, curve_table, matrix, table, verdict
    from benchmark.tasks import all_tasks

    answers: tuple[Answer, ...] = ("yes", "no", "undecided")
    rows = tuple(
        Row(
            "probe/jpeg",
            "accuracy",
            "toy",
            "trace",
            f"reader {len(before)}{len(after)}",
            *numbers,
            50,
            1 / 6,
            before,
            after,
        )
        for before in answers
        for after in answers
        for numbers in [(0.9, 0.8, 1.0, 0.8, 0.7, 0.9, -0.1, -0.2, 0.0, 0.01)]
    )
    rng = np.random.default_rng(0)
    eraser = fit_eraser(rng.normal(size=(60, 5)).astype(np.float32), rng.integers(0, 3, 60))
    about = {"attribute": "jpeg", "encoder": {"id": "toy"}, "data": "toy", "n_photos": 60, "unseen": {"photos": 50}}
    eraser = dataclasses.replace(eraser, provenance={**eraser.provenance, **about})
    readers = {"linear": {"value": 0.5, "low": 0.4, "high": 0.6}}
    curve = tuple({"photos": n, "readers": readers, "chance": 0.2, "n": 50} for n in (0, 4))
    measured = MeasuredEraser(eraser, None, rows, curve)  # type: ignore[arg-type]
    questions = all_tasks()
    texts = [card_text(measured, questions), table(rows, eraser, questions), curve_table(curve), verdict(rows, "jpeg")]
    yield "\n\n".join([*texts, matrix({"jpeg": measured}, questions)])


def comparisons() -> Iterator[str]:
    """Differences and losses of two runs."""
    from benchmark.compare import comparison_text, gate_text
    from benchmark.compare.gate import Gate, GateRow, Loss, MissingScore
    from benchmark.compare.paired import Compared, Tie
    from benchmark.stats import Difference

    difference = Difference(0.1, 0.05, 0.15, 0.001, 200, 0.02, 20)
    scores = [("toy", "probe/jpeg", "accuracy"), ("toy", "knn/jpeg", "spd"), ("toy", "knn/original", "accuracy")]
    answers: tuple[Answer, ...] = ("yes", "no", "undecided")
    rows = [
        Compared(*score, "a", "b", 0.9, 0.8, difference, 0.01, answer)
        for score, answer in zip(scores, answers, strict=True)
    ]
    ties = [Tie("toy", "probe/jpeg", "accuracy", "a", ("a", "b"), 3)]
    losses = [
        GateRow(*score, "a", "b", 0.9, 0.8, Loss(0.1, 0.05, 0.15), 200, 20, word)
        for score, word in zip(scores, ("worse", "not worse", "undecided"), strict=True)
    ]
    gate = Gate(0.02, 0.97, tuple(losses), (MissingScore("toy", "probe/iso", "accuracy", "no answers"),))
    yield f"{comparison_text(rows, ties)}\n\n{gate_text(gate)}"


def item_comparisons() -> Iterator[str]:
    """Text and page of three systems scored by item: one better, two nearly equal."""
    import pyarrow as pa

    from benchmark.compare.items.comparison import compare_rows
    from benchmark.compare.items.scores import ScoredRows
    from benchmark.compare.items.text import items_text, write_items

    rng = np.random.default_rng(0)
    items = pa.array([f"item {i}" for i in range(200)], pa.large_string())
    shares = {"a": 0.9, "b": 0.5, "c": 0.52}
    rows = [
        ScoredRows(f"{name}.csv", i, name, task, "score", items, (rng.random(200) < share).astype(float))
        for i, (name, share) in enumerate(shares.items())
        for task in ("first", "second")
    ]
    compared, _ = compare_rows(rows)
    assert {row.answer for row in compared.rows} == {"yes", "undecided"}
    with tempfile.TemporaryDirectory() as folder:
        write_items(compared, Path(folder))
        yield from (items_text(compared), (Path(folder) / "comparison.html").read_text(encoding="utf-8"))


def diffs() -> Iterator[str]:
    """Text and page of ways to an embedding."""
    from benchmark.diff.page import diff_page
    from benchmark.diff.result import Diff, Measured, PathRow, diff_text
    from benchmark.diff.rows import judge_paths
    from benchmark.judgement import PathMoves

    def row(name: str, text: str, answer: str) -> PathRow:
        m = Measured(0.5, 0.4, 0.6, 1.5, 1.2, 1.8)
        return PathRow(name, "path", {}, 9, 3.0, m, m, m, m, m, 4, 2, 0.5, 0.4, 0.2, False, answer, answer, text)

    moved = [
        PathMoves(f"way {i}", False, None, ends) for i, ends in enumerate([(2, 1.5, 3), (1, 0.5, 2), (0.5, 0.4, 0.6)])
    ]
    judged = judge_paths([*moved, PathMoves("same", True)], "jpeg", 1.0)
    rows = tuple(row(f"{i}", j.text, j.beyond_noise) for i, j in enumerate(judged))
    rule = bracketed("Shown: p < 0.05.")
    diff = Diff("toy", "photos", "A", rows, 9, 9, 3, "jpeg", {}, 1.0, (("a.jpg", 0.5),), {"b": "damaged"}, rule, {})
    yield from (diff_text(diff), diff_page(diff, b""))


def published_pages() -> Iterator[str]:
    """Card of results and page of a model: numbers alone."""
    from benchmark.publishing.files import PublishedFile
    from benchmark.publishing.model_pages import model_pages
    from benchmark.publishing.table import card_text

    result = with_everything(0)
    result = dataclasses.replace(
        result,
        encoder={**result.encoder, "id": "timm/resnet50.a1_in1k"},
        data={**result.data, "name": "hub:me/photos"},
    )
    pages, _ = model_pages([PublishedFile("a/result.json", result.to_json(), result)], "me/results")
    assert len(pages) == 1
    yield "\n".join([card_text({"a/result.json": result}, "me/results"), *(page.text for page in pages)])


def notebooks() -> Iterator[str]:
    """What a notebook shows: a table of numbers, and sentences where they are asked for."""
    from benchmark.results import write_result
    from camtrace import Results

    result = dataclasses.replace(with_everything(0), created="2026-11-20T10:00:00+00:00")
    with tempfile.TemporaryDirectory() as folder:
        write_result(result, Path(folder) / "result.json")
        results = Results.load(folder)
        yield f"{results!r}\n{results._repr_html_()}"
        yield "\n".join(statement.words for statement in results.statements)


def copies() -> Iterator[str]:
    """Thresholds that hold and that do not, kinds of copies, and the encoder that finds most."""
    from benchmark.leaderboard.entries import measured_entries
    from benchmark.leaderboard.first_screen import first_screen
    from benchmark.report import report_text
    from benchmark.tasks import all_tasks

    details = {"threshold": 0.9, "threshold_low": 0.8, "threshold_high": 0.95, "stated_rate": 0.02, "chosen_on": 99}
    for matches in (2, 9):
        more = {**details, "matches": matches, "expected_matches": [0, 6]}
        false = Score("copies/edited", "toy", "false-matches", 0.02, 0.0, 0.1, 100, 0.02, more)
        recall = Score("copies/edited", "toy", "recall", 0.5, 0.4, 0.6, 100, 0.1, {"by_copy": {"turned": 0.5}})
        matched = dataclasses.replace(recall, metric="matched")
        results = [
            dataclasses.replace(with_everything(0), encoder={"id": name}, scores=(recall, matched, false), outputs=())
            for name in ("one", "two")
        ]
        yield report_text(results, all_tasks())
        files = [ResultFile(f"{result.encoder['id']}.json", result) for result in results]
        yield "\n".join(strings(first_screen(results, measured_entries(files), [])))


RENDERERS: Mapping[str, Callable[[], Iterator[str]]] = {
    renderer.__name__: renderer
    for renderer in (
        report_pages,
        first_screens,
        audit_pages,
        eraser_pages,
        comparisons,
        item_comparisons,
        diffs,
        copies,
        published_pages,
        notebooks,
    )
}
"""Everything that shows results. A new output is a new function here."""

WITHOUT_WORDS = {"published_pages"}
"""Renderers that take no words from the judge."""


@functools.cache
def rendered(name: str) -> tuple[str, ...]:
    return tuple(RENDERERS[name]())


@pytest.mark.parametrize("name", RENDERERS)
def test_pages__judge_in_the_judges_words_alone(name: str) -> None:
    texts = rendered(name)
    assert texts
    for text in texts:
        assert_no_judgement(text)
    assert (OPEN in "".join(texts)) is (name not in WITHOUT_WORDS)


PRINTED_ALONE = {
    ("benchmark.cli.audit", "failed_check_text"): "one line of a command, which is this sentence",
    ("benchmark.scoring.erase", "units_text"): "one line of a command, which is this sentence",
}
"""Words of the judge that a command prints as they are, with nothing around them."""


def test_pages__are_those_of_every_module_that_takes_words_from_the_judge() -> None:
    for name in RENDERERS:
        rendered(name)
    of_words = {"conclude", "reliance", "statements"}
    words = {(module, name) for module, name in takers() if name in of_words or name.endswith("_text")}
    assert len(words) > 15
    assert words - TAKEN == set(PRINTED_ALONE), "render it in RENDERERS"
