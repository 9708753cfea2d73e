"""``python -m benchmark reproduce iccv2025``: the study's protocol over its encoders, its tables beside its numbers."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from benchmark.score import run_options
from benchmark.sweep import chosen_specs, equivalent, open_jobs
from benchmark.sweep import parser as sweep_parser
from builders.errors import UsageError, unknown_name

STUDIES = ("iccv2025",)


def parser() -> argparse.ArgumentParser:
    """The options of a sweep; the study decides encoders, protocol, k and mask."""
    p = sweep_parser()
    p.prog = "python -m benchmark reproduce"
    p.description = (
        "Run a published study's protocol over its encoders on your copies of its photos, and write its tables and "
        "figures with the published numbers beside ours. What cannot be loaded is a row with its reason."
    )
    p.add_argument("study", metavar="STUDY", help=f"one of: {', '.join(STUDIES)}")
    p.set_defaults(protocol="iccv2025")
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if args.study not in STUDIES:
        raise unknown_name("study", args.study, STUDIES)
    if not args.data:
        raise UsageError("which photos? give --data, such as --data imagenet:PATH --data inat2018:PATH (repeatable)")
    if args.protocol != "iccv2025":
        raise UsageError("reproduce iccv2025 fits probes by the study's protocol; for another one use sweep")
    args.published = args.published or not (args.model or args.models)
    specs = chosen_specs(args)
    jobs = open_jobs(args)

    from benchmark.sweep_run import groups_of, run_sweep, sweep_text

    options = run_options(args, [])
    groups = groups_of(specs, 1 if args.one_at_a_time else args.together)
    loading = {"device": args.device, "dtype": args.dtype, "trust_remote_code": args.trust_remote_code}
    if args.dry_run:
        from benchmark.sweep_estimate import estimate, estimate_text

        print(estimate_text(estimate(groups, jobs, options, loading), groups, jobs, options))
        return 0
    from benchmark.reproduce_figures import draw_figures
    from benchmark.reproduce_tables import beside_rows, study_text, write_beside

    rows = run_sweep(groups, jobs, options, loading, args.output, command=lambda *given: equivalent(args, *given))
    table = beside_rows(rows)
    write_beside(table, args.output / "beside.csv")
    text = study_text(table, rows)
    from builders.files import write_text_atomically

    write_text_atomically(args.output / "iccv2025.md", text)
    figures = draw_figures(table, args.output)
    print(f"{sweep_text(rows, args.output)}\n\n{text}")
    print(f"written to {args.output}: iccv2025.md, beside.csv, {', '.join(figures) or 'no figure (nothing to show)'}")
    return 0 if any(row.state != "failed" for row in rows) else 1
