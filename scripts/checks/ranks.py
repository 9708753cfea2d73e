"""A sweep by ranks of three engines against the same sweep on one machine: bytes, times, a killed node, other versions.

    python scripts/checks/ranks.py --photos DIR --engine local --engine slurm --engine ray

The plain command runs first, then a plan of the same sweep with ``--ranks`` ranks of each stage for every engine:

- ``local``: two processes. One is killed while it computes a part of kNN queries.
- ``slurm``: a real Slurm of two nodes on this machine (``slurm-wlm`` and ``munge``, root). A node is killed during kNN.
- ``ray``: a real Ray on this machine, if it is installed. A process of a rank is killed during kNN.

Before that, a rank under another version of torch (its metadata says so) has to be refused by name. Banks, keys of
outcomes and answers must then have the bytes of the plain command, and results differ in machines and times alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from scripts.speed.measure import run_command
from tests.support.slurm import TwoNodes, missing, two_nodes

MODELS = ("bundled:efficientnet-lite0", "control:random-projection", "control:jpeg-statistics")
TASKS = ("probe/jpeg", "knn/original", "knn/jpeg")
PROJECT = Path(__file__).resolve().parents[2]

OTHER_TORCH = """
from importlib import metadata
_version = metadata.version
metadata.version = lambda name: "2.9.1+cpu" if name == "torch" else _version(name)
"""


def main() -> int:
    """Print a line for each step; 1 if anything differs."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--photos", type=Path, required=True, help="folder of photos in train/ and val/, by class")
    p.add_argument("--engine", action="append", choices=("local", "slurm", "ray"), help="repeatable (default: local)")
    p.add_argument("--ranks", type=int, default=8)
    p.add_argument("--model", action="append", help="repeatable (default: a network and two controls)")
    p.add_argument("--tasks", action="append", help="repeatable (default: a probe and two kNN tasks)")
    p.add_argument("--limit", type=int, default=512, help="photos that are used: 8 blocks")
    p.add_argument("--folder", type=Path, help="where everything lies (default: a temporary folder)")
    args = p.parse_args()
    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="camtrace-ranks-")))
        folder.mkdir(parents=True, exist_ok=True)
        return 0 if all(list(Check(args, folder.absolute()).engines())) else 1


