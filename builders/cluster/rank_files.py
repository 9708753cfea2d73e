"""Files that ranks wrote, verified as they are read. A bad or late one is named with its rank, which is set back."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from builders.cluster.machine import VERSION_OF, versioned_packages
from builders.cluster.markers import Finished, Markers
from builders.cluster.plan import Plan
from builders.cluster.status import count_text, ranks_text
from builders.cluster.storage import StorageFolder
from builders.errors import DataError
from builders.processes import notice
from builders.untrusted import UntrustedInputError, may_pass

LATE_S = 90.0
"""Seconds to wait for a file that is not there yet: NFS shows a new file up to 60 s late by default."""

_POLL_S = 1.0


class _Written(NamedTuple):
    """Who wrote a file."""

    rank: int
    host: str
    sha256: str


@dataclass(frozen=True)
class RankFiles:
    """The files of finished ranks, by their paths below the folder of the plan.

    Args:
        plan: the plan.
        place: its folder.
        done: finished ranks.
        wait_s: seconds to wait for a late file on a disk; object stores show every file at once.
    """

    plan: Plan
    place: StorageFolder
    done: Mapping[int, Finished]
    wait_s: float = LATE_S

    @cached_property
    def _of(self) -> dict[str, _Written]:
        """Who wrote which path."""
        return {
            path: _Written(rank, finished.host, sha256)
            for rank, finished in self.done.items()
            for path, sha256 in finished.files.items()
        }

    def paths(self, below: str) -> list[str]:
        """Paths of the files below a folder."""
        return [path for path in self._of if path.startswith(f"{below}/")]

    def read(self, path: str) -> bytes:
        """The content of a file, as its rank wrote it.

        Raises:
            DataError: the file is not there, also after the wait, or is another. Ranks of such files are set back, and
                the sentence says how they are done again.
        """
        written, data = self._of.get(path), self._content(path)
        if data is None and written is not None and self.place.folder is not None and self.wait_s > 0:
            notice(
                f"{self.place.path(path)} of rank {written.rank} on {written.host} is not there; waiting up to "
                f"{self.wait_s:.0f} s for it"
            )
            end = time.monotonic() + self.wait_s
            while data is None and time.monotonic() < end:
                time.sleep(min(_POLL_S, self.wait_s))
                data = self._content(path)
        if data is None or written is None or hashlib.sha256(data).hexdigest() != written.sha256:
            raise DataError(self._set_back(path, data))
        return data

    def _content(self, path: str) -> bytes | None:
        """Its bytes, None if it is not there. What is no regular file counts as one that its rank did not write.

        Raises:
            DataError: it cannot be read, now.
        """
        try:
            return self.place.read(path)
        except UntrustedInputError as error:
            if may_pass(error.reason):
                raise
            return b""

    def _set_back(self, path: str, data: bytes | None) -> str:
        """Set back every rank with a bad file, so that ``work`` does it again. Returns the sentence about it."""
        what = "is not there" if data is None else "is not what its rank wrote"
        if path not in self._of:
            return f"{self.place.path(path)}: no rank of the plan has written it; plan again"
        waited = f" after {self.wait_s:.0f} s" if data is None and self.place.folder is not None else ""
        markers, by_rank = Markers(self.place, self.plan.name), dict[int, list[str]]()
        for other, written in self._of.items():
            content = data if other == path else self._content(other)
            if content is None or hashlib.sha256(content).hexdigest() != written.sha256:
                by_rank.setdefault(written.rank, []).append(other)
        for rank, bad in sorted(by_rank.items()):
            for other in bad:
                self.place.remove(other)
            reason = f"{count_text(len(bad), 'file')} of it lost or damaged: {bad[0]}"
            markers.set_back(rank, reason, self.done[rank].host)
        first = self._of[path]
        others = f"; with it ranks {ranks_text(sorted(by_rank))} have bad files" if len(by_rank) > 1 else ""
        return (
            f"{self.place.path(path)}: {what}{waited}: rank {first.rank} on {first.host} made it{others}. "
            f"'camtrace work {self.place}' makes it again"
        )


def refuse_other_versions(plan: Plan, done: Mapping[int, Finished], place: StorageFolder) -> None:
    """Set back ranks whose machines had other versions of packages than the plan.

    Raises:
        DataError: there are such ranks; names the first one, its host and both versions.
    """
    markers, reasons = Markers(place, plan.name), list[str]()
    for rank, finished in done.items():
        for package in versioned_packages(plan.facts):
            planned = plan.facts[f"{VERSION_OF}{package}"]
            version = finished.machine.get(package, planned)
            if version.partition("+")[0] != planned:
                reasons.append(f"rank {rank} ran on {finished.host} with {package} {version}, the plan has {planned}")
                for path in finished.files:
                    place.remove(path)
                markers.set_back(rank, reasons[-1], finished.host)
                break
    if reasons:
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        raise DataError(f"{reasons[0]}{more}. 'camtrace work {place}' makes it again, on nodes with those versions")
