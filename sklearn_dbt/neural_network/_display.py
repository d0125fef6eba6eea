"""What there is to look at: rates over frequency, and the trust region at work."""

from __future__ import annotations

import numpy as np

from sklearn_dbt._compat import check_is_fitted


class DropoutSpectrumDisplay:
    """Dropout rate of each coefficient, over frequency where it has one.

    Use `from_estimator`; the constructor takes the data itself.

    Parameters
    ----------
    position : ndarray of shape (n_coefficients,)
        Where each coefficient is drawn.
    rates : ndarray of shape (n_coefficients,)
        Its dropout rate.
    label : str
        What the position is, with its unit.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    line_ : matplotlib Line2D
        The rates.

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
    def from_estimator(cls, estimator, *, layer=0, ax=None, **line_options):
        """Draw the rates of one layer of a fitted estimator.

        Parameters
        ----------
        estimator : TrustRegionDropoutClassifier or TrustRegionDropoutRegressor
            Fitted.
        layer : int, default=0
            Number of the dropout layer, from the input on.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **line_options
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        DropoutSpectrumDisplay

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        check_is_fitted(estimator, "net_")
        dropouts = estimator.net_.module_.dropouts
        if not 0 <= layer < len(dropouts):
            raise ValueError(f"layer={layer}: there are {len(dropouts)} dropout layers.")
        layout = dropouts[layer].basis.layout
        rates = dropouts[layer].rates.detach().cpu().numpy()
        frequency = layout.frequency.cpu().numpy()
        is_input = layer == 0 and estimator.dropout_on != "hidden"
        if not is_input or np.isnan(frequency).any():
            return cls(np.arange(len(rates)), rates, "Coefficient").plot(ax, **line_options)
        rate = estimator.sampling_rate
        label = "Frequency (cycles per sample)" if rate == 1.0 else "Frequency (Hz)"
        order = np.argsort(frequency, kind="stable")
        return cls(frequency[order] * rate, rates[order], label).plot(ax, **line_options)

    def plot(self, ax=None, **line_options):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **line_options
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        DropoutSpectrumDisplay
        """
        self.ax_ = _axes(ax)
        self.figure_ = self.ax_.figure
        (self.line_,) = self.ax_.plot(self.position, self.rates, **line_options)
        self.ax_.set(xlabel=self.label, ylabel="Dropout rate", ylim=(0, 1))
        return self


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
            Fitted with ``controller="trust_region"``.
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
        if estimator.controller != "trust_region" or not len(history["step"]):
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
        upper.set_ylim(bottom=0)
        upper.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
        # A ratio far off says no more than one a little off: both are rejected.
        ratio = np.clip(h["rho"], -1, 3)
        lower.axhline(1, color="0.7", lw=0.8)
        lower.plot(h["step"][accepted], ratio[accepted], ".", color="C0")
        lower.plot(h["step"][~accepted], ratio[~accepted], "x", color="C3")
        lower.set(xlabel="Optimizer step", ylabel="Ratio ρ (cut to [-1, 3])")
        return self


def _axes(ax):
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]
