"""Folders whose levels are not what they seem: splits, origins or containers that would be read as classes.

A folder is read as ``{train,val}/<class>/...`` or ``<class>/...``. Many data sets have further levels. Read as it
stands, such a folder gives wrong classes, or a split that is drawn over the data set's own. Where one other reading
makes sense, it is taken; where several do, the folder is refused with the one that was probably meant.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from builders.errors import DataError, RespelledError
from builders.photos import SPLITS, UNLABELLED, ColumnSources, PhotoSet, origin_of
from builders.sources.columns.table_files import TABLE_FILES, whole_table
from builders.sources.columns.tables import Meant, meant_columns
from builders.sources.folders import split_word
from builders.untrusted import files_below

Folders = Sequence[tuple[str, ...]]
"""The folders of each photo's path, from the first level on."""

_CONTAINER = re.compile(
    r"images?|imgs?|pictures?|photos?|data|dataset|jpegimages|labels|annotations|masks?", re.IGNORECASE
)
"""A folder whose name says nothing of its pictures."""

_AFFIXED = re.compile(r"(?:.*[_-])?(train|training|val|valid|validation|test)(?:\d{4}|[_-].*)?", re.IGNORECASE)
"""A folder whose name has a split in it: ``progan_train``."""

_WILDS = re.compile(r"(camelyon17|iwildcam|fmow|rxrx1)_v[\d.]+")

_KNOWN = (
    (
        r"(?:^|/)-?\d{4}_c\d+(s\d+)?_",
        {"label": r"re:(?:^|/)(-?\d{4})_c", "group=camera": r"re:_c(\d+)"},
        "bounding_box_train",
    ),
    (
        r"/Plate\d+/[A-Z]\d\d_s\d(_w\d)?\.",
        {
            "label": r"re:([^/]+)-\d+/Plate",
            "group=experiment": "re:([^/]+)/Plate",
            "cluster": r"re:([^/]+/Plate\d+/[A-Z]\d\d)",
        },
        "",
    ),
)
"""Names of photos of sets whose folders are no classes, the options that read them, and the folder to read:
Market-1501, DukeMTMC and MSMT17; RxRx1, where the label is the type of cell."""

MOST_TABLES = 6
"""Files of a folder that are looked at, the smallest first."""

MOST_PHOTOS = 0.9
"""Share of the photos that have a level, from which on it belongs to the layout: stray files do not count."""


