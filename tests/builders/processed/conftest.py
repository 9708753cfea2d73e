"""What the tests of processed photos share."""

import datasets
import pytest


@pytest.fixture(autouse=True)
def threads_end_in_time(monkeypatch):
    """``datasets`` sleeps five seconds after part of a stream of Parquet was read, for a Python that is about to end."""
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)
