"""A strict CUDA card without a card: real values in the computer's memory under the label ``cuda:N``.

``card(monkeypatch)`` puts it in torch's place. It refuses what a card refuses (mixed devices, ``numpy()``, more memory
than it has) and what a card lets pass and then answers wrongly: a tensor read on a stream before its copy or kernel on
another one is waited for, a pinned buffer written again while it is copied, a copy to the host read before it has
arrived, memory freed while another stream may still read it. Products round their factors to TF32 where torch's
settings allow it. It counts kernels, copies, those the host waits for, and the cards on which there is a context.
"""

import contextlib
import sys
import threading
import warnings
import weakref
from collections import Counter
from types import SimpleNamespace

import torch

aten = torch.ops.aten
EMPTY = {aten.empty, aten.empty_like, aten.new_empty, aten.empty_strided, aten.new_empty_strided}
WAITS = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten._unique2, aten.unique_dim}
WAITS |= {aten.repeat_interleave, aten.is_nonzero}
FREE = {aten.detach, aten.alias, aten._unsafe_view, aten.lift_fresh, aten._reshape_alias}
FACTORIES = ["empty", "zeros", "ones", "full", "arange", "tensor", "as_tensor", "rand", "randn", "randint", "linspace"]
FACTORIES += ["eye", "empty_strided", "empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like"]


PRODUCTS = {aten.mm, aten.bmm, aten.addmm, aten.baddbmm}
CONVOLUTIONS = {aten.convolution, aten._convolution, aten.cudnn_convolution, aten.conv2d}


class Clash(RuntimeError):
    """What a real card would not say."""


class Stream:
    def __init__(self, device=None, priority=0, **_):
        self.device = _cuda(device)
        self.done = 0
        """Pieces of work so far."""
        self.seen = {}
        """By other stream, up to which of its pieces this one waits for it."""
        self.waiting = []
        """(piece, copy that is still to be made)."""

    def record_event(self, event=None):
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event):
        if event.stream is not None:
            for stream, piece in {**event.seen, event.stream: event.piece}.items():
                self.seen[stream] = max(self.seen.get(stream, 0), piece)

    def wait_stream(self, stream):
        self.wait_event(stream.record_event())

    def synchronize(self):
        CARD.synchronised += 1
        _arrive(self, self.done, dict(self.seen))

    def query(self):
        return True

    def __enter__(self):
        _stack().append(self)
        return self

    def __exit__(self, *_):
        _stack().pop()


class Event:
    def __init__(self, **_):
        self.stream, self.piece, self.seen = None, 0, {}

    def record(self, stream=None):
        self.stream = stream or _current(None)
        self.piece, self.seen = self.stream.done, dict(self.stream.seen)

    def wait(self, stream=None):
        (stream or _current(None)).wait_event(self)

    def synchronize(self):
        if self.stream is not None:
            _arrive(self.stream, self.piece, self.seen)

    def query(self):
        self.synchronize()
        return True


class Memory:
    """What stands behind a tensor and its views."""

    def __init__(self, card, size, stream):
        self.stream, self.recorded, self.used = stream, set(), {}
        self.written = (stream, stream.done)
        self.pending = None
        card.allocate(size)
        card.contexts.add(stream.device.index)
        weakref.finalize(self, _freed, card, size, stream, self.used, self.recorded)


def _freed(card, size, stream, used, recorded):
    card.allocated -= size
    for other, piece in used.items():
        if other is not stream and other not in recorded and card.host_seen.get(other, 0) < piece:
            card.clashes.append("memory was freed while another stream may read it: record_stream is missing")


