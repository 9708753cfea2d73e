"""Probe protocols by name. They are loaded when they are used, so that listing them needs no torch.

A new protocol is one file that defines a ``Protocol``, and one line here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from builders.errors import unknown_name

if TYPE_CHECKING:
    from benchmark.probe.problem import Protocol

PROTOCOLS: Mapping[str, str] = MappingProxyType(
    {
        "converged": "benchmark.probe.protocols.converged:CONVERGED",
        "iccv2025": "benchmark.probe.protocols.iccv2025:ICCV2025",
    }
)
"""Where each protocol is defined, ``module:name``."""


def protocol_named(name: str) -> Protocol:
    """The protocol with a name.

    Raises:
        UsageError: there is no such protocol.

    >>> protocol_named("converged").permutations
    100
    """
    if name not in PROTOCOLS:
        raise unknown_name("probe protocol", name, PROTOCOLS)
    module, _, constant = PROTOCOLS[name].partition(":")
    protocol: Protocol = getattr(importlib.import_module(module), constant)
    return protocol
