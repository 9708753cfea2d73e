"""The machine of a rank: device and versions, which its marker records, and versions that must be those of the plan."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib import metadata

VERSION_OF = "the version of "
"""How names of facts begin whose value is the version of a package."""

PACKAGES = ("numpy", "pillow", "numba")
"""Packages whose version may change what a build writes. Kinds of work add theirs to the facts of a plan."""


def version_facts(packages: Iterable[str]) -> dict[str, str]:
    """The versions of packages as facts of a plan, without the build (``+cpu``); packages that are absent have none.

    >>> list(version_facts(["numpy", "no-such-package"]))
    ['the version of numpy']
    """
    installed = {package: _installed_version(package) for package in packages}
    return {f"{VERSION_OF}{name}": version.partition("+")[0] for name, version in installed.items() if version}


def versioned_packages(facts: Mapping[str, str]) -> list[str]:
    """The packages whose versions are facts of a plan.

    >>> versioned_packages({"the code": "1", "the version of numpy": "2.1"})
    ['numpy']
    """
    return [name.removeprefix(VERSION_OF) for name in facts if name.startswith(VERSION_OF)]


def versions_here(facts: Mapping[str, str]) -> dict[str, str]:
    """The facts of a plan that are versions, with the values of this machine."""
    return {
        f"{VERSION_OF}{name}": _installed_version(name).partition("+")[0] or "not installed"
        for name in versioned_packages(facts)
    }


def machine_facts(facts: Mapping[str, str], device: str) -> dict[str, str]:
    """What the marker of a rank records of its machine, besides the host.

    Args:
        facts: of the plan, which names the packages.
        device: name of the device that computes.

    Returns:
        ``device``, ``python``, and the whole version of each package by its name.
    """
    versions = {name: _installed_version(name) or "not installed" for name in versioned_packages(facts)}
    return {"device": device, "python": platform.python_version(), **versions}


def _installed_version(package: str) -> str:
    """The version of an installed package, with its build; empty if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
