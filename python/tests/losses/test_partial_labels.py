"""The background of a sample holds the organs that nobody looked for in it, and no others."""

import pytest
import torch

from organincrement.losses.partial_labels import fold_unannotated


def log_p() -> torch.Tensor:
    logits = torch.randn(2, 4, 3, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return logits.log_softmax(1).requires_grad_()


def test_the_background_is_the_sum_over_the_organs_not_looked_for():
    given = log_p()
    p = given.exp()
    folded = fold_unannotated(given, torch.tensor([[True, False, False], [False, True, True]])).exp()
    torch.testing.assert_close(folded[0, 0], p[0, 0] + p[0, 2] + p[0, 3])
    torch.testing.assert_close(folded[1, 0], p[1, 0] + p[1, 1])
    torch.testing.assert_close(folded[:, 1:], p[:, 1:])


def test_where_everything_was_looked_for_nothing_changes():
    given = log_p()
    assert fold_unannotated(given, torch.ones(2, 3, dtype=torch.bool)) is given


def test_organs_that_were_looked_for_get_no_gradient_from_the_background():
    given = log_p()
    fold_unannotated(given, torch.tensor([[True, False, True]] * 2))[:, 0].sum().backward()
    assert given.grad is not None and bool(given.grad.isfinite().all())
    assert bool((given.grad[:, [1, 3]] == 0).all()) and bool((given.grad[:, [0, 2]] > 0).all())


def test_a_probability_that_underflows_keeps_its_logarithm():
    given = torch.tensor([0.0, -300.0, -310.0]).reshape(1, 3, 1, 1, 1)
    folded = fold_unannotated(given - 400, torch.tensor([[False, True]]))
    assert float(folded[0, 0]) == pytest.approx(-400.0)
