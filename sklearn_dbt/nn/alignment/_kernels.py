"""Soft-DTW on the CPU: numba kernels along anti-diagonals, and the threads that run them.

The cells of one anti-diagonal do not depend on each other, so its loop runs in vector registers;
exp and log are short polynomials because a call into the C library would keep it scalar. The value
of a pair is one number, hence its whole gradient is computed right after its recursion, while the
weights of the recursion are still in the cache: memory is O(n_times * band) a thread, not a pair.

``contract`` (fused multiply-add) is the only liberty given to the compiler: infinities and NaN
keep their meaning. Everything stands in one file because numba's cache looks at one file only.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract"}}
_LEFT, _UP, _CORNER, _ENTROPY = range(4)  # what is kept of each cell
_REBASE_EVERY = 16  # anti-diagonals between two changes of origin

# Subnormal numbers are a hundred times slower and worth nothing here: weights and expected
# alignments below the root of the least normal number are 0, so that no product is subnormal.
_FLOOR_32 = np.sqrt(np.finfo(np.float32).tiny)  # 1.1e-19
_FLOOR_64 = np.sqrt(np.finfo(np.float64).tiny)  # 1.5e-154
# exp(x) = 2^n exp(r), n = round(x / ln 2); ln 2 in two parts so that x - n ln 2 stays exact.
_LOG2E_32, _LN2_HIGH_32, _LN2_LOW_32 = np.array(
    [1 / math.log(2), 0.693359375, -2.12194440e-4], np.float32
)
_ROUND_32, _LEAST_32 = np.float32(1.5 * 2**23), np.log(_FLOOR_32)
_LOG2E_64, _LN2_HIGH_64, _LN2_LOW_64 = np.array(
    [1 / math.log(2), 6.93147180369123816490e-01, 1.90821492927058770002e-10], np.float64
)
_ROUND_64, _LEAST_64 = np.float64(1.5 * 2**52), np.log(_FLOOR_64)
# Taylor coefficients of exp, and those of log((1 + z) / (1 - z)) / z in z squared.
_E32 = tuple(np.float32(1 / math.factorial(k)) for k in range(8))
_E64 = tuple(np.float64(1 / math.factorial(k)) for k in range(14))
_L32 = tuple(np.float32(2 / (2 * k + 1)) for k in range(6))
_L64 = tuple(np.float64(2 / (2 * k + 1)) for k in range(12))
_SQRT2_32, _SQRT2_64 = np.float32(math.sqrt(2)), np.float64(math.sqrt(2))
_LN2_32, _LN2_64 = np.float32(math.log(2)), np.float64(math.log(2))
_ZERO_32, _HALF_32, _ONE_32 = np.array([0, 0.5, 1], np.float32)
_ZERO_64, _HALF_64, _ONE_64 = np.array([0, 0.5, 1], np.float64)


@intrinsic
def _power_of_two(typingctx, rounded):  # noqa: ARG001 (numba's signature)
    """Return 2^n of ``rounded`` = n + 1.5 2^(mantissa bits): n stands in its lowest bits."""
    bits, shift, bias = (32, 23, 127) if rounded == types.float32 else (64, 52, 1023)

    def codegen(context, builder, signature, args):  # noqa: ARG001
        word = builder.bitcast(args[0], ir.IntType(bits))
        word = builder.shl(word, word.type(shift))
        word = builder.add(word, word.type(bias << shift))
        return builder.bitcast(word, args[0].type)

    return rounded(rounded), codegen


@njit(**_OPTIONS)
def _exp_32(x):
    # NaN passes (it fails both comparisons), -inf and underflow give an exact 0.
    rounded = (x if x > _LEAST_32 else _LEAST_32) * _LOG2E_32 + _ROUND_32
    n = rounded - _ROUND_32
    r = (x - n * _LN2_HIGH_32) - n * _LN2_LOW_32
    p = (_E32[7] * r + _E32[6]) * r + _E32[5]
    p = (((((p * r + _E32[4]) * r + _E32[3]) * r + _E32[2]) * r) + _E32[1]) * r + _E32[0]
    return _ZERO_32 if x < _LEAST_32 else p * _power_of_two(rounded)


@njit(**_OPTIONS)
def _exp_64(x):
    rounded = (x if x > _LEAST_64 else _LEAST_64) * _LOG2E_64 + _ROUND_64
    n = rounded - _ROUND_64
    r = (x - n * _LN2_HIGH_64) - n * _LN2_LOW_64
    p = ((_E64[13] * r + _E64[12]) * r + _E64[11]) * r + _E64[10]
    p = (((p * r + _E64[9]) * r + _E64[8]) * r + _E64[7]) * r + _E64[6]
    p = (((p * r + _E64[5]) * r + _E64[4]) * r + _E64[3]) * r + _E64[2]
    p = (p * r + _E64[1]) * r + _E64[0]
    return _ZERO_64 if x < _LEAST_64 else p * _power_of_two(rounded)


@njit(**_OPTIONS)
def _log_32(s):
    high = s > _SQRT2_32
    u = _HALF_32 * s if high else s
    z = (u - _ONE_32) / (u + _ONE_32)
    w = z * z
    p = (_L32[5] * w + _L32[4]) * w + _L32[3]
    p = ((p * w + _L32[2]) * w + _L32[1]) * w + _L32[0]
    return p * z + (_LN2_32 if high else _ZERO_32)


@njit(**_OPTIONS)
def _log_64(s):
    high = s > _SQRT2_64
    u = _HALF_64 * s if high else s
    z = (u - _ONE_64) / (u + _ONE_64)
    w = z * z
    p = ((_L64[11] * w + _L64[10]) * w + _L64[9]) * w + _L64[8]
    p = (((p * w + _L64[7]) * w + _L64[6]) * w + _L64[5]) * w + _L64[4]
    p = (((p * w + _L64[3]) * w + _L64[2]) * w + _L64[1]) * w + _L64[0]
    return p * z + (_LN2_64 if high else _ZERO_64)


def _exp(x):
    """Return exp(x) of x <= 0, to one unit in the last place."""


def _log(s):
    """Return log(s) of 1 <= s <= 3, to one unit in the last place."""


@overload(_exp)
def _choose_exp(x):
    return (lambda x: _exp_32(x)) if x == types.float32 else (lambda x: _exp_64(x))


@overload(_log)
def _choose_log(s):
    return (lambda s: _log_32(s)) if s == types.float32 else (lambda s: _log_64(s))


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
def _exponents(a, b, c, scale):
    """Return the least of three values, the scaled distances of the other two, and who is who."""
    zero = scale - scale
    low, high = (a if a < b else b), (b if a < b else a)
    least, mid = (low if low < c else c), (c if low < c else low)
    # inf - inf is avoided by hand: where all three are infinite so is their softmin
    u = (zero if high == least else least - high) * scale
    v = (zero if mid == least else least - mid) * scale
    return least, u, v, a < b, low < c


@njit(**_OPTIONS)
def _squares(x, y_reversed, first, column, size, cost):
    """Squared distances of one anti-diagonal: x forwards meets y backwards."""
    i, j = np.uintp(first), np.uintp(column)
    for t in range(size):
        cost[t] = 0
    for c in range(x.shape[0]):
        for t in range(size):
            s = np.uintp(t)
            step = x[c, i + s] - y_reversed[c, j + s]
            cost[s] += step * step


@njit(**_OPTIONS)
def _soft_min(ring, here, one, two, first, size, cost, gamma):
    """R = D + softmin of the three predecessors, over one anti-diagonal."""
    unit = ring.dtype.type(1)
    scale = unit / gamma
    up, own = np.uintp(first), np.uintp(first + 1)
    for t in range(size):
        s = np.uintp(t)
        a, b, c = ring[one, own + s], ring[one, up + s], ring[two, up + s]
        least, u, v, _, _ = _exponents(a, b, c, scale)
        ring[here, own + s] = cost[s] + (least - gamma * _log(unit + _exp(u) + _exp(v)))


@njit(**_OPTIONS)
def _soft_min_weights(ring, here, one, two, first, size, cost, gamma, weights, start):
    """The same, with the softmin's three weights (its derivatives) and, if asked, their entropy."""
    zero, unit = ring.dtype.type(0), ring.dtype.type(1)
    with_entropy = weights.shape[0] > _ENTROPY
    scale = unit / gamma
    up, own, w = np.uintp(first), np.uintp(first + 1), np.uintp(start)
    for t in range(size):
        s = np.uintp(t)
        a, b, c = ring[one, own + s], ring[one, up + s], ring[two, up + s]
        least, u, v, left_first, corner_last = _exponents(a, b, c, scale)
        e, f = _exp(u), _exp(v)
        share, log_total = unit / (unit + e + f), _log(unit + e + f)
        ring[here, own + s] = cost[s] + (least - gamma * log_total)
        inner = share if corner_last else f * share
        weights[_LEFT, w + s] = inner if left_first else e * share
        weights[_UP, w + s] = e * share if left_first else inner
        weights[_CORNER, w + s] = f * share if corner_last else share
        # a weight of 0 has no entropy, though its exponent may be infinite
        if with_entropy:
            mean = share * ((zero if e == zero else e * u) + (zero if f == zero else f * v))
            weights[_ENTROPY, w + s] = log_total - mean


