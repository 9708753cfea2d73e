from .archives import outside_sha256, read_outside_arrays
from .authors import from_authors
from .door import MAX_CONFIG_BYTES, open_outside, read_outside, read_outside_json, read_outside_text, too_large
from .hub import HUB_PACE, MAX_HUB_FILE_BYTES, from_hub, said_by_client
from .names import is_readable, readable
from .pace import PHOTO_PACE, Pace, TooSlow, within
from .parquet import said_of_table, unfolded, unreadable_table
from .plain import Refused, check_plain, parse_json, parse_yaml
from .quiet import quiet_clients
from .saying import joined_lines, kind_and_line, readable_line, sentence

__all__ = [
    "HUB_PACE",
    "MAX_CONFIG_BYTES",
    "MAX_HUB_FILE_BYTES",
    "PHOTO_PACE",
    "Pace",
    "Refused",
    "TooSlow",
    "check_plain",
    "from_authors",
    "from_hub",
    "is_readable",
    "joined_lines",
    "kind_and_line",
    "open_outside",
    "outside_sha256",
    "parse_json",
    "parse_yaml",
    "quiet_clients",
    "read_outside",
    "read_outside_arrays",
    "read_outside_json",
    "read_outside_text",
    "readable",
    "readable_line",
    "said_by_client",
    "said_of_table",
    "sentence",
    "too_large",
    "unfolded",
    "unreadable_table",
    "within",
]
