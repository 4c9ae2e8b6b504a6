"""The VQ-VAE against brute force, formulas typed by hand, and sums over all grids of codes."""

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from companion import train
from companion.likelihoods import discretized_mixture_log_prob, to_levels
from companion.models import VQVAE
from companion.models.quantizer import VectorQuantizer, perplexity
from companion.models.vq_vae import CodePrior
from companion.training.hardware import autocast, recurrence_in_float32


def images(n: int, *shape: int) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return to_levels(torch.rand(n, *(shape or (1, 8, 8)), generator=rng))


def small(**options: Any) -> VQVAE:
    defaults: dict[str, Any] = {
        "codebook_size": 6,
        "code_dim": 3,
        "width": 4,
        "hidden_size": 8,
        "image_shape": (1, 8, 8),
    }
    return VQVAE(**defaults | options)


def as_vectors(z: Tensor) -> Tensor:
    return z.movedim(1, -1).flatten(0, 2)


# --- the nearest entry, and gradients past it ------------------------------------------------


def test_forward_gives_the_nearest_entries_by_brute_force() -> None:
    quantizer = VectorQuantizer(20, 5).double().eval()
    z = torch.randn(4, 5, 3, 2, dtype=torch.float64)
    nearest = torch.cdist(as_vectors(z), quantizer.codebook).argmin(dim=1).view(4, 3, 2)
    quantized = quantizer(z)
    assert torch.equal(quantized.codes, nearest)
    entries = quantizer.codebook[nearest].movedim(-1, 1)
    torch.testing.assert_close(quantized.vectors, entries, rtol=1e-12, atol=1e-12)
    assert torch.equal(quantizer.lookup(nearest), entries)


