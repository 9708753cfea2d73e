"""What the checks cost: the time of one run that is spent in them, by a profile of that run."""

from __future__ import annotations

import contextlib
import cProfile
import io
import pstats
from collections.abc import Sequence

CHECKS = {
    ("files.py", "reserve_space"), ("files.py", "sweep_temporaries"), ("files.py", "try_writing"),
    ("files.py", "_keep_names"), ("view_file.py", "damaged"), ("view_file.py", "_own_crc32"),
    ("view_file.py", "_of_form"), ("names.py", "readable"), ("names.py", "is_readable"), ("schema.py", "_seal"),
    ("reserving.py", "reserve_for"), ("door.py", "open_outside"), ("plain.py", "parse_json"),
    ("photos.py", "_make_readable"),
}  # fmt: skip
"""(file, function) of what was not there before, or did less; the reading of files itself is not among them."""


def share_of_checks(command: Sequence[str]) -> tuple[float, float, dict[str, float]]:
    """Run a command here under a profile.

    Returns:
        Seconds in checks, seconds of the run, and seconds by check.
    """
    from benchmark.__main__ import main

    profile = cProfile.Profile()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        profile.enable()
        status = main(list(command))
        profile.disable()
    assert status == 0
    stats = pstats.Stats(profile)
    found: dict[str, float] = {}
    fsync = 0.0
    for (file, _, name), (_, _, own, total, _) in stats.stats.items():  # type: ignore[attr-defined]
        if (file.rpartition("/")[2], name) in CHECKS:
            found[name] = found.get(name, 0.0) + total
        if "fsync" in name:
            fsync += own
    found["fsync"] = fsync
    return sum(found.values()), stats.total_tt, found  # type: ignore[attr-defined]
