"""Paths that are taken seldom, each by a direct call."""

from builders.pixels import scaled_tables
from builders.pixels.headers.jpeg_quality import nearest_quality, zigzag_order


def test_nearest_quality__of_both_widths_and_none_of_another_length():
    table = bytes(scaled_tables(64)[0][position] for position in zigzag_order())
    assert nearest_quality(table) == 64
    assert nearest_quality(b"".join(b"\0" + bytes([value]) for value in table)) == 64
    for cut in (table[:-1], table + b"\1", b"", table * 3):
        assert nearest_quality(cut) == 0