class Card:
    """What happened, and what shall."""

    def __init__(self, memory, count):
        self.total, self.count, self.current, self.warns = memory, count, 0, False
        self.reset()
        self.clashes = []
        self.allocated = self.highest = 0
        self.host_seen = {}
        self.pinned = []
        self.failing = []
        self.refuses_to_pin = False
        self.last_error = ""
        """Of a call that was refused: the next kernel reports it."""
        self.contexts = set()
        """Numbers of the cards that something was allocated on, or that were made the current one."""
        self.default = [Stream(torch.device("cuda", i)) for i in range(count)]
        self.lock = threading.RLock()

    def set_device(self, device):
        self.current = _cuda(device).index
        self.contexts.add(self.current)

    def reset(self):
        self.kernels = self.blocking = self.uploads = self.downloads = self.synchronised = 0
        self.where = Counter()

    def allocate(self, size):
        if self.allocated + size > self.total:
            raise torch.cuda.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes of a fake card")
        self.allocated += size
        self.highest = max(self.highest, self.allocated)

    def exhaust(self, function, within=""):
        """Memory runs out at the next thing that is computed in a function of that name, called by the other: once."""
        self.failing.append({function, within} - {""})

    def check(self):
        if self.last_error:
            error, self.last_error = self.last_error, ""
            raise RuntimeError(error)
        if not self.failing:
            return
        frame, callers = sys._getframe(2), set()
        while frame is not None:
            callers.add(frame.f_code.co_name)
            frame = frame.f_back
        if within := next((names for names in self.failing if names <= callers), None):
            self.failing.remove(within)
            raise torch.cuda.OutOfMemoryError("CUDA out of memory, on a fake card")

    def blocks(self):
        self.blocking += 1
        if self.warns:
            warnings.warn("called a synchronizing CUDA operation", stacklevel=4)
        frame = sys._getframe(2)
        while frame is not None:
            if any(part in frame.f_code.co_filename for part in ("/benchmark/", "/builders/")):
                self.where["/".join(frame.f_code.co_filename.split("/")[-2:])] += 1
                return
            frame = frame.f_back


CARD: Card = None  # type: ignore[assignment]
_LOCAL = threading.local()
_REAL = {}


def _stack():
    if not hasattr(_LOCAL, "streams"):
        _LOCAL.streams = []
    return _LOCAL.streams


def _current(device=None):
    index = _cuda(device).index
    return next((s for s in reversed(_stack()) if s.device.index == index), CARD.default[index])


def _cuda(device):
    here = CARD.current if CARD is not None else 0
    if device is None or isinstance(device, int):
        return torch.device("cuda", here if device is None else device)
    device = torch.device(device)
    return torch.device("cuda", here if device.index is None else device.index)


def _arrive(stream, piece, seen):
    """The host has waited for a stream: copies up to that piece are there."""
    for other, until in {**seen, stream: piece}.items():
        CARD.host_seen[other] = max(CARD.host_seen.get(other, 0), until)
        ready = [copy for at, copy in other.waiting if at <= until]
        other.waiting = [one for one in other.waiting if one[0] > until]
        for copy in ready:
            copy()