def check_layout(place: str, photos: PhotoSet, given: ColumnSources, *, draw: bool) -> None:
    """Raise for a folder whose levels are probably something else than classes and splits.

    Args:
        place: its specification without options, ``folder:PATH``.
        photos: as ``labelled_folder`` reads it, with paths as ids.
        given: what the user named; a named label is not questioned, nor a named split.
        draw: a split is wanted even if the path seems to have given splits (``val-share=``).

    Raises:
        RespelledError: with the specification that was probably meant.
        DataError: its levels say too little.
    """
    folders = [tuple(photo_id.split("/")[:-1]) for photo_id in photos.ids]
    split_given = photos.evidence.get("splits") == "as given by the folder"
    split_level = None if split_given or draw or given.split else _level(folders, split_word)
    if given.label:
        if split_level is not None:
            raise DataError(
                f"{place}: the folders at level {split_level} are {_sentence(_names(folders, split_level))}, and a "
                f"split drawn over them would mix them: add split=folder:{split_level} (or val-share=0.25 to draw one)"
            )
        return
    location, classes = place.partition(":")[2], photos.labels.names
    if wilds := _WILDS.fullmatch(Path(location).name):
        raise RespelledError(
            f"{place}: this is a data set of WILDS, whose tables say what the pictures are",
            f"wilds:{wilds[1]}",
            {"root": location},
            certain=True,
        )
    for pattern, meant, inner in _KNOWN:
        if sum(bool(re.search(pattern, photo_id)) for photo_id in photos.ids) >= MOST_PHOTOS * len(photos):
            known = f"{place}/{inner}" if any(parts[0] == inner for parts in folders if parts) else place
            raise RespelledError(
                f"{place}: its folders are no classes, but the names of its photos say more", known, meant
            )
    nameless = all(_CONTAINER.fullmatch(name) or _AFFIXED.fullmatch(name) for name in classes)
    if nameless or len(classes) < 2:
        _check_table(place, photos)
    if not classes:
        return
    if split_given:
        _check_sides_share_classes(place, photos)
    class_level = 2 if split_given else 1
    if split_level == 1:
        named = f"{place}: {_sentence(classes)} would be a class, and names a split"
        if len(classes) > 1:
            raise DataError(f"{named}: a folder with splits has the folders train and val")
        raise RespelledError(named, f"{place}/{classes[0]}", certain=_holds_all(folders))
    if split_given is False and len(set(_affixes(classes))) > 1:
        label = _label_source([parts[1:] for parts in folders], shift=1)
        words = "|".join(dict.fromkeys(_affixes(classes)))
        if not label:
            raise DataError(
                f"{place}: {_sentence(classes)} would be its classes, and are splits: write a table of the photos: "
                "'table:FILE.csv?image=path&label=class&split=split'"
            )
        meant = {"label": label, "split": f"re:(?:^|[/_-])({words})(?=[/_\\d-])"}
        raise _splits_or_origins(place, classes, classes, meant, class_level)
    deep = any(len(parts) > class_level for parts in folders)
    if len(classes) == 1 and not split_given:
        _check_only_class(place, classes[0], folders)
    if all(_CONTAINER.fullmatch(name) for name in classes) and (deep or len(classes) > 1):
        if split_given or len(classes) > 1 or not deep:
            raise DataError(
                f"{place}: its classes would be {_sentence(classes)}, which say nothing of the pictures: write a table "
                "of them: 'table:FILE.csv?image=path&label=class&split=split'"
            )
        raise RespelledError(
            f"{place}: its only class would be {classes[0]}, which says nothing of the pictures",
            f"{place}/{classes[0]}",
        )
    below = [parts[class_level:] for parts in folders]
    if split_level is None and _level(below, _is_origin, least=2, share=0.0) is None:
        if not (given.groups or given.cluster or given.scene) and _share_children(folders, class_level):
            raise RespelledError(
                f"{place}: its folders {_sentence(classes)} have sub-folders of the same names, as domains of the same "
                f"classes have ('{place}?label=folder:{class_level}' if {_sentence(classes)} are the classes)",
                options={"label": f"folder:{class_level + 1}", "group=domain": f"folder:{class_level}"},
            )
        return
    special = sorted({name for parts in below for name in parts if split_word(name) or _is_origin(name)})
    raise _splits_or_origins(place, classes, special, _suggestion(folders, split_given=split_given), class_level)


def _holds_all(folders: Folders) -> bool:
    """Whether one folder holds all photos."""
    return len({parts[:1] for parts in folders}) == 1


def _check_only_class(place: str, name: str, folders: Folders) -> None:
    """Refuse a single folder with levels below it that tell the photos apart."""
    levels = _levels(folders)
    label = next((level for level in levels if len(_names(folders, level)) > 1), None)
    if label is None:
        return
    inner = f"{place}/{'/'.join(next(parts for parts in folders if len(parts) >= label)[: label - 1])}"
    sentence = f"{place}: its only class would be {name}, with folders below it"
    if not all(map(split_word, _names(folders, label))) and not _share_children(folders, label):
        deeper = [level for level in levels if level > label and len(_names(folders, level)) > 1]
        shared = [level for level in deeper if _share_children(folders, level - 1)]
        least = len(_names(folders, label))
        own = [level for level in deeper if level not in shared and len(_names(folders, level)) > least]
        if shared:
            options = {"label": f"folder:{label}", f"group=folder{shared[0]}": f"folder:{shared[0]}"}
            options |= {"cluster": f"folder:{own[-1]}"} if own else {}
            raise RespelledError(sentence, options=options)
    raise RespelledError(
        sentence, inner, certain=all(parts[: label - 1] == folders[0][: label - 1] for parts in folders)
    )


