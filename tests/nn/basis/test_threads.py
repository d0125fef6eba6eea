import threading

import pytest
import torch

from sklearn_dbt.nn.basis._threads import in_chunks


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
@pytest.mark.parametrize("n_rows", [1, 2, 5, 100])
@pytest.mark.parametrize(("size", "n_most"), [(100, 10), (19, 1), (20, 2), (39, 3)])
def test_every_row_once(monkeypatch, n_threads, n_rows, size, n_most):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    seen, workers = [], set()

    def kernel(what, start, stop):
        seen.extend((what, row) for row in range(start, stop))
        workers.add(threading.get_ident())

    in_chunks(kernel, ("x",), n_rows, size, 10)
    assert sorted(seen) == [("x", row) for row in range(n_rows)]
    assert len(workers) <= min(n_threads, n_rows, n_most)
    assert threading.get_ident() in workers
