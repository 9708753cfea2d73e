"""``camtrace build folder`` without a build: what is called, what is printed and recorded, and what a rank plans."""

from __future__ import annotations

import pytest

from builders.errors import UsageError
from builders.processed import cli


def test_jobs__what_cannot_be_cut_into_ranks(photo_folder, tmp_path):
    for words, sentence in (
        (["--recipe", "r"], "--recipe: a rebuild verifies as it goes and is not cut into ranks"),
        (["--update"], "--update: an update runs on one machine and is not cut into ranks"),
    ):
        arguments = cli.folder().parse_args(["--data", str(photo_folder), "-o", str(tmp_path / "out"), *words])
        with pytest.raises(UsageError) as refused:
            arguments.jobs(arguments, None)
        assert str(refused.value) == sentence
