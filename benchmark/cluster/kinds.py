"""Which kind of work a command is, and what all kinds share: their code, the folder in which they were planned."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from benchmark.cluster.request import Request
from builders.ranks import Plan, Ranked, code_version

CODE = "the code of camtrace"
"""Name of that fact."""


def ranked(request: Request) -> Ranked:
    """How a command is cut into ranks, done and finished."""
    if request.kind != "build":
        from benchmark.cluster.planning import EmbeddingRanks
        from benchmark.compute import prepare_process

        prepare_process()
        return EmbeddingRanks(request)
    args = request.parsed(Path(request.output))
    own = getattr(args, "ranked", None)
    if own is not None:
        found: Ranked = own(args)
        return found
    from benchmark.cluster.shards import ShardRanks

    return ShardRanks(request)


def request_of(plan: Plan) -> Request:
    """The command that a plan froze."""
    return Request(plan.kind, plan.argv, plan.output)


def code() -> str:
    """Version and hash of all that makes what ranks make."""
    return code_version(("builders", "benchmark", "cards"))


def go_to_folder(plan: Plan) -> None:
    """Relative paths of the request begin where it was planned."""
    with contextlib.suppress(OSError):
        os.chdir(str(plan.notes.get("folder", ".")))


def absolute(address: str) -> str:
    """The same from every folder."""
    return address if "://" in address else str(Path(address).absolute())
