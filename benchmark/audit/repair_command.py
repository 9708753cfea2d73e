"""``camtrace audit ... --repair HOW``: the plan in words, the repair, and the audit of what came out of it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from benchmark.audit.opening import open_subject
from benchmark.audit.output import write_audit
from benchmark.audit.repair_apply import write_repaired
from benchmark.audit.repair_plan import RepairPlan, parse_repair, plan_repair
from benchmark.audit.run import audit
from benchmark.audit.scan import Plan, scanned
from benchmark.audit.subjects import PhotoSubject
from benchmark.audit.values import Audit
from benchmark.options import default_cache
from builders.errors import UsageError
from builders.files import write_text_atomically

SHOWN_CLASSES = 10


def repair(found: Audit, arguments: argparse.Namespace) -> Audit | None:
    """Plan, say, and unless it is a dry run apply and audit again; the audit of the repaired set, or ``None``."""
    subject = open_subject(
        arguments.data, label=arguments.label, source=arguments.source, owner=arguments.owner, limit=arguments.limit
    )
    assert isinstance(subject, PhotoSubject), "streams are refused before"
    with scanned(subject, Plan(), default_cache(), workers=arguments.workers) as scan:
        plan = plan_repair(parse_repair(arguments.repair), found, subject, scan)
    print("\nRepair:")
    for sentence in plan.sentences:
        print(f"  - {sentence}")
    for name, (before, after) in list(plan.by_class.items())[:SHOWN_CLASSES]:
        print(f"      {name}: {before:,} -> {after:,}")
    write_text_atomically(arguments.output / "repair.json", json.dumps(described(plan), indent=1) + "\n")
    if arguments.dry_run:
        print("nothing was changed (--dry-run)")
        return None
    output: Path = arguments.output / "repaired"
    photos = write_repaired(plan, subject, output, form=arguments.form, workers=arguments.workers)
    again = audit(photos, pixels=arguments.pixels, workers=arguments.workers, seed=arguments.seed)
    if not len(photos):
        raise UsageError(f"{output}: nothing is left")
    write_audit(again, arguments.output / "after")
    print(f"\nAfter it ({again.photos:,} photos in {output}):\n{again.verdict}")
    for sentence in (*again.findings, *remaining(found, again)):
        print(f"  - {sentence}")
    print(f"written to {arguments.output / 'after'}")
    return again


def remaining(before: Audit, after: Audit) -> list[str]:
    """What each layer told before and tells now."""
    lines = []
    for score in after.layers:
        earlier = before.layer(score.layer, score.target)
        was = f", {100 * earlier.accuracy:.0f} % before" if earlier else ""
        lines.append(
            f"{score.target} from {score.title}: {100 * score.accuracy:.0f} % (chance {100 * score.chance:.0f} %{was})"
        )
    told = {s.layer for s in after.layers}
    lines += [
        f"{s.target} from {s.title}: nothing is left to read ({100 * s.accuracy:.0f} % before)"
        for s in before.layers
        if s.layer not in told and s.target == "label"
    ]
    lines += [
        f"still there: {q.title} ({q.measure} = {q.value:.2f})"
        for q in after.questions
        if q.flagged and not q.content and q.target == "label"
    ]
    return lines


def described(plan: RepairPlan) -> dict[str, Any]:
    """The plan as JSON values."""
    return {
        "repair": dataclasses.asdict(plan.repair),
        "photos": plan.photos,
        "kept": len(plan.kept),
        "matched": list(plan.matched),
        "by_class": {name: {"before": b, "after": a} for name, (b, a) in plan.by_class.items()},
        "sentences": list(plan.sentences),
    }
