"""What ``benchmark/extras/diff`` adds."""

from builders.cli import Command

COMMANDS = {
    "diff": Command(
        "benchmark.extras.diff.command:parser",
        "does another decoder, resize, runtime or precision matter?",
        runs_encoders=True,
    )
}
NAMES = {"Diff": "benchmark.extras.diff", "diff": "benchmark.extras.diff"}