class OnCard(torch.Tensor):
    """A tensor on the fake card; ``inner`` has its values."""

    @staticmethod
    def __new__(cls, inner, device, memory, **_):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device="meta",  # a torch without CUDA has no guard for such a device; what Python sees is below
            requires_grad=inner.requires_grad,
        )

    def __init__(self, inner, device, memory, **_):
        self.inner, self.memory, self.card_device = inner, memory, device

    device = property(lambda self: self.card_device)
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)
    is_cpu = property(lambda self: False)

    def numpy(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    def __setitem__(self, index, value):
        if isinstance(value, torch.Tensor):
            super().__setitem__(index, value)
        else:  # a number goes along with the kernel
            super().__setitem__(index, _wrap(_REAL["tensor"](value, dtype=self.dtype), self.device))

    def tolist(self):
        return self.cpu().tolist()

    def __repr__(self, *_, **__):
        return f"OnCard({tuple(self.shape)}, {self.dtype}, {self.device})"

    def record_stream(self, stream):
        self.memory.recorded.add(stream)

    def is_pinned(self, *_):
        return False

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        with CARD.lock:
            return _run(func, args, dict(kwargs or {}))


def _run(func, args, kwargs):
    flat = list(_flat((args, kwargs)))
    measured = [x for x in flat if isinstance(x, OnCard)]
    device = measured[0].device
    if any(x.device != device for x in measured):
        raise RuntimeError("Expected all tensors to be on the same device, but found cuda:0 and cuda:1!")
    packet = func.overloadpacket
    assert not any(type(x) is torch.Tensor and x.device.type == "meta" for x in flat), f"{func}: a number was lost"
    if packet is aten._to_copy:
        return _moved(args[0], kwargs)
    if packet is aten.copy_:
        return _copied(*args, **kwargs)
    other_processes = [x for x in flat if isinstance(x, torch.Tensor) and not isinstance(x, OnCard) and x.ndim]
    if other_processes and packet in (aten.index, aten.index_put_, aten.index_put) and isinstance(args[0], OnCard):
        CARD.blocks()  # indices are brought over, which waits
    elif other_processes:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {device} and cpu! ({func})"
        )
    if packet is aten._fused_sdp_choice:
        return 0  # plain mathematics
    CARD.check()
    if "device" in kwargs:
        kwargs["device"] = torch.device("cpu")
    kwargs.pop("pin_memory", None)
    stream = _current(device)
    view = func.is_view or packet in FREE
    for x in measured if not view else ():
        _use(x.memory, stream)
    if packet in WAITS or (
        packet is aten.index and any(isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in args[1])
    ):
        CARD.blocks()
        stream.done += 1
        _arrive(stream, stream.done, dict(stream.seen))
    if not view and packet not in EMPTY:
        CARD.kernels += 1
        stream.done += 1
    inner = _rounded if _tf32(packet) else _inner
    given = [_each(inner, part) for part in (args, kwargs)]
    result = func(*given[0], **given[1])
    written = {}
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = kwargs.get(argument.name) if argument.kwarg_only else args[place] if place < len(args) else None
            for one in given if isinstance(given, list | tuple) else [given]:
                if isinstance(one, OnCard):
                    written[id(one.inner)] = one
                    one.memory.written = (stream, stream.done)
    for x in measured:
        if not view and packet not in EMPTY:
            x.memory.used[stream] = stream.done
    base = measured[0].memory if view else None

    def wrapped(value):
        if not isinstance(value, torch.Tensor):
            return value
        known = written.get(id(value))
        return _wrap(value, device, base) if known is None else known

    return _each(wrapped, result)


def _inner(value):
    return value.inner if isinstance(value, OnCard) else value


def _tf32(packet):
    if packet in PRODUCTS:
        return torch.backends.cuda.matmul.allow_tf32
    return packet in CONVOLUTIONS and torch.backends.cudnn.allow_tf32


