from .channel import Channel, ChannelClosed, Message, TooLate
from .devices import float32_rounding, named_devices, uploaded
from .foreign import HARMS_RUN, foreign_code
from .json_records import json_values, library_version, read_record, write_record
from .kernels import compiled_module, in_parts, multiply, numpy_is_faster
from .memory import (
    FittingBatch,
    budget,
    exact_device,
    free_cached,
    free_on_gpu,
    free_on_host,
    memory_limited,
    out_of_memory,
    share_machine,
    with_less_memory,
)
from .own_process import OwnProcess, can_isolate, kill_group, quiet_fork
from .phases import announcing, first_forward
from .process import import_torch, prepare_process, run_and_exit, wait_asleep
from .supervised import (
    EncoderCrash,
    blamed,
    blamed_in,
    how_it_ended,
    refuse_crashed,
    run_supervised,
)
from .threads import chunks, parallel_map, threads_for, threads_of_work

__all__ = [
    "HARMS_RUN",
    "Channel",
    "ChannelClosed",
    "EncoderCrash",
    "FittingBatch",
    "Message",
    "OwnProcess",
    "TooLate",
    "announcing",
    "blamed",
    "blamed_in",
    "budget",
    "can_isolate",
    "chunks",
    "compiled_module",
    "exact_device",
    "first_forward",
    "float32_rounding",
    "foreign_code",
    "free_cached",
    "free_on_gpu",
    "free_on_host",
    "how_it_ended",
    "import_torch",
    "in_parts",
    "json_values",
    "kill_group",
    "library_version",
    "memory_limited",
    "multiply",
    "named_devices",
    "numpy_is_faster",
    "out_of_memory",
    "parallel_map",
    "prepare_process",
    "quiet_fork",
    "read_record",
    "refuse_crashed",
    "run_and_exit",
    "run_supervised",
    "share_machine",
    "threads_for",
    "threads_of_work",
    "uploaded",
    "wait_asleep",
    "with_less_memory",
    "write_record",
]
