from .addresses import AddressRefused, GuardedTransport
from .archives import Archive, open_archive
from .arrays import map_array, parse_array
from .data_sets import check_data_set, read_image_cell, roots_of
from .documents import UntrustedInputError, check_plain, parse_json, parse_yaml
from .files import (
    MAX_CONFIG_BYTES,
    ReadAtOffsets,
    archive_sha256,
    may_pass,
    open_untrusted,
    parse_arrays,
    read_untrusted,
    read_untrusted_arrays,
    read_untrusted_json,
    read_untrusted_text,
    too_large,
)
from .hub_client import (
    HUB_PACE,
    MALFORMED_ANSWER,
    MAX_HUB_FILE_BYTES,
    MAX_WAIT_S,
    client_message,
    from_hub,
    malformed_answer,
    quiet_clients,
)
from .listing import files_below, files_matching, list_folder, walk_folders
from .pace import PHOTO_PACE, Pace
from .parquet import MAX_SHARD_BYTES, parquet_error_text, parquet_errors, read_columns, read_table, table_schema
from .parsing import parse_in_turn
from .ranges import RemoteStream, read_range, remote_facts
from .redaction import redacted, redacted_logs
from .text import (
    ForeignCodeError,
    csv_text,
    describe_error,
    error_text,
    first_line,
    is_readable,
    public_text,
    readable,
    single_line,
)
from .weight_downloads import from_authors

__all__ = [
    "HUB_PACE",
    "MALFORMED_ANSWER",
    "MAX_CONFIG_BYTES",
    "MAX_HUB_FILE_BYTES",
    "MAX_SHARD_BYTES",
    "MAX_WAIT_S",
    "PHOTO_PACE",
    "AddressRefused",
    "Archive",
    "ForeignCodeError",
    "GuardedTransport",
    "Pace",
    "ReadAtOffsets",
    "RemoteStream",
    "UntrustedInputError",
    "archive_sha256",
    "check_data_set",
    "check_plain",
    "client_message",
    "csv_text",
    "describe_error",
    "error_text",
    "files_below",
    "files_matching",
    "first_line",
    "from_authors",
    "from_hub",
    "is_readable",
    "list_folder",
    "malformed_answer",
    "map_array",
    "may_pass",
    "open_archive",
    "open_untrusted",
    "parquet_error_text",
    "parquet_errors",
    "parse_array",
    "parse_arrays",
    "parse_in_turn",
    "parse_json",
    "parse_yaml",
    "public_text",
    "quiet_clients",
    "read_columns",
    "read_image_cell",
    "read_range",
    "read_table",
    "read_untrusted",
    "read_untrusted_arrays",
    "read_untrusted_json",
    "read_untrusted_text",
    "readable",
    "redacted",
    "redacted_logs",
    "remote_facts",
    "roots_of",
    "single_line",
    "table_schema",
    "too_large",
    "walk_folders",
]
