"""Results in, a static site out: ``python -m benchmark leaderboard --results DIR|REPO --output SITE``."""
