"""Words and bounds that every part of an audit shares."""

from __future__ import annotations

from collections.abc import Mapping

TARGETS: Mapping[str, str] = {"label": "The label", "split": "The split", "source": "The source"}
"""What is asked about, and how a sentence begins with it."""

ALPHA = 0.01
"""A question is flagged only below this p-value, corrected over all questions: of 100 data sets without any
confound, about one or fewer is flagged at all."""

SMALLEST_EFFECT = 0.05
"""And only above this corrected V, eta or advantage: in a million photos everything is significant."""
