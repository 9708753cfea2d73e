from .addresses import AddressRefused, GuardedTransport
from .arrays import map_array, parse_array
from .data_sets import check_data_set, read_image_cell, roots_of
from .documents import UntrustedInputError, check_plain, parse_json, parse_yaml
from .files import (
    MAX_CONFIG_BYTES,
    open_untrusted,
    outside_sha256,
    parse_arrays,
    read_untrusted,
    read_untrusted_arrays,
    read_untrusted_json,
    read_untrusted_text,
    too_large,
)
from .hub_client import HUB_PACE, MAX_HUB_FILE_BYTES, from_hub, quiet_clients, said_by_client
from .listing import files_below, list_folder, walk_folders
from .pace import PHOTO_PACE, Pace
from .parquet import parquet_error_text, read_columns, read_table, table_schema, unreadable_table
from .parsing import parse_in_turn
from .text import describe_error, error_text, first_line, is_readable, joined_lines, readable
from .weight_downloads import from_authors

__all__ = [
    "HUB_PACE",
    "MAX_CONFIG_BYTES",
    "MAX_HUB_FILE_BYTES",
    "PHOTO_PACE",
    "AddressRefused",
    "GuardedTransport",
    "Pace",
    "UntrustedInputError",
    "check_data_set",
    "check_plain",
    "describe_error",
    "error_text",
    "files_below",
    "first_line",
    "from_authors",
    "from_hub",
    "is_readable",
    "joined_lines",
    "list_folder",
    "map_array",
    "open_untrusted",
    "outside_sha256",
    "parquet_error_text",
    "parse_array",
    "parse_arrays",
    "parse_in_turn",
    "parse_json",
    "parse_yaml",
    "quiet_clients",
    "read_columns",
    "read_image_cell",
    "read_table",
    "read_untrusted",
    "read_untrusted_arrays",
    "read_untrusted_json",
    "read_untrusted_text",
    "readable",
    "roots_of",
    "said_by_client",
    "table_schema",
    "too_large",
    "unreadable_table",
    "walk_folders",
]
