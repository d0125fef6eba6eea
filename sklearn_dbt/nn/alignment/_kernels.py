"""Soft-DTW on the CPU: numba kernels along anti-diagonals, and the threads that run them.

The recursion R = D + softmin of three predecessors is run on Z = exp(-R / gamma), where it is a
product and a sum, Z = exp(-D / gamma) (Z_left + Z_up + Z_corner). No number format holds Z, so each
cell keeps its own exponent, Z = mantissa * 2^exponent: one exponential a cell, no logarithm, and
nothing lost however large or small the costs are.

The cells of one anti-diagonal do not depend on each other, so its loop runs in vector registers;
exp2 is a short polynomial because a call into the C library would keep it scalar. Loops run over
whole blocks of lanes into a margin that nobody reads, because a remainder would be scalar too. The
value of a pair is one number, hence its whole gradient is computed right after its recursion, while
the weights of the recursion are still in the cache: memory is O(n_times * band) a thread.

``contract`` (fused multiply-add) is the only liberty given to the compiler. Everything stands in
one file because numba's cache looks at one file only.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract"}}
_LEFT, _UP, _CORNER = range(3)  # where the weights of a cell point
_REBASE_EVERY = 16  # anti-diagonals between two changes of origin
_TOLERANCE = 1e-3  # of gamma: what may be lost of a difference between two paths
_LANES = 8  # cells of a block

# Subnormal numbers are a hundred times slower and worth nothing here: weights and expected
# alignments below the root of the least normal number are 0, so that no product is subnormal.
_FLOOR_32 = np.sqrt(np.finfo(np.float32).tiny)  # 1.1e-19
_FLOOR_64 = np.sqrt(np.finfo(np.float64).tiny)  # 1.5e-154
_LEAST_32, _LEAST_64 = np.log2(_FLOOR_32), np.log2(_FLOOR_64)
# Adding this rounds to an integer, which then stands in the lowest bits.
_ROUND_32, _ROUND_64 = np.float32(1.5 * 2**23), np.float64(1.5 * 2**52)
# Shares of the largest number: exponents of paths stay below the one, where no path arrives they
# are the other.
_RESERVE, _NOWHERE = 2.0**-8, 2.0**-4
# Taylor coefficients of 2^r, and those of log2((1 + z) / (1 - z)) / z in z squared.
_E32 = tuple(np.float32(math.log(2) ** k / math.factorial(k)) for k in range(8))
_E64 = tuple(np.float64(math.log(2) ** k / math.factorial(k)) for k in range(14))
_L32 = tuple(np.float32(2 / (2 * k + 1) / math.log(2)) for k in range(6))
_L64 = tuple(np.float64(2 / (2 * k + 1) / math.log(2)) for k in range(12))
_SQRT2_32, _SQRT2_64 = np.float32(math.sqrt(2)), np.float64(math.sqrt(2))
_ZERO_32, _HALF_32, _ONE_32 = np.array([0, 0.5, 1], np.float32)
_ZERO_64, _HALF_64, _ONE_64 = np.array([0, 0.5, 1], np.float64)


def _format(kind) -> tuple[int, int, int]:
    """Bits, bits of the fraction, and bias of the exponent of a floating type."""
    return (32, 23, 127) if kind == types.float32 else (64, 52, 1023)


@intrinsic
def _power_of_two(typingctx, rounded):  # noqa: ARG001 (numba's signature)
    """Return 2^n of ``rounded`` = n + 1.5 2^(bits of the fraction): n stands in its lowest bits."""
    bits, shift, bias = _format(rounded)

    def codegen(context, builder, signature, args):  # noqa: ARG001
        word = builder.bitcast(args[0], ir.IntType(bits))
        word = builder.shl(word, word.type(shift))
        word = builder.add(word, word.type(bias << shift))
        return builder.bitcast(word, args[0].type)

    return rounded(rounded), codegen


@intrinsic
def _mantissa(typingctx, v):  # noqa: ARG001
    """Return m in [1, 2) of v = m 2^n >= 0; 1 of 0."""
    bits, shift, bias = _format(v)

    def codegen(context, builder, signature, args):  # noqa: ARG001
        word = builder.bitcast(args[0], ir.IntType(bits))
        word = builder.and_(word, word.type((1 << shift) - 1))
        word = builder.or_(word, word.type(bias << shift))
        return builder.bitcast(word, args[0].type)

    return v(v), codegen


@intrinsic
def _exponent(typingctx, v):  # noqa: ARG001
    """Return n of v = m 2^n >= 0, as a number of the same type; -bias of 0."""
    bits, shift, bias = _format(v)

    def codegen(context, builder, signature, args):  # noqa: ARG001
        word = builder.bitcast(args[0], ir.IntType(bits))
        word = builder.lshr(word, word.type(shift))
        # The biased exponent as the lowest bits of 2^shift: no conversion of integers.
        word = builder.or_(word, word.type((bias + shift) << shift))
        number = builder.bitcast(word, args[0].type)
        return builder.fsub(number, number.type(float(2**shift + bias)))

    return v(v), codegen


@njit(**_OPTIONS)
def _exp2_32(r):
    p = (_E32[7] * r + _E32[6]) * r + _E32[5]
    return ((((p * r + _E32[4]) * r + _E32[3]) * r + _E32[2]) * r + _E32[1]) * r + _E32[0]


@njit(**_OPTIONS)
def _exp2_64(r):
    p = ((_E64[13] * r + _E64[12]) * r + _E64[11]) * r + _E64[10]
    p = (((p * r + _E64[9]) * r + _E64[8]) * r + _E64[7]) * r + _E64[6]
    p = (((p * r + _E64[5]) * r + _E64[4]) * r + _E64[3]) * r + _E64[2]
    return (p * r + _E64[1]) * r + _E64[0]


@njit(**_OPTIONS)
def _log2_32(s):
    high = s > _SQRT2_32
    u = _HALF_32 * s if high else s
    z = (u - _ONE_32) / (u + _ONE_32)
    w = z * z
    p = (_L32[5] * w + _L32[4]) * w + _L32[3]
    p = ((p * w + _L32[2]) * w + _L32[1]) * w + _L32[0]
    return p * z + (_ONE_32 if high else _ZERO_32)


@njit(**_OPTIONS)
def _log2_64(s):
    high = s > _SQRT2_64
    u = _HALF_64 * s if high else s
    z = (u - _ONE_64) / (u + _ONE_64)
    w = z * z
    p = ((_L64[11] * w + _L64[10]) * w + _L64[9]) * w + _L64[8]
    p = (((p * w + _L64[7]) * w + _L64[6]) * w + _L64[5]) * w + _L64[4]
    p = (((p * w + _L64[3]) * w + _L64[2]) * w + _L64[1]) * w + _L64[0]
    return p * z + (_ONE_64 if high else _ZERO_64)


@njit(**_OPTIONS)
def _scaled_32(m, d):
    return _ZERO_32 if d < _LEAST_32 else m * _power_of_two(d + _ROUND_32)


@njit(**_OPTIONS)
def _scaled_64(m, d):
    return _ZERO_64 if d < _LEAST_64 else m * _power_of_two(d + _ROUND_64)


@njit(**_OPTIONS)
def _rounded_32(u):
    return (u + _ROUND_32) - _ROUND_32


@njit(**_OPTIONS)
def _rounded_64(u):
    return (u + _ROUND_64) - _ROUND_64


def _exp2(r):
    """Return 2^r of -1/2 <= r <= 1/2, to one unit in the last place."""


def _log2(s):
    """Return log2(s) of 1 <= s <= 2, to one unit in the last place."""


def _scaled(m, d):
    """Return m 2^d of an integer d <= 0; 0 where that is next to nothing."""


def _rounded(u):
    """Return the integer next to u, in its own type."""


@overload(_exp2)
def _choose_exp2(r):
    return (lambda r: _exp2_32(r)) if r == types.float32 else (lambda r: _exp2_64(r))


@overload(_log2)
def _choose_log2(s):
    return (lambda s: _log2_32(s)) if s == types.float32 else (lambda s: _log2_64(s))


@overload(_scaled)
def _choose_scaled(m, d):  # noqa: ARG001 (both have one type)
    single = m == types.float32
    return (lambda m, d: _scaled_32(m, d)) if single else (lambda m, d: _scaled_64(m, d))


@overload(_rounded)
def _choose_rounded(u):
    return (lambda u: _rounded_32(u)) if u == types.float32 else (lambda u: _rounded_64(u))


@njit(**_OPTIONS)
def _rows(k, n, m, band):
    """Return the first and the last row i of the cells (i, k - i) inside matrix and band."""
    first, last = max(0, k - m + 1), min(n - 1, k)
    if band >= 0 and n + m > 2:
        # |i (m - 1) - (k - i) (n - 1)| <= reach, solved for i
        reach = band * (min(n, m) - 1)
        first = max(first, -((reach - k * (n - 1)) // (n + m - 2)))
        last = min(last, (reach + k * (n - 1)) // (n + m - 2))
    return first, last


@njit(**_OPTIONS)
def _area(n, m, band):
    """Return the room of all anti-diagonals (and an empty last one), with a margin at both ends."""
    room = 0
    for k in range(n + m):
        first, last = _rows(k, n, m, band)
        room += last - first + 3
    return room


@njit(**_OPTIONS)
def _fill(array, value):
    for i in range(array.shape[0]):
        for t in range(array.shape[1]):
            array[i, t] = value


@njit(**_OPTIONS)
def _blocks(size):
    """Round up to whole blocks."""
    return (size + _LANES - 1) & ~(_LANES - 1)


@njit(**_OPTIONS)
def _squares(x, y_reversed, first, column, size, cost):
    """Squared distances of one anti-diagonal: x forwards meets y backwards."""
    i, j = np.uintp(first), np.uintp(column)
    for t in range(_blocks(size)):
        cost[t] = 0
    for c in range(x.shape[0]):
        for t in range(_blocks(size)):
            s = np.uintp(t)
            step = x[c, i + s] - y_reversed[c, j + s]
            cost[s] += step * step


@njit(**_OPTIONS)
def _cell(a, b, c, of_a, of_b, of_c, u):
    """Return the three terms, their sum, and Z = 2^u times their sum.

    The terms a 2^of_a, ... are brought to their largest exponent; Z comes as mantissa and exponent,
    with what ``u`` is above an integer.
    """
    top = of_a if of_a > of_b else of_b
    top = top if top > of_c else of_c
    a, b, c = _scaled(a, of_a - top), _scaled(b, of_b - top), _scaled(c, of_c - top)
    total, whole = a + b + c, _rounded(u)
    z = total * _exp2(u - whole)
    return a, b, c, total, _mantissa(z), top + (whole + _exponent(z)), u - whole


@njit(**_OPTIONS)
def _sum(m, e, here, one, two, first, size, cost, scale):
    """Z of one anti-diagonal; ``m`` and ``e`` hold mantissas and exponents."""
    up, own = np.uintp(first), np.uintp(first + 1)
    for t in range(_blocks(size)):
        s = np.uintp(t)
        _, _, _, _, m[here, own + s], e[here, own + s], _ = _cell(
            m[one, own + s],
            m[one, up + s],
            m[two, up + s],
            e[one, own + s],
            e[one, up + s],
            e[two, up + s],
            cost[s] * scale,
        )


@njit(**_OPTIONS)
def _sum_weights(m, e, here, one, two, first, size, cost, scale, weights, start):
    """The same, with the shares of the three terms: the derivatives of the softmin."""
    unit, half = m.dtype.type(1), m.dtype.type(0.5)
    up, own, w = np.uintp(first), np.uintp(first + 1), np.uintp(start)
    for t in range(_blocks(size)):
        s = np.uintp(t)
        a, b, c, total, m[here, own + s], e[here, own + s], _ = _cell(
            m[one, own + s],
            m[one, up + s],
            m[two, up + s],
            e[one, own + s],
            e[one, up + s],
            e[two, up + s],
            cost[s] * scale,
        )
        share = unit / (total if total > half else half)  # 0 where no path arrives
        weights[_LEFT, w + s] = a * share
        weights[_UP, w + s] = b * share
        weights[_CORNER, w + s] = c * share


@njit(**_OPTIONS)
def _rebase(e, here, one, first, size):
    """Move the origin of two anti-diagonals to the largest exponent of the newer one."""
    largest = e[here, first + 1]
    for t in range(size):
        largest = max(largest, e[here, first + 1 + t])
    for t in range(size + 2):
        e[here, first + t] -= largest
        e[one, first + t] -= largest
    return float(largest)


@njit(**_OPTIONS)
def _recursion(x, y_reversed, n, m, band, gamma, keep, ring, cost, weights):
    """Run Z over all anti-diagonals; keep the weights for the way back if asked.

    Row i of a ring buffer stands at i + 1, and both ends of each anti-diagonal are walled by 0 (so
    are its weights). The origin of the exponents moves along, so that float32 resolves differences
    between neighbouring paths however large the accumulated cost is.
    """
    mantissa, exponent = ring
    unit, zero = mantissa.dtype.type(1), mantissa.dtype.type(0)
    nowhere = mantissa.dtype.type(-_NOWHERE * np.finfo(mantissa.dtype).max)
    scale = mantissa.dtype.type(-1 / (math.log(2) * gamma))
    _fill(mantissa, zero)
    _fill(exponent, nowhere)
    mantissa[1, 0], exponent[1, 0] = unit, zero  # the start: the corner of the first cell
    origin, start = 0.0, 0
    for k in range(n + m - 1):
        here, one, two = k % 3, (k + 2) % 3, (k + 1) % 3
        first, last = _rows(k, n, m, band)
        size = last - first + 1
        _squares(x, y_reversed, first, m - 1 - k + first, size, cost)
        arguments = (mantissa, exponent, here, one, two, first, size, cost, scale)
        if keep:
            _sum_weights(*arguments, weights, start + 1)
            for w in range(3):
                weights[w, start] = weights[w, start + size + 1] = 0
            start += size + 2
        else:
            _sum(*arguments)
        for end in (first, last + 2):
            mantissa[here, end], exponent[here, end] = zero, nowhere
        if k == 0:
            mantissa[1, 0], exponent[1, 0] = zero, nowhere
        if k % _REBASE_EVERY == 0 and size > 0:
            origin += _rebase(exponent, here, one, first, size)
    for w in range(3 if keep else 0):
        weights[w, start] = weights[w, start + 1] = 0
    end = (n + m - 2) % 3
    return -gamma * math.log(2) * (origin + exponent[end, n] + math.log2(mantissa[end, n]))


@njit(**_OPTIONS)
def _gather(ring, here, first, size, weights, one, two):
    """E of one anti-diagonal: what flows back to each cell from its three successors."""
    zero, floor = ring.dtype.type(0), np.sqrt(np.finfo(ring.dtype).tiny)
    after, beyond = (here + 1) % 3, (here + 2) % 3
    own, down = np.uintp(first + 1), np.uintp(first + 2)
    left, up, corner = np.uintp(one), np.uintp(one + 1), np.uintp(two)
    for t in range(_blocks(size)):
        s = np.uintp(t)
        e = ring[after, own + s] * weights[_LEFT, left + s]
        e += ring[after, down + s] * weights[_UP, up + s]
        e += ring[beyond, down + s] * weights[_CORNER, corner + s]
        ring[here, own + s] = zero if e < floor else e
    ring[here, first] = 0
    for t in range(_LANES):
        ring[here, first + size + 1 + t] = 0


@njit(**_OPTIONS)
def _surprise(weight, certain):
    """-w log2 w, exactly 0 of a weight that is 1 but for its rounding."""
    bits = weight * (_exponent(weight) + _log2(_mantissa(weight)))
    return bits - bits if weight > certain else -bits


@njit(**_OPTIONS)
def _add_entropy(ring, here, first, size, weights, start, entropy):
    """Add the expected entropy of the three weights, in bits, to that of its lane."""
    certain = ring.dtype.type(1 - 2 * np.finfo(ring.dtype).eps)
    own, w = np.uintp(first + 1), np.uintp(start)
    for t in range(_blocks(size)):
        s = np.uintp(t)
        bits = _surprise(weights[_LEFT, w + s], certain) + _surprise(weights[_UP, w + s], certain)
        bits += _surprise(weights[_CORNER, w + s], certain)
        entropy[s] += ring[here, own + s] * bits


@njit(**_OPTIONS)
def _add_gradient(ring, here, first, size, x, y_reversed, column, grad_x, grad_y):
    """Half the derivative of <E, D>; the 2 of the square is multiplied in at the end."""
    own, i, j = np.uintp(first + 1), np.uintp(first), np.uintp(column)
    for c in range(x.shape[0]):
        for t in range(_blocks(size)):
            s = np.uintp(t)
            step = ring[here, own + s] * (x[c, i + s] - y_reversed[c, j + s])
            grad_x[c, i + s] += step
            grad_y[c, j + s] -= step


@njit(**_OPTIONS)
def _way_back(
    x, y_reversed, n, m, band, weights, room, ring, entropy, grad_x, grad_y, by_gamma, alignment, p
):
    """Run E over all anti-diagonals from the end; return the expected entropy of the choices.

    Fill ``alignment`` if it has any rows, otherwise add to the gradients.
    """
    _fill(ring, ring.dtype.type(0))
    entropy[:] = 0
    # first row and place in ``weights`` of the next two anti-diagonals; past the end they are empty
    first_one, start_one = n, room - 2
    first_two, start_two = n, room - 2
    for k in range(n + m - 2, -1, -1):
        here = k % 3
        first, last = _rows(k, n, m, band)
        size, column = last - first + 1, m - 1 - k + first
        start = start_one - size - 2
        if k == n + m - 2:
            ring[here, n] = 1
        else:
            one, two = start_one + 1 + first - first_one, start_two + 2 + first - first_two
            _gather(ring, here, first, size, weights, one, two)
        if by_gamma and k > 0:  # the first cell has no choice
            _add_entropy(ring, here, first, size, weights, start + 1, entropy)
        if alignment.shape[0]:
            for t in range(size):
                alignment[p, first + t, k - first - t] = ring[here, first + 1 + t]
        else:
            _add_gradient(ring, here, first, size, x, y_reversed, column, grad_x, grad_y)
        first_one, start_one, first_two, start_two = first, start, first_one, start_one
    return math.log(2) * entropy.astype(np.float64).sum()


@njit(**_OPTIONS)
def _load(series, p, backwards, into):
    """Copy a series without its padding; return its largest size, NaN if there is one."""
    n, largest = into.shape[1] - _LANES, 0.0
    for c in range(into.shape[0]):
        for i in range(n):
            value = series[p, c, n - 1 - i if backwards else i]
            into[c, i] = value
            # a comparison that NaN fails, so that it stays
            largest = largest if abs(value) <= largest else float(abs(value))
            if largest != largest:
                return largest
        for i in range(n, n + _LANES):
            into[c, i] = 0
    return largest


@njit(**_OPTIONS)
def _store(grad, p, backwards, into):
    n = grad.shape[1] - _LANES
    for c in range(grad.shape[0]):
        for i in range(n):
            half = grad[c, n - 1 - i if backwards else i]
            into[p, c, i] = half + half


@njit(**_OPTIONS)
def _buffers(u, longest, room):
    """Room for the recursion, in the precision of ``u``."""
    ring = (
        np.empty((3, longest + 2 + _LANES), u.dtype),
        np.empty((3, longest + 2 + _LANES), u.dtype),
    )
    return ring, np.empty(longest + _LANES, u.dtype), np.empty((3, room + _LANES), u.dtype)


@njit(**_OPTIONS)
def _solve_pair(u, v, band, gamma, buffers, p, value, grad_x, grad_y, grad_gamma, alignment):
    """Fill the results of one pair, ``u`` forwards and ``v`` backwards, both with a margin of 0."""
    ring, cost, weights = buffers
    n, m = u.shape[1] - _LANES, v.shape[1] - _LANES
    keep = grad_x.shape[0] + grad_gamma.shape[0] + alignment.shape[0] > 0
    value[p] = _recursion(u, v, n, m, band, gamma, keep, ring, cost, weights)
    if not keep:
        return
    grad_u, grad_v = np.zeros_like(u), np.zeros_like(v)
    room, by_gamma = _area(n, m, band), grad_gamma.shape[0] > 0
    disorder = _way_back(
        u, v, n, m, band, weights, room, ring[0], cost, grad_u, grad_v, by_gamma, alignment, p
    )
    if by_gamma:
        grad_gamma[p] = -disorder
    if grad_x.shape[0]:
        _store(grad_u, p, False, grad_x)
        _store(grad_v, p, True, grad_y)


@njit(**_OPTIONS)
def _walls(a, b):
    """What all samples of ``b`` cost together, each beside the nearest sample of ``a``."""
    n, m = a.shape[1] - _LANES, b.shape[1] - _LANES
    nearest, cost = np.full(m, np.inf, b.dtype), np.empty(m, b.dtype)
    for i in range(n):
        for j in range(m):
            cost[j] = 0
        for c in range(a.shape[0]):
            for j in range(m):
                step = a[c, i] - b[c, j]
                cost[j] += step * step
        for j in range(m):
            nearest[j] = cost[j] if cost[j] < nearest[j] else nearest[j]
    return nearest.astype(np.float64).sum()


@njit(**_OPTIONS)
def _is_too_coarse(u, v, farthest, gamma):
    """Whether costs behind the walls of a pair cannot be told apart in the precision of ``u``.

    A sample that is far from all of the other series is a wall that every path has to climb. Behind
    it costs of two paths differ by as much as before, but are told apart to the last place of a sum
    with the wall in it, while all that matters is their difference in units of gamma.
    """
    high = _TOLERANCE * gamma / np.finfo(u.dtype).eps
    if u.itemsize == 8 or farthest <= high:
        return False
    return _walls(u, v) + _walls(v, u) > high


@njit(**_OPTIONS)
def _give_up(n, m, infinite, p, value, grad_x, grad_y, grad_gamma, alignment):
    """Every path is infinitely long, or costs are not a number; there is no derivative."""
    value[p] = np.inf if infinite else np.nan
    if grad_x.shape[0]:
        grad_x[p, :, :n] = np.nan
        grad_y[p, :, :m] = np.nan
    if grad_gamma.shape[0]:
        grad_gamma[p] = np.nan
    if alignment.shape[0]:
        alignment[p, :n, :m] = np.nan


@njit(**_OPTIONS)
def _solve(x, y, n_x, n_y, band, gamma, start, stop, value, grad_x, grad_y, grad_gamma, alignment):
    """Fill the results of the pairs start ... stop - 1; empty results are not asked for."""
    keep = grad_x.shape[0] + grad_gamma.shape[0] + alignment.shape[0] > 0
    n_channels, longest, room = x.shape[1], 0, 0
    for p in range(start, stop):
        longest = max(longest, n_x[p])
        if keep:
            room = max(room, _area(n_x[p], n_y[p], band))
    buffers = _buffers(x, longest, room)
    results = (value, grad_x, grad_y, grad_gamma, alignment)
    for p in range(start, stop):
        n, m = n_x[p], n_y[p]
        u = np.empty((n_channels, n + _LANES), x.dtype)
        v = np.empty((n_channels, m + _LANES), x.dtype)
        of_x, of_y = _load(x, p, False, u), _load(y, p, True, v)
        farthest = n_channels * (of_x + of_y) ** 2
        # no path is longer than this, in units of gamma; nor is their inverse
        bound = max(farthest * (n + m), 1.0) / gamma
        fits = bound < np.finfo(x.dtype).max * _RESERVE
        if fits and not (keep and _is_too_coarse(u, v, farthest, gamma)):
            _solve_pair(u, v, band, gamma, buffers, p, *results)
        elif bound < np.finfo(np.float64).max * _RESERVE:
            wide = _buffers(np.empty(0), n, _area(n, m, band) if keep else 0)
            _solve_pair(u.astype(np.float64), v.astype(np.float64), band, gamma, wide, p, *results)
        else:
            # a difference of two infinities is not a number
            infinite = of_x == of_x and of_y == of_y and not (np.isinf(of_x) and np.isinf(of_y))
            _give_up(n, m, infinite, p, *results)


def solve(
    x, y, lengths_x, lengths_y, band, gamma, *, gradient=False, by_gamma=False, alignment=False
):
    """Solve a batch of pairs on the CPU.

    Parameters
    ----------
    x, y : tensors of shape (n_pairs, n_channels, n_times_x) and (n_pairs, n_channels, n_times_y)
    lengths_x, lengths_y : int64 tensors of shape (n_pairs,)
    band : int or None
    gamma : float
    gradient, by_gamma, alignment : bool
        What is wanted besides the value: its derivatives by x and y, by gamma, by the cost.

    Returns
    -------
    value, grad_x, grad_y, grad_gamma, alignment : tensors
        Empty where not asked for.
    """
    n_pairs, _, n = x.shape
    m = y.shape[2]
    value = x.new_empty(n_pairs)
    grad_x, grad_y = (t.new_zeros(t.shape if gradient else (0, 0, 0)) for t in (x, y))
    grad_gamma = x.new_empty(n_pairs if by_gamma else 0)
    expected = x.new_zeros((n_pairs, n, m) if alignment else (0, n, m))
    # numba compiles anew for every layout, so there is to be one
    inputs = [t.detach().contiguous().numpy() for t in (x, y, lengths_x, lengths_y)]
    outputs = [t.numpy() for t in (value, grad_x, grad_y, grad_gamma, expected)]
    radius = -1 if band is None else band

    def work(start, stop):
        _solve(*inputs, radius, gamma, start, stop, *outputs)

    _in_chunks(work, n_pairs, n_pairs * n * m)
    return value, grad_x, grad_y, grad_gamma, expected


def _in_chunks(work, n_pairs, n_cells):
    """Call ``work(start, stop)`` over all pairs, from torch's number of threads.

    The threads live as long as the call: nothing is left behind that a fork could break, and
    torch's own setting is the only one to control them.
    """
    n_threads = min(torch.get_num_threads(), n_pairs)
    if n_threads <= 1 or n_cells < 100_000:
        work(0, n_pairs)
        return
    n_chunks = min(4 * n_threads, n_pairs)  # several a thread: lengths may differ
    edges = [n_pairs * i // n_chunks for i in range(n_chunks + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))
