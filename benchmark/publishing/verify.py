"""``camtrace verify``: read results as a stranger, and say of each whether it can be made again."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.publishing.files import edited
from benchmark.publishing.provenance import codec_objection, known_codecs, missing_provenance, private_inputs
from benchmark.results import Refusal, ResultFile, contradiction, markdown_table, read_results
from benchmark.tasks import all_tasks
from builders.command_line import Parser
from builders.pixels import codec_canary

VERDICTS = {
    "repeatable here": "everything is recorded and public, and the codec is this machine's",
    "other codec": "everything is recorded and public, but made with other codec versions: install them to repeat it",
    "unknown codec": "made with a codec that no listed version of Pillow gives",
    "private inputs": "recorded, but only the author has the encoder or the photos",
    "lacks provenance": "what is needed to repeat it was not recorded",
    "edited": "the content is not the one that the file's name was made of",
    "refused": "not a result that this camtrace reads",
}
"""What can be said of a result, best first."""


@dataclass(frozen=True)
class Verification:
    """What is said of one file."""

    file: str
    encoder: str
    data: str
    verdict: str
    """A key of ``VERDICTS``."""
    why: str


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace verify",
        description="Say which results can be made again, which were made with other codec versions, and which lack "
        "provenance. Exit status 1 if a file is refused or was edited.",
    )
    p.add_argument("results", metavar="DIR|REPO", help="folder of results, or Hub data set OWNER/NAME[@REVISION]")
    p.set_defaults(run=run)
    return p


def main(argv: Sequence[str]) -> int:
    return run(parser().parse_args(argv))


def run(args: argparse.Namespace) -> int:
    questions = all_tasks()
    read = read_results(args.results, lambda file: contradiction(file, questions))
    verdicts = [verified(file) for file in read.accepted] + [_refused(refusal) for refusal in read.refused]
    order = list(VERDICTS)
    verdicts.sort(key=lambda v: (order.index(v.verdict), v.file))
    rows = [[v.file, v.encoder, v.data, v.verdict, v.why] for v in verdicts]
    if rows:
        print(markdown_table(["file", "encoder", "data", "verdict", "why"], rows) + "\n")
    counts = Counter(v.verdict for v in verdicts)
    print(f"{len(verdicts)} results; the codec here is {codec_canary()}")
    for verdict, meaning in VERDICTS.items():
        if counts[verdict]:
            print(f"  {counts[verdict]:4d} {verdict}: {meaning}")
    return 1 if counts["refused"] or counts["edited"] else 0


def verified(file: ResultFile, own_canary: str | None = None) -> Verification:
    """What can be said of one result.

    Args:
        file: as read.
        own_canary: of the machine that would repeat it; by default this one's.
    """
    own = own_canary or codec_canary()
    verdict, why = _judge(file, own)
    return Verification(file.file, str(file.result.encoder["id"]), str(file.result.data["name"]), verdict, why)


def _judge(file: ResultFile, own: str) -> tuple[str, str]:
    result = file.result
    canary = str(result.environment.get("codec_canary"))
    if edited(file.file, result, file.text):
        return "edited", "its SHA-256 is another"
    if missing := missing_provenance(result):
        return "lacks provenance", ", ".join(missing)
    if private := private_inputs(result):
        return "private inputs", private
    if objection := codec_objection(result, own):
        return "unknown codec", objection
    if canary != own:
        return "other codec", f"codec canary {canary}: Pillow {' or '.join(known_codecs()[canary].pillow)}"
    if result.data["question_hash"] is None:
        return "repeatable here", "photos by their ids alone: files of version 1 do not name attributes and clusters"
    return "repeatable here", ""


def _refused(refusal: Refusal) -> Verification:
    return Verification(refusal.file, "", "", "refused", refusal.reason)
