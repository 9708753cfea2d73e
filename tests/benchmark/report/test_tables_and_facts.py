"""Small parts of reports: cells and tables, facts of the data, copies, and figures of several data sets."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.report import depth_figure, markdown_table, report_figure, report_text
from benchmark.results import Score
from benchmark.tasks import all_tasks
from tests.benchmark.report.test_text import probe, result, shares

NUMBERS = ["", "-", "1", "-1.5", "+2", "1,234", "12 %", "3 s", "4 min", "5 h", "6 d", "7 B", "8 kB", "9 MB", "1 GB"]
NUMBERS += ["1.0 to 2.0", "-1 to +2 %", "1 (2)", "1.0 (0.9 to 1.1)", "< 0.0001", "> 3", "at least 5", "\u00b1 2", "5."]
TEXTS = ["a", "1 a", "1 to", "to 2", "1 2", "--", "1 (a)", "(1)", "1 to 2 to 3", "least 5", "1 (2) 3", "1 km", ".5"]


@pytest.mark.parametrize(("cells", "is_number"), [(NUMBERS, True), (TEXTS, False)])
def test_markdown_table__columns_of_numbers_stand_right(cells, is_number):
    for cell in cells:
        head, rule, row = markdown_table(["what", "wide column"], [["1", cell]]).splitlines()
        assert rule.startswith("| :--- | ")  # the first column never does
        assert rule.endswith("-: |" if is_number else "- |"), cell
        assert row.endswith(f"{cell} |" if is_number and cell else " |"), cell
        assert len(head) == len(rule) == len(row)


def test_markdown_table__one_text_makes_a_column_of_texts_and_bars_are_escaped():
    table = markdown_table(["a", "b", ""], [["x|y", "1", "2"], ["long\nname", "no", "3"]])
    assert table.splitlines() == [
        "| a         | b  |    |",
        "| :-------- | :- | -: |",
        "| x\\|y      | 1  |  2 |",
        "| long name | no |  3 |",
    ]
    assert markdown_table(["a", "b"], []).splitlines() == ["| a  |  b |", "| :- | -: |"]


def test_report_text__several_encoders_stand_side_by_side():
    one = result(probe("jpeg", shares(0.6)), Score("knn/jpeg", "toy", "spd", 0.1, 0.0, 0.2, 9, 0.0))
    other = dataclasses.replace(result(probe("make", shares(0.5))), encoder={"id": "other"})
    text = report_text([one, other], all_tasks(), {"lost": "no weights"})
    assert text.index("## Encoders that could not be loaded") < text.index("## Side by side") < text.index("## mine on")
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert ["lost", "no weights"] in rows
    assert ["mine", "toy", "60.0", "+10.0", ""] in rows
    assert ["other", "toy", "", "", "50.0"] in rows
    alone = report_text([one, dataclasses.replace(one, data={**one.data, "name": "more"})], all_tasks())
    assert "Side by side" not in alone
    assert "could not be loaded" not in alone


@pytest.mark.parametrize(("smoke", "noted"), [((True, False), True), ((False, True), True), ((False, False), False)])
def test_report_figure__of_several_data_sets(smoke, noted):
    results = []
    for name, is_smoke in zip(("one", "another-data-set-with-a-long-name"), smoke, strict=True):
        made = result(dataclasses.replace(probe("jpeg", shares(0.6)), data=name))
        results.append(dataclasses.replace(made, data={**made.data, "name": name, "smoke_test": is_smoke}))
    figure = report_figure(results, all_tasks())
    heading = " ".join(figure.get_suptitle().split())
    assert heading.startswith("mine on one, another-data-set-with-a-long-name")
    assert ("(bundled photos: a smoke test, not evidence)" in heading) == noted
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["jpeg\n300 photos\none", "jpeg\n300 photos\n...-set-with-a-long-name"]
    assert report_figure([result()], all_tasks()) is None
    assert depth_figure(results, all_tasks(), "probe/jpeg") is None