def _rounded(value):
    """As a card reads a factor in TF32: with 10 bits of its mantissa, to nearest."""
    inner = _inner(value)
    if not isinstance(inner, torch.Tensor) or inner.dtype != torch.float32:
        return inner
    return ((inner.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def _flat(value):
    """What an operation was given, out of its lists (torch's own trees take a third of all time here)."""
    if isinstance(value, list | tuple | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _flat(one)
    else:
        yield value


def _each(change, value):
    """The same lists of what ``change`` makes of each value."""
    if isinstance(value, dict):
        return {name: _each(change, one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_each(change, one) for one in value])
    return change(value)


def _wrap(inner, device, memory=None):
    stream = _current(device)
    return OnCard(
        inner,
        device,
        memory or Memory(CARD, inner.untyped_storage().nbytes() if not inner.ndim else inner.nbytes, stream),
    )


def _use(memory, stream):
    writer, piece = memory.written
    if writer is not stream and stream.seen.get(writer, 0) < piece and CARD.host_seen.get(writer, 0) < piece:
        CARD.clashes.append("a tensor is used on a stream that has not waited for the one that makes it")
        raise Clash(CARD.clashes[-1])
    if memory.pending is not None:
        copy, memory.pending = memory.pending, None
        copy()


def _is_pinned(tensor):
    at = tensor.untyped_storage().data_ptr()
    return any(start <= at < start + size for start, size, _ in CARD.pinned)


def _moved(tensor, options):
    """``aten._to_copy`` of a tensor on the card."""
    target = options.get("device")
    rest = {k: v for k, v in options.items() if k not in ("device", "non_blocking", "pin_memory")}
    if target is not None and target.type == "meta":
        target = None
    if target is None or target.type == "cuda":
        if target is not None and _cuda(target).index != tensor.device.index:
            CARD.blocks()
        CARD.check()
        stream = _current(tensor.device)
        _use(tensor.memory, stream)
        CARD.kernels += 1
        stream.done += 1
        tensor.memory.used[stream] = stream.done
        return _wrap(aten._to_copy(tensor.inner, **rest), tensor.device if target is None else _cuda(target))
    there = aten._to_copy(torch.empty_like(tensor.inner), **rest)
    _download(there, tensor, options.get("non_blocking", False))
    return there


def _download(there, tensor, non_blocking):
    stream = _current(tensor.device)
    _use(tensor.memory, stream)
    CARD.downloads += 1
    stream.done += 1
    tensor.memory.used[stream] = stream.done
    values = tensor.inner.detach().clone()
    if not non_blocking:
        CARD.blocks()
        _arrive(stream, stream.done, dict(stream.seen))
        there.copy_(values)
        return
    there.view(-1).view(torch.uint8).fill_(0xA5) if there.is_contiguous() and there.numel() else None
    stream.waiting.append((stream.done, lambda: there.copy_(values)))


def _copied(there, source, non_blocking=False):
    """``aten.copy_`` with the card on one side or both."""
    if isinstance(there, OnCard) and isinstance(source, OnCard):
        stream = _current(there.device)
        _use(source.memory, stream)
        _use(there.memory, stream)
        CARD.kernels += 1
        stream.done += 1
        there.inner.copy_(source.inner)
        there.memory.written = (stream, stream.done)
        there.memory.used[stream] = source.memory.used[stream] = stream.done
    elif isinstance(there, OnCard):
        _upload(there, source, non_blocking)
    else:
        _download(there, source, non_blocking)
    return there


def _upload(there, source, non_blocking):
    CARD.check()
    stream = _current(there.device)
    _use(there.memory, stream)
    CARD.uploads += 1
    stream.done += 1
    there.memory.written = (stream, stream.done)
    there.memory.used[stream] = stream.done
    if non_blocking and _is_pinned(source):
        copied = []

        def copy():
            if not copied:
                copied.append(True)
                there.inner.copy_(source)

        there.memory.pending = copy
        stream.waiting.append((stream.done, copy))
        return
    CARD.blocks()
    there.inner.copy_(source)
    _arrive(stream, stream.done, dict(stream.seen))


def _to_card(tensor, device, non_blocking=False, **rest):
    with CARD.lock:
        CARD.check()
        inner = torch.empty_like(tensor)
        there = _wrap(inner, _cuda(device))
        _upload(there, tensor, non_blocking)
        if tensor.requires_grad:
            there.requires_grad_(True)
        return _REAL["to"](there, **rest) if rest else there


def _to(self, *args, **kwargs):
    device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(
        *args, **{k: v for k, v in kwargs.items() if k != "copy"}
    )
    if device is None or device.type != "cuda":
        return _REAL["to"](self, *args, **kwargs)
    rest = {k: v for k, v in (("dtype", dtype), ("memory_format", memory_format)) if v is not None}
    if isinstance(self, OnCard):
        if _cuda(device) != self.device:  # across cards, over the host
            return _to_card(self.cpu(), device, **rest)
        return _REAL["to"](self, **rest) if rest else self
    return _to_card(self, device, non_blocking, **rest)


def _factory(name):
    real = _REAL[name]

    def make(*args, device=None, pin_memory=False, out=None, **kwargs):
        if out is not None:
            kwargs["out"] = out
        on_card = device is not None and torch.device(device).type == "cuda"
        if on_card:
            _cuda_index_is_there(device)
            with CARD.lock:
                CARD.check()
                stream = _current(device)
                made = real(*args, **kwargs) if name != "as_tensor" else real(*args, **kwargs).clone()
                if not isinstance(made, OnCard):
                    if name in ("tensor", "as_tensor"):
                        CARD.uploads += 1
                        CARD.blocks()  # a list's numbers are pageable memory
                    elif not name.startswith("empty"):
                        CARD.kernels += 1
                    stream.done += 1
                    made = _wrap(made, _cuda(device))
            return made
        if device is not None:
            kwargs["device"] = device
        made = real(*args, **kwargs)
        if pin_memory and not isinstance(made, OnCard):
            storage = made.untyped_storage()
            CARD.pinned.append((storage.data_ptr(), max(1, storage.nbytes()), made))
        return made

    return make


def _cuda_index_is_there(device):
    if _cuda(device).index >= CARD.count:
        raise RuntimeError("CUDA error: invalid device ordinal")


def _where(condition, *values):
    """Numbers become tensors on the card here: torch would make them where there is nothing."""
    if isinstance(condition, OnCard) and values:
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        kind = torch.result_type(*values) if tensors else torch.result_type(_REAL["tensor"](values[0]), values[1])
        values = [
            v if isinstance(v, torch.Tensor) else _wrap(_REAL["tensor"](v, dtype=kind), condition.device)
            for v in values
        ]
    return _REAL["where"](condition, *values)


@contextlib.contextmanager
def _current_device(device):
    before, CARD.current = CARD.current, _cuda(device).index
    try:
        yield
    finally:
        CARD.current = before


@contextlib.contextmanager
def _stream_context(stream):
    if stream is None:
        yield
        return
    with stream:
        yield


def _register(pointer, size, flags=0):
    CARD.contexts.add(CARD.current)
    if CARD.refuses_to_pin:
        CARD.last_error = "CUDA error: operation not supported"
        return 801
    CARD.pinned.append((pointer, size, None))
    return 0


def _unregister(pointer):
    CARD.contexts.add(CARD.current)
    CARD.pinned[:] = [one for one in CARD.pinned if one[0] != pointer]
    return 0


def card(monkeypatch, memory=8 << 30, count=1):
    """A ``Card`` in the place of torch's CUDA until the test ends. ``card.clashes`` must be empty then."""
    global CARD
    if not _REAL:
        _REAL.update({name: getattr(torch, name) for name in FACTORIES}, to=torch.Tensor.to, where=torch.where)
    CARD = Card(memory, count)
    here = CARD
    for name in FACTORIES:
        monkeypatch.setattr(torch, name, _factory(name))
    monkeypatch.setattr(torch, "where", _where)
    monkeypatch.setattr(torch.Tensor, "to", _to)
    # a module's parameters are replaced: a plain Parameter cannot take a fake tensor's place in itself
    monkeypatch.setattr(torch.__future__, "_overwrite_module_params_on_conversion", True)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self, device=None, **k: _to(self, _cuda(device), **k))
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda self, *_: _is_pinned(self))
    monkeypatch.setattr(torch.Tensor, "pin_memory", _pin)
    # views of wrapped tensors cannot be made in inference mode; without gradients they can
    monkeypatch.setattr(torch.inference_mode, "__enter__", _without_gradients)
    monkeypatch.setattr(torch.inference_mode, "__exit__", lambda self, *_: self.no_gradients.__exit__(*_))
    faces = {
        "is_available": lambda: True,
        "device_count": lambda: here.count,
        "current_device": lambda: here.current,
        "set_device": here.set_device,
        "device": _current_device,
        "Stream": Stream,
        "Event": Event,
        "stream": _stream_context,
        "current_stream": _current,
        "default_stream": lambda device=None: here.default[_cuda(device).index],
        "synchronize": lambda device=None: _current(device).synchronize(),
        "mem_get_info": lambda device=None: (here.total - here.allocated, here.total),
        "memory_reserved": lambda device=None: here.allocated,
        "memory_allocated": lambda device=None: here.allocated,
        "max_memory_allocated": lambda device=None: here.highest,
        "reset_peak_memory_stats": lambda device=None: None,
        "empty_cache": lambda: None,
        "_sleep": lambda cycles: None,
        "get_device_name": lambda device=None: "fake card",
        "set_sync_debug_mode": lambda mode: setattr(here, "warns", mode == "warn"),
        "set_per_process_memory_fraction": lambda part, device=None: setattr(here, "total", int(part * memory)),
        "cudart": lambda: SimpleNamespace(cudaHostRegister=_register, cudaHostUnregister=_unregister),
    }
    for name, face in faces.items():
        monkeypatch.setattr(torch.cuda, name, face)
    return here


def _without_gradients(mode):
    mode.no_gradients = torch.no_grad()
    mode.no_gradients.__enter__()


def _pin(self, *_):
    made = torch.empty(self.shape, dtype=self.dtype, pin_memory=True)
    made.copy_(self)
    return made