@njit(**_OPTIONS)
def _rebase(ring, here, one, first, size):
    """Move the origin of two anti-diagonals to the least value of the newer one."""
    least = ring[here, first + 1]
    for t in range(size):
        least = min(least, ring[here, first + 1 + t])
    if not np.isfinite(least):
        return 0.0
    for t in range(size + 2):
        ring[here, first + t] -= least
        ring[one, first + t] -= least
    return float(least)


@njit(**_OPTIONS)
def _recursion(x, y_reversed, band, gamma, keep, ring, cost, weights):
    """Run R over all anti-diagonals; keep the weights for the way back if asked.

    Row i of a ring buffer stands at i + 1, and both ends of each anti-diagonal are walled by inf
    (its weights by 0). The origin moves along, so that float32 resolves differences between
    neighbouring paths however large the accumulated cost is.
    """
    n, m = x.shape[1], y_reversed.shape[1]
    _fill(ring, np.inf)
    origin, start = 0.0, 0
    for k in range(n + m - 1):
        here, one, two = k % 3, (k + 2) % 3, (k + 1) % 3
        first, last = _rows(k, n, m, band)
        size = last - first + 1
        _squares(x, y_reversed, first, m - 1 - k + first, size, cost)
        if keep:
            _soft_min_weights(ring, here, one, two, first, size, cost, gamma, weights, start + 1)
            for w in range(weights.shape[0]):
                weights[w, start] = weights[w, start + size + 1] = 0
            start += size + 2
        else:
            _soft_min(ring, here, one, two, first, size, cost, gamma)
        ring[here, first] = ring[here, last + 2] = np.inf
        if k == 0:  # the first cell has no predecessor
            ring[here, 1] = cost[0]
            for w in range(weights.shape[0] if keep else 0):
                weights[w, 1] = 0
        if k % _REBASE_EVERY == 0 and size > 0:
            origin += _rebase(ring, here, one, first, size)
    for w in range(weights.shape[0] if keep else 0):
        weights[w, start] = weights[w, start + 1] = 0
    return origin + ring[(n + m - 2) % 3, n]


