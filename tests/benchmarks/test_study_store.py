from dataclasses import replace

import pytest

from benchmarks._study_store import Line, append, read, repair

LINE = Line("GunPoint", "clean", "none", 0, 100, "ab12", 0.9, float("inf"), 0.8, '{"p": 0.1}', 30,
            3000, 1.5, 100, 0.25)  # fmt: skip


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "deep" / "study.csv"
    assert repair(path) == 0
    return path


def test_lines_come_back_as_they_were(path):
    other = replace(LINE, seed=1, method="ours, tuned", score=0.1234567890123)
    append(path, LINE)
    append(path, other)
    assert read(path) == {LINE.key: LINE, other.key: other}


def test_the_last_of_several_lines_about_a_fit_counts(path):
    append(path, LINE)
    append(path, replace(LINE, score=0.5))
    assert [line.score for line in read(path).values()] == [0.5]


@pytest.mark.parametrize("n_bytes", [1, 5, 40])
def test_a_cut_line_is_read_as_missing_and_taken_away(path, n_bytes):
    append(path, LINE)
    whole = path.read_bytes()
    append(path, replace(LINE, seed=1))
    path.write_bytes(path.read_bytes()[:-n_bytes])
    cut = path.stat().st_size - len(whole)
    assert list(read(path)) == [LINE.key]
    assert repair(path) == cut
    assert path.read_bytes() == whole
    assert repair(path) == 0


def test_a_cut_header_is_written_anew(path):
    path.write_bytes(b"set,noise,method,seed")
    assert repair(path) == 21
    append(path, LINE)
    assert read(path) == {LINE.key: LINE}


def test_a_file_of_something_else_is_refused_and_kept(path):
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="other columns"):
        repair(path)
    assert path.read_text() == "a,b\n1,2\n"


def test_no_file_has_no_lines(tmp_path):
    assert read(tmp_path / "none.csv") == {}
