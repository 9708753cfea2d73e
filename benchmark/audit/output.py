"""The files of an audit: ``audit.json``, ``audit.md``, ``audit.png`` and ``audit.html``."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.audit.figure import draw_audit
from benchmark.audit.page import page_html
from benchmark.audit.text import audit_text
from benchmark.audit.values import Audit
from builders.errors import UsageError
from builders.files import write_text_atomically


def check_output(folder: Path) -> None:
    """Before the work: whether the folder can be written to. Raises ``UsageError``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output {folder}: no folder can be made there ({error.strerror})") from None
    if not os.access(folder, os.W_OK):
        raise UsageError(f"--output {folder}: cannot be written to")


def write_audit(audit: Audit, folder: Path) -> None:
    """Write every file of an audit, the page last. Raises ``UsageError`` where the folder cannot be written to."""
    try:
        write_text_atomically(folder / "audit.json", audit.to_json())
        write_text_atomically(folder / "audit.md", audit_text(audit))
        draw_audit(audit, folder / "audit.png")
        write_text_atomically(folder / "audit.html", page_html(audit))
    except OSError as error:
        raise UsageError(f"--output {folder}: cannot be written to ({error.strerror or error})") from None
