"""Every type of checkpoint that transformers' image processors read, every other checkpoint of ``CASES``, and the
architectures of timm and open_clip.

    python -m tests.encoders_by_hand.inventory RESULTS [--only NAME ...] [--limit SECONDS]

Each is tried in a process of its own with limits on time and memory, and its row is stored in the folder RESULTS, so
that a run goes on where the last one ended; ``scripts/docs_tables/inventory.py`` makes the table of the rows.
``test_inventory.py`` fails where an installed library has a type that stands in no list here.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from tests.encoders_by_hand import architectures
from tests.encoders_by_hand.families import CASES, TIMM
from tests.encoders_by_hand.trial import Row, try_case, try_open_clip, try_timm

MEMORY_BYTES = 14 << 30
"""Address space of a process that tries one type."""

OTHER_NAMES = {"siglip2": "siglip2 NaFlex"}
"""Type -> its case, where that has another name."""

NOT_BUILT: dict[str, str] = {}
"""Type -> why it cannot be built small."""


def types() -> list[str]:
    """Types of the installed transformers that have an image processor."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    return sorted(IMAGE_PROCESSOR_MAPPING_NAMES)


def case_of(name: str) -> str | None:
    """Name of the case that tries a type, or of a further case; None where none does."""
    name = OTHER_NAMES.get(name, name)
    return name if name in CASES else None


def unknown_types(installed: Iterable[str]) -> list[str]:
    """Types for which there is neither a case nor a reason why there is none."""
    return [name for name in installed if case_of(name) is None and name not in NOT_BUILT]


def further_cases() -> list[str]:
    """Cases that no type is tried with: classifiers, lone towers, other outputs, and models that read no pictures."""
    of_types = {case_of(name) for name in types()}
    return [name for name in CASES if name not in of_types]


def names_of(library: str) -> list[str]:
    """What is tried of a library."""
    if library == "transformers":
        return [*types(), *further_cases()]
    return [*TIMM, *architectures.TIMM] if library == "timm" else list(architectures.OPEN_CLIP)


def tried(name: str, below: Path) -> Row:
    """The row of a type, or of a further case."""
    case_name = case_of(name)
    if case_name is None:
        return Row(name, "not built", NOT_BUILT[name], family=name)
    case = CASES[case_name]
    options = case.options or (f"size={case.square}" if case.square else "")
    return replace(try_case(case_name, case, below), name=name, options=options)


def in_child(function: Callable[[str, Path], Row], name: str, limit_s: int) -> Row:
    """What a function returns, called in a forked process; a row that is wrong where the process ends otherwise."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        allowed = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = MEMORY_BYTES if allowed == resource.RLIM_INFINITY else min(MEMORY_BYTES, allowed)
        resource.setrlimit(resource.RLIMIT_AS, (most, allowed))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(limit_s)
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            row = function(name, Path(folder))
        with os.fdopen(write, "w") as pipe:
            json.dump(asdict(row), pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if text:
        return Row(**json.loads(text))
    return Row(name, "WRONG", f"its process ended with status {os.waitstatus_to_exitcode(status)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what has no row yet; ends with status 1 if a row is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these alone, tried again")
    parser.add_argument("--limit", type=int, default=300, metavar="SECONDS", help="for each")
    parser.add_argument("--libraries", nargs="+", default=["transformers", "timm", "open_clip"])
    options = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(1)
    functions = {"transformers": tried, "timm": try_timm, "open_clip": try_open_clip}
    wrong = 0
    for library in options.libraries:
        folder = options.results / library
        folder.mkdir(parents=True, exist_ok=True)
        for name in names_of(library):
            file = folder / f"{name.replace('/', '_')}.json"
            if (options.only is None and file.exists()) or (options.only is not None and name not in options.only):
                continue
            started = time.monotonic()
            row = in_child(functions[library], name, options.limit)
            file.write_text(json.dumps(asdict(row)))
            wrong += row.verdict == "WRONG"
            print(f"{row.line()[:300]}  {time.monotonic() - started:.0f} s", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
