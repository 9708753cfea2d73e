"""What a command says, and where: results to standard output, everything else to standard error."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from benchmark.report import as_json
from builders.untrusted import readable

if TYPE_CHECKING:  # the first sentence must be there before torch is
    from benchmark.results import Result


class Console:
    """Speaks as the options ``--quiet``, ``--verbose`` and ``--json`` say. Use it as a context around the work."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._quiet, self._verbose, self._json = args.quiet, args.verbose, args.json
        self._out = sys.stdout

    @property
    def out(self) -> TextIO:
        """Standard output as it was: for what a program reads."""
        return self._out

    @contextlib.contextmanager
    def speaking(self) -> Iterator[None]:
        """With ``--json`` nothing else reaches standard output; with ``--quiet`` there are no progress bars."""
        with contextlib.ExitStack() as stack:
            if self._json:
                stack.enter_context(contextlib.redirect_stdout(sys.stderr))
            if self._quiet:
                os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
                os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
                stack.enter_context(contextlib.redirect_stderr(_NoTerminal(sys.stderr)))
            if self._verbose:
                os.environ.setdefault("CAMTRACE_DEBUG", "1")
            yield

    def notice(self, text: str) -> None:
        """What is being done."""
        if not self._quiet:
            print(readable(text), file=sys.stderr, flush=True)

    def detail(self, text: str) -> None:
        """What only ``--verbose`` wants to know."""
        if self._verbose:
            print(readable(text), file=sys.stderr, flush=True)

    def report(self, text: str) -> None:
        """The result for people."""
        if not self._json:
            print(text, file=self._out, flush=True)
        elif not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def answer(self, results: Sequence[Result], missing: dict[str, str]) -> None:
        """The result for programs, with ``--json``."""
        if self._json:
            print(json.dumps(as_json(results, missing), indent=2, ensure_ascii=False), file=self._out, flush=True)


class _NoTerminal:
    """Standard error on which progress bars, which want a terminal, do not draw."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
