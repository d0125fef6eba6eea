"""What all displays share."""

from __future__ import annotations


def given_or_new_axes(ax):
    """Return the axes to draw on.

    Parameters
    ----------
    ax : matplotlib Axes or None
        None makes a figure; matplotlib is imported only then.

    Returns
    -------
    matplotlib Axes
    """
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]
