"""What there is to look at: rates over frequency, and the trust region at work."""

from __future__ import annotations

import numpy as np

from sklearn_dbt._compat import check_is_fitted
from sklearn_dbt._plotting import given_or_new_axes
from sklearn_dbt.neural_network._dropout_control import has_objective


class DropoutSpectrumDisplay:
    """Dropout rates over frequency, scale or coefficient, at the end or over the epochs.

    Use `from_estimator`; the constructor takes the data itself.

    Parameters
    ----------
    position : ndarray of shape (n_positions,)
        Where each rate is drawn, increasing.
    rates : ndarray of shape (n_positions,) or (n_epochs, n_positions)
        Dropout rates: a line; or a picture, time running to the right.
    label : str
        What the position is, with its unit.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    line_ : matplotlib Line2D or None
        The rates, if they are a line.
    mesh_ : matplotlib QuadMesh or None
        The rates, if they are a picture.
    colorbar_ : matplotlib Colorbar or None
        What its colours mean.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.inspection import DropoutSpectrumDisplay
    >>> display = DropoutSpectrumDisplay(np.arange(3), np.array([0.1, 0.2, 0.5]), "Frequency (Hz)")
    >>> display.plot().ax_.get_ylabel()
    'Dropout rate'
    """

    def __init__(self, position, rates, label):
        self.position = position
        self.rates = rates
        self.label = label

    @classmethod
    def from_estimator(
        cls, estimator, *, layer=0, over="auto", epochs=False, ax=None, **line_options
    ):
        """Draw the rates of one layer of a fitted estimator.

        Parameters
        ----------
        estimator : TrustRegionDropoutClassifier or TrustRegionDropoutRegressor
            Fitted.
        layer : int, default=0
            Number of the dropout layer, from the input on.
        over : {"auto", "frequency", "scale", "coefficient"}, default="auto"
            What the rates are drawn over. Rates of coefficients that share a frequency or a scale
            are averaged. "auto" is the frequency for the input, where the basis has one, otherwise
            the coefficient.
        epochs : bool, default=False
            Show how the rates went over the epochs, not only how they ended.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **line_options
            For :meth:`matplotlib.axes.Axes.plot`, or with `epochs` for
            :meth:`matplotlib.axes.Axes.pcolormesh`.

        Returns
        -------
        DropoutSpectrumDisplay

        Raises
        ------
        ValueError
            If there is no such layer, or its basis has no frequency or scale.
        """
        check_is_fitted(estimator, "net_")
        dropouts = estimator.net_.module_.dropouts
        if not 0 <= layer < len(dropouts):
            raise ValueError(f"layer={layer}: there are {len(dropouts)} dropout layers.")
        layout = dropouts[layer].basis.layout
        is_input = layer == 0 and estimator.dropout_on != "hidden"
        keys, label = _positions(layout, over, is_input, estimator.sampling_rate)
        start = sum(len(d.rates) for d in dropouts[:layer])
        own = slice(start, start + len(keys))
        curves = estimator.drop_rate_curve_ if epochs else [estimator.drop_rates_]
        position, where = np.unique(keys, return_inverse=True)
        share = np.eye(len(position))[where]
        rates = np.stack(curves)[:, own] @ (share / share.sum(0))
        return cls(position, rates if epochs else rates[0], label).plot(ax, **line_options)

    def plot(self, ax=None, **line_options):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **line_options
            For :meth:`matplotlib.axes.Axes.plot`, or for
            :meth:`matplotlib.axes.Axes.pcolormesh` where there is an axis of epochs.

        Returns
        -------
        DropoutSpectrumDisplay
        """
        self.ax_ = given_or_new_axes(ax)
        self.figure_ = self.ax_.figure
        self.line_ = self.mesh_ = self.colorbar_ = None
        if np.ndim(self.rates) == 1:
            (self.line_,) = self.ax_.plot(self.position, self.rates, **line_options)
            self.ax_.set(xlabel=self.label, ylabel="Dropout rate", ylim=(0, 1))
            return self
        epochs = np.arange(1, len(self.rates) + 1)
        options = {"vmin": 0, "vmax": 1, "shading": "nearest"} | line_options
        self.mesh_ = self.ax_.pcolormesh(epochs, self.position, self.rates.T, **options)
        self.colorbar_ = self.figure_.colorbar(self.mesh_, ax=self.ax_, label="Dropout rate")
        self.ax_.set(xlabel="Epoch", ylabel=self.label)
        return self


def _positions(layout, over, is_input, sampling_rate):
    """Where each coefficient is drawn, and what that is called."""
    frequency = layout.frequency.cpu().numpy()
    has_frequency = not np.isnan(frequency).any()
    if over == "auto":
        over = "frequency" if is_input and has_frequency else "coefficient"
    if over == "frequency":
        if not has_frequency:
            raise ValueError("over='frequency': the coefficients of this basis have no frequency.")
        in_hertz = is_input and sampling_rate != 1.0
        label = "Frequency (Hz)" if in_hertz else "Frequency (cycles per sample)"
        return frequency * (sampling_rate if in_hertz else 1.0), label
    if over == "scale":
        scale = layout.scale.cpu().numpy()
        if not scale.any():
            raise ValueError("over='scale': the coefficients of this basis have no scale.")
        return scale, "Scale (1 is the finest)"
    if over != "coefficient":
        raise ValueError(
            f"over must be 'auto', 'frequency', 'scale' or 'coefficient', got {over!r}."
        )
    return layout.index.cpu().numpy(), "Coefficient"


class TrustRegionDisplay:
    r"""Radius, step and ratio :math:`\rho` of every update.

    Use `from_estimator`; the constructor takes the data itself.

    Parameters
    ----------
    history : dict of ndarray
        At least ``step``, ``radius``, ``step_norm``, ``rho`` and ``accepted``.

    Attributes
    ----------
    axes_ : ndarray of 2 matplotlib Axes
        Radius and steps above, the ratio below.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.inspection import TrustRegionDisplay
    >>> one = np.ones(3)
    >>> history = {"step": np.arange(3), "radius": one, "step_norm": one, "rho": one}
    >>> display = TrustRegionDisplay(history | {"accepted": one.astype(bool)}).plot()
    >>> display.axes_[1].get_xlabel()
    'Optimizer step'
    """

    def __init__(self, history):
        self.history = history

    @classmethod
    def from_estimator(cls, estimator, *, axes=None):
        """Draw the updates of a fitted estimator.

        Parameters
        ----------
        estimator : TrustRegionDropoutClassifier or TrustRegionDropoutRegressor
            Fitted with a trust region.
        axes : sequence of 2 matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        TrustRegionDisplay

        Raises
        ------
        ValueError
            If the estimator has another controller, or made no update.
        """
        check_is_fitted(estimator, "net_")
        history = estimator.trust_region_history_
        if not has_objective(estimator.controller) or not len(history.get("step", ())):
            raise ValueError(
                f"controller={estimator.controller!r} with {len(history.get('step', []))} updates: "
                "there is no trust region to show."
            )
        return cls(history).plot(axes)

    def plot(self, axes=None):
        """Draw.

        Parameters
        ----------
        axes : sequence of 2 matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        TrustRegionDisplay
        """
        if axes is None:
            import matplotlib.pyplot as plt

            _, axes = plt.subplots(2, 1, sharex=True, layout="constrained")
        self.axes_ = np.asarray(axes)
        self.figure_ = self.axes_[0].figure
        h = self.history
        accepted = np.asarray(h["accepted"], dtype=bool)
        upper, lower = self.axes_
        upper.step(h["step"], h["radius"], where="mid", color="0.4", label="radius Δ")
        upper.plot(h["step"][accepted], h["step_norm"][accepted], ".", color="C0", label="step")
        label = None if accepted.all() else "rejected"
        upper.plot(h["step"][~accepted], h["step_norm"][~accepted], "x", color="C3", label=label)
        upper.set(ylabel="Change of the rates")
        # Room above the largest radius, on axes that may show another history already.
        upper.set_ylim(0, max(upper.get_ylim()[1], 1.05 * np.max(h["radius"])))
        upper.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
        # A ratio far off says no more than one a little off: both are rejected.
        ratio = np.clip(h["rho"], -1, 3)
        lower.axhline(1, color="0.7", lw=0.8)
        lower.plot(h["step"][accepted], ratio[accepted], ".", color="C0")
        lower.plot(h["step"][~accepted], ratio[~accepted], "x", color="C3")
        lower.set(xlabel="Optimizer step", ylabel="Ratio ρ (cut to [-1, 3])")
        return self
