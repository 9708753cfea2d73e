"""Fixtures of the tests of processed photos."""

import datasets
import pytest


@pytest.fixture(autouse=True)
def threads_end_in_time(monkeypatch):
    """``datasets`` sleeps five seconds after part of a stream of Parquet, for the sake of a Python that ends then."""
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)
