from .commands import (
    Command,
    check_writable,
    group_parser,
    guarded,
    result_stream,
    run_command,
    run_parsed,
    version,
    without_terminal,
    write_record,
)
from .parser import Joined, Names, Parser, Renamed, add_messages, add_push, size_in_bytes, unknown_option
from .queries import parse_query

__all__ = [
    "Command",
    "Joined",
    "Names",
    "Parser",
    "Renamed",
    "add_messages",
    "add_push",
    "check_writable",
    "group_parser",
    "guarded",
    "parse_query",
    "result_stream",
    "run_command",
    "run_parsed",
    "size_in_bytes",
    "unknown_option",
    "version",
    "without_terminal",
    "write_record",
]
