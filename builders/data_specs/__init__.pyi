from .kinds import KINDS
from .open import open_photos, parse_data_spec, refuse_photos
from .spec import DataSpec, Kind

__all__ = ["KINDS", "DataSpec", "Kind", "open_photos", "parse_data_spec", "refuse_photos"]
