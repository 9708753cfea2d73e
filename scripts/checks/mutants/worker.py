"""A worker of ``run``: ``worker TRIALS CHECKOUT SECONDS``; a line of JSON for each outcome."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from scripts.checks.mutants.trials import Trial, outcomes

if __name__ == "__main__":
    file, checkout, limit_s = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    trials = [Trial(**{**given, "tests": tuple(given["tests"])}) for given in json.loads(file.read_text())]
    for outcome in outcomes(trials, checkout, limit_s=limit_s):
        print(json.dumps(dataclasses.asdict(outcome)), flush=True)