class Check:
    """The plain sweep, and the same by each engine."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        models = [word for model in args.model or MODELS for word in ("--model", model)]
        tasks = [word for task in args.tasks or TASKS for word in ("--tasks", task)]
        self.sweep = [*models, *tasks, "--data", f"folder:{args.photos.absolute()}", "--limit", str(args.limit)]
        self.environment = {**os.environ, "PYTHONPATH": str(PROJECT), "CAMTRACE_RUNTIME": "torch"}

    def engines(self) -> Iterator[bool]:
        """Whether all held, for each engine."""
        plain = self.folder / "plain"
        if not (plain / "sweep.json").exists():
            took = self._run("sweep", *self.sweep, "--workers", "0", *self._where("plain"))
            say(f"one machine: {took} processor s")
        for engine in self.args.engine or ["local"]:
            yield self._engine(engine)

    def _engine(self, engine: str) -> bool:
        out, plan = self.folder / engine, self.folder / f"{engine}.plan"
        for stale in (out, plan, self.folder / f"{engine}-cache"):
            shutil.rmtree(stale, ignore_errors=True)
        words = ("plan", "sweep", *self.sweep, "--workers", "0", *self._where(engine), "--ranks", str(self.args.ranks))
        say(f"{engine}: plan {self._run(*words)} processor s")
        frozen = json.loads((plan / "plan.json").read_text())
        kinds = [kind_of(rank) for rank in frozen["ranks"]]
        say(f"{engine}: {', '.join(f'{kinds.count(kind)} {kind}' for kind in dict.fromkeys(kinds))} ranks")
        held = [self._refuses_other_torch(plan)]
        of_knn = {number for number, rank in enumerate(frozen["ranks"]) if "knn/" in str(rank["units"])}
        held.append({"local": self._local, "slurm": self._slurm, "ray": self._ray}[engine](plan, of_knn))
        took = self._run("finish", str(plan), "--remove-blocks")
        markers = [json.loads(path.read_text()) for path in (plan / "ranks").glob("*.done.json")]
        say(f"{engine}: finish {took} processor s; ranks on {', '.join(sorted({m['host'] for m in markers}))}")
        held.append(self._compare(engine))
        left = [path for path in plan.rglob("*.npz") if "banks" in path.parts]
        say(f"{engine}: {len(left)} files of blocks left")
        return all(held) and not left

    def _refuses_other_torch(self, plan: Path) -> bool:
        """Whether a rank under another torch is refused by both versions, and leaves nothing."""
        site = self.folder / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(OTHER_TORCH)
        path = f"{site}:{self.environment['PYTHONPATH']}"
        refused = self._command("work", str(plan), "--rank", "0", PYTHONPATH=path)
        reason = next(line for line in refused.stderr.splitlines() if "rank 0" in line)
        say(f"  {reason}")
        named = re.search(r"the version of torch here: 2\.9\.1; of the plan: 2\.", reason)
        return refused.returncode == 1 and bool(named) and not (plan / "ranks/00000.done.json").exists()

    def _local(self, plan: Path, parts: set[int]) -> bool:
        first = self._start("work", str(plan), "--at-once", "2")
        rank, marker = self._wait_for(plan, parts, lambda: first.poll() is not None)
        os.kill(marker["process"], signal.SIGKILL)
        out, _ = first.communicate()
        say(f"  killed the process of rank {rank}; {out.strip()}")
        again = self._command("work", str(plan), "--at-once", "2")
        say(f"  {again.stdout.strip()}")
        return first.returncode == 1 and again.returncode == 0

    def _slurm(self, plan: Path, parts: set[int]) -> bool:
        if reason := missing():
            say(f"  no Slurm: {reason}")
            return False
        shutil.rmtree(self.folder / "slurm-daemons", ignore_errors=True)
        with two_nodes(self.folder / "slurm-daemons") as cluster:
            self.environment["SLURM_CONF"] = cluster.environment["SLURM_CONF"]
            words = ("work", str(plan), "--engine", "slurm", "--partition", "main", "--memory", "1G")
            submitted = self._command(*words)
            say(f"  {submitted.stdout.strip()}")
            rank, marker = self._wait_for(plan, parts, lambda: submitted.returncode != 0)
            cluster.kill_node(marker["host"])
            say(f"  killed node {marker['host']} during rank {rank}")
            self._wait_for_slurm(plan, cluster, marker["host"])
            self._command("status", str(plan), show=True)
        return not missing_ranks(plan)

    def _wait_for_slurm(self, plan: Path, cluster: TwoNodes, node: str) -> None:
        jobs = json.loads((plan / "submitted.json").read_text())["job"]
        end = time.monotonic() + 30
        while time.monotonic() < end and "RUNNING" not in cluster.states(jobs):
            time.sleep(1)
        cluster.start_node(node)
        cluster.wait(jobs, 900)
        if missing_ranks(plan):  # a rank whose needed rank was lost with the node
            say(f"  ranks {missing_ranks(plan)} are submitted again")
            words = ("work", str(plan), "--engine", "slurm", "--partition", "main", "--memory", "1G")
            self._command(*words, show=True)
            cluster.wait(json.loads((plan / "submitted.json").read_text())["job"], 900)

    def _ray(self, plan: Path, parts: set[int]) -> bool:
        short = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # its sockets' names must be short
        self.environment["RAY_TMPDIR"] = short
        words = ("work", str(plan), "--engine", "ray", "--address", "local", "--memory", "1G", "--jobs", "2")
        first = self._start(*words)
        rank, marker = self._wait_for(plan, parts, lambda: first.poll() is not None)
        os.kill(marker["process"], signal.SIGKILL)
        out, error = first.communicate()
        say(f"  killed the process of rank {rank}; {out.strip().splitlines()[-1] if out else error[-500:]}")
        if missing_ranks(plan):
            again = self._command(*words)
            say(f"  {again.stdout.strip().splitlines()[-1] if again.stdout else again.stderr[-500:]}")
        shutil.rmtree(short, ignore_errors=True)
        return not missing_ranks(plan)

    def _wait_for(self, plan: Path, ranks: set[int], ended: Callable[[], bool]) -> tuple[int, dict[str, Any]]:
        """A rank of these that runs, and its marker."""
        end = time.monotonic() + 1200
        while time.monotonic() < end and not ended():
            for path in (plan / "ranks").glob("*.running.json"):
                with contextlib.suppress(OSError, ValueError):
                    marker = json.loads(path.read_text())
                    if int(path.name[:5]) in ranks:
                        time.sleep(1.5)  # into its work
                        return int(path.name[:5]), marker
            time.sleep(0.02)
        raise SystemExit(f"no rank of {sorted(ranks)} was seen running")

    def _compare(self, engine: str) -> bool:
        """Banks, keys of outcomes and answers byte for byte, and results but for machines and times."""
        same, counts = True, []
        for what, kind, pattern in (("files of banks", "banks", "*"), ("keys of outcomes", "outcomes", "key.json")):
            first, second = (files(self.folder / f"{name}-cache" / kind, pattern) for name in ("plain", engine))
            same &= first == second
            counts.append(f"{len(first)} {what} {'equal' if first == second else 'DIFFER'}")
        answers, results = (
            [{path.relative_to(self.folder / name): read(path) for path in (self.folder / name).rglob(pattern)}
             for name in ("plain", engine)]
            for pattern, read in (("answers.npz", Path.read_bytes), ("result.json", timeless_result))
        )  # fmt: skip
        for what, (one, other) in (("answers", answers), ("results", results)):
            same &= one == other and bool(one)
            counts.append(f"{len(one)} {what} {'equal' if one == other else 'DIFFER'}")
        recorded = json.loads(next((self.folder / engine).rglob("result.json")).read_text())["environment"]["ranks"]
        machines = [f"{m['ranks']} on {m['host']}: {m['device']}, torch {m['versions']['torch']}" for m in recorded]
        say(f"{engine}: {'; '.join(counts)}; results record ranks {'; '.join(machines)}")
        return same

    def _where(self, name: str) -> tuple[str, ...]:
        return "--output", str(self.folder / name), "--cache", str(self.folder / f"{name}-cache")

    def _run(self, *words: str) -> str:
        """Processor seconds of a command that must succeed."""
        took = run_command([sys.executable, "-m", "camtrace", *words], **self.environment).seconds
        return f"{took.processor:.1f}"

    def _command(self, *words: str, show: bool = False, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "camtrace", *words]
        done = subprocess.run(command, env={**self.environment, **more}, capture_output=True, text=True, check=False)
        if show:
            say("\n".join(f"  {line}" for line in (done.stdout or done.stderr).strip().splitlines()))
        return done

    def _start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "camtrace", *words]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def kind_of(rank: dict[str, Any]) -> str:
    """What a rank of a plan does."""
    if not rank["needs"]:
        return "embed"
    return "task" if " 0/0 " in rank["units"][0] else "part of kNN"


def missing_ranks(plan: Path) -> list[int]:
    """Ranks without a marker."""
    count = len(json.loads((plan / "plan.json").read_text())["ranks"])
    return [rank for rank in range(count) if not (plan / f"ranks/{rank:05d}.done.json").exists()]


def files(folder: Path, pattern: str) -> dict[str, bytes]:
    """Bytes by path of the files of a pattern of names."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob(pattern) if path.is_file()}


def timeless_result(path: Path) -> Any:
    """A result without times, costs, machines and the hash over all of it."""
    result = json.loads(path.read_text())
    environment = {k: v for k, v in result["environment"].items() if k not in ("ranks", "values_sha256")}
    return timeless({**result, "environment": environment, "cost": {}, "created": ""})


def timeless(value: Any) -> Any:
    """Without what a clock measured."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if not key.endswith("_s")}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
