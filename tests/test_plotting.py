"""Displays draw where they are told to, or on a figure of their own."""

import matplotlib.pyplot as plt

from sklearn_dbt._plotting import given_or_new_axes


def test_given_axes_are_taken_and_none_makes_a_figure():
    _, ax = plt.subplots()
    assert given_or_new_axes(ax) is ax
    new = given_or_new_axes(None)
    assert new is not ax
    assert new.figure is not ax.figure
    assert new.figure.get_layout_engine() is not None
    plt.close("all")
