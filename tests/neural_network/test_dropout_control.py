"""From a face's parameters to layers and controllers."""

import numpy as np
import pytest

from sklearn_dbt.neural_network import TrustRegionDropoutClassifier, transform_template
from sklearn_dbt.neural_network._dropout_control import schedule
from sklearn_dbt.nn import TrustRegionController
from sklearn_dbt.nn.dropout import make_policy

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fast(face, **options):
    return face(**{"max_iter": 15, "random_state": 0, **options})


def test_auto_asks_what_the_basis_and_the_axis_are(tones):
    X, y = tones()

    def policies(**options):
        model = fast(TrustRegionDropoutClassifier, max_iter=2, **options).fit(X, y)
        return [layer.policy for layer in model.net_.module_.dropouts]

    frequency, energy = (make_policy(name) for name in ("frequency", "energy"))
    assert policies() == policies(basis="dwt") == [frequency]
    assert policies(basis="pca") == [energy]
    assert policies(dropout_on="both") == [frequency, energy]
    assert policies(dropout_on="both", backbone="conv") == [frequency, frequency]
    assert policies(policy="uniform", basis="pca") == [make_policy("uniform")]


def test_masks_are_shared_along_time_only(tones):
    X, y = tones()

    def sharing(**options):
        model = fast(TrustRegionDropoutClassifier, max_iter=2, dropout_on="both", **options)
        return [layer.mask_sharing for layer in model.fit(X, y).net_.module_.dropouts]

    assert sharing() == ["octave", "none"]
    assert sharing(backbone="conv") == ["octave", "octave"]
    assert sharing(mask_sharing="none") == ["none", "none"]


def test_time_has_its_rate_in_hidden_convolutions_too(tones):
    X, y = tones()
    options = {**transform_template("audio", sampling_rate=400), "backbone": "conv"}
    model = fast(TrustRegionDropoutClassifier, dropout_on="both", **options).fit(X, y)
    assert [layer.sampling_rate for layer in model.net_.module_.dropouts] == [400, 400]


@pytest.mark.parametrize(("n", "max_iter"), [(30, 25), (60, 25), (200, 40), (30, 600)])
def test_auto_makes_about_twelve_updates(n, max_iter):
    made = schedule(-(-n // 32) * max_iter, 0.1, "auto")
    n_updates = (-(-n // 32) * max_iter - made["warmup_steps"]) // made["update_every"]
    assert 11 <= n_updates <= 13


def test_a_controller_of_ones_own(tones):
    X, y = tones()
    made = []

    class Counted(TrustRegionController):
        def __init__(self, layers, **options):
            super().__init__(layers, **options)
            made.append(self)

    options = {"radius": 0.03}
    own = fast(TrustRegionDropoutClassifier, controller=Counted, controller_options=options)
    named = fast(TrustRegionDropoutClassifier, controller_options=options)
    np.testing.assert_array_equal(own.fit(X, y).drop_rates_, named.fit(X, y).drop_rates_)
    (controller,) = made
    assert len(own.trust_region_history_["rho"]) == controller.n_updates > 5
    for objective in ("validation", "variational"):
        model = fast(TrustRegionDropoutClassifier, controller=Counted, objective=objective)
        assert np.isfinite(model.fit(X, y).trust_region_history_["objective"]).all()
        assert made[-1].objective == objective


def test_what_is_no_controller_is_refused(tones):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier, controller=lambda *_, **__: 3)
    with pytest.raises(TypeError, match=r"with layers, step and history, .* made 3"):
        model.fit(X, y)


def test_options_go_before_what_the_face_would_choose(tones):
    X, y = tones()
    model = fast(
        TrustRegionDropoutClassifier,
        controller=TrustRegionController,
        controller_options={"update_every": 1, "warmup_steps": 0},
    )
    steps = model.fit(X, y).trust_region_history_["step"]
    assert steps.tolist() == list(range(1, len(steps) + 1))


def test_a_first_radius_brings_its_own_bound(tones):
    X, y = tones()
    at_most = {
        radius: fast(TrustRegionDropoutClassifier, controller_options=options)
        .fit(X, y)
        .trust_region_history_["radius"]
        .max()
        / 17**0.5
        for radius, options in {0.02: None, 0.04: {"radius": 0.04}}.items()
    }
    assert at_most[0.02] <= 0.02 + 1e-9 < 0.04 <= at_most[0.04] + 1e-9
