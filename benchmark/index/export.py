"""The map of a repair as files: for NumPy, FAISS, pgvector and Qdrant. Queries are mapped by the same files.

Every form is ``y = matrix (x / |x|) + bias``, then scaled to unit length, so that cosine, inner product and Euclidean
distance rank alike.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from benchmark.erasing import Eraser
from builders.dataset import render
from builders.errors import disk_error
from builders.files import write_bytes_atomically, write_text_atomically
from builders.processes import notice

NPZ, FAISS, SQL, PYTHON = "map.npz", "map.faiss", "map.sql", "apply_map.py"


def affine(eraser: Eraser) -> tuple[np.ndarray, np.ndarray]:
    """Matrix [d, d] and bias [d] of a map, float32: ``mean + P (x - mean)`` as ``P x + bias``.

    >>> half = Eraser("mean", np.array([2.0], np.float32), np.array([[0.5]], np.float32), 1)
    >>> [array.tolist() for array in affine(half)]
    [[[0.5]], [1.0]]
    """
    matrix = eraser.projection.astype(np.float64)
    mean = eraser.mean.astype(np.float64)
    return matrix.astype(np.float32), (mean - matrix @ mean).astype(np.float32)


def write_map(eraser: Eraser, folder: Path) -> list[str]:
    """Write the files of a map, and the folder that ``camtrace.load_eraser`` reads. Returns the names of the files.

    Args:
        eraser: of rows of unit length.
        folder: is made if it does not exist.

    Raises:
        DiskError: a file cannot be written.
    """
    matrix, bias = affine(eraser)
    eraser.save(folder)
    buffer = io.BytesIO()
    np.savez(buffer, matrix=matrix, bias=bias, groups=np.array(str(eraser.provenance.get("attribute", ""))))
    numbers = [",".join(map(repr, row)) for row in matrix.astype(object)]
    rows = [f"({i},'[{text}]',{bias[i]!s})" for i, text in enumerate(numbers)]
    context = {"eraser": eraser, "dimension": len(bias), "rows": rows, "npz": NPZ}
    files = [NPZ, SQL, PYTHON]
    try:
        write_bytes_atomically(folder / NPZ, buffer.getvalue())
        write_text_atomically(folder / SQL, render("index_map.sql.jinja", **context) + "\n")
        write_text_atomically(folder / PYTHON, render("index_map.py.jinja", **context) + "\n")
        if (data := _faiss_file(matrix, bias)) is not None:
            write_bytes_atomically(folder / FAISS, data)
            files.append(FAISS)
    except OSError as error:
        raise disk_error(error, f"--repair {folder}") from None
    return files


def _faiss_file(matrix: np.ndarray, bias: np.ndarray) -> bytes | None:
    """A ``faiss.LinearTransform`` as a file; None where FAISS is not installed."""
    try:
        import faiss
    except ModuleNotFoundError:
        notice(f"{FAISS} is not written: FAISS is not installed (pip install 'camtrace[index]')")
        return None
    transform = faiss.LinearTransform(len(bias), len(bias), True)
    faiss.copy_array_to_vector(matrix.ravel(), transform.A)
    faiss.copy_array_to_vector(bias, transform.b)
    transform.is_trained = True
    writer = faiss.VectorIOWriter()
    faiss.write_VectorTransform(transform, writer)  # type: ignore[arg-type]  # its stubs know files alone
    return bytes(faiss.vector_to_array(writer.data).tobytes())
