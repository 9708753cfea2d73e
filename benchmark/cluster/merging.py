"""What finishes embedding: files of blocks become banks, each verified, and the plain command finds them complete."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tqdm.auto import tqdm

from benchmark.bank import Bank, merge_blocks
from benchmark.cluster.asked import Asked
from benchmark.cluster.embedding import BANKS
from benchmark.cluster.request import Request
from benchmark.publishing import push_folder_of_results
from benchmark.scoring import planned_passes, require_space
from builders.errors import UsageError
from builders.files import scratch_prefix
from builders.ranks import Finished, Finishing, Place, Plan, gather_files, hand_over_files


def finish(plan: Plan, done: Mapping[int, Finished], place: Place, how: Finishing) -> int:
    """Merge and verify, then score. The exit status."""
    if plan.kind == "embed":
        if how.push_to is not None or how.output is not None:
            raise UsageError("'embed' fills banks and writes no results; plan 'sweep' to have some")
        return _merged_and_run(plan, done, place, Path("unused"))
    output = Place.of(plan.output)
    with contextlib.ExitStack() as stack:
        folder = how.output or output.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=scratch_prefix())))
            gather_files(output, folder)
        status = _merged_and_run(plan, done, place, folder)
        if how.output is None and output.folder is None:
            hand_over_files(folder, output)
            print(f"results were copied to {output}", file=sys.stderr)
        if how.push_to is not None:
            push_folder_of_results(folder, how.push_to, public=how.public)
    return status


def _merged_and_run(plan: Plan, done: Mapping[int, Finished], place: Place, folder: Path) -> int:
    asked = _asked_here(plan, folder)
    merged = merge(plan, done, place, asked)
    print(f"{merged:,} files of blocks were verified; banks in {asked.options.cache}", file=sys.stderr)
    return 0 if plan.kind == "embed" else int(asked.args.run(asked.args))


def merge(plan: Plan, done: Mapping[int, Finished], place: Place, asked: Asked) -> int:
    """Fill the banks in the cache from the files of all ranks; how many blocks were missing there.

    Raises:
        DataError: a file is not what its rank wrote.
        DiskError: the banks do not fit.
    """
    files = {path: sha256 for finished in done.values() for path, sha256 in finished.files.items()}
    root = asked.options.cache / BANKS
    wanted = []
    for number, job in enumerate(asked.jobs):
        for one in planned_passes(job.tasks, job.photos, asked.options):
            views = one.recipe.view_keys()
            wanted += [(key, views) for name, key in plan.notes["keys"].items() if name.startswith(f"{number}/")]
    require_space([Bank.look(root, key, views) for key, views in wanted], root, print)
    count = 0
    with tqdm(desc="merging", unit="block", delay=2, disable=None) as bar:
        for key, views in wanted:
            bank = Bank.open(root, key, views)
            count += sum(len(bank.missing(name)) for name in bank.names)
            merge_blocks(place / BANKS, key, views, bank, files, bar.update)
    return count


def _asked_here(plan: Plan, output: Path) -> Asked:
    """The request for this machine, which may have no GPU: embeddings in float32 do not ask for one."""
    import torch

    device, request = str(plan.notes["device"]), Request(plan.kind, plan.argv, plan.output)
    if device.startswith("cuda") and not torch.cuda.is_available():
        print("this machine has no GPU: tasks run on its CPU, on the embeddings that ranks made", file=sys.stderr)
        return Asked.of(request, output, device="cpu", runtime="torch")
    return Asked.of(request, output, device=device)
