"""Memory that the next layer needs again is not given back and mapped anew."""

import platform
import subprocess
import sys

import pytest

PAGE_FAULTS = """
import resource, sys
import numpy as np
from concurrent.futures import ThreadPoolExecutor
from benchmark.compute.process_setup import keep_freed_memory

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_keep_freed_memory__activations_stay_and_tables_go():
    def second_time(what: str) -> list[int]:
        command = [sys.executable, "-c", PAGE_FAULTS, what]
        return [int(n) for n in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]

    activations, tables = second_time("keep")
    assert activations < 100  # of 25,600 pages of 4 KiB
    assert second_time("default")[0] > 10 * max(activations, 1)
    assert tables > 10 * max(activations, 1)
