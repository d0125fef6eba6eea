"""A cascade of filter banks on the CPU: numba kernels, each row through all levels in the cache.

Even and odd samples stand in arrays of their own, so that filtering is a sum of shifted arrays that
runs in vector registers. Filters have an even number of taps.
"""

import numpy as np
from numba import njit

_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract"}}


@njit(**_OPTIONS)
def _add_two(first, second, weights, x, y):
    """Add two arrays, weighted, to each of two others."""
    a, b = weights[0, 0], weights[0, 1]
    c, d = weights[1, 0], weights[1, 1]
    for t in range(first.shape[0]):
        s = np.uintp(t)
        first[s] += a * x[s] + b * y[s]
        second[s] += c * x[s] + d * y[s]


@njit(**_OPTIONS)
def _add_four(first, second, weights, x, y, u, v):
    """The same with four arrays: less to load and store."""
    a, b, c, d = weights[0, 0], weights[0, 1], weights[0, 2], weights[0, 3]
    e, f, g, h = weights[1, 0], weights[1, 1], weights[1, 2], weights[1, 3]
    for t in range(first.shape[0]):
        s = np.uintp(t)
        first[s] += (a * x[s] + b * y[s]) + (c * u[s] + d * v[s])
        second[s] += (e * x[s] + f * y[s]) + (g * u[s] + h * v[s])


@njit(**_OPTIONS)
def _gather(even, odd, taps, n, low, high):
    """low[o] = sum_m taps[0, m] e[2 o + m], and high with taps[1]; e in its two parts."""
    low, high = low[:n], high[:n]
    low[:] = 0
    high[:] = 0
    half = taps.shape[1] // 2
    for i in range(0, half - 1, 2):
        x, y, u, v = (
            even[i : i + n],
            odd[i : i + n],
            even[i + 1 : i + 1 + n],
            odd[i + 1 : i + 1 + n],
        )
        _add_four(low, high, taps[:, 2 * i : 2 * i + 4], x, y, u, v)
    if half % 2:
        i = half - 1
        _add_two(low, high, taps[:, 2 * i :], even[i : i + n], odd[i : i + n])


@njit(**_OPTIONS)
def _spread(low, high, taps, start, n, even, odd):
    """e[2 k + r] = sum_i taps[0, 2 i + r] low[k - i] + taps[1, 2 i + r] high[k - i].

    For n values k from `start`; low and high begin with taps / 2 values before the first. The taps
    come as `_phases` of them.
    """
    even, odd = even[:n], odd[:n]
    even[:] = 0
    odd[:] = 0
    half = taps.shape[1] // 2
    for i in range(0, half - 1, 2):
        at = half + start - i
        x, y, u, v = (
            low[at : at + n],
            high[at : at + n],
            low[at - 1 : at - 1 + n],
            high[at - 1 : at - 1 + n],
        )
        _add_four(even, odd, taps[:, 2 * i : 2 * i + 4], x, y, u, v)
    if half % 2:
        at = start + 1
        _add_two(even, odd, taps[:, 2 * half - 2 :], low[at : at + n], high[at : at + n])


