from .acquisition import Acquisition, acquisition_from_file, acquisition_from_raw, acquisition_from_tags
from .attributes import ATTRIBUTES, LABEL_SETS, NO_SMARTPHONE, OTHER, SMARTPHONE, UNKNOWN, LabelSet, device_type, label
from .devices import alias_groups, aliases_version, canonical_make, canonical_model, questionable_names, release_year
from .exif_pool import NO_EXIF, Reading, read_many
from .study_classes import APERTURES, EXPOSURES, FOCAL_LENGTHS, ISOS

__all__ = [
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
    "UNKNOWN",
    "Acquisition",
    "LabelSet",
    "Reading",
    "acquisition_from_file",
    "acquisition_from_raw",
    "acquisition_from_tags",
    "alias_groups",
    "aliases_version",
    "canonical_make",
    "canonical_model",
    "device_type",
    "label",
    "questionable_names",
    "read_many",
    "release_year",
]
