"""The row groups that were fetched last, shared by the processes of a run.

Workers share out photos one by one, so several read one row group. Each would fetch it: a run would fetch the data as
often as it has workers. The window is a scratch folder of a few tables; a lock lets one process fetch and others wait.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.files import scratch_prefix
from builders.untrusted import files_matching

if TYPE_CHECKING:
    import pyarrow as pa

MAX_TABLES = 8
MAX_WINDOW_BYTES = 1 << 30


class GroupWindow:
    """Tables by name, of which the oldest are removed. The folder ends with the process that made it."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix=scratch_prefix())
        weakref.finalize(self, _remove, self._folder, os.getpid())

    def __getstate__(self) -> dict[str, Any]:
        return {"_folder": self._folder}

    def table(self, name: str, fetch: Callable[[], pa.Table]) -> pa.Table:
        """A table, fetched if no process has fetched it a moment ago.

        Args:
            name: of the table.
            fetch: reads it.
        """
        path = Path(self._folder, f"{name}.arrow")
        with self._locked(name):
            table = _stored(path)
            if table is None:
                table = fetch()
                with contextlib.suppress(OSError):  # a full disk, or the run has ended: the table is here all the same
                    self._store(path, table)
        return table

    def _store(self, path: Path, table: pa.Table) -> None:
        import pyarrow as pa

        new = path.with_suffix(".new")
        with pa.OSFile(str(new), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        os.replace(new, path)
        others = [other for other in files_matching(path.parent, "*.arrow") if other != path]
        sizes = {other: other.stat() for other in others}
        total = path.stat().st_size
        for count, other in enumerate(sorted(others, key=lambda one: -sizes[one].st_mtime_ns), 2):
            total += sizes[other].st_size
            if count > MAX_TABLES or total > MAX_WINDOW_BYTES:
                other.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Exclude other processes that want the same table; nothing is excluded where the folder is gone."""
        try:
            descriptor = os.open(Path(self._folder, f"{name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _stored(path: Path) -> pa.Table | None:
    """A stored table, mapped; None if there is none."""
    import pyarrow as pa

    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowInvalid):
        return None


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # not in a forked worker
        shutil.rmtree(folder, ignore_errors=True)
