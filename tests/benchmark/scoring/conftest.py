"""What tests of the command ``camtrace score`` share."""

from pathlib import Path

import pytest

from tests.support.user_project import write_project


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """A folder to run commands in; each test writes under names of its own."""
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    return folder
