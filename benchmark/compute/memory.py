"""Memory: what is free on this machine and its GPUs, budgets for work, and retries with less after it ran out."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from builders.errors import EncoderError
from builders.untrusted import first_line

MESSAGES = (
    "out of memory",  # CUDA, MPS
    "not enough memory",  # DefaultCPUAllocator: can't allocate memory: you tried to allocate N bytes
    "DefaultCPUAllocator",
    "can't allocate memory",
    "ALLOC_FAILED",  # cuBLAS, cuDNN
)
"""Parts of the messages of torch's RuntimeErrors for memory that ran out; only CUDA's allocator has an error class."""


class Started(Protocol):
    """A forward pass that was started."""

    def __call__(self) -> torch.Tensor:
        """Wait for the embeddings and return them."""
        ...


REFUSALS = 3
"""Successive batches that do not fit, of a size that fitted before, after which the size is reduced for good."""


class FittingBatch:
    """``Encoder.embed`` in pieces that fit into memory.

    >>> embed = FittingBatch("flat", lambda batch: batch.flatten(1).float(), 2)
    >>> embed(torch.zeros(5, 4, 3)).shape
    torch.Size([5, 12])
    """

    def __init__(self, name: str, embed: Callable[[torch.Tensor], torch.Tensor], views: int) -> None:
        self.name = name
        self.views = views
        """Views per forward pass: as requested until memory runs out, then a number that fits."""
        self._embed = embed
        self._worked = 0
        self._refused = 0

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Embed views: [n, ...] -> [n, dimension].

        Raises:
            EncoderError: not even one view fits.
        """
        return self.start(batch)()

    def start(self, batch: torch.Tensor, companion: torch.Tensor | None = None) -> Started:
        """Start to embed views; with an ``embed`` that has ``start`` (a network's), the pass runs asynchronously.

        A batch size that never fitted is halved for the rest of the pass. One that fitted before is halved only for
        this batch, because another process may have taken memory for a moment; after ``REFUSALS`` in a row it is
        halved for the rest too.

        Args:
            batch: [n, ...], views.
            companion: [n, ...], passed to ``start`` with the views, in the same pieces.

        Raises:
            EncoderError: not even one view fits.
        """
        parts: list[Started] = []
        done, views = 0, self.views
        while done < len(batch):
            part = batch[done : done + views]
            started = self._try(part, companion[done : done + views] if companion is not None else None)
            if started is not None:
                parts.append(started)
                done += len(part)
                self._worked = max(self._worked, len(part))
                if len(part) == self.views:
                    self._refused = 0
                continue
            if len(part) == 1:
                raise EncoderError(
                    f"{self.name}: the memory does not hold the forward pass of one view; use another --device, "
                    "fewer encoders at a time (sweep --together) or a smaller encoder"
                )
            parts = [_waited_for(started_part) for started_part in parts]  # passes that run hold memory
            views = len(part) // 2
            self._refused += 1
            if len(part) > self._worked or self._refused >= REFUSALS:
                self.views, self._worked, self._refused = views, 0, 0
                print(f"camtrace: {self.name}: {len(part)} views do not fit, {views} at a time now", file=sys.stderr)
        return parts[0] if len(parts) == 1 else lambda: torch.cat([part() for part in parts])

    def _try(self, part: torch.Tensor, companion: torch.Tensor | None) -> Started | None:
        """The started pass, or None if memory ran out; the error and the tensors of its frames are freed by then."""
        try:
            start = getattr(self._embed, "start", None)
            if companion is not None and start is not None:
                return start(part, companion)
            return start(part) if start is not None else _there(self._embed(part))
        except Exception as error:
            if not out_of_memory(error):
                raise
        free_cached()
        return None


def _there(embeddings: torch.Tensor) -> Started:
    return lambda: embeddings


def _waited_for(started: Started) -> Started:
    return _there(started())


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that caused it, means that memory ran out.

    >>> out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    True
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError | torch.cuda.OutOfMemoryError):
            return True
        if isinstance(cause, RuntimeError) and any(message in str(cause) for message in MESSAGES):
            return True
        cause = cause.__cause__
    return False


_limits: list[int] = []
"""Bytes of private memory that each ``memory_limited`` allows this process, while others run."""
_unlimited = -1
"""Soft limit of the process outside of them."""
_limiting = threading.Lock()


@contextlib.contextmanager
def memory_limited(more: int) -> Iterator[None]:
    """A context in which this process may take so many bytes more than it has: beyond, ``out_of_memory`` errors.

    Only on Linux without a GPU, whose driver reserves address space that is no memory, and only where more is free.
    """
    global _unlimited
    if sys.platform != "linux" or has_gpu_driver() or more >= free_on_host():
        yield
        return
    import resource

    limit = private_bytes() + more
    with _limiting:
        if not _limits:
            _unlimited = resource.getrlimit(resource.RLIMIT_DATA)[0]
        _limits.append(limit)
        _set_soft(max(_limits))
    try:
        yield
    finally:
        with _limiting:
            _limits.remove(limit)
            _set_soft(max(_limits) if _limits else _unlimited)


def _set_soft(limit: int) -> None:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard != resource.RLIM_INFINITY and (limit == resource.RLIM_INFINITY or limit > hard):
        limit = hard
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def has_gpu_driver() -> bool:
    """Whether this machine has NVIDIA's driver."""
    return Path("/dev/nvidiactl").exists()


