"""Untrusted JSON, YAML and CSV at both sides of every bound, and listings of folders."""

from __future__ import annotations

import numpy as np
import pytest

from builders.untrusted import (
    UntrustedInputError,
    documents,
    files_below,
    files_matching,
    list_folder,
    parse_csv_header,
    parse_json,
    parse_yaml,
    walk_folders,
)


def refused(error, sentence, call, *given, **named):
    with pytest.raises(error) as caught:
        call(*given, **named)
    assert (type(caught.value), str(caught.value)) == (error, sentence)


JSON, YAML = "not JSON that is read here", "not YAML that is read here"


@pytest.mark.parametrize(
    ("parse", "text", "sentence"),
    [
        (parse_json, '{"a": 1, "a": 2}', f"w: {JSON} (a key is there twice)"),
        (parse_json, "NaN", f"w: {JSON} (NaN is not JSON)"),
        (parse_json, "-Infinity", f"w: {JSON} (-Infinity is not JSON)"),
        (parse_json, "1e999", f"w: {JSON} (the number 1e999 is not finite)"),
        (parse_json, str(2**63), f"w: {JSON} (an integer of 19 digits)"),
        (parse_json, "-" + str(2**63 + 1), f"w: {JSON} (an integer of 20 digits)"),
        (parse_json, '"\\ud800"', f"w: {JSON} (half a character pair, which is no text)"),
        (parse_json, '{"\\ud800": 1}', f"w: {JSON} (half a character pair, which is no text)"),
        (parse_json, "[" * 65 + "]" * 65, f"w: {JSON} (nested more than 64 deep)"),
        (parse_json, "[" * 99_999, f"w: {JSON} (nested too deeply)"),
        (parse_yaml, "a: &x [1]\nb: *x", f"w: {YAML} (an alias (*name), which is not followed)"),
        (parse_yaml, "a: " + "1" * 401, f"w: {YAML} (a number of 401 characters)"),
        (parse_yaml, "[" * 65 + "]" * 65, f"w: {YAML} (nested more than 64 deep)"),
        (parse_yaml, " " * 2_000_001, f"w: {YAML} (2,000,001 characters, more than 2,000,000)"),
    ],
)  # fmt: skip
def test_documents__that_are_none(parse, text, sentence):
    refused(UntrustedInputError, sentence, parse, text, "w")


def test_documents__at_their_bounds():
    assert parse_json(f"[{2**63 - 1}, {-(2**63)}]", "w") == [2**63 - 1, -(2**63)]
    deep = parse_json("[" * 64 + "]" * 64, "w")
    for _ in range(63):
        (deep,) = deep
    assert deep == []
    assert np.isnan(parse_json("[NaN, Infinity]", "w", not_finite=True)).all()
    assert parse_yaml("a: " + "1" * 400, "w") == {"a": int("1" * 400)}
    assert documents.MAX_DEPTH == 64
    with pytest.raises(UntrustedInputError, match=r"a\.csv"):
        parse_csv_header("x" * 200_000, "a.csv")
    assert (parse_csv_header("", "a.csv"), parse_csv_header('"a,b",c', "a.csv")) == ([], ["a,b", "c"])


def test_listings__in_order_with_and_without_hidden_names(tmp_path):
    for name in ("b/z.jpg", "b/a.jpg", "a/x/y.jpg", ".h/k.jpg", "b/.i.jpg", "t.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "b")
    every = ["t.txt", ".h/k.jpg", "a/x/y.jpg", "b/.i.jpg", "b/a.jpg", "b/z.jpg"]
    assert files_below(tmp_path) == every
    assert files_below(tmp_path, hidden=False) == ["t.txt", "a/x/y.jpg", "b/a.jpg", "b/z.jpg"]
    linked = ["t.txt", "a/again/a.jpg", "a/again/z.jpg", "a/x/y.jpg"]
    assert files_below(tmp_path, links=True, hidden=False) == linked  # each real folder once
    assert files_below(tmp_path / "no", may_be_absent=True) == []
    text = f"{tmp_path}/no: the folder cannot be listed (No such file or directory)"
    refused(UntrustedInputError, text, list_folder, tmp_path / "no")
    refused(UntrustedInputError, text, lambda: list(walk_folders(tmp_path / "no")))
    folder = list_folder(tmp_path / "b")
    assert (folder.path, folder.folders, folder.files, folder.is_empty) == (
        f"{tmp_path}/b", [], [".i.jpg", "a.jpg", "z.jpg"], False,
    )  # fmt: skip
    assert list_folder(tmp_path / "t.txt", may_be_absent=True).is_empty
    assert files_matching(tmp_path / "b", "[az]*") == [tmp_path / "b" / "a.jpg", tmp_path / "b" / "z.jpg"]
    assert files_matching(tmp_path / "b", "A*") == files_matching(tmp_path / "no", "*") == []
