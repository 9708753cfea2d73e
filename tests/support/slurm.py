"""A real Slurm of two nodes on this machine, by Debian's ``slurm-wlm`` and ``munge``; needs root, and no systemd."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")

CONF = """
ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={first}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=6
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=300
InactiveLimit=0
KillWait=2
MinJobAge=600
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{second}] CPUs=1 RealMemory=4000
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no such cluster can be started here; empty if it can."""
    lacking = [name for name in DAEMONS if _path(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not found: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "slurmctld of one machine is started by root"


@dataclass(frozen=True)
class TwoNodes:
    """The running cluster."""

    folder: Path
    environment: dict[str, str]
    """With ``SLURM_CONF``."""

    def start_node(self, name: str) -> None:
        """Start one ``slurmd``, or again."""
        subprocess.run([str(_path("slurmd")), "-N", name], env=self.environment, check=True, timeout=30)

    def kill_node(self, name: str) -> None:
        """Kill a ``slurmd`` and every step that it started, at once, and tell the controller that the node is down.

        It would find that out itself within ``SlurmdTimeout``, which is long, so that no node of a busy machine is
        given up.
        """
        pid = int((self.folder / f"slurmd-{name}.pid").read_text())
        spool = str(self.folder / f"spool-{name}")
        for process in [pid, *_descendants(pid), *_steps_of(spool)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        down = ["scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=killed"]
        subprocess.run(down, env=self.environment, check=True, timeout=30)

    def wait(self, job: str, seconds: float = 240) -> None:
        """Until a job has left the queue."""
        end = time.monotonic() + seconds
        while self.states(job):
            if time.monotonic() > end:
                raise TimeoutError(
                    f"job {job}: {self.states(job)}\n{self.say('squeue', '-l')}{self.say('sinfo', '-lN')}"
                )
            time.sleep(0.3)

    def states(self, job: str) -> list[str]:
        """Of its tasks that are not over."""
        return self.say("squeue", "-h", "-r", "-j", job, "-o", "%T").split()

    def say(self, *command: str) -> str:
        """What a command of Slurm prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout


@contextlib.contextmanager
def two_nodes(folder: Path) -> Iterator[TwoNodes]:
    """Start it, and stop it at the end, whatever happened."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool-n1", "spool-n2"):
        (folder / name).mkdir(exist_ok=True)
    host = socket.gethostname().partition(".")[0]
    control, first = _free_ports(1)[0], _free_pair()
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=host, folder=folder, control=control, first=first, second=first + 1))
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(64))
    key.chmod(0o400)
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    cluster = TwoNodes(folder, environment)
    munged = [
        *(str(_path("munged")), "--force", f"--socket={folder}/munge.socket", f"--key-file={key}"),
        *(f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"),
    ]
    try:
        subprocess.run(munged, check=True, timeout=30)
        subprocess.run([str(_path("slurmctld")), "-c"], env=environment, check=True, timeout=30)
        for name in ("n1", "n2"):
            cluster.start_node(name)
        end = time.monotonic() + 60
        while cluster.say("sinfo", "-h", "-o", "%t %D").split() != ["idle", "2"]:
            if time.monotonic() > end:
                raise TimeoutError(cluster.say("sinfo", "-lN") + (folder / "slurmctld.log").read_text()[-2000:])
            time.sleep(0.3)
        yield cluster
    finally:
        cluster.say("scancel", "--user=root")
        for name in ("slurmd-n1", "slurmd-n2", "slurmctld", "munged"):
            with contextlib.suppress(OSError, ValueError):
                pid = int((folder / f"{name}.pid").read_text())
                node = name.rpartition("-")[2]
                for process in [*_steps_of(str(folder / f"spool-{node}")), *_descendants(pid), pid]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)


def _path(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _descendants(process: int) -> list[int]:
    """Of a process, by /proc."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    result, level = [], [process]
    while level:
        level = [child for parent in level for child in children.get(parent, [])]
        result += level
    return result


def _steps_of(spool: str) -> list[int]:
    """``slurmstepd`` of a node and what they run: they are no children of its ``slurmd``."""
    node = spool.rpartition("spool-")[2]
    changed = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            environment = path.read_bytes().split(b"\0")
            if f"SLURMD_NODENAME={node}".encode() in environment and _own_daemons(environment, spool):
                changed.add(int(path.parent.name))
    steps = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            process = int(path.parent.name)
            if path.read_bytes().startswith(b"slurmstepd") and changed & set(_descendants(process)):
                steps.add(process)
    return [*steps, *changed]


def _own_daemons(environment: list[bytes], spool: str) -> bool:
    """Whether a process belongs to the cluster of this folder, and to no other on the machine."""
    return f"SLURM_CONF={Path(spool).parent}/slurm.conf".encode() in environment


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _free_pair() -> int:
    """The first of two neighbouring free ports."""
    while True:
        first = _free_ports(1)[0]
        with contextlib.suppress(OSError), socket.socket() as second:
            second.bind(("127.0.0.1", first + 1))
            return first
