"""Memory that the next layer needs again is not given back and mapped anew; what stays is not searched for garbage."""

import gc
import platform
import subprocess
import sys

import pytest

from benchmark.compute import import_torch

PAGE_FAULTS = """
import resource, sys
import numpy as np
from concurrent.futures import ThreadPoolExecutor
from benchmark.compute.process import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def faults(mib):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(mib << 20, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with ThreadPoolExecutor(1) as pool:
    for mib in (100, 300):
        pool.submit(faults, mib).result()
        print(pool.submit(faults, mib).result())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_keep_freed_memory__activations_stay_and_tables_go():
    def second_time(what: str) -> list[int]:
        command = [sys.executable, "-c", PAGE_FAULTS, what]
        return [int(n) for n in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]

    activations, tables = second_time("keep")
    assert activations < 100  # of 25,600 pages of 4 KiB
    assert second_time("default")[0] > 10 * max(activations, 1)
    assert tables > 10 * max(activations, 1)


IMPORTS = """
import atexit, gc, sys
searched, left = [], {}
gc.callbacks.append(lambda phase, info: searched.append("torch" in sys.modules))
atexit.register(lambda: print(any(searched[: left["during"]]), left["enabled"], left["frozen"], len(gc.get_objects())))
from benchmark.compute import import_torch
import_torch()
left.update(during=len(searched), frozen=gc.get_freeze_count(), enabled=gc.isenabled())
garbage = [[] for _ in range(100_000)]
"""


@pytest.mark.slow
def test_import_torch__what_torch_makes_is_never_searched_for_garbage():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    during, enabled, frozen, searched_at_the_end = done.stdout.split()
    assert (during, enabled) == ("False", "True")
    assert int(frozen) > 100_000
    assert int(searched_at_the_end) < 1000  # of 100,000 lists that were made after torch


def test_import_torch__a_process_that_has_torch_already_stays_as_it_is():
    import torch  # noqa: F401

    before = gc.get_freeze_count()
    import_torch()
    assert gc.get_freeze_count() <= before  # what is frozen may be freed meanwhile; freezing would add 100,000
    assert gc.isenabled()
