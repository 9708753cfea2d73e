"""The process that forks for ``tests/support/processes.py``: a script that imports large libraries and waits."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

IMPORTED = ("numpy", "torch", "torchvision", "pandas", "pyarrow.parquet", "PIL.Image", "PIL.JpegImagePlugin")
IMPORTED += ("scipy.optimize", "scipy.special", "scipy.stats", "safetensors.torch", "httpx", "aiohttp", "yaml", "tqdm")
IMPORTED += ("numba", "matplotlib.figure", "matplotlib.backends.backend_agg", "mpl_toolkits.mplot3d", "jinja2")
IMPORTED += ("httpx2", "filelock", "fsspec.implementations.local", "pyarrow.dataset", "pyarrow.json")
IMPORTED += ("anyio._backends._asyncio", "httpcore2", "truststore", "h11", "fsspec.asyn", "xml.dom.minidom")
IMPORTED += ("multiprocess.pool", "multiprocessing.pool", "concurrent.futures.process", "xxhash", "sqlite3", "scipy.io")
IMPORTED += ("threadpoolctl", "tqdm.contrib.concurrent", "filelock._soft", "stringprep")
"""What the commands import, without our packages and without clients of the Hub."""

CLIENTS = ("datasets", "timm", "timm.models", "huggingface_hub.hf_api")
READ_BY_CLIENTS = ("HF_", "HUGGINGFACE_", "HOME", "XDG_", "TIMM_", "TORCH_", "USE_")
"""How the variables begin that they read when they are imported."""


def _requests(door: socket.socket, owner: socket.socket, further: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Returns in each process that is forked, with what is to be run and where its output goes; ends with the owner."""
    lines = [owner, door]
    while True:
        for line in select.select(lines, [], [])[0]:
            if line is owner:  # it says nothing but that it is gone
                os._exit(0)
            if line is door:
                lines.append(door.accept()[0])
                continue
            requested, files, _, _ = socket.recv_fds(line, 1 << 20, 4)
            process, user = _who_asks(line)
            if not requested or user != os.getuid():  # others could have code run as us
                lines.remove(line)
                line.close()
                continue
            if _read_by_clients(json.loads(requested)["env"]) == _read_by_clients(os.environ):
                socket.send_fds(further, [process.to_bytes(4, "big") + requested], files)
            elif not os.fork():
                for other in (*lines, further):
                    other.close()
                return _forked(requested, files, process)
            for file in files:
                os.close(file)


def _requests_of_clients(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The same where the clients are imported too: for those whose variables are those of the process that forks."""
    select.select([line], [], [])
    _import(CLIENTS)
    while True:
        requested, files, _, _ = socket.recv_fds(line, 1 << 20, 4)
        if not requested:
            os._exit(0)
        if not os.fork():
            line.close()
            return _forked(requested[4:], files, int.from_bytes(requested[:4], "big"))
        for file in files:
            os.close(file)


def _read_by_clients(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_BY_CLIENTS)}


def _who_asks(line: socket.socket) -> tuple[int, int]:
    """Numbers of the process at the other end, and of its user."""
    process, user, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return process, user


def _forked(requested: bytes, files: list[int], by: int) -> tuple[dict[str, Any], list[int]]:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *files, printed = files
    if child := os.fork():  # the one between waits for the other, and tells
        for file in files:
            os.close(file)
        with contextlib.suppress(BrokenPipeError):
            os.write(printed, child.to_bytes(4, "big"))
            ends = []
            with contextlib.suppress(OSError):  # of a kernel that has none
                ends = [os.pidfd_open(child), os.pidfd_open(by)]
            if ends:  # a parent is gone with whoever asked
                select.select(ends, [], [])
            ended, status = os.waitpid(child, os.WNOHANG if ends else 0)
            if ended:
                os.write(printed, status.to_bytes(4, "big"))
        os._exit(0)
    os.close(printed)
    return json.loads(requested), files


def _become(requested: dict[str, Any], files: list[int]) -> None:
    """Run the words as ``python`` runs them, in this process."""
    for file, number in zip(files, (1, 2, 0), strict=False):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(requested["env"])
    os.chdir(requested["cwd"])
    sys.orig_argv = [sys.executable, *requested["words"]]
    first, *rest = requested["words"]
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    named = [path for path in requested["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    neighbours_ = {"-c": "", "-m": os.getcwd()}.get(first, str(Path(first).absolute().parent))
    sys.path[:] = [neighbours_, *named, *sys.path]
    if any(Path(path, "sitecustomize.py").exists() for path in named):
        sys.modules.pop("sitecustomize", None)
        importlib.import_module("sitecustomize")
    if requested.get("forking"):
        subprocess.Popen = _start_forking()  # type: ignore[misc]
    if first == "-m":
        sys.argv = rest
        runpy._run_module_as_main(rest[0])  # type: ignore[attr-defined]
        return
    if first == "-c":
        sys.argv, code = ["-c", *rest[1:]], compile(rest[0], "<string>", "exec")
    else:
        sys.argv, code = [first, *rest], compile(Path(first).read_bytes(), first, "exec")
        main.__dict__["__file__"] = first
    exec(code, main.__dict__)


def _start_forking() -> Callable[..., Any]:
    """Of ``warm_python``, wherever the words look for modules."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    try:
        result: Callable[..., Any] = importlib.import_module("tests.support.processes").start_forking
    finally:
        del sys.path[0]
    return result


def _wait_and_fork() -> None:
    del sys.path[0]  # the folder of this file
    os.fsync = lambda fd: None  # as in the tests themselves: nothing waits for the disk
    door, owner = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    select.select([door, owner], [], [])  # nothing is imported where nobody asks
    _import(IMPORTED)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those between
    further, reference = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not os.fork():
        for other in (door, owner, further):
            other.close()
        run_and_end(*_requests_of_clients(reference))
    reference.close()
    run_and_end(*_requests(door, owner, further))


def _import(names: Sequence[str]) -> None:
    gc.disable()
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is here is here for ever: no process looks through it again
    gc.enable()


def run_and_end(requested: dict[str, Any], files: list[int]) -> NoReturn:
    status = _status(lambda: _become(requested, files))
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)  # without taking apart what is shared with all others


def _status(run: Callable[[], None]) -> int:
    """How Python ends."""
    try:
        run()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return (ended.code or 0) & 0xFF
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _wait_and_fork()
