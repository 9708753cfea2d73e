"""Which sheet of a workbook is read, and which of its rows."""

import openpyxl
import pytest

from builders.errors import DataError
from builders.untrusted import UntrustedInputError, workbook_rows


def save(path, first, second=(), active=0):
    book = openpyxl.Workbook()
    for row in first:
        book.active.append(row)
    more = book.create_sheet("more")
    for row in second:
        more.append(row)
    book.active = active
    book.save(path)
    return path


@pytest.mark.parametrize("active", [0, 1])
def test_workbook__the_first_sheet_whichever_was_in_front_when_it_was_saved(tmp_path, active):
    path = save(tmp_path / "a.xlsx", [("id", "right"), ("a", 1), ("b", 0)], [("id", "right"), ("z", 9)], active)
    assert workbook_rows(path) == [{"id": "a", "right": 1}, {"id": "b", "right": 0}]
    assert workbook_rows(path, 1) == [{"id": "a", "right": 1}]


def test_workbook__empty_rows_are_passed_over_up_to_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr("builders.untrusted.records.MAX_EMPTY_ROWS", 2)
    rows = [("id", None), ("a", 5), (None, None), (None, None), ("b", 6), (None, 7)]
    assert workbook_rows(save(tmp_path / "a.xlsx", rows)) == [{"id": "a"}, {"id": "b"}, {"id": None}]
    rows.insert(2, (None, None))
    with pytest.raises(UntrustedInputError, match="before"):
        workbook_rows(save(tmp_path / "b.xlsx", rows))
    with pytest.raises(DataError, match="there"):
        workbook_rows(save(tmp_path / "c.xlsx", [("id",)]))
