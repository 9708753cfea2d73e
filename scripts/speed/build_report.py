"""The page about a built folder of many tiny photos: processor seconds, size of the page."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

from builders.check.report.page import write_report
from builders.data_specs import open_photos
from builders.processed.build import build_processed
from scripts.speed.measure import Row
from scripts.speed.synthetic import tiny_photos

QUICK_COUNT = 300


def rows(quick: bool = False, *, count: int = 100_000) -> Iterator[Row]:
    """Processor seconds of the page, its size, and for comparison those of the build without a look for duplicates.

    Args:
        quick: few photos.
        count: how many photos are made.
    """
    n = QUICK_COUNT if quick else count
    with tempfile.TemporaryDirectory() as folder:
        photos = open_photos(f"folder:{tiny_photos(n, Path(folder))}")
        output = Path(folder, "out")
        before = _processor_seconds()
        build_processed(photos, output, duplicates="ignore", progress=False)
        built = _processor_seconds()
        page = write_report(output, progress=False)
        yield Row("page about a build", _processor_seconds() - built, "processor s", n)
        yield Row("  the build", built - before, "processor s", n)
        yield Row("  size of the page", page.stat().st_size / 1e6, "MB", n)


def _processor_seconds() -> float:
    """User and system, of this process and of the children that it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
