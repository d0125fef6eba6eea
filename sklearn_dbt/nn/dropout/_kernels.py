"""Random numbers and masks on the CPU: numba kernels, and the threads that run them.

A random word is a hash of its place and a seed (splitmix64), so it depends on neither the order of
the calls nor the number of threads, the loops run in vector registers, and nothing but the seed has
to be kept. One word of 64 bits serves two coefficients: the low half the k-th of a row, the high
half the k-th of the row's second half.
"""

import numpy as np
import torch
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from ..basis._threads import in_chunks

_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy"}
_GOLDEN, _FIRST, _SECOND = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64
)
_27, _30, _31, _32 = np.array([27, 30, 31, 32], np.uint64)
_8 = np.uint32(8)
_RANGE, _LARGEST = 2.0**32, 2.0**32 - 1
_STEP = np.float32(2.0**-24)
_ENOUGH = 2**21  # numbers for which another thread pays


@intrinsic
def _memory(typingctx, address):  # noqa: ARG001 (numba's signature)
    """Return the pointer of an address: numbers are passed faster than arrays."""

    def codegen(context, builder, signature, args):  # noqa: ARG001
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), codegen


@njit(**_OPTIONS)
def _word(seed, place):
    z = seed + place * _GOLDEN
    z = (z ^ (z >> _30)) * _FIRST
    z = (z ^ (z >> _27)) * _SECOND
    return z ^ (z >> _31)


@njit(**_OPTIONS)
def _words(seed, row, low, high):
    """Fill one row's words; `high` may be one shorter than `low`."""
    size = np.uintp(low.shape[0])
    for t in range(high.shape[0]):
        s = np.uintp(t)
        word = _word(seed, np.uint64(row) * size + s)
        low[s] = np.uint32(word)
        high[s] = np.uint32(word >> _32)
    if high.shape[0] < low.shape[0]:
        low[size - np.uintp(1)] = np.uint32(_word(seed, np.uint64(row + 1) * size - np.uintp(1)))


@njit(**_OPTIONS)
def _table(rates, thresholds, factors):
    for k in range(rates.shape[0]):
        thresholds[k] = np.uint32(min(np.float64(rates[k]) * _RANGE, _LARGEST))
        factors[k] = factors.dtype.type(1) / (factors.dtype.type(1) - rates[k])


@njit(**_OPTIONS)
def _mask(seed, row, thresholds, factors, scale):
    """Fill one row's mask / (1 - rate)."""
    n, zero = scale.shape[0], scale.dtype.type(0)
    half, size = (n + 1) // 2, np.uintp((n + 1) // 2)
    low, high = scale[:half], scale[half:]
    low_thresholds, high_thresholds = thresholds[:half], thresholds[half:]
    low_factors, high_factors = factors[:half], factors[half:]
    for t in range(n - half):
        s = np.uintp(t)
        word = _word(seed, np.uint64(row) * size + s)
        low[s] = low_factors[s] if np.uint32(word) >= low_thresholds[s] else zero
        high[s] = high_factors[s] if np.uint32(word >> _32) >= high_thresholds[s] else zero
    if n % 2:
        word = _word(seed, np.uint64(row + 1) * size - np.uintp(1))
        low[half - 1] = (
            low_factors[half - 1] if np.uint32(word) >= low_thresholds[half - 1] else zero
        )


@njit(**_OPTIONS)
def _shared_mask(words, group, thresholds, factors, scale):
    """Fill one row's mask / (1 - rate), where a group of coefficients has one word."""
    for k in range(scale.shape[0]):
        kept = words[group[k]] >= thresholds[k]
        scale[k] = factors[k] if kept else scale.dtype.type(0)


@njit(**_OPTIONS)
def _scale(c, rates, group, n_groups, seed, start, stop):
    """Multiply rows by mask / (1 - rate); complex numbers are two in a row."""
    n = rates.shape[1]
    half, words = (n_groups + 1) // 2, np.empty(n_groups, np.uint32)
    thresholds, factors, scale = np.empty(n, np.uint32), np.empty(n, c.dtype), np.empty(n, c.dtype)
    for row in range(start, stop):
        if row == start or rates.shape[0] > 1:
            _table(rates[row if rates.shape[0] > 1 else 0], thresholds, factors)
        if n_groups:
            _words(np.uint64(seed), row, words[:half], words[half:])
            _shared_mask(words, group, thresholds, factors, scale)
        else:
            _mask(np.uint64(seed), row, thresholds, factors, scale)
        values = c[row]
        if c.shape[1] > n:
            for k in range(n):
                values[2 * k] *= scale[k]
                values[2 * k + 1] *= scale[k]
        else:
            for k in range(n):
                values[k] *= scale[k]


@njit(**_OPTIONS)
def _scale_32(c, shape, rates, rates_shape, group, n_groups, seed, start, stop):
    values = carray(_memory(c), shape, np.float32)
    found = carray(_memory(rates), rates_shape, np.float32)
    groups = carray(_memory(group), (rates_shape[1],), np.int64)
    _scale(values, found, groups, n_groups, seed, start, stop)


@njit(**_OPTIONS)
def _scale_64(c, shape, rates, rates_shape, group, n_groups, seed, start, stop):
    values = carray(_memory(c), shape, np.float64)
    found = carray(_memory(rates), rates_shape, np.float64)
    groups = carray(_memory(group), (rates_shape[1],), np.int64)
    _scale(values, found, groups, n_groups, seed, start, stop)


@njit(**_OPTIONS)
def _fill(out, shape, seed, start, stop):
    values = carray(_memory(out), shape, np.float32)
    n = values.shape[1]
    half, words = (n + 1) // 2, np.empty(n, np.uint32)
    for row in range(start, stop):
        _words(np.uint64(seed), row, words[:half], words[half:])
        for k in range(n):
            values[row, k] = np.float32(words[k] >> _8) * _STEP


_KERNELS = {
    torch.float32: (_scale_32, 1),
    torch.complex64: (_scale_32, 2),
    torch.float64: (_scale_64, 1),
    torch.complex128: (_scale_64, 2),
}


def scale_(c, rates, seed, sharing=None):
    """Multiply coefficients by mask / (1 - rate), in place.

    Parameters
    ----------
    c : contiguous CPU tensor of shape (..., n_coefficients), real or complex
    rates : contiguous tensor of shape (n_coefficients,) or of the coefficients' shape, real, of
        the same precision
    seed : int from 0 to 2^63 - 1
    sharing : (tensor of int64 of shape (n_coefficients,), int), default=None
        Group of each coefficient and number of groups, each of which has one word.
    """
    kernel, width = _KERNELS[c.dtype]
    n, size = c.shape[-1], c.numel()
    n_rows = size // n
    shape, rates_shape = (n_rows, width * n), (1 if rates.ndim == 1 else n_rows, n)
    group, n_groups = (0, 0) if sharing is None else (sharing[0].data_ptr(), sharing[1])
    arguments = (c.data_ptr(), shape, rates.data_ptr(), rates_shape, group, n_groups, seed)
    in_chunks(kernel, arguments, n_rows, width * size, _ENOUGH)


def fill_(out, seed):
    """Fill a contiguous float32 tensor with the uniforms that the masks are compared with."""
    n = out.shape[-1]
    n_rows = out.numel() // n
    in_chunks(_fill, (out.data_ptr(), (n_rows, n), seed), n_rows, out.numel(), _ENOUGH)
