"""Doubles of real camera sets: small trees in their published layouts, and what every photo of them is."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.layouts import picture

Tree = dict[str, bytes]
"""Bytes by path."""

Truth = dict[str, dict[str, str]]
"""By path, what a photo is: columns, groups, attributes and ``label`` by name."""


def fodb() -> Truth:
    """Three phones, two of one model, through three platforms, four scenes."""
    devices = {"D01": ("Motorola", "E3", "1"), "D02": ("Sony", "Xperia_Z1", "1"), "D03": ("Sony", "Xperia_Z1", "2")}
    return {
        f"{number}_{make}_{model}_{body}/{kind}/{number}_img_{kind}_{scene:04}.jpg": {
            "scene": f"{scene:04}",
            "device": f"{number} {make}_{model}_{body}",
            "unit": body,
            "platform": "original" if kind == "orig" else kind,
            "make": make,
            "model": f"{make} {model.replace('_', ' ')}",
        }
        for number, (make, model, body) in devices.items()
        for kind in ("orig", "facebook", "whatsapp")
        for scene in (1, 2, 3, 44)
    }


def vision() -> Truth:
    """Three phones, two of one model; scenes are each phone's own."""
    devices = {"D01": ("Samsung", "GalaxyS3"), "D05": ("Apple", "iPhone5c"), "D14": ("Apple", "iPhone5c")}
    platforms = {"nat": "original", "natFBH": "facebook-high", "natFBL": "facebook-low", "natWA": "whatsapp"}
    return {
        f"{number}_{make}_{model}/images/{kind}/{number}_I_{kind}_{scene:04}.jpg": {
            "scene": f"{number}/{scene:04}",
            "device": f"{number} {make}_{model}",
            "unit": number,
            "platform": platform,
            "make": make,
            "model": f"{make} {model}",
        }
        for number, (make, model) in devices.items()
        for kind, platform in platforms.items()
        for scene in (1, 2)
    }


ES_TEST = {  # by number, written out from the part es-test: ISO changes fastest, then the exposure, then the aperture
    1: ("5.0", "1/4", "250"),
    2: ("5.0", "1/4", "2000"),
    6: ("5.0", "1/60", "16000"),
    27: ("16.0", "1/1000", "16000"),
}


def imagenet_es() -> Truth:
    """Two lights, four of 27 settings, two automatic shots, three scenes of two classes."""
    truth: Truth = {}
    for light in ("l1", "l5"):
        for label, name in (("n02099601", "a"), ("n02099601", "b"), ("n01443537", "c")):
            shared = {"scene": f"{label}/{name}", "label": label, "light": light}
            for number, (aperture, exposure, iso) in ES_TEST.items():
                settings = {"aperture": aperture, "exposure": exposure, "iso": iso, "setting": f"param {number}"}
                truth[f"es-test/param_control/{light}/param_{number}/{label}/{name}.JPEG"] = {**shared, **settings}
            for number in (1, 2):
                truth[f"es-test/auto_exposure/{light}/param_{number}/{label}/{name}.JPEG"] = {
                    **shared,
                    **{"aperture": "", "exposure": "", "iso": "", "setting": f"auto {number}"},
                }
    return truth


def scorpion() -> Truth:
    """Two slides with two samples each by five scanners."""
    return {
        f"slide_{slide}/sample_{sample}/{scanner}.jpg": {
            "scene": f"slide_{slide}/sample_{sample}",
            "cluster": f"slide_{slide}",
            "device": scanner,
        }
        for slide in (1, 2)
        for sample in (1, 2)
        for scanner in ("AT2", "DP200", "GT450", "P1000", "Philips")
    }


def plism() -> Truth:
    """Two stainings by two scanners, three tiles."""
    return {
        f"{staining}_{scanner}_to_GMH_S60.tif/tile_16_{x}_127.png": {
            "scene": f"tile_16_{x}_127",
            "device": scanner,
            "staining": staining,
            "slide": f"{staining}_{scanner}_to_GMH_S60",
        }
        for staining in ("GIVH", "GMH")
        for scanner in ("AT2", "S60")
        for x in (100, 101, 102)
    }


def dresden() -> Truth:
    """Three bodies, two of one model, of two scenes, two shots each."""
    bodies = [("Agfa", "DC-504", "0"), ("Canon", "Ixus70", "0"), ("Canon", "Ixus70", "1")]
    return {
        f"JPEG/{brand}_{model}_{instance}_{scene}{shot}.JPG": {
            "scene": f"{scene}-{scene + 1}",
            "device": f"{brand} {model} {instance}",
            "unit": instance,
            "make": brand,
            "model": f"{brand} {model}",
        }
        for brand, model, instance in bodies
        for scene in (3, 7)
        for shot in (1, 2)
    }


def raise_() -> Truth:
    """Three cameras, two photos each."""
    return {
        f"TIFF/r{camera}{i}t.TIF": {"device": f"{make} {camera}", "make": make, "model": f"{make} {camera}"}
        for make, camera in (("Nikon", "D40"), ("Nikon", "D90"), ("Canon", "5D"))
        for i in (1, 2)
    }


DOUBLES: Mapping[str, Callable[[], Truth]] = {
    "fodb": fodb,
    "vision": vision,
    "imagenet-es": imagenet_es,
    "scorpion": scorpion,
    "plism": plism,
    "dresden": dresden,
    "raise": raise_,
}


def tree_of(kind: str) -> Tree:
    """The files of a double: a picture at every path, each another, and the table of the sets that have one."""
    truth = DOUBLES[kind]()
    tree = {path: picture(i) + i.to_bytes(2, "big") for i, path in enumerate(truth)}
    if kind == "dresden":
        head = "filename brand model instance shot position_num position_name motive_num url"
        rows: list[tuple[str, ...]] = [tuple(head.split())]
        for path, one in truth.items():
            brand, model, instance = one["device"].split(" ")
            position, motive = one["scene"].split("-")
            rows.append((path[5:], brand, model, instance, "1", position, "a place", motive, "http://x/" + path[5:]))
        tree["dresden.csv"] = as_csv(rows)
    if kind == "raise":
        rows = [("File", "NEF", "TIFF", "Device", "Keywords")]
        rows += [(p[5:-4], f"http://x/{p}.NEF", f"http://x/{p}", one["device"], "outdoor") for p, one in truth.items()]
        tree["RAISE_all.csv"] = as_csv(rows)
    return tree


def as_csv(rows: list[tuple[str, ...]]) -> bytes:
    """Rows as a CSV file."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def write_tree(root: Path, tree: Mapping[str, bytes]) -> Path:
    """Write files; the root."""
    root.mkdir(parents=True, exist_ok=True)
    for path, data in tree.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def zipped(tree: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for path, data in tree.items():
            archive.writestr(path, data)
    return buffer.getvalue()


def tarred(tree: Mapping[str, bytes], mode: Any = "w:") -> bytes:
    """A tar of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for path, data in tree.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
