from .acquisition import Acquisition, acquisition_from_file, acquisition_from_raw, acquisition_from_tags
from .attributes import (
    ATTRIBUTES,
    LABEL_SETS,
    NO_SMARTPHONE,
    SMARTPHONE,
    STUDY_ATTRIBUTES,
    Attribute,
    LabelSet,
    column_spelling,
    label,
    task_spelling,
)
from .devices import (
    OTHER,
    UNKNOWN,
    alias_groups,
    aliases_version,
    canonical_model,
    device_type,
    questionable_names,
    release_year,
)
from .exif_block import ALLOWED
from .exif_pool import NO_EXIF, Reading, read_many
from .study_classes import APERTURES, EXPOSURES, FOCAL_LENGTHS, ISOS

__all__ = [
    "ALLOWED",
    "APERTURES",
    "ATTRIBUTES",
    "EXPOSURES",
    "FOCAL_LENGTHS",
    "ISOS",
    "LABEL_SETS",
    "NO_EXIF",
    "NO_SMARTPHONE",
    "OTHER",
    "SMARTPHONE",
    "STUDY_ATTRIBUTES",
    "UNKNOWN",
    "Acquisition",
    "Attribute",
    "LabelSet",
    "Reading",
    "acquisition_from_file",
    "acquisition_from_raw",
    "acquisition_from_tags",
    "alias_groups",
    "aliases_version",
    "canonical_model",
    "column_spelling",
    "device_type",
    "label",
    "questionable_names",
    "read_many",
    "release_year",
    "task_spelling",
]
