"""Kill a run on many photos inside kNN and inside a probe: what was done is there, and nothing of it is done again.

    python scripts/checks/resume_at_scale.py --photos 100000 --folder /data/tiny

Each run is a process of its own on tiny photos and gets SIGKILL. Printed for each: which
tasks it computed, how many views it embedded, what it stored, seconds. The scores of the run that was killed twice must
be those of a run that was never stopped, on the same embeddings.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from scripts.speed.measure import child_environment
from scripts.speed.synthetic import projection, tiny_photos

KNN, PROBE = "knn/sharpening", "probe/sharpening"
QUERIES = 1_400
"""Of kNN, cut into parts of a quarter, so that there are some before it is done."""


def main() -> int:
    """Run, kill, run on; 1 if something was lost or done twice."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--photos", type=int, default=100_000)
    p.add_argument("--folder", type=Path, help="where tiny photos and caches lie (a temporary folder)")
    p.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.one:
        return one_run(args.photos, args.folder, args.one)
    with tempfile.TemporaryDirectory(prefix="camtrace-stop-") as scratch:
        return 0 if killed_and_resumed(args.photos, args.folder or Path(scratch)) else 1


def killed_and_resumed(n: int, folder: Path) -> bool:
    """Five runs; whether all is as it should be."""
    tiny_photos(n, folder)
    cache, alone = folder / f"stopped-{n}", folder / f"alone-{n}"
    for old in (cache, alone):
        shutil.rmtree(old, ignore_errors=True)
    print(f"{n:,} photos x 3 views, kNN of {QUERIES:,} queries, one probe; load {os.getloadavg()[0]:.0f}", flush=True)
    good = True
    # inside kNN: a part is there, and another is at work
    first = run(n, folder, cache, kill=lambda: len(parts(cache)) >= 1)
    good &= report(
        "killed in kNN", first, parts=len(parts(cache)) >= 1 and not outcomes(cache), tasks=first["tasks"] == [KNN]
    )
    first_parts = {path.name: path.stat().st_mtime_ns for path in parts(cache)}
    # inside the probe: kNN is done, from the parts that were there
    written: dict[str, int] = {}

    def probing() -> bool:
        written.update({path.name: path.stat().st_mtime_ns for path in parts(cache)})
        return PROBE in seen(cache) and len(outcomes(cache)) == 1

    second = run(n, folder, cache, kill=probing, grace=3.0)
    again = [name for name, when in first_parts.items() if written.get(name, when) != when]
    good &= report(
        "killed in the probe",
        second,
        no_pass=second["views"] == 0,
        parts_again=not again,
        outcome=len(outcomes(cache)) == 1,
    )
    third = run(n, folder, cache)
    good &= report("finished", third, views=third["views"] == 0, only_the_probe=third["tasks"] == [PROBE])
    fourth = run(n, folder, cache)
    good &= report("once more", fourth, views=fourth["views"] == 0, nothing=fourth["tasks"] == [])
    shutil.copytree(cache, alone, copy_function=os.link, ignore=shutil.ignore_patterns("outcomes", "seen"))
    fifth = run(n, folder, alone)
    good &= report("never stopped, the same embeddings", fifth, same_scores=fifth["scores"] == third["scores"])
    print("all kept, nothing done twice" if good else "NOT as it should be")
    return bool(good)


def report(what: str, measured: dict[str, object], **checks: bool) -> bool:
    """Print a run and its checks; whether all hold."""
    wrong = [name for name, holds in checks.items() if not holds]
    numbers = ", ".join(f"{k} {v}" for k, v in measured.items() if k != "scores")
    print(f"{what}: {numbers}: {'ok' if not wrong else 'WRONG: ' + ', '.join(wrong)}", flush=True)
    return not wrong


def run(n: int, folder: Path, cache: Path, kill=None, grace: float = 0.0) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """A run in a process of its own, killed as soon as ``kill()`` says so, ``grace`` seconds later."""
    (cache / "seen").unlink(missing_ok=True)
    words = [sys.executable, "-m", "scripts.checks.resume_at_scale", "--one", str(cache)]
    words += ["--photos", str(n), "--folder", str(folder)]
    environment = {"OMP_NUM_THREADS": "1", **child_environment({})}
    started = time.perf_counter()
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
    while kill is not None and child.poll() is None and not kill():
        time.sleep(0.02)
    if kill is not None:
        time.sleep(grace)
        child.send_signal(signal.SIGKILL)
    output = child.communicate()[0]
    measured = json.loads(output.splitlines()[-1]) if child.returncode == 0 else {"status": child.returncode}
    views = [name for name in seen(cache) if name == "view"]
    tasks = [name for name in seen(cache) if name != "view"]
    return {"tasks": tasks, "views": len(views), "kept": f"{len(outcomes(cache))} + {len(parts(cache))} parts",
            "wall s": round(time.perf_counter() - started, 1), **measured}  # fmt: skip


def parts(cache: Path) -> list[Path]:
    """Files of finished parts of kNN."""
    return sorted(cache.glob("outcomes/*/parts/*.npz"))


def outcomes(cache: Path) -> list[Path]:
    """Files of finished tasks."""
    return sorted(cache.glob("outcomes/*/outcome.npz"))


def seen(cache: Path) -> list[str]:
    """What the run on this cache has begun: a line for each task, and for each batch that it embedded."""
    try:
        return (cache / "seen").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []


def one_run(n: int, folder: Path, cache: Path) -> int:
    """Score, writing down what is begun."""
    from dataclasses import replace

    from benchmark.knn import lists
    from benchmark.options import RunOptions
    from benchmark.scoring import score_encoders, tasks_run
    from benchmark.tasks import all_tasks
    from builders.sources import labelled_folder

    cache.mkdir(parents=True, exist_ok=True)
    lists.LEAST_QUERIES, lists.PART_WORK = QUERIES, {True: 1, False: 1}

    def note(what: str) -> None:
        with open(cache / "seen", "a", encoding="utf-8") as file:
            file.write(f"{what}\n")

    real = tasks_run._run
    tasks_run._run = lambda job: note(job.task.name) or real(job)  # type: ignore[assignment, func-returns-value]
    encoder = projection()
    embed = encoder.embed
    encoder = replace(encoder, embed=lambda batch: note("view") or embed(batch))
    options = RunOptions(cache=cache, workers=0, resamples=1000, queries=QUERIES)
    started = time.perf_counter(), time.process_time()
    photos = labelled_folder(str(tiny_photos(n, folder)))
    [one] = score_encoders([encoder], photos, [all_tasks()[name] for name in (KNN, PROBE)], options)
    assert not [f for f in one.result.failures if f.kind != "photo"], one.result.failures[:3]
    scores = [[s.task, s.metric, s.value, s.low, s.high, s.n] for s in one.result.scores]
    took = {
        "run s": round(time.perf_counter() - started[0], 1),
        "processor s": round(time.process_time() - started[1], 1),
    }
    print(json.dumps({"status": 0, **took, "scores": scores}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
