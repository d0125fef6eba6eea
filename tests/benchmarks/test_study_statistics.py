import numpy as np
import pytest
from scipy import stats

from benchmarks._study_statistics import (
    cliques,
    critical_difference,
    draw_ranks,
    friedman,
    holm,
    mean_ranks,
    wilcoxon,
)


def test_mean_ranks():
    ranks = mean_ranks([[0.9, 0.8, 0.8], [0.1, 0.3, 0.2]])
    np.testing.assert_allclose(ranks, [2.0, 1.75, 2.25])


@pytest.mark.parametrize(
    ("k", "q"), [(2, 1.960), (4, 2.569), (5, 2.728), (10, 3.164)]
)  # Demšar 2006, table 5a
def test_critical_difference_is_that_of_the_table(k, q):
    expected = q * np.sqrt(k * (k + 1) / (6 * 14))
    assert critical_difference(k, 14) == pytest.approx(expected, rel=5e-4)


def test_friedman_against_its_formula():
    scores = np.random.default_rng(0).random((12, 5)) + np.linspace(0, 0.5, 5)
    n, k = scores.shape
    chi = 12 * n / (k * (k + 1)) * (np.sum(mean_ranks(scores) ** 2) - k * (k + 1) ** 2 / 4)
    assert friedman(scores) == pytest.approx(stats.chi2.sf(chi, k - 1))


@pytest.mark.parametrize("scores", [np.ones((2, 4)), np.ones((5, 2)), np.ones((5, 4))])
def test_friedman_where_there_is_nothing_to_test(scores):
    assert np.isnan(friedman(scores))


def test_holm():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.9]), [1.0, 1.0])


def test_wilcoxon():
    ours, other = np.random.default_rng(0).random((2, 10))
    assert wilcoxon(ours, other) == pytest.approx(stats.wilcoxon(ours, other).pvalue)
    assert wilcoxon(ours, ours) == 1.0
    assert wilcoxon(other + 1, other) < 0.01


def test_cliques():
    assert cliques(np.array([1.0, 1.5, 2.2, 4.0]), 1.0) == [(0, 1), (1, 2)]
    assert cliques(np.array([1.0, 1.5, 1.9]), 1.0) == [(0, 2)]
    assert cliques(np.array([1.0, 3.0]), 1.0) == []


def test_figure_is_written(tmp_path):
    path = tmp_path / "ranks.png"
    draw_ranks(["a", "ours", "b", "c"], np.array([1.2, 2.0, 3.1, 3.7]), 1.0, path, "Ranks")
    assert path.read_bytes().startswith(b"\x89PNG")
