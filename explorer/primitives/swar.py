"""Eight bytes at a time: unaligned loads, byte searches inside a 64-bit word, and one 64-bit hash of a byte range.

All kernels hash byte ranges with :func:`hash_bytes`, so a hash computed by one primitive can be compared with another's.
Two different ranges collide with probability about 2**-64; among V different ranges about V**2 / 2**65 (a million different
words in one document: 3e-8).
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

HIGH = np.uint64(0x8080808080808080)
LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
ONES = np.uint64(0x0101010101010101)
SEED = np.uint64(0x9E3779B97F4A7C15)
K1 = np.uint64(0x9FB21C651E98DF25)
K2 = np.uint64(0xD6E8FEB86659FD93)
_7 = np.uint64(0x7F)
_32 = np.uint64(32)
_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)

# A kernel that only reads and writes arrays it is given. Without numba's memory management there is no atomic reference count
# at each call, which costs more than the call and makes threads that share a table wait for each other.
kernel = nb.njit(nogil=True, cache=True, _nrt=False)


@intrinsic
def load64(typingctx, data, i):  # type: ignore[no-untyped-def]
    """The eight bytes ``data[i:i + 8]`` as a little-endian uint64. The caller guarantees ``i + 8 <= len(data)``."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, types.int64), codegen


@intrinsic
def lowest_set_byte(typingctx, mask):  # type: ignore[no-untyped-def]
    """Index (0-7) of the lowest byte of ``mask`` that has a bit set; 8 when none has."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))
        return builder.lshr(count, ir.Constant(ir.IntType(64), 3))

    return types.int64(types.uint64), codegen


@intrinsic
def popcount(typingctx, mask):  # type: ignore[no-untyped-def]
    """Number of set bits."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), codegen


@nb.njit(nogil=True, cache=True, inline="always")
def load_upto(data, i, end):  # type: ignore[no-untyped-def]
    """The bytes ``data[i:min(i + 8, end)]`` as a little-endian uint64, zeros above; never reads past ``len(data)``."""
    left = end - i
    if i + 8 <= len(data):
        v = load64(data, i)
        if left < 8:
            v &= (np.uint64(1) << np.uint64(8 * left)) - np.uint64(1)
        return v
    v = np.uint64(0)
    for k in range(min(left, 8)):
        v |= np.uint64(data[i + k]) << np.uint64(8 * k)
    return v


@nb.njit(nogil=True, cache=True, inline="always")
def equal_bytes(v, pattern):  # type: ignore[no-untyped-def]
    """High bit of every byte of ``v`` that equals ``pattern``'s byte (exact: no carry crosses a byte)."""
    x = v ^ pattern
    return ~(((x & LOW7) + LOW7) | x) & HIGH


@nb.njit(nogil=True, cache=True, inline="always")
def ascii_letters(v):  # type: ignore[no-untyped-def]
    """High bit of every byte of ``v`` that is A-Z or a-z."""
    folded = (v | np.uint64(0x2020202020202020)) & LOW7
    return (folded + np.uint64(0x1F1F1F1F1F1F1F1F)) & ~(folded + np.uint64(0x0505050505050505)) & ~v & HIGH


@nb.njit(nogil=True, cache=True, inline="always")
def ascii_spaces(v):  # type: ignore[no-untyped-def]
    """High bit of every byte of ``v`` that is ASCII white space to ``str.isspace`` (9-13, 28-32). All bytes must be below 128."""
    controls = (v + np.uint64(0x7777777777777777)) & ~(v + np.uint64(0x7272727272727272))
    return (controls | ((v + np.uint64(0x6464646464646464)) & ~(v + np.uint64(0x5F5F5F5F5F5F5F5F)))) & HIGH


@nb.njit(nogil=True, cache=True, inline="always")
def hash_step(h, v):  # type: ignore[no-untyped-def]
    """Absorb one block of eight bytes; a bijection of ``v`` for a fixed ``h``."""
    h = (h ^ v) * K1
    return h ^ (h >> _32)


@nb.njit(nogil=True, cache=True, inline="always")
def hash_finish(h, length):  # type: ignore[no-untyped-def]
    """Absorb the length, so that padding zeros and NUL bytes differ."""
    h = (h ^ np.uint64(length)) * K2
    return h ^ (h >> _32)


@kernel
def hash_bytes(data, start, end):  # type: ignore[no-untyped-def]
    """64-bit hash of ``data[start:end]``; depends on these bytes alone."""
    h = SEED
    i = start
    while i < end:
        h = hash_step(h, load_upto(data, i, end))
        i += 8
    return hash_finish(h, end - start)
