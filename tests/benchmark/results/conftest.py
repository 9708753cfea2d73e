"""Hand-made results, shared with the tests of the leaderboard."""

from tests.benchmark.leaderboard.conftest import make

__all__ = ["make"]
