"""What tests of probes share."""

import pytest


@pytest.fixture(params=["compiled", "stacked"])
def solver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two ways to solve."""
    if request.param == "stacked":
        monkeypatch.setattr("benchmark.probe.solver.newton.compiled_fits", lambda features, fits: None)
    return str(request.param)
