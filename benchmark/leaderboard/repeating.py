"""How the numbers of a board's row can be made again: commands, as far as its results say."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from benchmark.leaderboard.entries import Entry
from benchmark.options import CHOICES


def commands(entry: Entry) -> list[str]:
    """How to make the row's numbers, as far as its results say."""
    if entry.origin == "published":
        if not entry.id:
            return []
        data = "--data imagenet:PATH --data inat2018:PATH"
        return [f"camtrace score --model {shlex.quote(entry.id)} {data} --preset iccv2025"]
    commands = []
    for file in entry.files:
        recorded = file.result.environment.get("command")
        if isinstance(recorded, str):
            local = file.result.environment.get("local")
            notes = [n for n in local.values() if isinstance(n, str)] if isinstance(local, Mapping) else []
            # As comments of the shell, each on one line of its own: what is copied runs, or says why it cannot.
            commands.append("\n".join([*(f"# {' '.join(n.split())[:500]}" for n in notes), recorded[:2000]]))
            continue
        name = str(file.result.data["name"])
        # A name is the specification only where it needs no place on somebody's disk.
        data = f"{name}:PATH" if name in ("imagenet", "inat2018") else name
        parts = ["camtrace score", f"--model {shlex.quote(entry.id)}", f"--data {shlex.quote(data)}"]
        if revision := entry.facts.get("revision"):
            parts.append(f"--revision {shlex.quote(revision)}")
        options = file.result.environment.get("options")
        for option, flag in _OPTIONS.items():
            value = options.get(option) if isinstance(options, Mapping) else None
            if isinstance(value, int | float | str) and not isinstance(value, bool):
                parts.append(f"{flag} {shlex.quote(str(value))}")
        commands.append(" ".join(parts))
    return list(dict.fromkeys(commands))


_OPTIONS = {name: f"--{name}" for name in ("preset", *CHOICES)} | {
    "neighbours": "--neighbours",
    "mask_ratio": "--mask-ratio",
    "seed": "--seed",
}
