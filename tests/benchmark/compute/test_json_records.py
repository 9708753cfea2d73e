"""Records of gates on disk: read as they were written, and as good as absent where they are damaged."""

from dataclasses import dataclass

import pytest

from benchmark.compute import read_record, write_record


@dataclass(frozen=True)
class Verdict:
    passed: bool
    reason: str
    ratio: float | None = None
    pair: tuple[str, ...] = ()
    photos: int = 0


@pytest.mark.parametrize("verdict", [Verdict(True, ""), Verdict(False, "it is slow", 0.5, ("a", "b"), 32)])
def test_read_record__as_it_was_written(verdict, tmp_path):
    write_record(tmp_path / "gates" / "a.json", verdict)
    assert read_record(tmp_path / "gates" / "a.json", Verdict) == verdict


def test_read_record__fields_that_lack_have_their_defaults_and_whole_numbers_are_numbers(tmp_path):
    (tmp_path / "a.json").write_text('{"passed": true, "reason": "", "ratio": 3}')
    result = read_record(tmp_path / "a.json", Verdict)
    assert result == Verdict(True, "", 3.0)
    assert isinstance(result.ratio, float)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{",
        "{}",
        '{"passed": true}',
        '{"passed": 1, "reason": ""}',
        '{"passed": true, "reason": null}',
        '{"passed": true, "reason": "", "pair": [1, 2]}',
        '{"passed": true, "reason": "", "pair": "ab"}',
        '{"passed": true, "reason": "", "photos": true}',
        '{"passed": true, "reason": "", "photos": 1.5}',
        '{"passed": true, "reason": "", "other": 1}',
        "[" * 100_000,
    ],
)
def test_read_record__a_damaged_file_is_none(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    assert read_record(tmp_path / "a.json", Verdict) is None


def test_read_record__an_absent_file_is_none(tmp_path):
    assert read_record(tmp_path / "a.json", Verdict) is None
    assert read_record(tmp_path, Verdict) is None
