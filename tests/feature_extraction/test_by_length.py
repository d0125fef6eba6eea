"""Recordings in arrays of one length, and rules that see them in blocks."""

import threading
import time

import numpy as np
import pytest

from sklearn_dbt._base import Panel
from sklearn_dbt.feature_extraction import _by_length
from sklearn_dbt.feature_extraction._by_length import groups_by_length, map_by_length


def ragged():
    rng = np.random.default_rng(0)
    return Panel([rng.normal(size=(2, n)) for n in (5, 3, 5, 4, 3)])


def test_groups():
    panel = ragged()
    found = list(groups_by_length(panel))
    assert [which.tolist() for which, _ in found] == [[1, 4], [3], [0, 2]]
    for which, x in found:
        for i, recording in zip(which, x, strict=True):
            np.testing.assert_array_equal(recording, panel.data[i])
    ((which, x),) = groups_by_length(Panel(np.ones((3, 2, 4))))
    assert which.tolist() == [0, 1, 2]
    assert x.shape == (3, 2, 4)


def test_ragged_recordings_keep_their_order():
    panel = ragged()
    for result, recording in zip(map_by_length(np.cos, panel), panel.data, strict=True):
        np.testing.assert_array_equal(result, np.cos(recording))


@pytest.mark.parametrize("block", [1, 30, 41, 10**6])
def test_blocks_change_nothing(monkeypatch, block):
    monkeypatch.setattr(_by_length, "BLOCK", block)
    x, sizes = np.random.default_rng(0).normal(size=(7, 2, 10)), []

    def rule(part):
        sizes.append(len(part))
        return part.sum(axis=-1)

    np.testing.assert_array_equal(map_by_length(rule, Panel(x)), x.sum(axis=-1))
    assert max(sizes) == max(1, min(7, block // 20))
    assert sum(sizes) == 7


def test_threads_change_nothing_and_end(monkeypatch):
    monkeypatch.setattr(_by_length, "BLOCK", 20)
    monkeypatch.setattr(_by_length.torch, "get_num_threads", lambda: 3)
    x, seen = np.random.default_rng(0).normal(size=(12, 2, 10)), set()
    before = threading.active_count()

    def rule(part):
        seen.add(threading.current_thread().name)
        time.sleep(0.01)
        return part.sum(axis=-1)

    np.testing.assert_array_equal(map_by_length(rule, Panel(x)), x.sum(axis=-1))
    assert len(seen) == 3
    assert threading.active_count() == before

    def fail(part):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        map_by_length(fail, Panel(x))
