"""Ranks as an array job of Slurm: resources are asked for beforehand, and the command comes back at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from builders.cluster.engines.executors import EngineOptions, Submission, Task, executor, quietly, records
from builders.cluster.status import count_text
from builders.cluster.storage import StorageFolder
from builders.errors import DataError, UsageError

SUBMITTED = "submitted.json"
"""Beside the plan: the last job that Slurm was given."""


def on_slurm(submission: Submission) -> str:
    """An array job, after its resources were found to exist.

    Raises:
        UsageError: no Slurm is here, or it has not what is asked for.
        DataError: an earlier job of this plan is still there.
    """
    options, place = submission.options, submission.place
    _refuse_still_running(place)
    if options.partition is None:
        raise UsageError("--engine slurm needs --partition; 'sinfo' lists them")
    _test_slurm(options)
    executor_class = executor("SlurmPipelineExecutor")

    class Submitted(executor_class):  # type: ignore[misc, valid-type]
        def launch_merge_stats(self) -> None:
            """No second job: behind a failed rank it would wait for ever (DependencyNeverSatisfied)."""

    shares = submission.shares()
    own = f"export PATH={Path(sys.executable).parent}:$PATH"
    logs = place.folder or Path.cwd()
    made = Submitted(
        pipeline=[Task(place.address, tuple(shares))],
        tasks=len(shares),
        workers=options.at_once or -1,
        time=options.time,
        partition=options.partition,
        cpus_per_task=options.cpus,
        mem_per_cpu_gb=options.memory_gb,
        gpus_per_task=options.gpus,
        qos=options.qos,
        job_name="camtrace",
        env_command=f"{own}\n{options.setup}" if options.setup else own,
        sbatch_args=dict(options.sbatch),
        logging_dir=records(place),
        slurm_logs_folder=str(logs / "slurm-logs"),
        srun_args=None,
    )
    with quietly():
        made.run()
    place.write(SUBMITTED, json.dumps({"engine": "slurm", "job": made.job_id}).encode())
    how_many = f"{count_text(len(shares), 'task')} for {count_text(len(submission.ranks), 'rank')}"
    return f"job {made.job_id}: {how_many}; logs in {logs}/slurm-logs; 'camtrace status {place}' says how far it is"


def _refuse_still_running(place: StorageFolder) -> None:
    raw = place.read(SUBMITTED)
    if raw is None or shutil.which("squeue") is None:
        return
    job = str(json.loads(raw).get("job"))
    asked = subprocess.run(["squeue", "-h", "-j", job, "-o", "%T"], capture_output=True, text=True, check=False)
    states = asked.stdout.split()
    if asked.returncode == 0 and states:
        counted = ", ".join(f"{states.count(state)} {state.lower()}" for state in dict.fromkeys(states))
        raise DataError(
            f"{place}: job {job} is still there ({counted}); nothing was submitted: wait for it, or 'scancel {job}'"
        )


def _test_slurm(options: EngineOptions) -> None:
    """Ask Slurm whether such a job could run at all."""
    if shutil.which("sbatch") is None:
        raise UsageError("--engine slurm: no sbatch is here; submit from a machine of the cluster")
    words = {
        "partition": options.partition,
        "time": options.time,
        "cpus-per-task": options.cpus,
        "mem-per-cpu": f"{options.memory_gb}G",
        **({"gpus": options.gpus} if options.gpus else {}),
        **({"qos": options.qos} if options.qos else {}),
        **options.sbatch,
    }
    command = ["sbatch", "--test-only", *(f"--{k}={v}" for k, v in words.items()), "--wrap", "true"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode:
        reason = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UsageError(f"--engine slurm: such a job cannot run here: {reason.removeprefix('allocation failure: ')}")
