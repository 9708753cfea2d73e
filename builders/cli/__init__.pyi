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
from .numbers import real_number, whole_number
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
    "real_number",
    "result_stream",
    "run_command",
    "run_parsed",
    "size_in_bytes",
    "unknown_option",
    "version",
    "whole_number",
    "without_terminal",
    "write_record",
]