def private_bytes() -> int:
    """Bytes of private memory of this process (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    raise OSError


Answer = TypeVar("Answer")

LEAST_RETRY_BYTES = 1 << 20
"""Least memory of a retry: work that does not fit into this has another problem than its plan."""


def with_less_memory(what: str, work: Callable[[int], Answer], memory_bytes: int) -> Answer:
    """``work(memory_bytes)``; if memory runs out, the same with half of it, and so on.

    Args:
        what: name of the work in messages, such as ``kNN``.
        work: plans with the given number of bytes. It starts again each time, unless it stores results itself.
        memory_bytes: of the first try.

    Raises:
        EncoderError: memory runs out even with ``LEAST_RETRY_BYTES``.

    >>> tried = []
    >>> def work(memory_bytes):
    ...     tried.append(memory_bytes)
    ...     if memory_bytes > 30 << 20:
    ...         raise MemoryError
    ...     return "done"
    >>> with_less_memory("example", work, 100 << 20), [bytes_ >> 20 for bytes_ in tried]
    ('done', [100, 50, 25])
    """
    while True:
        try:
            return work(memory_bytes)
        except Exception as error:
            if not out_of_memory(error):
                raise
            reason = first_line(error)
        if memory_bytes <= LEAST_RETRY_BYTES:
            raise EncoderError(f"{what}: memory runs out however small its parts are ({reason}); use --device cpu")
        memory_bytes = max(LEAST_RETRY_BYTES, memory_bytes // 2)
        print(f"camtrace: {what}: memory ran out, again with {memory_bytes >> 20} MiB at a time", file=sys.stderr)
        free_cached()


def free_cached() -> None:
    """Free the memory of deleted tensors. Call it when the error or the encoder that referred to them is gone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def exact_device(device: str | torch.device) -> torch.device:
    """The device on which float64 and reductions of int64 are correct: the CPU instead of Apple's MPS.

    MPS has no float64, and has computed reductions of int64 wrongly (pytorch issues 187976 and 191104).

    >>> exact_device("mps"), exact_device("cuda:1")
    (device(type='cpu'), device(type='cuda', index=1))
    """
    resolved = torch.device(device)
    return torch.device("cpu") if resolved.type == "mps" else resolved


SHARE = 0.5
"""Default share of the free memory that work may use; the rest is for other work and the page cache."""

UNKNOWN_BYTES = 2 << 30
"""Assumed free memory if the system does not report it (neither Linux nor ``sysconf``)."""

LEAST_BYTES = 256 << 20
"""Least budget, even if less memory is free: with less, work would not end."""

MEMORY_INFO = Path("/proc/meminfo")

PROCESS_GROUPS = Path("/proc/self/cgroup")

GROUPS = Path("/sys/fs/cgroup")

_NO_LIMIT = 1 << 60

_sharing = 1


def share_machine(processes: int) -> None:
    """Declare this process as one of ``processes`` equal ones, which share the free memory of the host equally."""
    global _sharing
    _sharing = max(1, processes)


def budget(device: torch.device | str, share: float = SHARE) -> int:
    """Bytes that work on a device may use: a share of the memory that is free there, at least ``LEAST_BYTES``.

    >>> budget("cpu") >= LEAST_BYTES
    True
    """
    resolved = torch.device(device)
    free = free_on_gpu(resolved) if resolved.type == "cuda" else free_on_host()
    return max(LEAST_BYTES, int(free * share))


def free_on_gpu(device: torch.device) -> int:
    """Bytes that torch's allocator can still provide: free memory of the card, and unused memory of the allocator."""
    index = device.index if device.index is not None else torch.cuda.current_device()
    held = torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index)
    return int(torch.cuda.mem_get_info(index)[0]) + held


def free_on_host() -> int:
    """Bytes available to this process without swapping, within the limits of its control groups (containers, jobs).

    Of several processes each has an equal part, see ``share_machine``.
    """
    limits = [_free_in_system(), *(_free_in_group(folder) for folder in _group_folders())]
    return max(0, min(limits) // _sharing)


def _free_in_system() -> int:
    try:
        for line in MEMORY_INFO.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):  # not Linux
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2  # macOS does not report free memory
    except (AttributeError, OSError, ValueError):
        return UNKNOWN_BYTES


def _group_folders() -> Iterator[Path]:
    """Folders of the memory control group of this process and of its ancestors (versions 1 and 2)."""
    try:
        lines = PROCESS_GROUPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        root = GROUPS / "memory" if controllers else GROUPS
        group = root / path.lstrip("/")
        # inside a container the path is the host's, and the root of the mount is the container's group
        yield from (folder for folder in (group, *group.parents) if folder == root or root in folder.parents)


def _free_in_group(folder: Path) -> int:
    """Bytes left below a group's limit; its page cache counts as free, because the kernel releases it first."""
    for limit_name, used_name, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            limit = int((folder / limit_name).read_text())
            used = int((folder / used_name).read_text())
        except (OSError, ValueError):  # no such group, or "max"
            continue
        if limit < _NO_LIMIT:
            return limit - used + _counted(folder / "memory.stat", cache)
    return _NO_LIMIT


def _counted(path: Path, name: str) -> int:
    try:
        pairs = (line.split() for line in path.read_text().splitlines())
        return next((int(value) for key, value in pairs if key == name), 0)
    except (OSError, ValueError):
        return 0
