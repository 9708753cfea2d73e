"""What memory work may take: the system's word, and the limits of control groups of both versions."""

import pytest
import torch

from benchmark.compute import free_on_gpu, memory

GIB = 1 << 30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 8 GiB available; groups are added by writing their files."""
    (tmp_path / "meminfo").write_text("MemTotal: 99999999 kB\nMemAvailable: 8388608 kB\n")
    (tmp_path / "cgroup").write_text("")
    monkeypatch.setattr(memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "PROCESS_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "fs")
    return tmp_path


def group(machine, folder, **files):
    (machine / "fs" / folder).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (machine / "fs" / folder / name.replace("_dot_", ".")).write_text(str(text))


def test_free_on_host__version_2__the_tightest_group_above_counts_and_page_cache_is_free(machine):
    (machine / "cgroup").write_text("0::/batch/job:1\n")
    group(machine, "batch", memory_dot_max=3 * GIB, memory_dot_current=2 * GIB, memory_dot_stat="inactive_file 1000\n")
    group(machine, "batch/job:1", memory_dot_max="max", memory_dot_current=GIB)
    assert memory.free_on_host() == GIB + 1000


def test_free_on_host__version_1__inside_a_container_the_mount_is_its_own_group(machine):
    (machine / "cgroup").write_text("9:cpu:/docker/abc\n4:memory:/docker/abc\n0::/\n")
    group(
        machine,
        "memory",
        memory_dot_limit_in_bytes=2 * GIB,
        memory_dot_usage_in_bytes=GIB,
        memory_dot_stat=f"inactive_file 7\ntotal_inactive_file {GIB // 2}\n",
    )
    assert memory.free_on_host() == GIB + GIB // 2
    group(machine, "memory", memory_dot_limit_in_bytes=(1 << 63) - 4096)  # no limit, as version 1 writes it
    assert memory.free_on_host() == 8 * GIB


def test_free_on_gpu__what_the_allocator_holds_unused_is_free_too(monkeypatch):
    """``mem_get_info`` takes it for used. A device without a number is asked for by one, as torch before 2.5 needs."""
    requested = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: requested.append(index) or (10, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda index: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda index: 20)
    assert free_on_gpu(torch.device("cuda")) == free_on_gpu(torch.device("cuda:1")) == 40
    assert requested == [1, 1]
