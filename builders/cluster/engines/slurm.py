"""Ranks as an array job of Slurm. Resources are checked first, and the command returns at once."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from builders.cluster.engines.executors import EngineOptions, Submission, Task, executor, quietly, records
from builders.cluster.status import count_text
from builders.cluster.storage import StorageFolder
from builders.errors import DataError, UsageError
from builders.untrusted import parse_json

SUBMITTED = "submitted.json"
"""Name of the file in the plan's folder with the last submitted job."""

_JOBS = re.compile(r"\w+(,\w+)*", re.ASCII)


def on_slurm(submission: Submission) -> str:
    """Submit an array job, if Slurm has the resources.

    Raises:
        UsageError: there is no Slurm, or it lacks the resources.
        DataError: an earlier job of this plan is still queued or running.
    """
    options, place = submission.options, submission.place
    before = "" if submission.first else _submitted(place)
    if submission.first:
        _refuse_still_running(place)
    if options.partition is None:
        raise UsageError("--engine slurm needs --partition; 'sinfo' lists them")
    _test_slurm(options)
    executor_class = executor("SlurmPipelineExecutor")

    class Submitted(executor_class):  # type: ignore[misc, valid-type]
        def launch_merge_stats(self) -> None:
            """Submit no second job: after a failed rank it would wait for ever (DependencyNeverSatisfied)."""

    shares = submission.shares()
    path = f"export PATH={Path(sys.executable).parent}:$PATH"
    logs = place.folder or Path.cwd()
    job = Submitted(
        pipeline=[Task(place.address, tuple(shares), options.cpus)],
        tasks=len(shares),
        workers=options.at_once or -1,
        time=options.time,
        partition=options.partition,
        cpus_per_task=options.cpus,
        mem_per_cpu_gb=options.memory_gb,
        gpus_per_task=options.gpus,
        qos=options.qos,
        job_name="camtrace",
        env_command=f"{path}\n{options.setup}" if options.setup else path,
        sbatch_args=dict(options.sbatch),
        logging_dir=records(place),
        slurm_logs_folder=str(logs / "slurm-logs"),
        depends_job_id=before.rpartition(",")[2] or None,
        run_on_dependency_fail=True,  # a rank whose needed ranks failed says so; afterok would wait for ever
        srun_args=None,
    )
    with quietly():
        job.run()
    jobs = f"{before},{job.job_id}" if before else str(job.job_id)
    place.write(SUBMITTED, json.dumps({"engine": "slurm", "job": jobs}).encode())
    how_many = f"{count_text(len(shares), 'task')} for {count_text(len(submission.ranks), 'rank')}"
    after = f", after job {before.rpartition(',')[2]}" if before else ""
    return (
        f"job {job.job_id}: {how_many}{after}; logs in {logs}/slurm-logs; 'camtrace status {place}' says how far it is"
    )


def _submitted(place: StorageFolder) -> str:
    """The numbers of the last submitted jobs, with commas; empty if there are none.

    Raises:
        DataError: the file, which others may have changed, names no job.
    """
    raw = place.read(SUBMITTED)
    if raw is None:
        return ""
    content = parse_json(raw.decode("utf-8", "replace"), place.path(SUBMITTED))
    job = content.get("job") if isinstance(content, dict) else None
    if not isinstance(job, str) or not _JOBS.fullmatch(job):
        raise DataError(f"{place.path(SUBMITTED)}: names no job of Slurm; remove it if no job of this plan is left")
    return job


def _refuse_still_running(place: StorageFolder) -> None:
    job = _submitted(place)
    if not job or shutil.which("squeue") is None:
        return
    reply = subprocess.run(["squeue", "-h", "-j", job, "-o", "%T"], capture_output=True, text=True, check=False)
    states = reply.stdout.split()
    if reply.returncode == 0 and states:
        counted = ", ".join(f"{states.count(state)} {state.lower()}" for state in dict.fromkeys(states))
        raise DataError(
            f"{place}: job {job} is still there ({counted}); nothing was submitted: wait for it, or "
            f"'scancel {job.replace(',', ' ')}'"
        )


def _test_slurm(options: EngineOptions) -> None:
    """Check with Slurm that such a job could run at all."""
    if shutil.which("sbatch") is None:
        raise UsageError("--engine slurm: no sbatch is here; submit from a machine of the cluster")
    resources = {
        "partition": options.partition,
        "time": options.time,
        "cpus-per-task": options.cpus,
        "mem-per-cpu": f"{options.memory_gb}G",
        **({"gpus": options.gpus} if options.gpus else {}),
        **({"qos": options.qos} if options.qos else {}),
        **options.sbatch,
    }
    asked = [f"--{key}={value}" for key, value in resources.items()]
    command = ["sbatch", "--test-only", *asked, "--wrap", "true"]
    reply = subprocess.run(command, capture_output=True, text=True, check=False)
    if reply.returncode:
        reason = (reply.stderr.strip().splitlines() or ["no reason given"])[-1]
        reason = reason.removeprefix("allocation failure: ")
        raise UsageError(f"--engine slurm: such a job ({' '.join(asked)}) cannot run here: {reason}")
