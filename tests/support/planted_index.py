"""Planted indexes: vectors of a label and of how a file was saved, and the files themselves."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image


def vectors_of(labels, groups, shift, *, dimension=16, seed=0, spread=1.2):
    """float32 [n, d]: a centre of each label, a shift of each group, and noise."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(5).normal(size=(int(max(labels)) + 1, dimension)) * spread
    shifts = np.random.default_rng(6).normal(size=(int(max(groups)) + 1, dimension)) * shift
    return (centres[labels] + shifts[groups] + rng.normal(size=(len(labels), dimension))).astype(np.float32)


def write_rows(folder: Path, vectors, **columns) -> Path:
    """``index.npy`` with ``index.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "index.npy", vectors)
    with open(folder / "index.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return folder / "index.npy"


def write_photos(folder: Path, names, saved) -> None:
    """Small pictures, each saved as (format, quality)."""
    known = {}
    for name, (kind, quality) in zip(names, saved, strict=True):
        if (kind, quality) not in known:
            buffer = io.BytesIO()
            picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (24, 32, 3), np.uint8))
            picture.save(buffer, kind, **({"quality": quality} if quality else {}))
            known[kind, quality] = buffer.getvalue()
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(known[kind, quality])


def plain_excess(vectors, labels, groups, clusters, queries, k):
    """Share of neighbours of the query's group beyond what label and chance explain, by plain loops."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    beyond = []
    for q in queries:
        others = [i for i in range(len(unit)) if clusters[i] != clusters[q]]
        near = sorted(others, key=lambda i: -float(unit[i] @ unit[q]))[:k]
        for i in near:
            alike = [j for j in others if labels[j] == labels[i]]
            beyond.append((groups[i] == groups[q]) - np.mean([groups[j] == groups[q] for j in alike]))
    return float(np.mean(beyond))
