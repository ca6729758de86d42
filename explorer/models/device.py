"""What a model runs on, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from explorer.errors import ModelError

HALF_ON_CPU = ("avx512_bf16", "amx_bf16", "bf16")  # flags of processors whose matrix units take bfloat16


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        name: torch's own, such as "cpu" or "cuda:0".
        kind: "cpu", "cuda" or "mps".
        fast: torch dtype that is fastest here with the range of float32, by name: "bfloat16", "float16" or "float32".
        about: what a person calls it.

    """

    name: str
    kind: str
    fast: str
    about: str


_wanted: ContextVar[str] = ContextVar("device", default="auto")


def pick(wanted: str = "auto") -> Device:
    """The device asked for; "auto" takes a GPU where there is one.

    Raises:
        ModelError: it is not there.

    """
    kind, _, index = wanted.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (index and not (index.isdigit() and kind == "cuda")):
        raise ModelError(f"Device {wanted!r} is unknown. Devices: auto, cpu, cuda, cuda:1, mps. Choose one of them.")
    return _picked(kind, int(index or 0))


@contextmanager
def using(wanted: str) -> Iterator[None]:
    """Let models run on this device inside the block; it is looked up when a model asks (`current`)."""
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def current() -> Device:
    """The device of the block we are in, "auto" outside of any."""
    return pick(_wanted.get())


def memory(device: Device) -> tuple[int, int]:
    """Bytes (in use, of the device): of the GPU, or of this machine."""
    import psutil

    if device.kind == "cuda":
        import torch

        free, total = torch.cuda.mem_get_info(device.name)
        return total - free, total
    machine = psutil.virtual_memory()
    return machine.total - machine.available, machine.total


@cache
def _picked(kind: str, index: int) -> Device:
    if kind == "cpu":
        return _cpu()
    from explorer.models.extra import torch

    if kind in ("auto", "cuda") and torch.cuda.is_available():
        if index >= torch.cuda.device_count():
            raise ModelError(f"Device 'cuda:{index}' is not there. GPUs: {torch.cuda.device_count()}, numbered from 0. Choose one of them.")
        fast = "bfloat16" if torch.cuda.get_device_capability(index) >= (8, 0) else "float16"
        return Device(f"cuda:{index}", "cuda", fast, torch.cuda.get_device_name(index))
    if kind in ("auto", "mps") and torch.backends.mps.is_available():
        return Device("mps", "mps", "float16", "Apple GPU")
    if kind == "auto":
        return _cpu()
    raise ModelError(
        f"Device {kind!r} is not there: torch {torch.__version__} sees none. Use --device cpu, or install a build of torch for it."
    )


def _cpu() -> Device:
    from explorer.models.extra import torch

    return Device("cpu", "cpu", "bfloat16" if _half_on_cpu() else "float32", f"CPU, {torch.get_num_threads()} threads")


@cache
def _half_on_cpu() -> bool:
    try:
        line = next(x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return False
    return any(flag in line.split() for flag in HALF_ON_CPU)