@njit(**_OPTIONS)
def _phases(taps):
    """Rows r = 0, 1 of (taps[0, r], taps[1, r], taps[0, 2 + r], taps[1, 2 + r], ...)."""
    phases = np.empty_like(taps)
    for r in range(2):
        for i in range(taps.shape[1] // 2):
            for band in range(2):
                phases[r, 2 * i + band] = taps[band, 2 * i + r]
    return phases


@njit(**_OPTIONS)
def _split(e, n, even, odd):
    for t in range(n):
        s = np.uintp(t)
        even[s], odd[s] = e[s + s], e[s + s + np.uintp(1)]


@njit(**_OPTIONS)
def _join(even, odd, first, n, out):
    """out[t] = e[t + first], where first is 0 or 1."""
    if first:
        for t in range(n // 2):
            s = np.uintp(t)
            out[s + s], out[s + s + np.uintp(1)] = odd[s], even[s + np.uintp(1)]
        if n % 2:
            out[n - 1] = odd[n // 2]
    else:
        for t in range(n // 2):
            s = np.uintp(t)
            out[s + s], out[s + s + np.uintp(1)] = even[s], odd[s]
        if n % 2:
            out[n - 1] = even[n // 2]


@njit(**_OPTIONS)
def _extend(e, n, left, index, weights, start, stop):
    """Fill what lies outside of the n samples that begin at `left`."""
    for k in range(start, stop):
        at = k - start if k - start < left else k - start + n
        inner = weights[0, k] * e[left + index[k]]
        e[at] = inner + weights[1, k] * e[left] + weights[2, k] * e[left + n - 1]


@njit(**_OPTIONS)
def _fold(e, n, left, index, weights, start, stop):
    """The adjoint: add what lies outside to the samples that it came from."""
    for k in range(start, stop):
        outside = e[k - start if k - start < left else k - start + n]
        e[left + index[k]] += weights[0, k] * outside
        e[left] += weights[1, k] * outside
        e[left + n - 1] += weights[2, k] * outside


@njit(**_OPTIONS)
def _rooms(dtype_of, lengths, taps):
    room = lengths[0] + 4 * taps.shape[1] + 8
    return np.zeros(room, dtype_of.dtype), np.zeros((6, room // 2 + 1), dtype_of.dtype)


@njit(**_OPTIONS)
def analysis(x, taps, lengths, left, edges, index, weights, out, start, stop):
    """Fill ``out`` with (approximation, coarsest details, ..., finest details) of each row."""
    n_taps, n_levels = taps.shape[1], lengths.shape[0] - 1
    e, parts = _rooms(x, lengths, taps)
    even, odd, low, high = parts[0], parts[1], parts[2], parts[3]
    for row in range(start, stop):
        e[left : left + lengths[0]] = x[row]
        end = out.shape[1]
        for j in range(n_levels):
            n, size = lengths[j], lengths[j + 1]
            _extend(e, n, left, index, weights, edges[j], edges[j + 1])
            _split(e, size - 1 + n_taps // 2, even, odd)
            _gather(even, odd, taps, size, low, high)
            out[row, end - size : end] = high[:size]
            e[left : left + size] = low[:size]
            end -= size
        out[row, :end] = e[left : left + end]


@njit(**_OPTIONS)
def analysis_adjoint(c, taps, lengths, left, edges, index, weights, out, start, stop):
    """What `analysis` makes of gradients on the way back."""
    n_taps, n_levels = taps.shape[1], lengths.shape[0] - 1
    half, phases = n_taps // 2, _phases(taps)
    e, parts = _rooms(c, lengths, taps)
    even, odd, low, high = parts[0], parts[1], parts[2], parts[3]
    for row in range(start, stop):
        begin = lengths[n_levels]
        low[half : half + begin] = c[row, :begin]
        for j in range(n_levels - 1, -1, -1):
            n, size = lengths[j], lengths[j + 1]
            high[:half] = low[:half] = 0
            high[half : half + size] = c[row, begin : begin + size]
            high[half + size : n_taps + size] = low[half + size : n_taps + size] = 0
            begin += size
            _spread(low, high, phases, 0, size - 1 + half, even, odd)
            _join(even, odd, 0, 2 * (size - 1) + n_taps, e)
            _fold(e, n, left, index, weights, edges[j], edges[j + 1])
            if j:
                low[half : half + n] = e[left : left + n]
            else:
                out[row] = e[left : left + n]


@njit(**_OPTIONS)
def synthesis(c, taps, lengths, reach, lead, out, start, stop):
    """Fill ``out`` with the signals of the coefficients' rows."""
    n_taps, n_levels = taps.shape[1], lengths.shape[0] - 1
    half, before, phases = n_taps // 2, n_taps // 2 + reach, _phases(taps)
    e, parts = _rooms(c, lengths, taps)
    even, odd, low, high = parts[0], parts[1], parts[2], parts[3]
    for row in range(start, stop):
        begin = lengths[n_levels]
        low[before : before + begin] = c[row, :begin]
        for j in range(n_levels - 1, -1, -1):
            n, size = lengths[j], lengths[j + 1]
            high[before : before + size] = c[row, begin : begin + size]
            begin += size
            first, last = lead // 2, (lead + n - 1) // 2
            high[:half] = low[:half] = 0
            for k in range(reach):  # all around
                low[before - 1 - k] = low[before + size - 1 - k % size]
                high[before - 1 - k] = high[before + size - 1 - k % size]
            for k in range(half + last + 1 - before - size):
                low[before + size + k] = low[before + k % size]
                high[before + size + k] = high[before + k % size]
            _spread(low, high, phases, first, last - first + 1, even, odd)
            if j:
                _join(even, odd, lead % 2, n, e)
                low[before : before + n] = e[:n]
            else:
                _join(even, odd, lead % 2, n, out[row])


@njit(**_OPTIONS)
def synthesis_adjoint(x, taps, lengths, reach, lead, out, start, stop):
    """What `synthesis` makes of gradients on the way back."""
    n_taps, n_levels = taps.shape[1], lengths.shape[0] - 1
    e, parts = _rooms(x, lengths, taps)
    even, odd, low, high = parts[0], parts[1], parts[2], parts[3]
    around_low, around_high = parts[4], parts[5]
    for row in range(start, stop):
        e[lead : lead + lengths[0]] = x[row]
        end = out.shape[1]
        for j in range(n_levels):
            n, size = lengths[j], lengths[j + 1]
            n_around = (lead + n - 1) // 2 + 1
            e[:lead] = 0
            e[lead + n : 2 * n_around + n_taps] = 0
            _split(e, n_around + n_taps // 2, even, odd)
            _gather(even, odd, taps, n_around, around_low, around_high)
            inside = min(n_around - reach, size)
            low[:size] = 0
            high[:size] = 0
            low[:inside] = around_low[reach : reach + inside]
            high[:inside] = around_high[reach : reach + inside]
            for k in range(reach):  # all around
                low[(k - reach) % size] += around_low[k]
                high[(k - reach) % size] += around_high[k]
            for k in range(reach + inside, n_around):
                low[(k - reach) % size] += around_low[k]
                high[(k - reach) % size] += around_high[k]
            out[row, end - size : end] = high[:size]
            e[lead : lead + size] = low[:size]
            end -= size
        out[row, :end] = e[lead : lead + end]
