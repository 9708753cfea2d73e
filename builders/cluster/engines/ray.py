"""Ranks as tasks of a Ray cluster. Resources are checked first, because Ray waits for missing ones for ever."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from builders.cluster.engines.executors import EngineOptions, Submission, Task, executor, quietly, records
from builders.cluster.status import count_text
from builders.errors import UsageError, missing_package
from builders.untrusted import first_line

RAY_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def on_ray(submission: Submission) -> str:
    """Run tasks on a Ray cluster that has the resources. A worker that ends is started again.

    Raises:
        UsageError: there is no cluster, or no node has the resources of a task.
    """
    options, place = submission.options, submission.place
    os.environ.update({name: os.environ.get(name, value) for name, value in RAY_QUIET.items()})
    executor_class = executor("RayPipelineExecutor")
    try:
        import ray
    except ModuleNotFoundError:
        raise UsageError(missing_package("ray", "--engine ray")) from None
    shares = submission.shares()
    with contextlib.ExitStack() as stack:
        if not ray.is_initialized():
            _start_ray(ray, options, len(shares))
            stack.callback(ray.shutdown)
        _test_ray(ray, options)
        pipeline = executor_class(
            pipeline=[Task(place.address, tuple(shares), options.cpus)],
            tasks=len(shares),
            workers=options.at_once or -1,
            cpus_per_task=options.cpus,
            mem_per_cpu_gb=options.memory_gb,
            gpus_per_task=options.gpus,
            logging_dir=records(place),
        )
        with quietly():
            pipeline.run()
    return f"{count_text(len(shares), 'task')} for {count_text(len(submission.ranks), 'rank')}: ended"


def _start_ray(ray: Any, options: EngineOptions, tasks: int) -> None:
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    try:
        if options.address == "local":
            # as many CPUs as tasks reserve, whatever this machine has
            at_once = min(tasks, options.at_once or tasks)
            cpus = max(os.cpu_count() or 1, options.cpus * at_once) + 1
            ray.init(address="local", num_cpus=cpus, **quiet)
        else:
            ray.init(address=options.address, **{k: v for k, v in quiet.items() if k != "include_dashboard"})
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise UsageError(
            f"--engine ray: no cluster at {options.address} ({first_line(error)}); "
            "--address HOST:PORT names one, local starts one"
        ) from None


def _test_ray(ray: Any, options: EngineOptions) -> None:
    """Check that a node has the resources of a task: otherwise Ray waits for ever."""
    needed = {"CPU": options.cpus, "GPU": options.gpus, "memory": options.memory_gb * options.cpus * 2**30}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0) >= least for name, least in needed.items()) for node in nodes):
        memory = needed["memory"] / 2**30
        largest = {name: max((node.get(name, 0) for node in nodes), default=0) for name in needed}
        raise UsageError(
            f"--engine ray: no node has {options.cpus} CPUs, {options.gpus} GPUs and {memory:.0f} GiB of memory: "
            f"of {len(nodes)} nodes the most are {largest['CPU']:.0f}, {largest['GPU']:.0f} and "
            f"{largest['memory'] / 2**30:.1f} GiB"
        )
