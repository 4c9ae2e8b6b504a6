"""InfoGAN: the bound on information against its definition, and who learns from it."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from companion import train
from companion.models import InfoGAN
from companion.models.dcgan import discriminator_loss, generator_loss
from companion.models.infogan import Codes, Posterior, information


def small(**options: object) -> InfoGAN:
    arguments = {"noise_dim": 3, "categories": 4, "continuous": 2, "width": 4, "hidden_size": 8}
    return InfoGAN(**(arguments | options))  # type: ignore[arg-type]


def images(n: int) -> Tensor:
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(5))


def drawn(n: int = 6, categories: int = 4) -> tuple[Codes, Posterior]:
    codes = Codes(torch.randn(n, 3), torch.randint(categories, (n,)), 2 * torch.rand(n, 2) - 1)
    return codes, Posterior(torch.randn(n, categories), torch.randn(n, 2), torch.randn(n, 2))


def test_information_is_entropy_minus_cross_entropy() -> None:
    codes, read = drawn()
    category = torch.stack(
        [row.softmax(0)[c].log() for row, c in zip(read.logits, codes.category, strict=True)]
    )
    density = Normal(read.mu, (read.logvar / 2).exp()).log_prob(codes.continuous)
    known = information(codes, read)
    torch.testing.assert_close(known.category, math.log(4) + category.mean())
    torch.testing.assert_close(known.continuous, 2 * math.log(2) + density.sum(dim=1).mean())


def test_information_of_a_head_that_knows_all_or_nothing() -> None:
    """Softmax before cross_entropy would leave a perfect reading below log K."""
    codes, read = drawn()
    sure = 1e4 * F.one_hot(codes.category, 4).float()
    assert information(codes, read._replace(logits=sure)).category.item() == pytest.approx(
        math.log(4), abs=1e-6
    )
    blind = torch.zeros_like(sure)
    assert information(codes, read._replace(logits=blind)).category.item() == pytest.approx(
        0, abs=1e-6
    )


def test_the_bound_is_met_by_the_true_posterior_and_by_no_other() -> None:
    """Of a channel that changes a category at random, where the information is a known sum."""
    torch.manual_seed(0)
    channel = torch.rand(4, 3, dtype=torch.float64)
    channel /= channel.sum(dim=1, keepdim=True)  # p(x | c)
    joint = channel / 4
    exact = (joint * (channel / joint.sum(dim=0)).log()).sum()
    x, c = torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij")
    weights = joint.T.reshape(-1)  # of all pairs (x, c)

    def bound(logits: Tensor) -> Tensor:  # logits[x, c] of q(c | x)
        parts = [
            information(
                Codes(torch.zeros(1, 1), pair_c[None], torch.zeros(1, 0)),
                Posterior(logits[pair_x][None], torch.zeros(1, 0), torch.zeros(1, 0)),
            ).category
            for pair_x, pair_c in zip(x.reshape(-1), c.reshape(-1), strict=True)
        ]
        return (weights * torch.stack(parts)).sum()

    torch.testing.assert_close(bound(joint.T.log()), exact)
    for _ in range(5):
        assert bound(torch.randn(3, 4, dtype=torch.float64)) < exact


def test_information_does_not_depend_on_the_batch_size() -> None:
    codes, read = drawn()
    twice = information(
        Codes(*(torch.cat([part, part]) for part in codes)),
        Posterior(*(torch.cat([part, part]) for part in read)),
    )
    torch.testing.assert_close(tuple(twice), tuple(information(codes, read)))


@pytest.mark.parametrize("loss", ["discriminator_loss", "generator_loss"])
def test_losses_are_the_dcgans_less_the_weighted_information(loss: str) -> None:
    model = small(weight=0.7, continuous_weight=0.3)
    x = images(8)
    torch.manual_seed(1)
    result = getattr(model, loss)(x)
    torch.manual_seed(1)
    codes = model.draw_codes(8)
    fake = 2 * model.generate(codes) - 1
    logits, read = model.discriminator(fake)
    known = information(codes, read)
    weighted = 0.7 * known.category + 0.3 * known.continuous
    if loss == "generator_loss":
        torch.testing.assert_close(result["loss"], generator_loss(logits) - weighted)
        torch.testing.assert_close(result["category information"], known.category)
        torch.testing.assert_close(result["continuous information"], known.continuous)
    else:
        adversarial = discriminator_loss(model.discriminate(x), logits)
        torch.testing.assert_close(result, adversarial - weighted)


def test_information_reaches_code_head_trunk_and_generator() -> None:
    """The fault of a detached information loss: without it no gradient would arrive."""
    model = small()
    codes = model.draw_codes(8)
    read = model.posterior(model.generate(codes))
    known = information(codes, read)
    for part in known:
        model.zero_grad()
        part.backward(retain_graph=True)
        for module in (model.generator, model.discriminator.trunk, model.discriminator.code_head):
            assert all(p.grad is not None and p.grad.any() for p in module.parameters())
        assert all(p.grad is None for p in model.discriminator.logit.parameters())


def test_the_generator_learns_to_be_read() -> None:
    """Its own moves alone, against a code head that stands still."""
    torch.manual_seed(0)
    model = small(weight=10.0)
    generator = model.players()[1]
    model.players = lambda: [generator]  # type: ignore[method-assign]
    history = train(model, images(160), epochs=4, batch_size=16, progress=False, device="cpu")
    known = history.losses["category information"]
    assert known[-1] > known[0] + 0.3


def test_codes_come_from_their_priors() -> None:
    model = small()
    codes = model.draw_codes(4000, rng=torch.Generator().manual_seed(0))
    assert [tuple(part.shape) for part in codes] == [(4000, 3), (4000,), (4000, 2)]
    assert codes.noise.std().item() == pytest.approx(1, abs=0.05)
    assert torch.bincount(codes.category, minlength=4).div(4000).sub(1 / 4).abs().max() < 0.03
    assert -1 <= codes.continuous.min() < -0.99
    assert 0.99 < codes.continuous.max() <= 1
    assert codes.continuous.var().item() == pytest.approx(1 / 3, abs=0.03)


def test_every_part_of_the_code_changes_the_picture() -> None:
    model = small().eval()
    codes = model.draw_codes(2)
    picture = model.generate(codes)
    for name, other in (
        ("noise", codes.noise + 1),
        ("category", (codes.category + 1) % 4),
        ("continuous", -codes.continuous),
    ):
        assert not torch.equal(model.generate(codes._replace(**{name: other})), picture), name


def test_classify_takes_the_likeliest_category_and_leaves_no_trace() -> None:
    model = small()
    state, x = copy.deepcopy(model.state_dict()), images(5)
    categories = model.classify(x)
    assert model.training
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())
    model.eval()
    assert torch.equal(categories, model.posterior(x).logits.argmax(dim=1))


def test_batch_norm_normalizes_to_unit_scale() -> None:
    """The fault of eps = 0.8: a small input would come out far below unit scale."""
    norms = [m for m in small().modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) == 6
    assert all(norm.eps == 1e-5 for norm in norms)


def test_wrong_arguments_are_refused() -> None:
    for name, value in (
        ("noise_dim", 0),
        ("categories", 1),
        ("continuous", -1),
        ("weight", -1.0),
        ("continuous_weight", float("nan")),
    ):
        with pytest.raises(ValueError, match=f"{name} must be at least"):
            small(**{name: value})
    with pytest.raises(ValueError, match="multiples of 4"):
        small(image_shape=(1, 30, 30))
    model = small()
    codes = model.draw_codes(3)
    with pytest.raises(ValueError, match=r"must have shapes .* got .*start from model.draw_codes"):
        model.generate(codes._replace(continuous=torch.zeros(3, 1)))
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 28, 28\)"):
        model.posterior(torch.zeros(2, 1, 32, 32))
    with pytest.raises(ValueError, match=r"use \(images \+ 1\) / 2"):
        model.classify(2 * images(2) - 1)
