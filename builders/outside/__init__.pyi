from .archives import outside_sha256, parse_arrays, read_outside_arrays
from .arrays import map_array, parse_array
from .authors import from_authors
from .door import MAX_CONFIG_BYTES, open_outside, read_outside, read_outside_json, read_outside_text, too_large
from .hub import HUB_PACE, MAX_HUB_FILE_BYTES, from_hub, said_by_client
from .listing import files_below, list_folder, walk_folders
from .names import is_readable, readable
from .pace import PHOTO_PACE, Pace, TooSlow, within
from .parquet import said_of_table, unfolded, unreadable_table
from .parsing import parse_in_turn
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
    "files_below",
    "from_authors",
    "from_hub",
    "is_readable",
    "joined_lines",
    "kind_and_line",
    "list_folder",
    "map_array",
    "open_outside",
    "outside_sha256",
    "parse_array",
    "parse_arrays",
    "parse_in_turn",
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
    "walk_folders",
    "within",
]
