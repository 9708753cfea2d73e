"""The files of an audit: ``audit.json``, ``audit.md``, ``audit.png`` and ``audit.html``."""

from __future__ import annotations

from pathlib import Path

from benchmark.audit.figure import draw_audit
from benchmark.audit.page import page_html
from benchmark.audit.text import audit_text
from benchmark.audit.values import Audit
from builders.errors import disk_error
from builders.files import sweep_temporaries, write_text_atomically


def write_audit(audit: Audit, folder: Path) -> None:
    """Write every file of an audit, the page last. Raises ``DiskError`` where the folder cannot be written to."""
    sweep_temporaries(folder)
    try:
        write_text_atomically(folder / "audit.json", audit.to_json())
        write_text_atomically(folder / "audit.md", audit_text(audit))
        draw_audit(audit, folder / "audit.png")
        write_text_atomically(folder / "audit.html", page_html(audit))
    except OSError as error:
        raise disk_error(error, f"--output {folder}", kept="what was read of the photos is kept") from None
