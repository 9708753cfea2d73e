from .batch_size import FittingBatch, out_of_memory
from .compiled import compiled_module
from .devices import named_devices
from .leaving import alone
from .less_memory import exact_device, free_cached, with_less_memory
from .memory import budget, free_on_gpu, free_on_host, share_machine
from .precision import rounded_as_asked
from .process_setup import import_torch, prepare_process, wait_asleep
from .products import in_parts, multiply, numpy_is_faster
from .threads import side_by_side, slices_of, threads_for, threads_of_work
from .uploads import uploaded

__all__ = [
    "FittingBatch",
    "alone",
    "budget",
    "compiled_module",
    "exact_device",
    "free_cached",
    "free_on_gpu",
    "free_on_host",
    "import_torch",
    "in_parts",
    "multiply",
    "named_devices",
    "numpy_is_faster",
    "out_of_memory",
    "prepare_process",
    "rounded_as_asked",
    "share_machine",
    "side_by_side",
    "slices_of",
    "threads_for",
    "threads_of_work",
    "uploaded",
    "wait_asleep",
    "with_less_memory",
]
