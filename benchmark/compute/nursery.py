"""A process that forks others for a run that may not fork itself.

Libraries whose threads do not survive a fork may be in use in the run, or its GPU. A new interpreter for each process
would import torch again, which takes two seconds; so one is started, once, and forks what is asked for.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmark.compute.channel import Channel, ChannelClosed
from builders.processes import child_environment, exit_with_parent, flush_outputs

PRELOAD = "benchmark.encoders.isolated_server"
"""What the processes import, torch with it."""

_BOOT = "from benchmark.compute import nursery, own_process; nursery.nurse(end, parent, own_process.serve)"
"""The program of the nursery."""

_READ = "import pickle, sys; sys.path[:], parent, end, target = pickle.load(sys.stdin.buffer); "

_STATUS = struct.Struct("=i")

Serve = Callable[[str, int, int], None]
"""What a process does: of ``module:function``, the descriptor of its socket, and the process that it ends with."""


class Nursed(NamedTuple):
    """A process that a nursery has forked."""

    pid: int
    status: int
    """Descriptor from which its status can be read once it has ended."""


class Nursery:
    """The process that forks for this one; one thread asks it at a time."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        ours, theirs = socket.socketpair()
        with theirs:
            start_interpreter(_BOOT, theirs)
        self._socket, self._channel = ours, Channel(ours)

    def fork(self, target: str, theirs: socket.socket) -> Nursed:
        """Fork a process that calls ``module:function`` with a socket, in this process's folder and environment.

        Raises:
            ChannelClosed: the nursery has ended.
        """
        asked = {
            "target": target,
            "path": sys.path,
            "folder": os.getcwd(),
            "environment": child_environment(),
        }
        flush_outputs()
        status, report = os.pipe()
        try:
            try:
                socket.send_fds(self._socket, [b"f"], [theirs.fileno(), 1, 2, report])
            except OSError:
                raise ChannelClosed("the nursery has ended") from None
            self._channel.send(asked)
            pid = int(self._channel.receive().header["pid"])
        except BaseException:
            os.close(status)
            raise
        finally:
            os.close(report)
        return Nursed(pid, status)


def start_interpreter(program: str, theirs: socket.socket, target: str = "") -> int:
    """Start an interpreter in a session of its own; its process id. Nobody else waits for it.

    Args:
        program: Python, which may use ``parent`` (the id of this process), ``end`` (the descriptor of the socket) and
            ``target``.
        theirs: its end of a socket.
        target: see ``program``.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _READ + program],
        stdin=subprocess.PIPE,
        env=child_environment(),
        pass_fds=(theirs.fileno(),),
        start_new_session=True,
    )
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(pickle.dumps((sys.path, os.getpid(), theirs.fileno(), target)))
    process.returncode = 0
    return process.pid


_nursery: Nursery | None = None
_starting = threading.Lock()
"""A second nursery in the place of the first would end the first, and with it the processes that it has forked."""


def nursed(target: str, theirs: socket.socket) -> Nursed:
    """Fork a process by the nursery of this process, which is started the first time, and again if it has ended."""
    global _nursery
    with _starting:
        if _nursery is not None and _nursery.owner == os.getpid():
            with contextlib.suppress(ChannelClosed):
                return _nursery.fork(target, theirs)
        _nursery = Nursery()
        return _nursery.fork(target, theirs)


def status_of(descriptor: int, wait_s: float) -> int | None:
    """The raw status of a process that a nursery has forked, of ``os.waitpid``; None if it has not ended in time."""
    ready, _, _ = select.select([descriptor], [], [], max(0.0, wait_s))
    read = os.read(descriptor, _STATUS.size) if ready else b""
    return _STATUS.unpack(read)[0] if len(read) == _STATUS.size else None


def nurse(descriptor: int, parent: int, serve: Serve) -> None:
    """The nursery: fork on request, report how each fork ends, and end with the run."""
    exit_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    importlib.import_module(PRELOAD)
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    connected = socket.socket(fileno=descriptor)
    channel, reports = Channel(connected), dict[int, int]()
    while True:
        ready, _, _ = select.select([connected, woken], [], [])
        if woken in ready:
            woken.recv(4096)
        for pid in list(reports):
            ended, raw = os.waitpid(pid, os.WNOHANG)
            if ended:
                report = reports.pop(pid)
                with contextlib.suppress(OSError):  # nobody wants to know
                    os.write(report, _STATUS.pack(raw))
                os.close(report)
        if connected in ready:
            begun, descriptors, _, _ = socket.recv_fds(connected, 1, 4)
            if not begun:
                os._exit(0)
            asked = channel.receive().header
            pid = os.fork()
            if not pid:
                _begin(serve, asked, descriptors, [connected, woken, wake], list(reports.values()))
            end, out, error, reports[pid] = descriptors
            for each in (end, out, error):
                os.close(each)
            channel.send({"pid": pid})


def _begin(
    serve: Serve, asked: dict[str, Any], descriptors: list[int], sockets: list[socket.socket], others: list[int]
) -> None:
    """In a fork: be as a process that the run itself has started."""
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        end, out, error, report = descriptors
        for each in sockets:
            each.close()
        for number, descriptor in ((1, out), (2, error)):
            os.dup2(descriptor, number)
        for number in (out, error, report, *others):
            os.close(number)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.path[:] = asked["path"]
        importlib.invalidate_caches()
        serve(asked["target"], end, os.getppid())
    finally:
        os._exit(1)