def test_gradients_pass_straight_through() -> None:
    """d(loss)/dz equals d(loss)/de for any loss of the quantized vectors."""
    quantizer = VectorQuantizer(20, 5).double().eval()
    z = torch.randn(4, 5, 3, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.randn_like(z)

    def loss(vectors: Tensor) -> Tensor:
        return (weights * vectors.sin()).sum() + vectors.prod(dim=1).sum()

    quantized = quantizer(z)
    (to_z,) = torch.autograd.grad(loss(quantized.vectors), z)
    e = quantizer.lookup(quantized.codes).detach().requires_grad_()
    (to_e,) = torch.autograd.grad(loss(e), e)
    torch.testing.assert_close(to_z, to_e, rtol=1e-9, atol=1e-12)
    assert to_e.abs().min() > 0


def test_each_term_moves_its_own_side_only() -> None:
    quantizer = VectorQuantizer(7, 5, moving_average=False).double().eval()
    z = torch.randn(4, 5, 3, 2, dtype=torch.float64, requires_grad=True)
    quantized = quantizer(z)

    def gradients(term: Tensor) -> tuple[Tensor | None, ...]:
        inputs = (z, quantizer.codebook)
        return torch.autograd.grad(term.sum(), inputs, retain_graph=True, allow_unused=True)

    e = quantizer.lookup(quantized.codes)
    to_z, to_codebook = gradients(quantized.vectors)
    assert to_z is not None
    assert to_codebook is None, "the codebook learns nothing from the pixels"
    to_z, to_codebook = gradients(quantized.commitment)
    assert to_codebook is None
    torch.testing.assert_close(to_z, 2 * (z - e))
    to_z, to_codebook = gradients(quantized.codebook)
    assert to_z is None
    pull = as_vectors(2 * (e - z)).detach()
    by_hand = torch.zeros(7, 5).double().index_add(0, quantized.codes.flatten(), pull)
    torch.testing.assert_close(to_codebook, by_hand)


def test_a_codebook_of_moving_averages_is_no_parameter() -> None:
    assert not list(VectorQuantizer(4, 2).parameters())
    assert len(list(VectorQuantizer(4, 2, moving_average=False).parameters())) == 1


def test_bfloat16_vectors_are_quantized_in_float32() -> None:
    quantizer = VectorQuantizer(20, 5).eval()
    z = torch.randn(4, 5, 3, 2).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quantized = quantizer(z)
    assert quantized.vectors.dtype == torch.float32
    assert torch.equal(quantized.codes, quantizer(z.float()).codes)


# --- the loss of an image --------------------------------------------------------------------


def test_loss_is_the_one_typed_by_hand() -> None:
    model = small(commitment=0.7).eval()
    x = images(5)
    z = model.encoder(2 * x - 1)
    codes = torch.cdist(as_vectors(z), model.quantizer.codebook).argmin(dim=1).view(5, 2, 2)
    e = model.quantizer.codebook[codes].movedim(-1, 1)
    log_prob = discretized_mixture_log_prob(model.decoder(e), x).sum(dim=(1, 2, 3))
    squares = (z - e).square().sum(dim=(1, 2, 3))  # over the numbers of an image, no mean
    losses = model.autoencoder_loss(x)
    torch.testing.assert_close(model.quantize(x).commitment, squares)
    torch.testing.assert_close(losses["distortion"], -log_prob.mean())
    torch.testing.assert_close(losses["loss"], -log_prob.mean() + 0.7 * squares.mean())

    by_gradient = small(commitment=0.7, moving_average=False).eval()
    by_gradient.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        by_gradient.quantizer.codebook.copy_(model.quantizer.codebook)
    loss = by_gradient.autoencoder_loss(x)["loss"]
    torch.testing.assert_close(loss, -log_prob.mean() + 1.4 * squares.mean())


@pytest.mark.parametrize("moving_average", [True, False])
def test_loss_of_an_image_does_not_depend_on_the_batch(moving_average: bool) -> None:
    """A well-known package: 3.8 at a batch of 8, 32.3 at 64."""
    model = small(moving_average=moving_average).eval()
    x = images(8)
    for repeats in (1, 8):
        batch = x.repeat(repeats, 1, 1, 1)
        losses = model.autoencoder_loss(batch) | {"prior": model.prior_loss(batch)}
        if repeats == 1:
            once = losses
        for name, value in losses.items():
            torch.testing.assert_close(value, once[name], rtol=1e-5, atol=1e-5)
    quantized = model.quantize(x)
    assert quantized.commitment.shape == quantized.codebook.shape == (8,)
    alone = torch.cat([model.quantize(x[i : i + 1]).commitment for i in range(8)])
    torch.testing.assert_close(quantized.commitment, alone)


def test_commitment_reaches_the_encoder_and_is_not_drowned() -> None:
    """Averaged over numbers or pixels, its gradient would be a hundredth of that here."""
    model, x = small(commitment=1.0).eval(), images(16)
    weights = list(model.encoder.parameters())
    quantized = model.quantize(x)
    pull = torch.autograd.grad(quantized.commitment.mean(), weights, retain_graph=True)
    distortion = model.distortion(quantized.vectors, x).mean()
    pixels = torch.autograd.grad(distortion, weights)

    def norm(gradients: tuple[Tensor, ...]) -> float:
        return torch.cat([g.flatten() for g in gradients]).norm().item()

    assert norm(pull) > 0.02 * norm(pixels)

    losses = [small(commitment=price) for price in (0.0, 1.0, 3.0)]
    for other in losses:
        other.load_state_dict(model.state_dict())
    free, one, three = (m.eval().autoencoder_loss(x)["loss"] for m in losses)
    torch.testing.assert_close(one - free, quantized.commitment.mean(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(three - free, 3 * (one - free), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("moving_average", [True, False])
def test_bfloat16_loss_is_close_to_float32(moving_average: bool) -> None:
    model, x = small(moving_average=moving_average).eval(), images(16)
    exact = model.autoencoder_loss(x)["loss"].item()
    cpu = torch.device("cpu")
    with recurrence_in_float32(model, cpu), autocast(cpu, torch.bfloat16):
        assert model.autoencoder_loss(x)["loss"].item() == pytest.approx(exact, rel=0.02)
        rough = model.prior_loss(x).item()
    assert rough == pytest.approx(model.prior_loss(x).item(), rel=0.02)


# --- how the codebook learns -----------------------------------------------------------------


def test_perplexity_lies_between_one_and_the_size() -> None:
    assert perplexity(torch.zeros(5, 3, dtype=torch.long), 9).item() == pytest.approx(1)
    assert perplexity(torch.arange(9).repeat(4), 9).item() == pytest.approx(9)
    codes = torch.tensor([0, 0, 0, 0, 2, 2, 5, 8])  # 1/2, 1/4, 1/8, 1/8: 1.75 bits
    assert perplexity(codes, 9).item() == pytest.approx(2**1.75)


@given(st.lists(st.integers(0, 11), min_size=1, max_size=40))
def test_perplexity_is_at_most_the_number_of_codes_in_use(codes: list[int]) -> None:
    value = perplexity(torch.tensor(codes), 12).item()
    assert 1 - 1e-5 <= value <= len(set(codes)) + 1e-4


def test_moving_averages_by_hand() -> None:
    quantizer = VectorQuantizer(5, 3, revive=False, decay=0.9)
    start = quantizer.codebook.clone()
    counts, sums = torch.zeros(5), torch.zeros(5, 3)
    for step in range(3):
        z = 2 * torch.randn(6, 3, 2, 2)
        codes = quantizer(z).codes.flatten()
        for j in range(5):
            chosen = as_vectors(z)[codes == j]
            counts[j] = 0.9 * counts[j] + 0.1 * len(chosen)
            sums[j] = 0.9 * sums[j] + 0.1 * chosen.sum(dim=0)
            expected = sums[j] / counts[j] if counts[j] > 0 else start[j]
            torch.testing.assert_close(quantizer.codebook[j], expected, rtol=1e-4, atol=1e-5)
            if step == 0 and len(chosen):  # one round of k-means
                torch.testing.assert_close(
                    quantizer.codebook[j], chosen.mean(dim=0), rtol=1e-4, atol=1e-5
                )
        torch.testing.assert_close(quantizer.counts, counts)


def test_the_mean_is_the_best_entry() -> None:
    """With decay 0 a step is k-means: the squares fall and come to rest."""
    quantizer = VectorQuantizer(5, 3, revive=False, decay=0.0)
    z = torch.randn(50, 3, 2, 2)
    squares = [quantizer(z).commitment.sum().item() for _ in range(60)]
    assert all(after <= before + 1e-3 for before, after in itertools.pairwise(squares))
    assert squares[-1] == pytest.approx(squares[-2], rel=1e-6)
    assert squares[-1] < 0.7 * squares[0]


@pytest.mark.parametrize("moving_average", [True, False])
def test_revival_makes_dead_entries_vectors_of_the_batch_and_leaves_the_others(
    moving_average: bool,
) -> None:
    quantizers = [VectorQuantizer(8, 2, moving_average, revive) for revive in (True, False)]
    for quantizer in quantizers:
        with torch.no_grad():
            quantizer.codebook[:] = torch.arange(16.0).view(8, 2)
            quantizer.codebook[5:] += 1000  # three entries that no vector will choose
            quantizer.counts.fill_(20.0)
            quantizer.counts[5:] = 0.1
            if moving_average:
                quantizer.sums.copy_(quantizer.codebook * quantizer.counts[:, None])
    z = torch.rand(10, 2, 4, 4) * 12
    for quantizer in quantizers:
        quantizer(z)
    revived, plain = (quantizer.codebook.detach() for quantizer in quantizers)
    torch.testing.assert_close(revived[:5], plain[:5])
    assert (plain[5:] > 900).all()
    distance = torch.cdist(revived[5:], as_vectors(z)).min(dim=1).values
    assert distance.max() < 1e-3
    counts = quantizers[0].counts
    assert counts[5:].min() > 0.01 * counts.mean(), "they get time to be chosen"
    if moving_average:
        state = quantizers[0]
        torch.testing.assert_close(state.sums / state.counts[:, None], revived)


def test_all_that_the_first_batch_does_not_choose_begin_as_its_vectors() -> None:
    quantizer = VectorQuantizer(64, 2)
    z = 50 + torch.randn(10, 2, 4, 4)  # far from every entry
    quantizer(z)
    assert quantizer.codebook.min() > 40


def test_revival_keeps_the_codebook_in_use() -> None:
    """Vectors far from where the entries begin: one entry takes all, or all take part."""
    used = {}
    for revive in (True, False):
        torch.manual_seed(0)
        quantizer = VectorQuantizer(32, 4, revive=revive)
        for _ in range(50):
            z = 5 + torch.randn(32, 4, 4, 4)
            quantizer(z)
        used[revive] = perplexity(quantizer.eval()(z).codes, 32).item()
    assert used[True] > 16
    assert used[False] < 8


@pytest.mark.parametrize("moving_average", [True, False])
def test_evaluation_moves_nothing(moving_average: bool) -> None:
    model, x = small(moving_average=moving_average), images(4)
    state = copy.deepcopy(model.state_dict())
    model.encode(x)
    model.log_prob_bound(x)
    model.reconstruct(x)
    model.prior_loss(x)
    model.eval().autoencoder_loss(x)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())
    model.train().autoencoder_loss(x)
    changed = model.state_dict()
    assert any(not torch.equal(changed[name], value) for name, value in state.items())


@pytest.mark.parametrize("moving_average", [True, False])
def test_interrupted_and_uninterrupted_runs_end_alike(moving_average: bool, tmp_path: Path) -> None:
    """Counts, sums and entries are part of a checkpoint, and so is the chance in revival."""
    levels = (255 * images(8)).byte()
    options: dict[str, Any] = {
        "batch_size": 4,
        "ema_decay": 0.9,
        "device": "cpu",
        "progress": False,
    }

    def run(epochs: int, run_dir: Path | None) -> VQVAE:
        torch.manual_seed(1)
        model = small(moving_average=moving_average, codebook_size=40)
        train(model, levels, epochs=epochs, run_dir=run_dir, **options)
        return model

    whole = run(2, None)  # four steps
    run(1, tmp_path)
    resumed = run(2, tmp_path).state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed[name], value), f"{name} differs"


# --- two players -----------------------------------------------------------------------------


@pytest.mark.parametrize("moving_average", [True, False])
def test_each_player_moves_only_its_own_weights(moving_average: bool) -> None:
    model, x = small(moving_average=moving_average), images(8)
    players = {player.name: player for player in model.players()}
    assert list(players) == ["autoencoder", "prior"]
    for mine, other in (("autoencoder", "prior"), ("prior", "autoencoder")):
        model.zero_grad(set_to_none=True)
        before = copy.deepcopy(players[other].module.state_dict())
        own = copy.deepcopy(players[mine].module.state_dict())
        parameters = list(players[mine].module.parameters())
        optimizer = torch.optim.Adam(parameters, lr=0.01)
        result = players[mine].loss(x)
        loss = result if isinstance(result, Tensor) else result["loss"]
        loss.backward()
        assert all(p.grad is None for p in players[other].module.parameters())
        assert all(p.grad is not None for p in parameters)
        optimizer.step()
        after = players[other].module.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
        moved = players[mine].module.state_dict()
        assert any(not torch.equal(moved[name], value) for name, value in own.items())
    together = [p for player in players.values() for p in player.module.parameters()]
    assert set(together) == set(model.parameters())
    assert len(together) == len(set(together))


# --- the prior -------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "grid"), [(2, (2, 2)), (3, (2, 2)), (2, (1, 3)), (3, (3, 1))])
@torch.no_grad()
def test_probabilities_of_all_grids_sum_to_one(size: int, grid: tuple[int, int]) -> None:
    prior = CodePrior(size, grid, hidden_size=5, embedding_dim=4).double()
    for parameter in prior.parameters():
        parameter.mul_(3)  # far from uniform
    places = grid[0] * grid[1]
    every = torch.tensor(list(itertools.product(range(size), repeat=places))).view(-1, *grid)
    probabilities = prior.log_prob(every).exp()
    assert len(every) == size**places
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-6)
    assert probabilities.std() > 0.01 * probabilities.mean()


@torch.no_grad()
def test_no_code_depends_on_itself_or_on_later_ones() -> None:
    prior = CodePrior(7, (3, 4), hidden_size=6, embedding_dim=5)
    codes = torch.randint(7, (2, 3, 4))
    logits = prior.logits(codes)
    assert logits.shape == (2, 12, 7)
    for t in range(12):
        changed = codes.clone()
        changed.view(2, 12)[:, t] = (changed.view(2, 12)[:, t] + 1) % 7
        same = (prior.logits(changed) == logits).all(dim=2).all(dim=0)
        assert same[: t + 1].all(), "what comes before a place, and the place itself"
        assert t == 11 or not same[t + 1 :].all(), "some place after it reads it"


@torch.no_grad()
def test_draws_have_the_probabilities_that_log_prob_states() -> None:
    torch.manual_seed(2)
    prior = CodePrior(2, (2, 2), hidden_size=5, embedding_dim=4)
    prior.to_logits.weight.mul_(6)
    every = torch.tensor(list(itertools.product(range(2), repeat=4))).view(-1, 2, 2)
    expected = prior.log_prob(every).exp()
    drawn = prior.sample(40_000, rng=torch.Generator().manual_seed(0))
    which = (drawn.flatten(1) * torch.tensor([8, 4, 2, 1])).sum(dim=1)
    shares = which.bincount(minlength=16) / len(drawn)
    errors = (shares - expected) / (expected * (1 - expected) / len(drawn)).sqrt()
    assert errors.abs().max() < 5
    assert expected.max() > 2 * expected.min(), "far from uniform"


def test_bound_is_one_term_of_the_sum_over_all_grids() -> None:
    torch.manual_seed(1)
    model = small(codebook_size=3, image_shape=(1, 8, 8)).double()
    x = images(2).double()
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)
    bound = model.log_prob_bound(x)
    with torch.no_grad():
        for i, code in enumerate(model.encode(x)):
            copies = x[i].expand(len(every), -1, -1, -1)
            terms = model.prior.log_prob(every) - model.distortion(
                model.quantizer.lookup(every), copies
            )
            own = int((every == code).all(dim=2).all(dim=1).nonzero())
            assert bound[i].item() == pytest.approx(terms[own].item(), abs=1e-9)
            assert bound[i] < torch.logsumexp(terms, dim=0)
    assert torch.equal(model.log_prob_bound(x), bound), "nothing is drawn"


