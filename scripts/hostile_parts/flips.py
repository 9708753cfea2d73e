"""Disks that lose a bit: one flipped in one stored file, then whoever reads it is run again."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.hostile_parts.breaking import Tally, compare, undisturbed, whole
from scripts.hostile_parts.work import Stage, run


@dataclass(frozen=True)
class Stored:
    """One kind of stored data, and who reads it."""

    stage: str
    """That writes it."""
    files: str
    """Pattern below the folder of the run."""
    spares: tuple[str, ...] = ()
    """What would spare the reading, and is removed before."""
    reader: Callable[[Path], list[str]] | None = None
    """Another command than the stage's own, which must refuse the file by name (status 1), or give what it gives on
    the whole file."""


def _verify(run: Path) -> list[str]:
    return ["verify", str(run / "out")]


def _build(run: Path) -> list[str]:
    return ["build", "flickrexif", "build", "--state", str(run / "state"), "--output", str(run / "built"), *_FEW]


_FEW = ("--least", "1", "--workers", "1")

STORED = {
    "rows of score": Stored("score", "cache/banks/**/rows.npy", ("cache/outcomes", "out")),
    "marker of score": Stored("score", "cache/banks/**/blocks/*.json", ("cache/outcomes", "out")),
    "key of score": Stored("score", "cache/banks/**/key.json", ("cache/outcomes", "out")),
    "outcome of score": Stored("score", "cache/outcomes/**/*.*", ("out",)),
    "result of score": Stored("score", "out/result.json", reader=_verify),
    "answers of score": Stored("score", "out/answers.npz", reader=_verify),
    "shard of build": Stored("build", "built/data/**/*.parquet"),
    "rows of sweep": Stored("sweep", "cache/banks/**/rows.npy", ("cache/outcomes", "swept")),
    "result of sweep": Stored("sweep", "swept/**/result.json"),
    "answers of sweep": Stored("sweep", "swept/**/answers.npz"),
    "scan of audit": Stored("audit", "camtrace-cache/audit/*/*", ("audit",)),
    "download of publish": Stored("publish", "hub/**/blobs/*"),
    "photo of fetch": Stored("fetch", "state/files/**/*.jpg", reader=_build),
}
"""By kind."""


def flips(stages: Sequence[Stage], scratch: Path, count: int, seed: int) -> Tally:
    """Every kind of stored data of the stages in turn: made again and equal, or refused by name; nothing is silent."""
    tally, random_ = Tally(), random.Random(seed)
    by_name = {stage.name: stage for stage in stages}
    kinds = {kind: stored for kind, stored in STORED.items() if stored.stage in by_name}
    by_name = {name: stage for name, stage in by_name.items() if any(name == one.stage for one in kinds.values())}
    expected, _ = undisturbed(tuple(by_name.values()), scratch)
    undamaged: dict[str, str] = {}
    for number in range(count):
        kind = list(kinds)[number % len(kinds)]
        stored = kinds[kind]
        stage, folder = by_name[stored.stage], scratch / "flipped"
        if stored.reader and kind not in undamaged:
            _copy(whole(scratch, stage), folder)
            one = run(stored.reader(folder), folder)
            assert one.status == 0, one.said
            undamaged[kind] = one.said
        _copy(whole(scratch, stage), folder)
        file = random_.choice([path for path in sorted(folder.glob(stored.files)) if path.stat().st_size])
        data = bytearray(file.read_bytes())
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
        file.write_bytes(data)
        for name in stored.spares:
            shutil.rmtree(folder / name, ignore_errors=True)
        tally.tried[f"bit in {kind}"] += 1
        one = run(stored.reader(folder) if stored.reader else stage.command(folder), folder)
        what = f"bit in {kind}"
        tally.note(what, one)
        named = file.name in one.said or file.parent.name in one.said or file.stem in one.said
        if stored.reader:
            refused = one.status == 1 or one.said != undamaged[kind]
            tally.outcomes[f"{what}: {'refused' if refused else 'nothing changed'}"] += 1
            if refused and not named:
                tally.wrong.append(f"{what}: refused without a name: {one.said[-300:]}")
            elif not refused and stage.made(folder) != expected[stage.name]:
                tally.wrong.append(f"{what}: taken: {one.said[-300:]}")
        elif one.status == 0:
            how = "made again and said" if "made again" in one.said else "ended with status 0"
            tally.outcomes[f"{what}: {how}"] += 1
            compare(tally, what, one, stage, expected[stage.name], folder, whole(scratch, stage))
        else:
            tally.outcomes[f"{what}: refused"] += 1
            if not named:
                tally.wrong.append(f"{what}: refused without a name: {one.said[-300:]}")
        print(f"{number + 1} flips, {len(tally.wrong)} wrong {tally.wrong[-1:]}", file=sys.stderr)
    return tally


def _copy(source: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, symlinks=True)