@njit(**_OPTIONS)
def _gather(ring, here, first, size, weights, one, two):
    """E of one anti-diagonal: what flows back to each cell from its three successors."""
    zero, floor = ring.dtype.type(0), np.sqrt(np.finfo(ring.dtype).tiny)
    after, beyond = (here + 1) % 3, (here + 2) % 3
    own, down = np.uintp(first + 1), np.uintp(first + 2)
    left, up, corner = np.uintp(one), np.uintp(one + 1), np.uintp(two)
    for t in range(size):
        s = np.uintp(t)
        e = ring[after, own + s] * weights[_LEFT, left + s]
        e += ring[after, down + s] * weights[_UP, up + s]
        e += ring[beyond, down + s] * weights[_CORNER, corner + s]
        ring[here, own + s] = zero if e < floor else e
    ring[here, first] = ring[here, first + size + 1] = 0


@njit(**_OPTIONS)
def _entropy(ring, here, first, size, weights, start):
    total = ring.dtype.type(0)
    for t in range(size):
        total += ring[here, first + 1 + t] * weights[_ENTROPY, start + t]
    return total


@njit(**_OPTIONS)
def _add_gradient(ring, here, first, size, x, y_reversed, column, grad_x, grad_y):
    """Half the derivative of <E, D>; the 2 of the square is multiplied in at the end."""
    own, i, j = np.uintp(first + 1), np.uintp(first), np.uintp(column)
    for c in range(x.shape[0]):
        for t in range(size):
            s = np.uintp(t)
            step = ring[here, own + s] * (x[c, i + s] - y_reversed[c, j + s])
            grad_x[c, i + s] += step
            grad_y[c, j + s] -= step


