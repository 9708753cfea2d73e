"""The kNN set-up ``uniform``: every train photo is seen through one class drawn for it, under several seeds.

The neighbours are read off the lists that the other set-ups need, wherever these prove them; the rest is computed anew.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmark.knn_lists import Lists, Plan, Question, round_up
from benchmark.topk import GROUP, NOTHING, merge, read_unit_rows, shift_indices, top_keys, unpack_indices
from benchmark.votes import Votes, decide, tally


def uniform_votes(question: Question, queries: torch.Tensor, photos: slice, lists: Lists, plan: Plan) -> Votes:
    """Votes [C of the test photo, seeds, test photos] among train photos of the drawn classes.

    Args:
        queries: float32 [C, test photos of the part, dimension], of unit length.
        photos: which test photos these are.
        lists: their nearest neighbours in each bank.
    """
    # uint8 would do for the classes at hand, int64 would cost eight times the memory traffic
    drawn = torch.from_numpy(question.train_assignments.T.astype(np.int16)).contiguous().to(question.device)
    shape = (question.classes, drawn.shape[1], queries.shape[1], question.k)
    nearest = torch.full(shape, NOTHING, dtype=torch.int64, device=question.device)
    proven = torch.ones(shape[:-1], dtype=torch.bool, device=question.device)
    for t in range(question.classes):
        keys, banks, bound = _merged(lists.positives[t] + lists.negatives[t], 3 * question.classes * question.k)
        classes = drawn[unpack_indices(keys).clamp(min=0)]  # [photos, width, seeds]
        for seed in range(drawn.shape[1]):
            visible = torch.where(classes[..., seed] == banks, keys, NOTHING)
            found = visible.topk(min(question.k, visible.shape[1]), dim=1).values
            nearest[t, seed, :, : found.shape[1]] = found
            # Whatever is missing from the lists is farther than the bound, so it cannot be before a k-th at the bound.
            proven[t, seed] = nearest[t, seed, :, -1] >= bound
    _find(question, queries, nearest, ~proven, plan)
    return _vote(question, nearest, photos)


def _merged(lists: list[torch.Tensor], width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The first ``width`` neighbours of all lists, their banks, and the key below which neighbours may be missing."""
    banks = torch.cat(
        [
            torch.full((x.shape[1],), i % (len(lists) // 2), dtype=torch.int16, device=x.device)
            for i, x in enumerate(lists)
        ]
    )
    keys = torch.cat(lists, dim=1)
    bound = torch.stack([x[:, -1] for x in lists]).amax(dim=0)
    if keys.shape[1] > width:
        keys, order = keys.topk(width, dim=1)
        return keys, banks[order], torch.maximum(bound, keys[:, -1])
    return keys, banks.expand(keys.shape), bound


def _find(question: Question, queries: torch.Tensor, nearest: torch.Tensor, wanted: torch.Tensor, plan: Plan) -> None:
    """Compute the ``nearest`` [C, seeds, photos, k] that are ``wanted`` from similarities to all train photos."""
    nearest.masked_fill_(wanted[..., None], NOTHING)
    rows = wanted.any(dim=1).nonzero()  # [queries, 2]: class and photo
    if not len(rows):
        return
    columns = max(GROUP, plan.columns // question.classes // GROUP * GROUP)
    shape = (question.classes, columns, question.dimension)
    banks = torch.empty(shape, dtype=torch.float32, device=question.device)
    for start in range(0, len(question.train_labels), columns):
        stop = min(start + columns, len(question.train_labels))
        width = round_up(stop - start)
        for c, bank in enumerate(question.train):
            read_unit_rows(bank, start, stop, banks[c, :width], what=f"train class {c}")
        drawn = torch.from_numpy(question.train_assignments[:, start:stop]).to(question.device)
        places = drawn * width + torch.arange(stop - start, device=question.device)
        for some in rows.split(plan.rows):
            block = torch.cat([queries[some[:, 0], some[:, 1]] @ bank[:width].T for bank in banks], dim=1)
            for seed in range(len(drawn)):
                asked = some[wanted[some[:, 0], seed, some[:, 1]]]
                seen = block[wanted[some[:, 0], seed, some[:, 1]]].index_select(1, places[seed])
                found = shift_indices(top_keys(seen, question.k), start)
                place = (asked[:, 0], seed, asked[:, 1])
                nearest[place] = merge(nearest[place], found)


def _vote(question: Question, nearest: torch.Tensor, photos: slice) -> Votes:
    """Votes among complete lists of neighbours [C, seeds, photos, k], positives and negatives mixed."""
    k = question.k
    labels = torch.from_numpy(question.train_labels).to(question.device)[unpack_indices(nearest).clamp(min=0)]
    own = torch.from_numpy(question.test_labels[photos]).to(question.device)
    positive = (labels == own[:, None]) & (nearest != NOTHING)
    positives = torch.where(positive, nearest, NOTHING)
    votes = positive.sum(dim=-1)
    opposition = tally(torch.where(positive, NOTHING, nearest), labels)
    return decide(votes, positives.amax(dim=-1), opposition, torch.full_like(votes, k))
