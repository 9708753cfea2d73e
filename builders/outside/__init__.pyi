from .archives import outside_sha256, read_outside_arrays
from .door import MAX_CONFIG_BYTES, open_outside, read_outside, read_outside_json, read_outside_text, too_large
from .names import is_readable, readable, readable_lines
from .plain import Refused, check_plain, parse_json, parse_yaml

__all__ = [
    "MAX_CONFIG_BYTES",
    "Refused",
    "check_plain",
    "is_readable",
    "open_outside",
    "outside_sha256",
    "parse_json",
    "parse_yaml",
    "read_outside",
    "read_outside_arrays",
    "read_outside_json",
    "read_outside_text",
    "readable",
    "readable_lines",
    "too_large",
]
