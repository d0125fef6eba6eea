"""Time points read on demand, against the arrays they are of."""

import numpy as np
import pytest
import torch

from sklearn_dbt._base import Panel
from sklearn_dbt.decomposition import _points
from sklearn_dbt.decomposition._points import Points, WhitePoints, evenly_spaced


def recordings(dtype=np.float64):
    rng = np.random.default_rng(0)
    return [(5 + 3 * rng.normal(size=(3, n)) * [[1], [4], [9]]).astype(dtype) for n in (20, 31, 12)]


def by_hand(data):
    centred = [r - r.mean(axis=1, keepdims=True) for r in data]
    return np.concatenate([c / np.sqrt(np.square(c).mean()) for c in centred], axis=1).T


def white(data, **options):
    points = Points(Panel(data), **options)
    return WhitePoints(points, *points.whitening(), "cpu")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_all_recordings(dtype):
    data = recordings(dtype)
    points = Points(Panel(data))
    assert len(points) == 63
    assert points.starts.tolist() == [0, 20, 51]
    rows = np.array([62, 0, 19, 20, 50, 51, 20])
    found = points.read(rows)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, by_hand(data)[rows], rtol=1e-4, atol=1e-5)


def test_offset_and_gain_can_stay():
    data = recordings()
    points = Points(Panel(data), offset=False, gain=False)
    np.testing.assert_array_equal(points.read(np.arange(63)), np.concatenate(data, axis=1).T)


def test_pieces_are_all_points_in_order(monkeypatch):
    monkeypatch.setattr(_points, "READ_AT_ONCE", 7)
    pieces = list(Points(Panel(recordings())).pieces())
    assert max(len(piece) for piece in pieces) == 7
    np.testing.assert_allclose(np.concatenate(pieces), by_hand(recordings()), atol=1e-12)


def test_whitening(monkeypatch):
    monkeypatch.setattr(_points, "READ_AT_ONCE", 7)
    x = torch.cat(list(white(recordings()).split(5))).numpy()
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(x.T @ x / 63, np.eye(3), atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_that_of_the_whitening(dtype):
    fitted = Points(Panel(recordings(dtype)))
    mean, whitening = fitted.whitening()
    for other in (np.float32, np.float64):
        inputs = WhitePoints(Points(Panel(recordings(other))), mean, whitening, "cpu")
        assert {part.numpy().dtype for part in inputs.split(30)} == {np.dtype(dtype)}


def test_rows_of_any_shape():
    inputs = white(recordings())
    whole = inputs.held()
    rows = torch.tensor([[3, 60], [22, 22]])
    torch.testing.assert_close(inputs[rows], whole[rows])
    torch.testing.assert_close(inputs[np.array([5, 1])], whole[[5, 1]])
    assert len(inputs) == len(whole) == 63


def test_large_recordings_stay_where_they_are(monkeypatch):
    inputs = white(recordings())
    assert isinstance(inputs.held(), torch.Tensor)
    monkeypatch.setattr(_points, "MOST_BYTES", 100)
    assert inputs.held() is inputs


def test_maps_of_files_are_not_read_as_a_whole(tmp_path):
    np.save(tmp_path / "x.npy", np.stack([r[:, :12] for r in recordings()]))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    points = Points(Panel(mapped))
    assert points.recordings is mapped
    assert isinstance(points.recordings[0], np.memmap)


def test_evenly_spaced_pairs(monkeypatch):
    assert evenly_spaced(np.arange(10) // 5).tolist() == list(range(10))
    monkeypatch.setattr(_points, "MOST_LOOKED_AT", 10)
    rows = evenly_spaced(np.zeros(35, dtype=int))
    assert rows.tolist() == [0, 1, 8, 9, 16, 17, 24, 25, 32, 33]


def test_some_points_of_each_segment_are_looked_at(monkeypatch):
    monkeypatch.setattr(_points, "MOST_LOOKED_AT", 10)
    labels = np.repeat(np.arange(5), [20, 2, 3, 2, 60])
    rows = evenly_spaced(labels)
    assert np.unique(labels[rows]).tolist() == [0, 1, 2, 3, 4]
    assert np.bincount(labels[rows]).min() >= 2
    assert len(rows) < 30
