"""Threads for kernels that release the interpreter."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["in_chunks"]


def in_chunks(
    kernel: Callable[..., Any], arguments: tuple, n_rows: int, size: int, enough: int
) -> None:
    """Call ``kernel(*arguments, start, stop)`` over all rows, from torch's number of threads.

    The threads live as long as the call: nothing is left behind that a fork could break. There
    are no more of them than `enough` fits into `size`.
    """
    if size < 2 * enough:
        kernel(*arguments, 0, n_rows)
        return
    n_threads = max(1, min(torch.get_num_threads(), n_rows, size // enough))
    edges = [n_rows * i // n_threads for i in range(n_threads + 1)]
    others = [
        threading.Thread(target=kernel, args=(*arguments, start, stop))
        for start, stop in itertools.pairwise(edges[1:])
    ]
    for thread in others:
        thread.start()
    kernel(*arguments, edges[0], edges[1])
    for thread in others:
        thread.join()
