"""Paths that are taken seldom, each by a direct call."""

import io
import ipaddress
import stat
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from builders.untrusted import UntrustedInputError
from builders.untrusted import files as untrusted_files
from builders.untrusted.addresses import _embedded


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", None),
        ("64:ff9b::a00:1", "10.0.0.1"),
        ("64:ff9b:1::8.8.8.8", "10.0.0.0"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45"),  # Teredo (RFC 4380): the client's, not the server's
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("2002:7f00:1::", "127.0.0.1"),
        ("2606:4700::1", None),
    ],
)
def test_embedded__the_address_inside_of_an_address(address, expected):
    made = _embedded(ipaddress.ip_address(address))
    assert (str(made) if made else None) == expected


def test_open__a_file_that_became_a_pipe(tmp_path, monkeypatch):
    """Between the look at its path and its opening."""
    file = tmp_path / "a"
    file.write_bytes(b"1234")
    with untrusted_files.open_untrusted(file, limit=4) as stream:
        assert stream.read() == b"1234"
    monkeypatch.setattr(
        untrusted_files.os, "fstat", lambda descriptor: SimpleNamespace(st_mode=stat.S_IFIFO, st_size=0)
    )
    with pytest.raises(UntrustedInputError, match="not a regular file"), untrusted_files.open_untrusted(file, limit=4):
        pass


def test_array__of_another_size_than_its_archive_says(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", buffer.getvalue())
        archive.writestr("y.npy", buffer.getvalue(), zipfile.ZIP_BZIP2)
    with zipfile.ZipFile(path) as archive:
        assert untrusted_files._array(archive, archive.getinfo("x.npy")).tolist() == [0, 1, 2]
        with pytest.raises(ValueError, match=r"^y.npy: compressed in a way that numpy does not use$"):
            untrusted_files._array(archive, archive.getinfo("y.npy"))
        for data in (buffer.getvalue()[:-1], buffer.getvalue() + b"1"):
            member = SimpleNamespace(
                compress_type=zipfile.ZIP_STORED, file_size=len(buffer.getvalue()), filename="x.npy"
            )
            fake = SimpleNamespace(open=lambda member, data=data: io.BytesIO(data))
            with pytest.raises(ValueError, match=r"^x.npy: not of the size that the archive says$"):
                untrusted_files._array(fake, member)
