"""The span of a training set's rows: where these are fewer than dimensions, all that a probe can learn lies in it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.compute import threads_of_work
from benchmark.probe.products import of_each


class Basis(NamedTuple):
    """Orthonormal columns ``rows.T @ combination``, in factors because that is cheaper."""

    rows: Tensor
    """[G, n, d], the centred rows."""
    combination: Tensor
    """float64 [G, n, r]."""

    def to_embedding(self, weights: Tensor) -> Tensor:
        """Weights [G, L, r, C] of rotated features -> [G, L, d, C] of embeddings."""
        return of_each(_to_embedding, self._work(weights), *self, weights)[0]

    def from_embedding(self, weights: Tensor) -> Tensor:
        """Weights [G, L, d, C] of embeddings -> [G, L, r, C] of rotated features: the inverse on the span."""
        return of_each(_from_embedding, self._work(weights), *self, weights)[0]

    def _work(self, weights: Tensor) -> int:
        return weights[..., 0, :].numel() * self.rows.shape[1] * (self.rows.shape[2] + self.combination.shape[2])


def decomposed(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues [G, n], ascending, and eigenvectors [G, n, n] of the products with one another of rows [G, n, d]."""
    values, vectors = of_each(_decomposed, rows.numel() * rows.shape[1], rows)
    return values, vectors


def _decomposed(rows: Tensor) -> tuple[Tensor, Tensor]:
    products = torch.bmm(rows, rows.mT)
    with threads_of_work(products[0].numel()):  # eigh wakes threads for one reflection after the other
        values, vectors = torch.linalg.eigh(products)
    return values, vectors


def _to_embedding(rows: Tensor, combination: Tensor, weights: Tensor) -> tuple[Tensor]:
    mixed = torch.einsum("gnr,glrc->gnlc", combination, weights)
    return (torch.einsum("gnd,gnlc->gldc", rows.to(torch.float64), mixed).contiguous(),)


def _from_embedding(rows: Tensor, combination: Tensor, weights: Tensor) -> tuple[Tensor]:
    mixed = torch.einsum("gnd,gldc->gnlc", rows.to(torch.float64), weights)
    return (torch.einsum("gnr,gnlc->glrc", combination, mixed),)
