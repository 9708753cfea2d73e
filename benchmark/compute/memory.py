"""How much memory work may take: what this machine, its control groups and a GPU's allocator can give now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch

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
