"""What untrusted files and broken machines do to camtrace: counts of what was tried, and of what went wrong (nothing
should).

    python scripts/checks/faults [--quick] [--only PART,...] [--stages NAME,...] [--seed N]
                                    [--kills 200] [--disks 50] [--flips 50] [--pairs 40] [--machines 100] [--seconds 60]

Parts: ``results`` and ``answers`` (mutated files through every reader), ``pictures`` (nested containers and
mutations through the decoder), ``board`` (1,000 hostile result files among 50 honest ones: the board of the 50, byte
for byte), ``kills``, ``disks`` (mounts small file systems: run as root, or under ``unshare -rm``), ``flips``, ``pairs``
(two processes on one output and cache), ``machines`` (lost folders, clocks that jump, few descriptors, little disk, no
shared memory, killed workers; secrets are planted). Stages of kills to machines: score, build, board, sweep, audit,
encoders (networks in processes of their own, which are killed alone too), erase, diff, work, finish, publish, search,
fetch (the last three against doubles on loopback). Exit status 1 if anything was wrong. ``--quick`` tries a tenth of
everything. ``tests/scripts/checks/test_faults.py`` runs a little of it; ``python scripts/speed --only
input_checks`` measures what the checks cost.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Container
from contextlib import ExitStack
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[3])

from scripts.checks.faults.disks import STORED, flips, full_disks
from scripts.checks.faults.interrupt import Tally, Trials, kills, pairs
from scripts.checks.faults.machines import broken_machines
from scripts.checks.faults.mutations import honest_result, hostile_answers, hostile_bytes, write_board_folder
from scripts.checks.faults.pictures import fuzz_pictures
from scripts.checks.faults.processes import run
from scripts.checks.faults.stages import content, photos, service_stages, short_runs, stages

PARTS = ("results", "answers", "pictures", "board", "kills", "disks", "flips", "pairs", "machines")


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--only", default=",".join(PARTS))
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--stages", default="", help="of kills, disks, flips and pairs, such as sweep,audit; by default all")
    p.add_argument("--kills", type=int, default=200)
    p.add_argument("--disks", type=int, default=50)
    p.add_argument("--flips", type=int, default=50)
    p.add_argument("--pairs", type=int, default=40, help="of two processes on one output and cache")
    p.add_argument("--machines", type=int, default=100, help="runs on a machine that is broken in some way")
    p.add_argument("--hostile", type=int, default=1000, help="files next to 50 honest ones")
    p.add_argument("--seconds", type=float, default=60.0, help="of each fuzzer")
    p.add_argument("--quick", action="store_true", help="a tenth of what is not given as a number")
    args = p.parse_args()
    for name in ("kills", "disks", "flips", "pairs", "machines", "hostile", "seconds"):
        if args.quick and getattr(args, name) == p.get_default(name):
            setattr(args, name, type(p.get_default(name))(p.get_default(name) / 10))
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="hostile-") as scratch_name:
        scratch = Path(scratch_name)
        for part in args.only.split(","):
            started = time.monotonic()
            tally = _PARTS[part](args, scratch / part)
            wrong += len(tally.wrong)
            tried, took = sum(tally.tried.values()), time.monotonic() - started
            print(f"{part}: {tried} tried in {took:.0f} s, {len(tally.wrong)} wrong")
            for name, count in (*sorted(tally.tried.items()), *sorted(tally.outcomes.items())):
                print(f"  {count:6d}  {name}")
            for sentence in tally.wrong[:20]:
                print(f"  WRONG  {sentence}")
            sys.stdout.flush()
            shutil.rmtree(scratch / part, ignore_errors=True)
    return 1 if wrong else 0


def fuzz_results(seconds: float, seed: int, folder: Path, most: int | None = None) -> Tally:
    """Mutated result files through everything that reads untrusted results."""
    from benchmark.leaderboard.admission import objection
    from benchmark.leaderboard.board import build_board
    from benchmark.leaderboard.entries import measured_entries
    from benchmark.leaderboard.site import write_site
    from benchmark.publishing.files import PublishedFile, result_path
    from benchmark.publishing.model_pages import data_set_tasks, model_pages
    from benchmark.publishing.table import card_text, table_bytes
    from benchmark.publishing.verify import verified
    from benchmark.results.files import ResultFile, read_files

    tally, random_ = Tally(), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    honest = ResultFile("honest.json", honest_result("timm/honest", 1))
    end = time.monotonic() + seconds
    while time.monotonic() < end and (most is None or tally.tried["result files"] < most):
        (folder / "a.json").write_bytes(hostile_bytes(random_))
        tally.tried["result files"] += 1
        began = time.process_time()
        try:
            read = read_files(folder, ["a.json"], objection=objection)
            if read.refused:
                tally.outcomes["refused with a reason"] += 1
                assert b"\n" not in read.refused[0].reason.encode("utf-8")
            for file in read.accepted:
                tally.outcomes["taken, shown and published"] += 1
                write_site(build_board(measured_entries([file, honest])), [], folder / "site", title="t")
                table_bytes({"a": file.result})
                card_text({"a": file.result}, "a/b")
                verified(file)
                one = PublishedFile(result_path(file.result, file.text), file.text, file.result)
                model_pages([one], "a/b")
                data_set_tasks([one])
        except Exception:
            tally.wrong.append(traceback.format_exc().strip().replace("\n", " | ")[-400:])
        if time.process_time() - began > 5:
            tally.wrong.append("took more than 5 seconds")
    return tally


def fuzz_answers(seconds: float, seed: int, folder: Path, most: int | None = None) -> Tally:
    """Archives of answers next to a result whose JPEG probe is right for half of 200 photos."""
    import dataclasses

    from benchmark.results import contradiction, write_result
    from benchmark.results.files import ResultFile
    from benchmark.tasks import all_tasks

    tally, random_ = Tally(), random.Random(seed)
    whole = honest_result("timm/honest", 1)
    jpeg = dataclasses.replace(whole.scores[0], value=0.5, low=0.4, high=0.6)
    result = dataclasses.replace(whole, scores=(jpeg,))
    write_result(result, folder / "result.json")
    file = ResultFile("result.json", result, path=folder / "result.json")
    questions, made = all_tasks(), Counter[str]()
    end = time.monotonic() + seconds
    while time.monotonic() < end and (most is None or sum(tally.tried.values()) < most):
        name, data = hostile_answers(random_)
        if name.startswith("zeros") and made[name] >= 20:
            continue
        made[name] += 1
        (folder / "answers.npz").write_bytes(data)
        tally.tried[f"answers: {name}"] += 1
        try:
            reason = contradiction(file, questions)
        except Exception:
            tally.wrong.append(f"{name}: " + traceback.format_exc().strip().replace("\n", " | ")[-400:])
            continue
        tally.outcomes["refused with a reason" if reason else "without a contradiction"] += 1
        if name.startswith("other") and not reason and not _half(data):
            tally.wrong.append(f"{name}: taken")
    return tally


def _half(data: bytes) -> bool:
    """Whether answers are, by chance, right for half of 200 photos."""
    import io

    import numpy as np

    with np.load(io.BytesIO(data)) as stored:
        predicted = stored["probe/jpeg/predicted"]
    right = (predicted == np.arange(predicted.shape[1])[:, None]).mean()
    return predicted.shape[2] == 200 and abs(right - 0.5) < 1e-6


def board(args: argparse.Namespace, folder: Path) -> Tally:
    """The board of honest files, with and without hostile ones next to them."""
    tally = Tally()
    write_board_folder(folder / "all", 50, args.hostile, args.seed)
    shutil.copytree(folder / "all" / "honest", folder / "honest" / "honest")
    written = {}
    for name in ("honest", "all"):
        one = run(["leaderboard", "--results", str(folder / name), "-o", str(folder / f"site-{name}")], folder / name)
        tally.note(f"board of {name}", one)
        if one.status:
            tally.wrong.append(f"board of {name}: status {one.status}: {one.output[-300:]}")
        written[name] = content(folder / f"site-{name}", (".",))
        data = json.loads((folder / f"site-{name}" / "data.json").read_text())
        tally.tried[f"refused files of the board of {name}"] = len(data["refused"])
        data["refused"] = []
        written[name]["data.json"] = json.dumps(data)
        written[name].pop("data.js")
    honest, every = written["honest"], written["all"]
    different = sorted(name for name in honest.keys() | every.keys() if honest.get(name) != every.get(name))
    if different:
        tally.wrong.append(f"the boards differ in {different[:3]}")
    if one.traceback:
        tally.wrong.append("a traceback")
    return tally


def _of_stages(
    disturb: Callable[[Trials, int], None], count_of: str, only: Container[str] | None = None
) -> Callable[[argparse.Namespace, Path], Tally]:
    """A part that disturbs runs of stages: of those chosen, and of ``only`` where it is given."""

    def part(args: argparse.Namespace, folder: Path) -> Tally:
        import torch

        torch.set_num_threads(1)
        with ExitStack() as stack:
            stack.enter_context(short_runs())
            data = photos(folder / "photos")
            write_board_folder(folder / "results", 5, 0, args.seed)
            of_files = stages(data, folder / "results")
            scored = folder / "scored"
            end = run(of_files[0].command(scored), scored)
            assert end.status == 0, end.output
            services = stack.enter_context(service_stages(scored / "out", folder))
            names = args.stages.split(",") if args.stages else None
            chosen = [stage for stage in (*of_files, *services) if names is None or stage.name in names]
            trials = Trials([stage for stage in chosen if only is None or stage.name in only], folder, args.seed)
            disturb(trials, getattr(args, count_of))
            return trials.tally

    return part


_PARTS = {
    "results": lambda args, folder: fuzz_results(args.seconds, args.seed, folder),
    "answers": lambda args, folder: fuzz_answers(args.seconds, args.seed, folder),
    "pictures": lambda args, folder: fuzz_pictures(args.seconds, args.seed),
    "board": board,
    "kills": _of_stages(kills, "kills"),
    "disks": _of_stages(full_disks, "disks"),
    "flips": _of_stages(flips, "flips", {stored.stage for stored in STORED.values()}),
    "pairs": _of_stages(pairs, "pairs"),
    "machines": _of_stages(broken_machines, "machines"),
}

if __name__ == "__main__":
    sys.exit(main())