@njit(**_OPTIONS)
def _way_back(x, y_reversed, band, weights, room, ring, grad_x, grad_y, alignment, p):
    """Run E over all anti-diagonals from the end; return the expected entropy of the choices.

    Fill ``alignment`` if it has any rows, otherwise add to the gradients.
    """
    n, m = x.shape[1], y_reversed.shape[1]
    _fill(ring, 0.0)
    disorder = 0.0
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
        if weights.shape[0] > _ENTROPY:
            disorder += _entropy(ring, here, first, size, weights, start + 1)
        if alignment.shape[0]:
            for t in range(size):
                alignment[p, first + t, k - first - t] = ring[here, first + 1 + t]
        else:
            _add_gradient(ring, here, first, size, x, y_reversed, column, grad_x, grad_y)
        first_one, start_one, first_two, start_two = first, start, first_one, start_one
    return disorder


@njit(**_OPTIONS)
def _load(x, y, p, u, v):
    """Copy pair p: its x forwards, its y backwards, neither with padding."""
    for c in range(u.shape[0]):
        for i in range(u.shape[1]):
            u[c, i] = x[p, c, i]
        for j in range(v.shape[1]):
            v[c, j] = y[p, c, v.shape[1] - 1 - j]


@njit(**_OPTIONS)
def _store(grad_u, grad_v, p, grad_x, grad_y):
    for c in range(grad_u.shape[0]):
        for i in range(grad_u.shape[1]):
            grad_x[p, c, i] = grad_u[c, i] + grad_u[c, i]
        for j in range(grad_v.shape[1]):
            half = grad_v[c, grad_v.shape[1] - 1 - j]
            grad_y[p, c, j] = half + half


@njit(**_OPTIONS)
def _solve(x, y, n_x, n_y, band, gamma, start, stop, value, grad_x, grad_y, grad_gamma, alignment):
    """Fill the results of the pairs start ... stop - 1; empty results are not asked for."""
    keep = grad_x.shape[0] + grad_gamma.shape[0] + alignment.shape[0] > 0
    longest, room = 0, 0
    for p in range(start, stop):
        longest = max(longest, n_x[p])
        if keep:
            room = max(room, _area(n_x[p], n_y[p], band))
    ring = np.empty((3, longest + 2), x.dtype)
    cost = np.empty(longest, x.dtype)
    weights = np.empty((4 if grad_gamma.shape[0] else 3, room), x.dtype)
    for p in range(start, stop):
        n, m = n_x[p], n_y[p]
        u, v = np.empty((x.shape[1], n), x.dtype), np.empty((x.shape[1], m), x.dtype)
        _load(x, y, p, u, v)
        value[p] = _recursion(u, v, band, gamma, keep, ring, cost, weights)
        if keep:
            grad_u, grad_v = np.empty_like(u), np.empty_like(v)
            _fill(grad_u, 0.0)
            _fill(grad_v, 0.0)
            disorder = _way_back(
                u, v, band, weights, _area(n, m, band), ring, grad_u, grad_v, alignment, p
            )
            if grad_gamma.shape[0]:
                grad_gamma[p] = -disorder
            if grad_x.shape[0]:
                _store(grad_u, grad_v, p, grad_x, grad_y)


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
    gamma = inputs[0].dtype.type(gamma)
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
