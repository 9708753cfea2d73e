"""Console output of a command: results on standard output, everything else on standard error."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from benchmark.report import as_json
from builders.cli import result_stream, without_terminal
from builders.errors import UsageError
from builders.untrusted import public_text

if TYPE_CHECKING:  # the first sentence must be there before torch is
    from benchmark.results import Result
    from benchmark.scoring import Log


class Console:
    """Console output, filtered by ``--quiet``, ``--verbose`` and ``--json``. The work is done inside ``active``."""

    def __init__(self, args: argparse.Namespace) -> None:
        if args.quiet and args.verbose:
            raise UsageError("--quiet and --verbose contradict each other: give one of them")
        self._quiet, self._verbose, self._json = args.quiet, args.verbose, args.json
        self._out = result_stream()

    @property
    def out(self) -> TextIO:
        """Standard output as it was; opened again if the code of an encoder has closed it."""
        if self._out.closed:
            self._out = os.fdopen(1, "w", errors="backslashreplace", closefd=False)
        return self._out

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Keep everything but JSON off standard output with ``--json``, and progress bars off with ``--quiet``."""
        with contextlib.ExitStack() as stack:
            if self._json:
                stack.enter_context(contextlib.redirect_stdout(sys.stderr))
            wanted = {"CAMTRACE_DEBUG": "1"} if self._verbose else {}
            if self._quiet:
                wanted |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
                stack.enter_context(without_terminal())
            for name in wanted.keys() - os.environ.keys():
                os.environ[name] = wanted[name]
                stack.callback(os.environ.pop, name, None)
            yield

    @property
    def log(self) -> Log:
        """Callbacks that print messages of a run."""
        from benchmark.scoring import Log

        return Log(warning=self.info, info=self.info, debug=self.debug)

    def info(self, text: str) -> None:
        """Print what is being done, but with ``--quiet``."""
        if not self._quiet:
            print(public_text(text), file=sys.stderr, flush=True)

    def debug(self, text: str) -> None:
        """Print details, with ``--verbose``."""
        if self._verbose:
            print(public_text(text), file=sys.stderr, flush=True)

    def report(self, text: str) -> None:
        """Print the result for people."""
        if not self._json:
            print(text, file=self.out, flush=True)
        elif not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def write_json(self, results: Sequence[Result], missing: dict[str, str]) -> None:
        """Print the result for programs, with ``--json``."""
        if self._json:
            from benchmark.tasks import all_tasks

            record = as_json(results, missing, all_tasks())
            print(json.dumps(record, indent=2, ensure_ascii=False), file=self.out, flush=True)