def _share_children(folders: Folders, level: int) -> bool:
    """Whether the folders at a level, two or more, mostly have sub-folders of the same names."""
    children: dict[tuple[str, ...], set[str]] = {}
    for parts in folders:
        if len(parts) > level:
            children.setdefault(parts[:level], set()).add(parts[level])
    names = Counter(name for held in children.values() for name in held if not _CONTAINER.fullmatch(name))
    of_several = {name for name, count in names.items() if count > 1}
    shares = [len(held & of_several) / len(held) for held in children.values() if len(held) > 1]
    return len(shares) > 1 and sum(share >= 0.5 for share in shares) > len(shares) / 2


def _splits_or_origins(
    place: str, classes: Sequence[str], held: Sequence[str], meant: Mapping[str, str], class_level: int
) -> RespelledError:
    """The error of folders that are splits or origins; splits within each class have one reading."""
    certain = meant.get("label") == f"folder:{class_level}" and all(map(split_word, held))
    others = "" if certain else f" ('{place}?label=folder:{class_level}&val-share=0.25' if those are the classes)"
    return RespelledError(
        f"{place}: its classes would be {_sentence(classes)}, and its folders {_sentence(held)} are splits or "
        f"origins{others}",
        options=meant,
        certain=certain,
    )


def _is_origin(name: str) -> bool:
    return origin_of(name) is not None


def _affixes(classes: Sequence[str]) -> list[str]:
    """The split in the name of each class, in their spelling; empty if one has none."""
    matches = [_AFFIXED.fullmatch(name) for name in classes]
    return [match[1] for match in matches if match] if all(matches) else []


def _names(folders: Folders, level: int) -> list[str]:
    """Names of the folders at a level, from 1, sorted."""
    return sorted({parts[level - 1] for parts in folders if len(parts) >= level})


def _levels(folders: Folders, share: float = MOST_PHOTOS) -> range:
    """The levels, from 1, at which this share of the photos has a folder."""
    depths = [len(parts) for parts in folders]
    deepest = max(depths, default=0)
    return range(
        1, 1 + sum(sum(d >= level for d in depths) >= max(share * len(depths), 1) for level in range(1, 1 + deepest))
    )


def _level(
    folders: Folders, rule: Callable[[str], object], *, least: int = 1, share: float = MOST_PHOTOS
) -> int | None:
    """The first level, from 1, all of whose folders obey a rule and that has ``least`` of them; None if none does."""
    for level in _levels(folders, share):
        names = _names(folders, level)
        if len(names) >= least and all(map(rule, names)):
            return level
    return None


def _label_source(folders: Folders, *, without: Collection[int | None] = (), shift: int = 0) -> str:
    """SOURCE of the label: origins if folders have such names, else the first level; empty if there is no level."""
    origin = _level(folders, _is_origin, least=2)
    origins = sorted({name for parts in folders for name in parts if _is_origin(name)})
    if origin is not None:
        return f"folder:{origin + shift}"
    if len(origins) > 1:
        return f"re:(?:^|/)({'|'.join(map(re.escape, origins))})/"
    rest = [level for level in _levels(folders) if level not in without]
    return f"folder:{rest[0] + shift}" if rest else ""


def _suggestion(folders: Folders, *, split_given: bool) -> dict[str, str]:
    """The options that were probably meant: label, group and split."""
    split, origin = _level(folders, split_word), _level(folders, _is_origin, least=2)
    options = {"label": _label_source(folders, without=[split])}
    if any(_is_origin(name) for parts in folders for name in parts):
        levels = [n for n in _levels(folders) if n not in (split, origin) and len(_names(folders, n)) > 1]
        group = next((n for n in levels if not any(map(_is_origin, _names(folders, n)))), None)
        options |= {"group=generator": f"folder:{group}"} if group else {}
    if split is not None and not split_given:
        options["split"] = f"folder:{split}"
    return {option: source for option, source in options.items() if source}


