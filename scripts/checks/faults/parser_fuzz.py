"""Coverage-guided fuzzing of everything that parses untrusted bytes, with atheris (``pip install atheris``).

    python scripts/checks/faults/parser_fuzz.py TARGET [--seconds N] [--corpus DIR]

A target may only return, or raise an error of the package. It ends at the first other exception, and libFuzzer writes
the input to the current folder; with no finding it says how many inputs were tried. It begins with the files of
``mutations.corpus``. ``all`` takes every target for N seconds each.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[3])

from scripts.checks.faults.mutations import corpus as first_inputs
from scripts.speed.measure import child_environment

MAX_INPUT = 4096


def _result(data: bytes) -> None:
    from benchmark.results.files import parse_result

    parse_result(data.decode("utf-8", "surrogateescape"), "a")


def _yaml(data: bytes) -> None:
    from builders.untrusted import parse_yaml
    from builders.untrusted.data_sets import check_card

    check_card(parse_yaml(data.decode("utf-8", "replace"), "a"), "a")


def _build(data: bytes) -> None:
    from builders.dataset import parse_build

    parse_build(data.decode("utf-8", "replace"), "a")


def _archive(data: bytes) -> None:
    from builders.untrusted import read_untrusted_arrays

    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        file.write(data)
        file.flush()
        read_untrusted_arrays(Path(file.name))


def _bundle(data: bytes) -> None:
    from builders.sources import unpack

    unpack(data)


def _picture(data: bytes) -> None:
    from builders.pixels import read_image_header, read_jpeg_header

    for read in (read_image_header, read_jpeg_header):
        read(data)


def _exif(data: bytes) -> None:
    from builders.exif.parser import read_allowed

    read_allowed(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "result": _result,
    "yaml": _yaml,
    "build": _build,
    "archive": _archive,
    "bundle": _bundle,
    "picture": _picture,
    "exif": _exif,
}


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("target", choices=(*TARGETS, "all"))
    p.add_argument("--seconds", type=int, default=60)
    p.add_argument("--corpus", type=Path, help="folder that inputs are read from and added to")
    args = p.parse_args()
    if args.target != "all":
        return fuzz(args.target, args.seconds, args.corpus)
    failed = 0
    for name in TARGETS:  # libFuzzer ends the process, so each has its own
        command = [sys.executable, "-m", "scripts.checks.faults.parser_fuzz", name, "--seconds", str(args.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, env=child_environment({}))
        last = [line for line in done.stderr.splitlines() if line.startswith("Done") or "rror" in line]
        print(f"{name:8} {'ok' if done.returncode == 0 else 'FAILED'}  {last[-1] if last else done.stderr[-300:]}")
        failed += done.returncode != 0
    return 1 if failed else 0


def fuzz(name: str, seconds: int, corpus: Path | None) -> int:
    try:
        import atheris
    except ModuleNotFoundError:
        print("parser_fuzz needs the package atheris: pip install atheris", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["builders", "benchmark", "yaml", "zipfile"]):
        from builders.errors import CamtraceError

        target = TARGETS[name]
        for warm in (b"", b"{}", b"\xff\xd8\xff"):
            with contextlib.suppress(CamtraceError):
                target(warm)

    def once(data: bytes) -> None:
        with contextlib.suppress(CamtraceError):
            target(data)

    options = [sys.argv[0], f"-max_total_time={seconds}", f"-max_len={MAX_INPUT}", "-timeout=10", "-rss_limit_mb=2500"]
    with tempfile.TemporaryDirectory() as folder:
        for i, data in enumerate(data for data in first_inputs(name) if len(data) <= MAX_INPUT):
            Path(folder, f"{i:03d}").write_bytes(data)
        # new inputs go to the first folder; the process ends inside Fuzz, so the other is made here
        atheris.Setup([*options, *([str(corpus)] if corpus else []), folder], once)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
