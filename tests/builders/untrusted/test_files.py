"""Reading of untrusted files: regular files within a limit only; JSON and YAML as plain values."""

import errno
import json
import os
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.untrusted import (
    UntrustedInputError,
    may_pass,
    open_untrusted,
    parse_json,
    parse_yaml,
    read_untrusted,
    read_untrusted_text,
    too_large,
)


def refusal(path, **how):
    with pytest.raises(UntrustedInputError) as refused:
        read_untrusted(path, **{"limit": 100, **how})
    assert str(refused.value).endswith(refused.value.reason)
    return refused.value.reason


def test_read_untrusted__a_regular_file_up_to_the_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100)
    (tmp_path / "link").symlink_to("a")
    assert read_untrusted(tmp_path / "a", limit=100) == b"x" * 100
    assert read_untrusted(tmp_path / "link", limit=100, inside=tmp_path) == b"x" * 100
    assert "100" in refusal(tmp_path / "a", limit=99)


def test_read_untrusted__other_than_regular_files_are_neither_read_nor_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "socket"))
        for name in ("pipe", "folder", "zero", "socket"):
            assert refusal(tmp_path / name) == "not a regular file"
    assert "symbolic" in refusal(tmp_path / "loop")
    assert "directory" in refusal(tmp_path / "gone")
    assert "null" in refusal(f"{tmp_path}/a\0b")


def test_read_untrusted__a_path_that_leaves_its_folder_is_refused(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("secret")
    (inside / "link").symlink_to(tmp_path / "secret")
    for path in (inside / "link", inside / ".." / "secret", tmp_path / "secret"):
        assert "leaves" in refusal(path, inside=inside)


def test_read_untrusted__a_file_that_grows_is_read_to_one_byte_past_the_limit(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"x" * 10)
    with open_untrusted(tmp_path / "a", limit=20) as stream:
        (tmp_path / "a").write_bytes(b"y" * 10_000)
        assert len(stream.read(21)) == 21
    true = os.fstat
    grown = (tmp_path / "a").read_bytes()

    def small(descriptor):
        result = list(true(descriptor))
        result[6] = 10  # st_size, as it was before the file grew
        return os.stat_result(result)

    monkeypatch.setattr(os, "fstat", small)
    assert len(grown) == 10_000
    assert "20" in refusal(tmp_path / "a", limit=20)
    monkeypatch.undo()


def test_read_untrusted_text__other_bytes_than_utf8(tmp_path):
    (tmp_path / "a").write_bytes(b"ab\xff")
    with pytest.raises(UntrustedInputError, match="UTF-8"):
        read_untrusted_text(tmp_path / "a")


def test_untrusted_input_error__escapes_the_name_of_the_file(tmp_path):
    with pytest.raises(UntrustedInputError) as refused:
        read_untrusted(os.fsencode(tmp_path).decode() + "/\x1b[31m\udcff", limit=1)
    assert "/\\x1b[31m\\xff" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 65 + "]" * 65, "64"),
        ("[" * 200_000, "nested too deeply"),
        ("1" * 400, "400"),
        ("9223372036854775808", "19"),
        ("NaN", "NaN"),
        ("-1e999", "-1e999"),
        ('{"a": 1, "a": 2}', "there"),
        ('"\\ud800"', "half a character pair"),
        ('{"\\udfff": 1}', "half a character pair"),
        ('{"a', "Unterminated string"),
    ],
)
def test_parse_json__refuses_values_that_cannot_be_written_again(text, why):
    with pytest.raises(UntrustedInputError, match=why):
        parse_json(text, "a.json")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_parse_json__returns_every_plain_value(value):
    assert parse_json(json.dumps(value), "a.json") == value


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text("[]{}:,\"'&*-!% \n\\u\ud8001e9.tx"))
def test_parsers__of_any_text_give_a_value_or_a_reason(text):
    for parse in (parse_json, parse_yaml):
        reason = ""
        try:
            parse(text, "a")
        except UntrustedInputError as refused:
            reason = refused.reason
        assert reason.encode("utf-8").count(b"\n") == 0


def test_parse_yaml__an_alias_bomb_is_refused_at_its_first_alias():
    bomb = "a: &a [x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(UntrustedInputError):
        parse_yaml(bomb, "README.md")
    with pytest.raises(UntrustedInputError, match="nested"):
        parse_yaml("[" * 70 + "]" * 70, "README.md")
    with pytest.raises(UntrustedInputError):
        parse_yaml("!!python/object/apply:os.system ['true']", "README.md")
    assert parse_yaml("a: {b: [1, 2]}", "README.md") == {"a": {"b": [1, 2]}}


@pytest.mark.parametrize("number", ["1" + ":1" * 300_000, "1" + ":1" * 300_000 + ".5", "9" * 401, "0x" + "f" * 400])
def test_parse_yaml__a_number_without_end_is_refused(number):
    """Base 60 takes time by the square of its digits: of these, minutes."""
    with pytest.raises(UntrustedInputError, match="a number of"):
        parse_yaml(f"a: {number}", "README.md")
    with pytest.raises(UntrustedInputError, match="2,000,002 characters, more than 2,000,000"):
        parse_yaml("- " * 1_000_001, "README.md")
    assert parse_yaml("a: [190:20:30, 1.5, 0x1F, -7]", "README.md") == {"a": [685230, 1.5, 31, -7]}


@pytest.mark.parametrize(
    ("number", "passes"),
    [
        *((number, False) for number in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)),
        *((number, True) for number in (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EACCES)),
    ],
)
def test_may_pass__errors_of_the_disk_and_not_of_the_file(number, passes, monkeypatch):
    def fail(path):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(os, "stat", fail)
    with pytest.raises(UntrustedInputError) as refused:
        read_untrusted("a.jpg", limit=1)
    assert refused.value.reason == f"cannot be read ({os.strerror(number)})"
    assert may_pass(refused.value.reason) is passes
    assert may_pass(f"the file {refused.value.reason}") is passes


@pytest.mark.parametrize("reason", ["not a regular file", too_large(2, 1), "cannot be read", "is empty", ""])
def test_may_pass__other_reasons_are_of_the_file(reason):
    assert not may_pass(reason)
