"""Displays show the data they say they show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_dbt.inspection import DropoutSpectrumDisplay, TrustRegionDisplay
from sklearn_dbt.neural_network import TrustRegionDropoutClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def model(tones, **options):
    X, y = tones(40)
    return TrustRegionDropoutClassifier(max_iter=4, random_state=0, **options).fit(X, y)


def test_the_spectrum_is_over_hertz(tones):
    estimator = model(tones, sampling_rate=100.0)
    display = DropoutSpectrumDisplay.from_estimator(estimator, color="red")
    x, y = display.line_.get_data()
    np.testing.assert_allclose(x, np.fft.rfftfreq(32, 0.01), rtol=1e-6)
    np.testing.assert_allclose(y, estimator.drop_rates_, rtol=1e-6)
    assert display.ax_.get_xlabel() == "Frequency (Hz)"
    assert display.line_.get_color() == "red"


def test_without_a_rate_frequencies_are_cycles_per_sample(tones):
    display = DropoutSpectrumDisplay.from_estimator(model(tones))
    assert display.ax_.get_xlabel() == "Frequency (cycles per sample)"
    assert display.position.max() == 0.5


@pytest.mark.parametrize("options", [{"basis": "pca"}, {"dropout_on": "hidden"}])
def test_without_frequencies_coefficients_are_counted(tones, options):
    display = DropoutSpectrumDisplay.from_estimator(model(tones, **options))
    assert display.ax_.get_xlabel() == "Coefficient"
    assert display.position[-1] == len(display.rates) - 1


def test_wavelet_coefficients_are_in_order_of_frequency(tones):
    display = DropoutSpectrumDisplay.from_estimator(model(tones, basis="dwt"))
    assert (np.diff(display.position) >= 0).all()


def test_rates_over_the_scales_are_means(tones):
    estimator = model(tones, basis="dwt", basis_options={"level": 2})
    display = DropoutSpectrumDisplay.from_estimator(estimator, over="scale")
    assert display.position.tolist() == [1, 2]
    expected = [estimator.drop_rates_[16:].mean(), estimator.drop_rates_[:16].mean()]
    np.testing.assert_allclose(display.rates, expected, rtol=1e-6)
    assert display.ax_.get_xlabel() == "Scale (1 is the finest)"


def test_rates_of_a_later_layer_over_the_epochs_are_a_picture(tones):
    estimator = model(tones, dropout_on="both", hidden_layer_sizes=(6,))
    display = DropoutSpectrumDisplay.from_estimator(estimator, layer=1, epochs=True)
    np.testing.assert_allclose(display.rates, np.stack(estimator.drop_rate_curve_)[:, 17:])
    assert display.rates.shape == (4, 4)
    np.testing.assert_allclose(display.mesh_.get_array(), display.rates.T)
    assert display.ax_.get_xlabel() == "Epoch"
    assert display.line_ is None


@pytest.mark.parametrize(
    ("options", "over", "match"),
    [
        ({"basis": "pca"}, "frequency", "the coefficients of this basis have no frequency"),
        ({}, "scale", "the coefficients of this basis have no scale"),
        ({}, "time", "over must be 'auto', 'frequency', 'scale' or 'coefficient', got 'time'"),
    ],
)
def test_what_cannot_be_drawn_over_is_said(tones, options, over, match):
    with pytest.raises(ValueError, match=match):
        DropoutSpectrumDisplay.from_estimator(model(tones, **options), over=over)


def test_it_draws_where_it_is_told_and_into_a_figure_of_its_own(tones):
    estimator = model(tones)
    _, ax = plt.subplots()
    assert DropoutSpectrumDisplay.from_estimator(estimator, ax=ax).ax_ is ax
    assert DropoutSpectrumDisplay.from_estimator(estimator).figure_ is not ax.figure


def test_a_second_curve_on_the_same_axes_is_not_clipped():
    low = DropoutSpectrumDisplay(np.arange(3), np.full(3, 0.1), "Frequency (Hz)").plot()
    DropoutSpectrumDisplay(np.arange(3), np.full(3, 0.9), "Frequency (Hz)").plot(low.ax_)
    assert low.ax_.get_ylim() == (0, 1)


def test_a_layer_that_is_not_there_is_refused(tones):
    with pytest.raises(ValueError, match="layer=1: there are 1 dropout layers"):
        DropoutSpectrumDisplay.from_estimator(model(tones), layer=1)


def test_updates_are_drawn_and_rejected_ones_marked(tones):
    estimator = model(tones)
    history = estimator.trust_region_history_
    display = TrustRegionDisplay.from_estimator(estimator)
    upper, lower = display.axes_
    radius, step, rejected = upper.lines
    np.testing.assert_array_equal(radius.get_ydata(), history["radius"])
    assert len(step.get_xdata()) == history["accepted"].sum()
    assert len(rejected.get_xdata()) == (~history["accepted"]).sum()
    assert len(lower.lines[1].get_xdata()) == history["accepted"].sum()
    top = upper.get_ylim()[1]
    assert top > history["radius"].max()
    TrustRegionDisplay({**history, "radius": history["radius"] / 2}).plot(display.axes_)
    assert upper.get_ylim() == (0, top)  # the first one is still seen whole


@pytest.mark.parametrize("controller", ["decay", "fixed"])
def test_without_a_trust_region_there_is_none_to_show(tones, controller):
    with pytest.raises(ValueError, match=f"controller='{controller}' with .* no trust region"):
        TrustRegionDisplay.from_estimator(model(tones, controller=controller))
