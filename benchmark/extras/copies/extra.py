"""What ``benchmark/extras/copies`` adds."""

TASKS = {"copies": "benchmark.extras.copies.tasks:TASKS"}
