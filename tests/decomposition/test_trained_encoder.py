"""How training is put together; what comes of it is tested with the encoder."""

import numpy as np
import pytest
import torch

from sklearn_dbt.decomposition import NonlinearICAEncoder

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:NonlinearICAEncoder:UserWarning"
)


def panel(n=8, n_times=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.laplace(size=(n, 3, n_times)) * rng.uniform(0.2, 3, (n, 3, 1))


def encoder(**options):
    return NonlinearICAEncoder(**{"max_iter": 2, "random_state": 0, **options})


class Spy:
    """Looks at the optimizer and the networks at the end of each epoch."""

    def __init__(self):
        self.seen = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            groups = estimator.net_.optimizer_.param_groups
            held = [getattr(n, "holds_message", None) for n in estimator.net_.module_.networks]
            self.seen.append(([g["weight_decay"] for g in groups], groups[0]["lr"], held))


def test_what_joins_hidden_layers_decays():
    spy = Spy()
    encoder(n_init=3, weight_decay=0.1).set_callbacks(spy).fit(panel())
    assert spy.seen[0][0] == [0.1, 0]


@pytest.mark.parametrize(("method", "n_epochs"), [("tcl", 125), ("gcl", 50)])
def test_each_method_has_its_number_of_epochs(method, n_epochs):
    made = encoder(method=method, max_iter=None, n_iter_no_change=200).fit(panel(n_times=20))
    assert made.n_iter_ == n_epochs


def test_rate_and_message_go_with_the_epochs():
    spy = Spy()
    encoder(method="ivae", n_init=1, max_iter=4).set_callbacks(spy).fit(panel())
    assert [held for _, _, (held,) in spy.seen] == [True, True, False, False]
    half = np.sqrt(0.5)
    expected = [0.02, 0.01 * (1 + half), 0.01, 0.01 * (1 - half)]
    assert [rate for _, rate, _ in spy.seen] == pytest.approx(expected)


def test_the_rate_of_partial_fits_is_constant():
    spy, trained = Spy(), encoder(n_init=1).set_callbacks(Spy())
    trained.set_callbacks(spy)
    for _ in range(3):
        trained.partial_fit(panel())
    assert [rate for _, rate, _ in spy.seen] == [0.02] * 3


def test_new_recordings_get_a_new_classifier_and_keep_the_sources():
    trained = encoder(n_init=1, learning_rate=1e-12).partial_fit(panel())
    before = trained.net_.module_.networks[0]
    trained.partial_fit(panel(5, seed=1))
    after = trained.net_.module_.networks[0]
    assert (len(before.log_rate), len(after.log_rate)) == (8, 5)
    for old, new in zip(before.sources.parameters(), after.sources.parameters(), strict=True):
        torch.testing.assert_close(old, new, atol=1e-8, rtol=1e-6)