# --- shapes, draws, errors -------------------------------------------------------------------


def test_decoding_codes_is_reconstructing() -> None:
    model, x = small(), images(3)
    assert torch.equal(model.decode(model.encode(x)), model.reconstruct(x))


def test_wrong_codes_and_images_are_refused() -> None:
    model = small()
    whole = torch.zeros(2, 2, 2, dtype=torch.long)
    with pytest.raises(ValueError, match=r"whole numbers \(torch.long\) of shape \(N, 2, 2\), got"):
        model.decode(whole.float())
    with pytest.raises(ValueError, match=r"of shape \(2, 2, 3\); encode\(images\) gives such"):
        model.decode(torch.zeros(2, 2, 3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"of shape \(2, 2\)"):
        model.decode(whole[0])
    with pytest.raises(ValueError, match="between 0 and 5, got 6 to 6"):
        model.decode(whole + 6)
    with pytest.raises(ValueError, match="between 0 and 5, got -1 to -1"):
        model.decode(whole - 1)
    assert model.decode(whole[:0]).shape == (0, 1, 8, 8)
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 8, 8\)"):
        model.autoencoder_loss(torch.zeros(2, 3, 8, 8))
    with pytest.raises(TypeError, match="got uint8 up to 255"):
        model.encode(torch.full((2, 1, 8, 8), 255, dtype=torch.uint8))
    with pytest.raises(ValueError, match="multiples of 4"):
        VQVAE(image_shape=(1, 30, 30))
