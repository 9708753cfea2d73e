"""Which sheet of a workbook is read, and which of its rows."""

import openpyxl
import pytest

from benchmark.compare.items import tables
from benchmark.compare.items.tables import _workbook
from builders.errors import DataError
from builders.untrusted import UntrustedInputError


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


def test_workbook__empty_rows_are_passed_over_up_to_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_EMPTY_ROWS", 2)
    rows = [("id", None), ("a", 5), (None, None), (None, None), ("b", 6), (None, 7)]
    assert _workbook(save(tmp_path / "a.xlsx", rows)) == [{"id": "a"}, {"id": "b"}, {"id": None}]
    rows.insert(2, (None, None))
    with pytest.raises(UntrustedInputError, match="more than 2 empty rows before a cell"):
        _workbook(save(tmp_path / "b.xlsx", rows))
    with pytest.raises(DataError, match=r"there is no row$"):
        _workbook(save(tmp_path / "c.xlsx", [("id",)]))
