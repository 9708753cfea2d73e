"""The kNN set-up ``uniform``: each train photo has one class drawn for it, for several seeds.

Neighbours are taken from the lists of the other set-ups if these are sufficient; the rest is computed separately.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from benchmark.compute import threads_of_work
from benchmark.knn.keys import GROUP, NOTHING, merge, shift_indices, top_keys, unpack_indices
from benchmark.knn.lists import BlockPlan, KnnQuestion, Lists, by_photos, merged_width
from benchmark.knn.search import read_unit_rows, round_up
from benchmark.knn.votes import Votes, decide, tally


def uniform_nearest(question: KnnQuestion, queries: torch.Tensor, lists: Lists, plan: BlockPlan) -> torch.Tensor:
    """Keys [C of the test photo, seeds, test photos, k] of the nearest train photos in their drawn classes.

    Args:
        queries: float32 [C, test photos of the part, dimension], of unit length.
        lists: their nearest neighbours in each bank.
    """
    # uint8 would suffice for usual numbers of classes, int64 would cost eight times the memory traffic
    drawn = torch.from_numpy(question.train_assignments.T.astype(np.int16)).contiguous().to(question.device)
    shape = (question.classes, drawn.shape[1], queries.shape[1], question.k)
    with threads_of_work(math.prod(shape)):
        nearest = torch.full(shape, NOTHING, dtype=torch.int64, device=question.device)
        proven = torch.ones(shape[:-1], dtype=torch.bool, device=question.device)

    def from_lists(rows: slice) -> None:
        photo_lists = lists.of(rows)
        for t in range(question.classes):
            keys, banks, bound = _merged(photo_lists.positives[t] + photo_lists.negatives[t], merged_width(question))
            classes = drawn[unpack_indices(keys).clamp(min=0)]  # [photos, width, seeds]
            visible = (classes == banks[..., None]).permute(2, 0, 1)
            _first(keys, visible & (keys != NOTHING), nearest[t, :, rows])
            # Photos outside the lists are farther than the bound, so none precedes a k-th neighbour at the bound.
            proven[t, :, rows] = nearest[t, :, rows, -1] >= bound

    by_photos(from_lists, question, queries.shape[1])
    if not bool(proven.all()):
        _compute_unproven(question, queries, nearest, ~proven, plan)
    return nearest


def _first(keys: torch.Tensor, visible: torch.Tensor, nearest: torch.Tensor) -> None:
    """Write the first k ``visible`` [seeds, photos, width] of falling ``keys`` [photos, width] to ``nearest``."""
    place = visible.cumsum(dim=2, dtype=torch.int16)
    seed, photo, at = (visible & (place <= nearest.shape[2])).nonzero(as_tuple=True)
    nearest[seed, photo, place[seed, photo, at].long() - 1] = keys[photo, at]


def _merged(lists: list[torch.Tensor], width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The first ``width`` keys of all lists, falling; their banks; and the key below which some may be missing."""
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
    keys, order = keys.sort(dim=1, descending=True)
    return keys, banks[order], bound


def _compute_unproven(
    question: KnnQuestion, queries: torch.Tensor, nearest: torch.Tensor, unproven: torch.Tensor, plan: BlockPlan
) -> None:
    """Compute the ``unproven`` ones of ``nearest`` [C, seeds, photos, k] from similarities to all train photos."""
    nearest.masked_fill_(unproven[..., None], NOTHING)
    rows = unproven.any(dim=1).nonzero()  # [queries, 2]: class and photo
    seeds = unproven.any(dim=2).any(dim=0).nonzero().flatten().tolist()
    columns = max(GROUP, plan.columns // question.classes // GROUP * GROUP)
    shape = (question.classes, columns, question.dimension)
    banks = torch.empty(shape, dtype=torch.float32, device=question.device)
    for start in range(0, len(question.train_labels), columns):
        drawn = question.train_assignments[seeds, start : start + columns]
        widths, places = _read_drawn(question, drawn, start, banks)
        for block_rows in rows.split(plan.rows):
            block_queries = queries[block_rows[:, 0], block_rows[:, 1]]
            block = torch.cat(
                [block_queries @ bank[:width].T for bank, width in zip(banks, widths, strict=True)], dim=1
            )
            for seed, place in zip(seeds, places, strict=True):
                of_seed = unproven[block_rows[:, 0], seed, block_rows[:, 1]]
                keys = shift_indices(top_keys(block[of_seed].index_select(1, place), question.k), start)
                target = (block_rows[of_seed, 0], seed, block_rows[of_seed, 1])
                nearest[target] = merge(nearest[target], keys)


def _read_drawn(
    question: KnnQuestion, drawn: np.ndarray, start: int, banks: torch.Tensor
) -> tuple[list[int], torch.Tensor]:
    """Read the train photos from ``start`` on, in the classes ``drawn`` [seeds, photos], to ``banks`` [C, photos, d].

    Returns:
        Number of used rows of each bank, and int64 [seeds, photos]: each photo's row, counted over all banks.
    """
    widths: list[int] = []
    places = np.zeros(drawn.shape, np.int64)
    for c, bank in enumerate(question.train):
        needed = (drawn == c).any(axis=0)
        row = sum(widths) + np.cumsum(needed) - 1
        places[drawn == c] = np.broadcast_to(row, drawn.shape)[drawn == c]
        photos = np.asarray(bank[start : start + drawn.shape[1]])[needed]
        width = round_up(len(photos))
        read_unit_rows(photos, 0, len(photos), banks[c, :width], what=f"train class {c}")
        widths.append(width)
    return widths, torch.from_numpy(places).to(question.device)


def uniform_votes(question: KnnQuestion, nearest: torch.Tensor, photos: slice) -> Votes:
    """Votes [C, seeds, photos] among complete lists of neighbours [C, seeds, photos, k], both kinds mixed."""
    k = question.k
    labels = torch.from_numpy(question.train_labels).to(question.device)[unpack_indices(nearest).clamp(min=0)]
    query_labels = torch.from_numpy(question.test_labels[photos]).to(question.device)
    positive = (labels == query_labels[:, None]) & (nearest != NOTHING)
    positives = torch.where(positive, nearest, NOTHING)
    votes = positive.sum(dim=-1)
    opposition = tally(torch.where(positive, NOTHING, nearest), labels)
    return decide(votes, positives.amax(dim=-1), opposition, torch.full_like(votes, k))
