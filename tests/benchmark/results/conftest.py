"""Hand-made results, as the board's tests have them."""

from tests.benchmark.leaderboard.conftest import make

__all__ = ["make"]
