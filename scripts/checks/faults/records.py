"""Counts of many runs of the checks in one file, and the table that is made of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.checks.faults.interrupt import Tally

NOT_TRIED: Sequence[str] = (
    "GPUs: no fault of a device, of its memory or of its driver",
    "real services: the Hub and Flickr are doubles on this machine; no TLS with a foreign certificate, no CDN",
    "object stores that answer wrongly about plans and results that lie there; objects that change once listed",
    "photos over http that come too slowly, but for a test; a tar shard that changes under the same ETag",
    "ranks of answers of vision-language models",
    "power cuts; file systems other than ext4, overlayfs and tmpfs: of NFS, CIFS and FUSE errors are injected",
    "Windows and macOS",
    "Slurm and Ray under faults; the Xet store",
    "more than two processes on one output; more than one machine, or two clocks, on one plan",
    "hostile weights of networks of libraries and of vision-language models (of erasers and configurations they are)",
    "encoders that damage what the run has open: its descriptors one by one, its memory, its files in the cache",
    "the memory of processes, core files, swap and the history of shells, where secrets may stay",
    "options that say where is written to, and how many processes there are, with hostile words",
    "data sets of more than 60 photos, and folders of more than 100 files",
    "decoders compiled with checks of addresses; parsers under coverage (`parser_fuzz.py` does that on its own)",
    "other users of the machine: links in shared temporary folders, files that change between check and use",
    "pages of boards and reports in browsers, beyond the policy and the text nodes that tests look at",
)
"""What no part tries."""


def append(path: Path, part: str, seed: int, tally: Tally) -> None:
    """Add the counts of one run of a part to a file."""
    counts = {name: dict(getattr(tally, name)) for name in ("tried", "cases", "processor_s", "outcomes")}
    line = json.dumps({"part": part, "seed": seed, **counts, "wrong": tally.wrong})
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(line + "\n")


@dataclass
class _Row:
    seeds: set[int] = field(default_factory=set)
    cases: int = 0
    inputs: int = 0
    processor_s: float = 0.0
    wrong: int = 0


def table(path: Path) -> Iterator[str]:
    """Lines: commands, inputs, failures, processor time and seeds of each part and kind; commands with planted secrets;
    then what was not tried."""
    rows: dict[tuple[str, str], _Row] = {}
    sentences, statuses = Counter[str](), Counter[tuple[str, int]]()
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        for kind, inputs in record["tried"].items():
            row = rows.setdefault((record["part"], kind), _Row())
            row.seeds.add(record["seed"])
            row.inputs += inputs
            row.cases += record["cases"].get(kind, inputs)
            row.processor_s += record["processor_s"].get(kind, 0.0)
            row.wrong += sum(sentence.startswith(kind) for sentence in record["wrong"])
        sentences.update(record["wrong"])
        for outcome, count in record["outcomes"].items() if record["part"] == "campaign" else ():
            command, _, status = outcome.rpartition(": status ")
            if command:
                statuses[command, int(status)] += count
    yield "| part | kind | commands | inputs | wrong | processor s | seeds |"
    yield "| :-- | :-- | --: | --: | --: | --: | :-- |"
    for (part, kind), row in sorted(rows.items()):
        yield _line(part, kind, row)
    for part in sorted({part for part, _ in rows}):
        mine = [row for (name, _), row in rows.items() if name == part]
        whole = _Row(
            set().union(*(row.seeds for row in mine)),
            *(sum(getattr(row, name) for row in mine) for name in ("cases", "inputs", "processor_s", "wrong")),
        )
        yield _line(part, f"**{len(mine)} kinds**", whole)
    yield f"\nWrong: {sentences.total()}"
    yield from (f"- {sentence}" for sentence in sentences)
    yield "\nSecrets are planted in variables and files of every command of the campaign:\n"
    yield "| command | runs | that failed | with a secret in output, files or arguments of processes |"
    yield "| :-- | --: | --: | --: |"
    for command in sorted({name for name, _ in statuses}):
        runs = {status: n for (name, status), n in statuses.items() if name == command}
        leaks = sum(n for text, n in sentences.items() if text.startswith(f"{command}: ") and "a secret in" in text)
        yield f"| {command} | {sum(runs.values())} | {sum(n for status, n in runs.items() if status)} | {leaks} |"
    yield "\nNot tried:"
    yield from (f"- {sentence}" for sentence in NOT_TRIED)


def _line(part: str, kind: str, row: _Row) -> str:
    seeds = ", ".join(map(str, sorted(row.seeds)))
    return f"| {part} | {kind} | {row.cases} | {row.inputs} | {row.wrong} | {row.processor_s:.0f} | {seeds} |"
