"""Arrays are read as NumPy reads them, without Python's parser, so that several threads may read at once."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from builders.untrusted import map_array, parse_array, parse_arrays, read_untrusted_arrays
from builders.untrusted.arrays import read_array_header
from tests.support.images import image_bytes

ROOT = Path(__file__).parents[3]

ARRAYS = {
    "float32": np.arange(12, dtype="<f4").reshape(3, 4),
    "float16": np.ones((2, 3, 4), np.float16),
    "big endian": np.arange(5, dtype=">i8"),
    "bytes": np.arange(7, dtype=np.uint8),
    "flags": np.array([[True], [False]]),
    "text": np.array(["a", "bcd"]),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 4), np.int16),
}


def npy(array: np.ndarray) -> bytes:
    return image_bytes(np, array)


def described(text: str, rest: bytes = b"") -> bytes:
    header = f"{text}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + rest


class Parsed(Exception):
    """``ast.parse`` was called."""


@contextmanager
def no_parser() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ast, "parse", mock.Mock(side_effect=Parsed))
        yield


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays__files_of_this_project_are_read_without_ast(name: str, tmp_path: Path) -> None:
    array, path = ARRAYS[name], tmp_path / "a.npy"
    path.write_bytes(npy(array))
    np.savez_compressed(tmp_path / "a.npz", a=array)
    with no_parser():
        read = [
            parse_array(path.read_bytes()),
            read_untrusted_arrays(tmp_path / "a.npz")["a"],
            parse_arrays(io.BytesIO((tmp_path / "a.npz").read_bytes()))["a"],
            *([map_array(path)] if array.size else []),
        ]
    for one in read:
        assert (one.dtype, one.shape) == (array.dtype, array.shape)
        assert np.array_equal(one, array)
    with no_parser(), pytest.raises(Parsed):
        np.load(path)  # or this test would show nothing


def test_map_array__writes_into_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy(np.zeros((2, 3), np.float32)))
    rows = map_array(tmp_path / "a.npy", "r+")
    rows[1] = 5
    rows.flush()
    assert np.load(tmp_path / "a.npy").tolist() == [[0, 0, 0], [5, 5, 5]]
    with pytest.raises(ValueError, match="read-only"):
        map_array(tmp_path / "a.npy")[0] = 1


@pytest.mark.parametrize(
    "text",
    [
        "{'shape': (2,), 'fortran_order': False, 'descr': '<f4'}",
        "{'descr':'<f4','fortran_order':False,'shape':(2,)}",
        '{"descr": "<f4", "fortran_order": False, "shape": (1+1,), }',
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (02,), }",
        "{'descr': '<f3', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
        "__import__('os').abort()",
        "",
    ],
)
def test_header__of_an_unusual_form_is_left_to_numpy(text: str) -> None:
    data = described(text, bytes(8))
    try:
        expected: Any = np.lib.format.read_array_header_1_0(io.BytesIO(data[8:]))
    except ValueError:
        with pytest.raises(ValueError, match=r"\w"):
            read_array_header(io.BytesIO(data))
        return
    read = read_array_header(io.BytesIO(data))
    assert (read.shape, read.fortran, read.dtype) == expected


@pytest.mark.parametrize(
    ("data", "printed"),
    [
        (npy(np.zeros(3))[:-1], "in 23 bytes"),
        (npy(np.zeros(3)) + b"\0", "in 25 bytes"),
        (described("{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000000000,), }"), "in 0 bytes"),
        (npy(np.array([{}])), "number"),
        (npy(np.zeros(2, [("a", "<f4")])), "number"),
        (b"PK\x03\x04" + bytes(60), "magic string"),
        (npy(np.zeros(3))[:20], "read"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "read"),
        (b"\x93NUMPY\x03\x00\x00\x00\x00\x00", "format"),
    ],
)
def test_parse_array__anything_but_a_plain_array_is_refused(data: bytes, printed: str) -> None:
    with pytest.raises(ValueError, match=printed):
        parse_array(data)


@pytest.mark.parametrize(
    "array",
    [
        np.array([b"a", b"bc"]),
        np.array(["2020-01-01"], "datetime64[D]"),
        np.array([3], "timedelta64[s]"),
        np.array([b"abc"], "V3"),
        np.zeros(2, [("a", "<f4"), ("b", "S2")]),
    ],
    ids=lambda array: array.dtype.kind,
)
def test_arrays__of_bytes_times_and_records_are_refused(array: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy(array))
    sentence = f"an array of {array.dtype}, which is no number and no text"
    for read in (lambda: parse_array(npy(array)), lambda: map_array(tmp_path / "a.npy")):
        with pytest.raises(ValueError) as error:  # noqa: PT011
            read()
        assert str(error.value) == sentence


HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2,",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }}",
    "\x00",
    "(" * 3000,
    "{'descr': 'a,b', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': {}, 'fortran_order': False, 'shape': (2,), }",
    "{'descr': [('a', '<f4', 1, 2, 3)], 'fortran_order': False, 'shape': (2,), }",
    "{[]: 1}",
    "{1: 2, 'a': 3}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (10**400,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999999,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-9, -9), }",
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", HEADERS, ids=range(len(HEADERS)))
def test_readers__raise_only_value_errors_for_headers_that_no_parser_understands(text: str, tmp_path: Path) -> None:
    data = described(text, bytes(64))
    (tmp_path / "a.npy").write_bytes(data)
    for read in (lambda: parse_array(data), lambda: map_array(tmp_path / "a.npy")):
        with pytest.raises(ValueError, match=r"\w"):
            read()


STRESS = """
import gc, io, sys, threading
import numpy as np
from builders.untrusted import parse_array, parse_arrays

sys.setswitchinterval(1e-6)
gc.set_threshold(10, 10, 1000)  # garbage is looked for while the parser works, and threads change there
plain, several, records = io.BytesIO(), io.BytesIO(), io.BytesIO()
np.save(plain, np.zeros((3, 4, 5), np.float32))
np.savez(several, a=np.zeros((3, 4)), b=np.zeros(3, np.uint8))
np.save(records, np.zeros(3, [("a", np.float32)]))
failed = []

class Garbage:
    def __init__(self):
        self.me = self

    def __del__(self):
        for _ in range(20):
            pass

def work():
    for _ in range(400):
        for read in (lambda: parse_array(plain.getvalue()), lambda: parse_arrays(io.BytesIO(several.getvalue())),
                     lambda: parse_array(records.getvalue())):
            Garbage()
            try:
                read()
            except ValueError:  # of records
                pass
            except SystemError as error:
                failed.append(str(error))

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(failed), failed[:1])
"""


@pytest.mark.slow
def test_arrays__eight_threads_read_at_once() -> None:
    """With ``numpy.load`` 3 to 50 of so many reads fail on Python 3.11.7."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", STRESS], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "0 []\n"


def test_map_array__a_pipe_or_a_device_in_the_place_of_the_file_is_an_error_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.npy")
    (tmp_path / "zero.npy").symlink_to("/dev/zero")
    for name in ("rows.npy", "zero.npy"):
        with pytest.raises(OSError, match="not a regular file"):
            map_array(tmp_path / name)
