"""What a figure shows, read from its artists: for ``check_recorded``, and equal on every version of matplotlib.

Numbers of equal artists are one array, so that a figure of hundreds of points is a few lines of a recorded file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedLocator


def drawn(figure: Figure) -> dict[str, Any]:
    """Size, texts, legends and axes of a figure, with everything that is drawn into them."""
    title = figure._suptitle
    texts = [text for text in figure.texts if text is not title]
    return {
        "figure": [*figure.get_size_inches(), str(type(figure.get_layout_engine()).__name__), *_columns(texts).items()],
        "title": None if title is None else _columns([title]),
        "legends": [_legend(legend) for legend in figure.legends],
    } | {f"axes {i}": _axes(axes) for i, axes in enumerate(figure.axes)}


@contextlib.contextmanager
def drawings() -> Iterator[list[dict[str, Any]]]:
    """Instead of being written, figures are read: what each shows, and the words that it would be written with."""
    seen: list[dict[str, Any]] = []

    def save(figure: Figure, target: Any, **words: Any) -> None:
        seen.append({**drawn(figure), "file": sorted((name, str(word)) for name, word in words.items())})

    def print_png(canvas: FigureCanvasAgg, target: Any) -> None:
        save(canvas.figure, target, dpi=canvas.figure.dpi, facecolor=canvas.figure.get_facecolor())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        patch.setattr(FigureCanvasAgg, "print_png", print_png)
        yield seen


def _axes(axes: Axes) -> dict[str, Any]:
    spec = axes.get_subplotspec()
    place = axes.get_position(original=True).bounds
    titles = [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
    spines = [(name, spine.get_linewidth()) for name, spine in axes.spines.items() if spine.get_visible()]
    children = [child for child in axes.get_children() if child not in (*titles, *axes.spines.values(), axes.patch)]
    legend = axes.get_legend()
    return {
        "place": [*place, *(() if spec is None else spec.get_gridspec().get_height_ratios() or ()), axes.axison],
        "limits": [*axes.get_xlim(), *axes.get_ylim(), axes.get_xscale(), axes.get_yscale(), str(axes.get_aspect())],
        "titles": _columns(titles),
        "spines": spines,
        "below": axes.get_axisbelow(),
        "bar": str(getattr(axes, "_colorbar_info", {}).get("shrink")),
        "x": _ticks(axes.xaxis),
        "y": _ticks(axes.yaxis),
        "legend": None if legend is None else _legend(legend),
    } | {
        kind.__name__: _columns([child for child in children if isinstance(child, kind)])
        for kind in (Line2D, Patch, Collection, AxesImage, Text)
        if any(isinstance(child, kind) for child in children)
    }


def _ticks(axis: Any) -> list[Any]:
    line = axis.get_gridlines()[0] if axis.get_gridlines() else None
    grid = [] if line is None or not line.get_visible() else [_columns([line])["look"]]
    fixed = [_columns(axis.get_ticklabels())] if isinstance(axis.get_major_locator(), FixedLocator) else []
    marks = [[tick.tick1line.get_markersize(), tick.tick1line.get_markeredgewidth()] for tick in axis.get_major_ticks()]
    return [*grid, *fixed, *marks[:1]]


def _legend(legend: Legend) -> dict[str, Any]:
    spaces = ("borderaxespad", "columnspacing", "handlelength", "handletextpad", "labelspacing")
    bounds = legend.get_bbox_to_anchor().bounds
    return {
        "place": [legend._loc, legend._ncols, legend.get_frame_on(), *bounds, *(getattr(legend, n) for n in spaces)],
        "texts": _columns(legend.get_texts()),
        "marks": [_columns([handle]) for handle in legend.legend_handles if isinstance(handle, (Line2D, Patch))],
    }


def _columns(artists: Iterable[Any]) -> dict[str, Any]:
    """Arrays and runs of equal words over artists of one kind."""
    every = [_described(artist) for artist in artists]
    numbers = np.concatenate([np.atleast_1d(np.asarray(e[0], float)).ravel() for e in every]) if every else np.zeros(0)
    looks = np.concatenate([np.asarray(e[1], float).ravel() for e in every]) if every else np.zeros(0)
    words = [f"{word} x {len(list(run))}" for word, run in groupby(str(e[2]) for e in every)]
    return {"data": numbers, "look": looks, "words": words}


def _described(artist: Any) -> tuple[Any, list[float], str]:
    """(positions and other data, colours and widths, words) of one artist."""
    visible = [float(artist.get_visible()), artist.get_zorder(), artist.get_alpha() or 0.0, float(artist.get_clip_on())]
    if isinstance(artist, Line2D):
        colours = [artist.get_color(), artist.get_markerfacecolor(), artist.get_markeredgecolor()]
        widths = [artist.get_linewidth(), artist.get_markersize(), artist.get_markeredgewidth()]
        words = f"{artist.get_linestyle()} {artist.get_marker()} {artist.get_solid_capstyle()}"
        return np.array(artist.get_xydata()), [*visible, *widths, *_rgba(colours)], words
    if isinstance(artist, Text):
        at = [*artist.get_position(), artist.get_fontsize(), artist.get_rotation()]
        words = f"{artist.get_text()!r} {artist.get_ha()} {artist.get_va()} {artist.get_weight()} {artist.get_style()}"
        if isinstance(artist, Annotation):
            at += artist.xy
            words += f" {artist.xycoords} {artist.anncoords}"
        return at, [*visible, *_rgba([artist.get_color()])], words
    if isinstance(artist, AxesImage):
        values = np.nan_to_num(np.ma.filled(artist.get_array().astype(float), -1.0), nan=-1.0)
        words = f"{artist.get_cmap().name} {artist.get_interpolation()}"
        return [*artist.get_clim(), *artist.get_extent(), *values.ravel()], visible, words
    if isinstance(artist, Collection):
        paths = [path.vertices.ravel() for path in artist.get_paths()[:40]]
        data = [*paths, np.ma.filled(artist.get_offsets(), 0.0).ravel(), getattr(artist, "get_sizes", list)()]
        colours = [*artist.get_facecolor(), *artist.get_edgecolor()]
        return (
            np.concatenate([np.asarray(part, float) for part in data]),
            [
                *visible,
                *artist.get_linewidth(),
                *_rgba(colours),
            ],
            "collection",
        )
    assert isinstance(artist, Patch)
    path = artist.get_patch_transform().transform_path(artist.get_path()).vertices
    style = f"{artist.get_linestyle()} {artist.get_hatch()}"
    return path, [*visible, artist.get_linewidth(), *_rgba([artist.get_facecolor(), artist.get_edgecolor()])], style


def _rgba(colours: Iterable[Any]) -> list[float]:
    return [part for colour in colours for part in to_rgba(colour)]
