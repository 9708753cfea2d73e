"""How much memory work may take: what this machine, its control groups and a GPU's allocator can give now."""

from __future__ import annotations

import gc
import os
import sys
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
"""Parts of what torch's RuntimeErrors say when memory runs out; only CUDA's allocator has a class of its own."""


class Started(Protocol):
    """Work on its way: called, it waits and gives the embeddings."""

    def __call__(self) -> torch.Tensor: ...


REFUSALS = 3
"""Batches of a size that fitted before and do not now, one after the other, until the size is given up for good."""


class FittingBatch:
    """``Encoder.embed`` in pieces that fit into memory.

    >>> embed = FittingBatch("flat", lambda batch: batch.flatten(1).float(), 2)
    >>> embed(torch.zeros(5, 4, 3)).shape
    torch.Size([5, 12])
    """

    def __init__(self, name: str, embed: Callable[[torch.Tensor], torch.Tensor], views: int) -> None:
        self.name = name
        self.views = views
        """Views per forward pass: what was asked for until memory runs out, then what worked."""
        self._embed = embed
        self._worked = 0
        self._refused = 0

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """[n, ...] -> [n, dimension].

        Raises:
            EncoderError: not even one view fits.
        """
        return self.start(batch)()

    def start(self, batch: torch.Tensor, beside: torch.Tensor | None = None) -> Started:
        """The same, begun: an ``embed`` that has ``start`` itself (a network's) goes on while others work.

        A size that never fitted is halved for the rest of the pass. One that did fit before is halved for the batch at
        hand alone: somebody else took memory for a moment; after ``REFUSALS`` in a row it is given up too.

        ``beside`` [n, ...] is handed to ``start`` with the views, cut as they are.
        """
        parts: list[Started] = []
        done, views = 0, self.views
        while done < len(batch):
            part = batch[done : done + views]
            started = self._try(part, beside[done : done + views] if beside is not None else None)
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
            parts = [_waited_for(one) for one in parts]  # what is on its way holds memory
            views = len(part) // 2
            self._refused += 1
            if len(part) > self._worked or self._refused >= REFUSALS:
                self.views, self._worked, self._refused = views, 0, 0
                print(f"camtrace: {self.name}: {len(part)} views do not fit, {views} at a time now", file=sys.stderr)
        return parts[0] if len(parts) == 1 else lambda: torch.cat([part() for part in parts])

    def _try(self, part: torch.Tensor, beside: torch.Tensor | None) -> Started | None:
        """The embeddings, or None if memory ran out; by then the error is gone, with the tensors of its frames."""
        try:
            start = getattr(self._embed, "start", None)
            if beside is not None and start is not None:
                return start(part, beside)
            return start(part) if start is not None else _there(self._embed(part))
        except Exception as error:
            if not out_of_memory(error):
                raise
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def _there(embeddings: torch.Tensor) -> Started:
    return lambda: embeddings


def _waited_for(started: Started) -> Started:
    return _there(started())


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that memory ran out.

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


Answer = TypeVar("Answer")

LEAST_RETRY_BYTES = 1 << 20
"""Planned with no less: work that does not end with so much has another trouble than the plan."""


def with_less_memory(what: str, work: Callable[[int], Answer], memory_bytes: int) -> Answer:
    """``work(memory_bytes)``; where memory runs out, again with half, and so on.

    Args:
        what: for the notice, such as ``kNN``.
        work: plans with so many bytes. It begins anew each time, but for what it keeps itself.
        memory_bytes: of the first try.

    Raises:
        EncoderError: memory runs out with ``LEAST_RETRY_BYTES`` too.

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
    """Give back what gone tensors held; called when the error that brought them up is gone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def exact_device(device: str | torch.device) -> torch.device:
    """Where float64 and reductions of int64 are right: not on Apple's MPS, which lacks the first and has computed the
    second wrongly (pytorch issues 187976 and 191104); there the CPU does this work.

    >>> exact_device("mps"), exact_device("cuda:1")
    (device(type='cpu'), device(type='cuda', index=1))
    """
    where = torch.device(device)
    return torch.device("cpu") if where.type == "mps" else where


SHARE = 0.5
"""Of what is free, that one piece of work plans with on a CPU: others plan too, and a page cache is worth having."""

UNKNOWN_BYTES = 2 << 30
"""Taken for free where the system does not say (neither Linux nor ``sysconf``)."""

LEAST_BYTES = 256 << 20
"""Work is planned with so much even where less is free: with less it would not end."""

MEMORY_INFO = Path("/proc/meminfo")

OWN_GROUPS = Path("/proc/self/cgroup")

GROUPS = Path("/sys/fs/cgroup")

_NO_LIMIT = 1 << 60

_sharing = 1


def share_machine(processes: int) -> None:
    """From now on this process is one of several equal ones, and what is free on the host is theirs in equal parts."""
    global _sharing
    _sharing = max(1, processes)


def budget(device: torch.device | str, share: float = SHARE) -> int:
    """Bytes that work on a device may plan with: a share of what is free there.

    >>> budget("cpu") >= LEAST_BYTES
    True
    """
    where = torch.device(device)
    free = free_on_gpu(where) if where.type == "cuda" else free_on_host()
    return max(LEAST_BYTES, int(free * share))


def free_on_gpu(device: torch.device) -> int:
    """Bytes that torch's allocator can still give: what the card has free, and what the allocator holds unused."""
    index = device.index if device.index is not None else torch.cuda.current_device()
    held = torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index)
    return int(torch.cuda.mem_get_info(index)[0]) + held


def free_on_host() -> int:
    """Bytes that can be had without swapping, control groups' limits (containers, batch systems) respected: this
    process's part, see ``share_machine``."""
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
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2  # macOS does not say what is free
    except (AttributeError, OSError, ValueError):
        return UNKNOWN_BYTES


def _group_folders() -> Iterator[Path]:
    """Folders of the memory control groups that this process is in, its own and those above it (versions 1 and 2)."""
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        root = GROUPS / "memory" if controllers else GROUPS
        own = root / path.lstrip("/")
        # inside a container the path is the host's, and the root of the mount is the container's own group
        yield from (folder for folder in (own, *own.parents) if folder == root or root in folder.parents)


def _free_in_group(folder: Path) -> int:
    """What is left below a group's limit; its page cache counts as free, as the kernel gives it up first."""
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
