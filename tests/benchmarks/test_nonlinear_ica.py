"""The file survives a kill, linear methods are what they are called, and the benchmark runs."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import nonlinear_ica as bench

LINE = bench.Line("PCL, L=3, 65536", "PCA", 0, 0.5, 0.25, 1.5, 1.25)


@pytest.fixture
def small(monkeypatch):
    """One case that takes no time."""
    encoder = {"method": "tcl", "segments": 6, "max_iter": 2, "hidden_layer_sizes": (4,)}
    case = bench.Case("icebeem", {"n_segments": 6, "n_times": 60}, True, {"tcl": encoder}, 0.5)
    monkeypatch.setattr(bench, "CASES", {"small": case})


def test_lines_come_back(tmp_path):
    path = tmp_path / "deep" / "lines.csv"
    assert bench.read(path) == {}
    other = replace(LINE, seed=1, pearson=0.123456789012345)
    for line in (LINE, other):
        bench.append(path, line)
    assert bench.read(path) == {LINE.key: LINE, other.key: other}


@pytest.mark.parametrize("n_bytes", [1, 7])
def test_a_cut_line_is_taken_away(tmp_path, n_bytes):
    path = tmp_path / "lines.csv"
    for line in (LINE, replace(LINE, seed=1)):
        bench.append(path, line)
    path.write_bytes(path.read_bytes()[:-n_bytes])
    assert list(bench.read(path)) == [LINE.key]
    bench.append(path, replace(LINE, seed=2))
    assert [line.seed for line in bench.read(path).values()] == [0, 2]


def test_the_table_has_a_row_a_method():
    lines = [LINE, replace(LINE, seed=1, pearson=0.7), replace(LINE, method="pcl", pearson=0.95)]
    rows = bench.table(lines).splitlines()
    assert len(rows) == 4
    assert "| PCA | 0.600 | 0.141 | 0.500 | 0.700 | 0.250 |  | 1.2 | 2 |" in rows[2]
    assert "| pcl | 0.950 | 0.000 | 0.950 | 0.950 | 0.250 | 0.9 | 1.2 | 1 |" in rows[3]


def test_the_documentation_has_a_row_an_encoder():
    ours = replace(LINE, method="pcl", pearson=0.95, seconds=9.6)
    lines = [LINE, replace(LINE, seed=1, pearson=0.7), ours, replace(ours, seed=1, pearson=0.9)]
    header, row = bench.summary(lines)
    cells = dict(zip(header, row, strict=True))
    expected = {"case": LINE.case, "PCA": "0.600", "FastICA": "", "encoder": "pcl"}
    expected |= {"mean": "0.925", "least": "0.900", "aim": "0.9", "seconds": "10"}
    assert expected.items() <= cells.items()


@pytest.mark.filterwarnings("ignore:NonlinearICAEncoder:UserWarning")
def test_it_runs_and_goes_on_where_it_was(small, tmp_path, capsys, monkeypatch):
    path = tmp_path / "lines.csv"
    arguments = ["--seeds", "0", "--output", str(path), "--methods", "PCA", "slow features", "tcl"]
    bench.main(arguments)
    lines = bench.read(path)
    assert [key[1] for key in lines] == ["PCA", "slow features", "tcl"]
    assert all(0 < line.pearson < 1 for line in lines.values())
    assert "| small | tcl |" in capsys.readouterr().out
    monkeypatch.setattr(bench, "TABLE", tmp_path / "table.csv")
    bench.main([*arguments, "--document"])
    assert len(bench.TABLE.read_text().splitlines()) == 2
    monkeypatch.setattr(bench, "run_one", None)
    bench.main(arguments)
    assert bench.read(path) == lines


def test_slow_features_are_slow():
    rng = np.random.default_rng(0)
    slow, fast = np.sin(np.arange(500) / 40), rng.normal(size=500)
    mixed = np.stack([slow, fast], axis=1) @ rng.normal(size=(2, 2))
    found = bench.LINEAR["slow features"](mixed, None, 0)(mixed)[:, 0]
    assert abs(np.corrcoef(found, slow)[0, 1]) > 0.99


def test_supervised_is_a_ceiling():
    rng = np.random.default_rng(0)
    sources = rng.laplace(size=(400, 3))
    mixed = sources @ rng.normal(size=(3, 3))
    found = bench.LINEAR["linear, supervised"](mixed, sources, 0)(mixed)
    np.testing.assert_allclose(found, sources, atol=1e-9)


def test_magnitudes_are_taken_of_linear_components(small):
    data = bench.make_nonlinear_mixture("icebeem", n_recordings=2, n_times=60, random_state=0)
    case = bench.CASES["small"]
    found = bench.fit_linear(case, "PCA", data, 0)
    assert (found >= 0).all()
    assert (bench.fit_linear(replace(case, magnitude=False), "PCA", data, 0) < 0).any()
