"""The line that says how far a process is, at a clock that the test sets."""

import sys

from builders.processes import notice, progress_bar
from builders.processes.progress import status_line


def test_notice__on_standard_error_unless_it_is_quiet_or_closed(monkeypatch, capsys):
    notice("a text")
    assert capsys.readouterr() == ("", "a text\n")
    monkeypatch.setattr(sys.stderr, "is_quiet", True, raising=False)
    notice("a text")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", None)
    notice("a text")
    with progress_bar(total=1, desc="x", unit="row"):
        assert status_line(0).startswith("x: 0 %")