def _check_sides_share_classes(place: str, photos: PhotoSet) -> None:
    """Refuse given splits that share no class with ``train``: their folders are not the same classes."""
    train = set(photos.labels.values[photos.indices("train")].tolist()) - {UNLABELLED}
    for split in SPLITS[1:]:
        classes = set(photos.labels.values[photos.indices(split)].tolist())
        if train and classes and not classes & train:
            held = "no class folders" if classes == {UNLABELLED} else "none of the class folders of train"
            raise DataError(
                f"{place}: {split} has {held}: sort its photos into the folders of train, or write a table of them: "
                "'table:FILE.csv?image=path&label=class&split=split'"
            )


def _check_table(place: str, photos: PhotoSet) -> None:
    """Refuse a folder with a table that says what its pictures are, where its folders do not."""
    location = place.partition(":")[2]
    root = Path(location).expanduser()
    if not root.is_dir():
        return
    tables = [name for name in files_below(root, links=True, hidden=False) if name.lower().endswith(_TABLES)]
    by_name: dict[str, str] = {}
    for photo_id in photos.ids:
        name = photo_id.rpartition("/")[2]
        by_name[name.rpartition(".")[0]] = by_name[name] = photo_id
    found = []
    for table in sorted(tables, key=lambda name: os.path.getsize(root / name))[:MOST_TABLES]:
        options, certain = _options_of(root / table, root, by_name)
        if {"label", "split"} & {*options}:
            found.append((len(options), table, options, certain))
    if not found:
        return
    _, table, options, certain = max(found, key=lambda one: one[0])
    meant = f"table:{location}/{table}"
    if options["image"] == "file_name" and table.rpartition("/")[2].startswith("metadata."):  # one a folder
        meant, options = f"hub:{location}", {name: options[name] for name in ("label",) if name in options}
        certain = "label" in options and all(name.rpartition("/")[2].startswith("metadata.") for _, name, *_ in found)
    else:
        certain &= len(found) == 1
    raise RespelledError(
        f"{place}: {table} in it is no picture, and says what the pictures are (if not, move it out of the folder)",
        meant,
        options,
        certain=certain,
    )


_TABLES = tuple(ending for ending in TABLE_FILES if ending != ".txt")


def _options_of(file: Path, root: Path, by_name: Mapping[str, str]) -> Meant:
    """The options that read a table of the pictures of a folder; none if no column of its first row names one.

    They are certain if it says of every picture what it is.
    """
    table = whole_table(file)
    if table is None:
        return Meant({}, False)
    usual = meant_columns(table).options.get("image")
    for column in sorted(table.columns, key=lambda name: name != usual):
        value = (table.columns[column][0] or "").replace("\\", "/")
        photo = by_name.get(value.rpartition("/")[2])
        is_number = value.isdecimal() and column != usual  # of a row, and of a photo by chance
        if photo is None or is_number or not (photo.endswith(value) or photo.rpartition(".")[0].endswith(value)):
            continue
        options, certain = meant_columns(table, image=column)
        named = {by_name.get((value or "").rpartition("/")[2]) for value in table.columns[column]}
        certain &= {*by_name.values()} <= named and "label" in options
        whole = photo if photo.endswith(value) else photo.rpartition(".")[0]
        holder = root / whole[: len(whole) - len(value)]
        if holder.resolve() != file.parent.resolve():
            options["root"] = str(holder)
        return Meant(options, certain)
    return Meant({}, False)


def _sentence(names: Sequence[str], most: int = 4) -> str:
    """Names as part of a sentence.

    >>> _sentence(["a"]), _sentence(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])}, ... ({len(names)})"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
