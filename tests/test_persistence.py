"""What is saved comes back equal, what cannot be said raises before anything is written."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sklearn_dbt._base import DBTEstimator
from sklearn_dbt._persistence import decode, encode
from sklearn_dbt.nn.dropout import Band


class Box(DBTEstimator):
    def __init__(self, content=None):
        self.content = content


def round_trip(value):
    tensors = {}
    text = json.dumps(encode(value, "value", tensors), allow_nan=False)
    return decode(json.loads(text), tensors)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(values)
def test_plain_values_come_back_equal_and_of_their_type(value):
    back = round_trip(value)
    assert back == value
    assert type(back) is type(value)


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    )
)
def test_arrays_come_back_bit_by_bit(array):
    back = round_trip(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "array", [np.array(["a", "bc"]), np.array(["a", 1, None], dtype=object), np.array([["x"]])]
)
def test_labels_come_back(array):
    back = round_trip(array)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("value", [np.float32(0.1), np.int16(3), np.bool_(True), np.str_("a")])
def test_numpy_scalars_keep_their_type(value):
    back = round_trip(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_infinities_come_back(value):
    assert round_trip(value) == value


def test_nan_comes_back():
    assert np.isnan(round_trip(float("nan")))


def test_our_own_dataclasses_come_back():
    band = Band(low=1.0, high=4.0)
    assert round_trip(band) == band


@pytest.mark.parametrize("value", [len, object(), np.random.RandomState(0), 1j, np.array([1j])])
def test_what_json_cannot_say_raises_and_nothing_is_written(tmp_path, value):
    path = tmp_path / "model"
    with pytest.raises(TypeError, match=r"Box\.content.*cannot be saved without pickle"):
        Box(value).save(path)
    assert list(tmp_path.iterdir()) == []


def test_a_nested_place_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"Box\.content\['a'\]\[1\]"):
        Box({"a": [1, len]}).save(tmp_path / "model")


def test_an_estimator_comes_back(tmp_path):
    box = Box(content=(1, "a"))
    box.table_ = np.arange(6.0).reshape(2, 3)
    box._private = {"k": [1, 2]}
    box.save(tmp_path / "model")
    back = Box.load(tmp_path / "model")
    assert back.content == (1, "a")
    np.testing.assert_array_equal(back.table_, box.table_)
    assert back._private == {"k": [1, 2]}


def test_saving_again_replaces_and_a_failed_save_does_not(tmp_path):
    path = tmp_path / "model"
    Box(1).save(path)
    Box(2).save(path)
    assert Box.load(path).content == 2
    with pytest.raises(TypeError):
        Box(len).save(path)
    assert Box.load(path).content == 2
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_foreign_folder_is_not_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="is no saved estimator"):
        Box().save(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_another_class_or_schema_is_refused(tmp_path):
    class Chest(Box):
        pass

    Box().save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"holds a .*Box, not a Chest"):
        Chest.load(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace('"schema": 1', '"schema": 99'))
    with pytest.raises(ValueError, match="schema version 99; this version reads 1"):
        Box.load(tmp_path / "model")


@pytest.mark.parametrize(
    "path", ["os:system", "subprocess:Popen", "sklearn_dbt._base:DBTEstimator"]
)
def test_a_forged_file_cannot_name_other_code(path):
    with pytest.raises(ValueError, match="not one that `save` wrote"):
        decode({"dataclass": path, "fields": {"dict": []}}, {})


def test_a_forged_file_cannot_make_other_code_run(tmp_path, monkeypatch):
    text = "import dataclasses\n\n\n@dataclasses.dataclass\nclass Trojan:\n    pass\n"
    (tmp_path / "trojan.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="trojan:Trojan is not part of sklearn_dbt"):
        decode({"dataclass": "trojan:Trojan", "fields": {"dict": []}}, {})
    assert "trojan" not in sys.modules
