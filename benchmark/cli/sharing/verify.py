"""``camtrace verify``: read results and say of each whether it can be made again."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

from benchmark.publishing import VERDICTS, Verification, verified
from benchmark.report import markdown_table
from benchmark.results import PROVEN, STATED, Refusal, ResultFile, proof_of, read_results
from benchmark.tasks import all_tasks
from builders.cli import Parser, run_command, write_record
from builders.errors import DataError
from builders.pixels import codec_canary


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace verify",
        most_used=("--json",),
        examples=("camtrace verify OWNER/results", "camtrace verify results"),
        description="Say which results can be made again, which were made with other codec versions, and which lack "
        "provenance. Numbers are computed again from the answers of a result (0.2 s of one core for a run of 41 "
        "scores of 110 photos). Exit status 1 if a file is refused or was edited.",
    )
    p.add_argument("results", metavar="RESULTS", help="folder of results, or Hub data set OWNER/NAME[@REVISION]")
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run_command(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    questions = all_tasks()
    unproven: dict[str, tuple[str, ...]] = {}

    def objection(file: ResultFile) -> str:
        proof = proof_of(file, questions)
        if not proof.contradiction:
            unproven[file.file] = proof.without_answers
        return proof.contradiction

    read = read_results(args.results, objection)
    verdicts = [verified(file) for file in read.accepted] + [_refused(refusal) for refusal in read.refused]
    if not verdicts:
        raise DataError(f"{args.results}: there is no result.json; give the --output of a run")
    order = list(VERDICTS)
    verdicts.sort(key=lambda v: (order.index(v.verdict), v.file))
    write_record(args, verdicts)
    rows = [[v.file, v.encoder, v.data, v.verdict, v.why] for v in verdicts]
    print(markdown_table(["file", "encoder", "data", "verdict", "why"], rows) + "\n")
    counts = Counter(v.verdict for v in verdicts)
    print(f"{len(verdicts)} results; the codec here is {codec_canary()}")
    for verdict, meaning in VERDICTS.items():
        if counts[verdict]:
            print(f"  {counts[verdict]:4d} {verdict}: {meaning}")
    scores = sum(len(file.result.scores) for file in read.accepted)
    proven = scores - sum(map(len, unproven.values()))
    print(f"{proven} of {scores} scores have their answers, which give these numbers again: {PROVEN}.")
    for file, without in unproven.items():
        if without:
            some = ", ".join(without[:3]) + (f" and {len(without) - 3} more" if len(without) > 3 else "")
            print(f"  {file}: scores without answers, which nothing proves: {some}")
    print(f"No answers prove {STATED}.")
    return 1 if counts["refused"] or counts["edited"] else 0


def _refused(refusal: Refusal) -> Verification:
    return Verification(refusal.file, "", "", "refused", refusal.reason)
