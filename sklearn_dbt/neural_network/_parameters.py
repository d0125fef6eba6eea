"""The parameters and attributes of the dropout faces, in words."""

__all__ = ["ATTRIBUTES", "NETWORK_PARAMETERS", "PARAMETERS"]

# What a net is built from; a fit that continues cannot change it.
NETWORK_PARAMETERS = (
    "basis",
    "basis_options",
    "policy",
    "mask_sharing",
    "controller",
    "objective",
    "controller_options",
    "dropout_rate",
    "dropout_on",
    "backbone",
    "hidden_layer_sizes",
    "kernel_size",
    "activation",
    "locks",
    "sampling_rate",
)

PARAMETERS = """
    Parameters
    ----------
    basis : str or Basis, default="fourier"
        Where coefficients are dropped: a name of ``sklearn_dbt.nn.BASES``, or a
        :class:`~sklearn_dbt.nn.Basis`, which must fit the width of the one layer it is used on.
    basis_options : dict, default=None
        Keyword arguments of a basis given by name, such as ``{"wavelet": "sym4"}``.
    policy : "auto", str or Policy, default="auto"
        How a coefficient's energy and place decide its rate: a name of
        ``sklearn_dbt.nn.dropout.POLICIES``, or a :class:`~sklearn_dbt.nn.Policy`. "auto" is
        ``"frequency"``, which drops high frequencies more, where there is a time axis and the basis
        has frequencies, and ``"energy"``, which drops weak coefficients more, elsewhere.
    mask_sharing : {"octave", "none"}, default="octave"
        Coefficients of a channel that are kept or dropped together: those of an octave of
        frequency (a scale of a wavelet transform), or none. Whole bands that are missing now and
        then teach the network not to lean on any of them. In a hidden layer without a time axis
        nothing is shared.
    controller : {"trust_region", "decay", "fixed"} or callable, default="trust_region"
        What moves the rates: a trust region on the objective, a decay to zero in clipped steps,
        nothing, or what a function makes that is called as
        :class:`~sklearn_dbt.nn.TrustRegionController` is, such as a class derived from it.
    objective : {"train", "validation", "variational"}, default="train"
        What the trust region lowers: the training loss, which leads the rates to zero under
        control; the loss of held-out rows, one step of the optimizer ahead; or a variational bound,
        for policies that do not depend on the sample.
    controller_options : dict, default=None
        Keyword arguments of :class:`~sklearn_dbt.nn.TrustRegionController` or
        :class:`~sklearn_dbt.nn.DecayController`, such as ``{"radius": 0.01}``. The trust region's
        ``radius_max`` is 0.02 here, unless a ``radius`` or ``radius_min`` is given.
    dropout_rate : float, default=0.7
        Mean rate at the start, in [0, 0.95). The defaults are for noisy series; less is better on
        clean ones, and tables have a template of their own:
        ``**transform_template("table")``.
    dropout_on : {"input", "hidden", "both"}, default="input"
        Drop coefficients of each channel along time, of each hidden layer, or both. In a hidden
        layer coefficients are taken along its units, with ``backbone="conv"`` along time.
    backbone : {"mlp", "conv"}, torch.nn.Module or callable, default="mlp"
        Fully connected layers; convolutions along time and their mean over time, which do not mind
        where a pattern stands; a module that maps (n, n_channels, n_times) to (n, n_outputs), which
        is copied, with its weights; or ``backbone(n_channels, n_times, n_outputs)`` that makes one.
        Where hidden dropout is asked for, it takes the place of a module's own
        :class:`torch.nn.Dropout` layers.
    hidden_layer_sizes : tuple of int, default=(64,)
        Width of each hidden layer, or number of filters of each convolution; with ``"mlp"``, ``()``
        is a linear model. A given module does not use it.
    kernel_size : int, default=9
        Length of the convolutions in samples.
    activation : {"relu", "tanh", "gelu"}, default="relu"
        Between the layers.
    learning_rate : float, default=1e-3
        Of the Adam optimizer.
    weight_decay : float, default=0.0
        Ridge penalty on the weights, as the optimizer applies it.
    batch_size : int, default=32
        Recordings in a step.
    max_iter : int, default=100
        Epochs. With `early_stopping` they may be fewer, and a warning says when the held-out loss
        was still falling at the end.
    tol : float, default=1e-4
        With `early_stopping`, a fall of the held-out loss by less than ``tol * max(1, loss)`` is
        none.
    n_iter_no_change : int, default=20
        With `early_stopping`, epochs without a fall after which training stops.
    early_stopping : bool, default=False
        Hold out rows, watch their loss and keep the best epoch's weights. Otherwise all epochs are
        run: masks make the training loss too noisy to stop by, and rates are moved on a schedule.
    validation_fraction : float, default=0.1
        Share held out, for early stopping and again for ``objective="validation"``; classes keep
        their shares, and groups stay whole when `fit` gets them.
    update_every : "auto" or int, default="auto"
        Optimizer steps between two updates of the rates; "auto" makes about 12 updates in
        `max_iter` epochs.
    warm_up : float, default=0.1
        Share of `max_iter` in which rates stand still while energies are gathered, in [0, 1).
    locks : list of (float, float) or CoefficientSet, default=None
        What is never dropped from the input: frequency bands (low, high) in the unit of
        `sampling_rate`, or sets such as ``Scales([5, 6])``.
    sampling_rate : float, default=1.0
        Samples per second; makes frequencies Hz. At 1.0 they are cycles per sample.
    random_state : int, RandomState or None, default=None
        One seed for initialisation, shuffling, masks and the held-out rows.
    device : str or torch.device, default="auto"
        Where to train; "auto" is CUDA where there is one.
    warm_start : bool, default=False
        Continue from the last fit: weights, optimizer, rates and controller.
    verbose : int, default=0
        Log epochs at level INFO of the logger ``sklearn_dbt``, instead of DEBUG.
"""

ATTRIBUTES = """
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    drop_rates_ : ndarray of shape (n_rates,)
        Rate of each coefficient in the network that is kept, layer after layer from the input on:
        at the end, or after the best epoch of `early_stopping`.
    drop_rate_curve_ : list of ndarray of shape (n_rates,)
        The rates at the end of each epoch.
    trust_region_history_ : dict of ndarray
        One entry an update: ``step``, ``radius`` (before the decision), ``step_norm`` (distance
        moved, 0 when rejected), ``rho``, ``accepted``, ``loss``, ``mean_rate`` and more; equally
        long. An empty dict when the controller is "fixed".
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_loss_curve_ : list of float
        Held-out loss of each epoch; empty without `early_stopping`.
    n_iter_ : int
        Epochs run.
    device_ : str
        Where it was trained.
    n_features_in_ : int
        Channels of a panel, columns of a table.
    feature_names_in_ : ndarray of str
        Names of columns, when `X` had any. Only for tables.
"""
