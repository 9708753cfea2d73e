"""Reading what a client put into a ``local://`` Xet store: file hashes by SHA-256, and content by file hash."""

from __future__ import annotations

import shutil
import struct
import tempfile
from pathlib import Path

_HEADER = 48
"""Bytes of a shard's header, and of each record behind it."""
_VERIFICATION, _METADATA = 1 << 31, 1 << 30
"""Flags of a file record: a verification record for each segment, and one record with the SHA-256, follow."""
_BOOKEND = b"\xff" * 32


def file_hashes(store: Path) -> dict[str, str]:
    """Xet file hash of every file in the store, by SHA-256 (both in hex)."""
    result: dict[str, str] = {}
    for shard in store.glob("**/shards/*.mdb"):
        data, at = shard.read_bytes(), _HEADER
        while at + _HEADER <= len(data) and data[at : at + 32] != _BOOKEND:
            flags, segments = struct.unpack_from("<II", data, at + 32)
            metadata = at + _HEADER * (1 + segments * (2 if flags & _VERIFICATION else 1))
            if flags & _METADATA:
                result[_hex(data[metadata : metadata + 32])] = _hex(data[at : at + 32])
                metadata += _HEADER
            at = metadata
    return result


def read_file(store: Path, file_hash: str, size: int) -> bytes:
    """Content of a file. Reads a copy of the store, which the client that wrote it may still hold locked."""
    import hf_xet

    with tempfile.TemporaryDirectory() as folder:
        copy, target = Path(folder, "store"), Path(folder, "file")
        shutil.copytree(store, copy)
        group = hf_xet.XetSession().new_file_download_group(endpoint=f"local://{copy}", token="double")
        with group:
            group.start_download_file(hf_xet.XetFileInfo(file_hash, size), str(target))
        return target.read_bytes()


def _hex(stored: bytes) -> str:
    """A hash as people write it: four 64-bit numbers, each stored with its low byte first."""
    return b"".join(stored[i : i + 8][::-1] for i in range(0, 32, 8)).hex()
