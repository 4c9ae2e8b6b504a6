"""What is asked in homework 7, the true answers, and the famous wrong ones."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.homework.assignments.hw7_stability import calls
from companion.homework.question import Question, Wrong

LOSSES = "gan/stability#eq-stability-losses"
PENALTY = "gan/stability#eq-stability-gp"
POWER = "gan/stability#eq-stability-power"
STEPS = 2  # of the power iteration


def constants(variant: int) -> dict[str, int | float]:
    """Of a variant; those from 0 to 49 all differ."""
    step = variant % 50
    return {
        "margin": round(1.25 + step / 50, 2),
        "draws": 2 + step,
        "slope": round(2 + step / 20, 2),
        "bound": round(1.5 + step / 20, 2),
    }


def questions(variant: int = 0) -> dict[str, Question]:
    """The four functions of a variant, by name."""
    margin, draws, slope, bound = constants(variant).values()
    asked = (_hinge(margin), _between(int(draws)), _penalty(slope), _normalized(bound))
    return {question.name: question for question in asked}


def _hinge(m: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        # Mostly beyond the margin, so that a maximum of the mean is not the mean of the maxima.
        real, fake = 3 * torch.randn(2, 12, generator=rng) + m + 2
        return real, -fake[:10]

    def reference(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low, high = real.double() < m, fake.double() > -m  # on the wrong side of the margin
        loss = ((m - real.double()) * low).mean() + ((m + fake.double()) * high).mean()
        return loss, -low.double() / len(real), high.double() / len(fake)

    def hinge(real: Tensor, fake: Tensor, margin: float = m) -> Tensor:
        return F.relu(margin - real).mean() + F.relu(margin + fake).mean()

    wrong = {
        "margin_one": Wrong(
            lambda real, fake: hinge(real, fake, 1),
            "the margin is 1 here, as in the book; take the one of the question",
            LOSSES,
        ),
        "real_sign": Wrong(
            lambda real, fake: F.relu(m + real).mean() + F.relu(m + fake).mean(),
            "the real logits have the wrong sign: real images cost max(0, margin - D)",
            LOSSES,
        ),
        "exchanged": Wrong(
            lambda real, fake: hinge(fake, real),
            "real and generated images are exchanged: this teaches D to call real images fake",
            LOSSES,
        ),
        "no_maximum": Wrong(
            lambda real, fake: (m - real).mean() + (m + fake).mean(),
            "without max(0, .) this is a Wasserstein critic's loss; it never leaves an image alone",
            LOSSES,
        ),
        "maximum_of_mean": Wrong(
            lambda real, fake: F.relu(m - real.mean()) + F.relu(m + fake.mean()),
            "the maximum was taken of the mean; take that of each image first, then the mean",
            LOSSES,
        ),
        "softplus": Wrong(
            lambda real, fake: F.softplus(m - real).mean() + F.softplus(m + fake).mean(),
            "softplus in place of max(0, .): it is never zero, so no image is ever left alone",
            LOSSES,
        ),
        "detached": Wrong(
            lambda real, fake: hinge(real, fake.detach()),
            "the logits of generated images were detached, so D learns nothing from them; it is "
            "the images that are detached, before D sees them",
            "gan/dcgan#eq-dcgan-losses",
        ),
    }
    banned = ("companion.models.wgan.hinge_discriminator_loss",)
    return Question("hinge_loss", 2, inputs, reference, wrong, banned, calls.loss_and_slopes)


def _between(draws: int) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        fake = torch.randn(400, 1, 2, 2, generator=rng)
        return fake + 1 + torch.rand(400, 1, 2, 2, generator=rng), fake

    def reference(real: Tensor, fake: Tensor) -> tuple[Tensor, ...]:
        return torch.zeros(draws, *real.shape).double(), *torch.ones(6).double()

    def mixed(epsilon: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        def points(real: Tensor, fake: Tensor) -> Tensor:
            weight = epsilon(real).expand(draws, *real.shape)
            return weight * real + (1 - weight) * fake

        return points

    wrong = {
        "normal": Wrong(
            mixed(lambda real: torch.randn(draws, len(real), 1, 1, 1)),
            "epsilon leaves [0, 1], as a normal one does, so that points lie outside of the "
            "segment, where the slope need not be bounded; draw it from U[0, 1]",
            PENALTY,
        ),
        "one_for_the_batch": Wrong(
            mixed(lambda real: torch.rand(draws, 1, 1, 1, 1)),
            "one epsilon serves the whole batch; draw one for each image",
            PENALTY,
        ),
        "same_in_each_draw": Wrong(
            mixed(lambda real: torch.rand(1, len(real), 1, 1, 1)),
            "all draws of an image are the same point; draw epsilon anew for each",
            PENALTY,
        ),
        "one_for_each_pixel": Wrong(
            mixed(lambda real: torch.rand(draws, *real.shape)),
            "epsilon differs from pixel to pixel, off the segment; draw one for each image",
            PENALTY,
        ),
        "at_real_images": Wrong(
            mixed(lambda real: torch.ones(1, 1, 1, 1, 1)),
            "these are the real images; draw epsilon from U[0, 1], to reach what lies between",
            PENALTY,
        ),
    }
    return Question("points_between", 2, inputs, reference, wrong, (), calls.what_is_between)


def _penalty(K: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, ...]:
        W, b = torch.randn(6, 18, generator=rng) / 18**0.5, torch.randn(6, generator=rng) / 2
        w = K * torch.randn(6, generator=rng) / 2
        real, fake = torch.randn(2, 5, 2, 3, 3, generator=rng)
        return W, b, w, real, fake, torch.rand(5, generator=rng)

    def reference(
        W: Tensor, b: Tensor, w: Tensor, real: Tensor, fake: Tensor, epsilon: Tensor
    ) -> tuple[Tensor, Tensor]:
        """With the slope of the critic by the chain rule, W^T (w (1 - tanh^2))."""
        W, b, w, x, y = (t.double() for t in (W, b, w, real.flatten(1), fake.flatten(1)))
        e = epsilon.double()[:, None]
        with torch.enable_grad():
            W = W.requires_grad_()
            slopes = (w * (1 - torch.tanh((e * x + (1 - e) * y) @ W.T + b) ** 2)) @ W
            penalty = ((slopes.square().sum(1).sqrt() - K) ** 2).mean()
            return penalty.detach(), torch.autograd.grad(penalty, W)[0]

    def slopes(critic: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        images = images.detach().requires_grad_()
        return torch.autograd.grad(critic(images).sum(), images, create_graph=True)[0]

    def between(real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
        e = epsilon.view(-1, 1, 1, 1)
        return e * real + (1 - e) * fake

    def penalty(
        size: Callable[[Tensor], Tensor], at: Callable[[Tensor, Tensor, Tensor], Tensor] = between
    ) -> Callable[..., Tensor]:
        return lambda critic, real, fake, e: size(slopes(critic, at(real, fake, e)))

    def square(g: Tensor) -> Tensor:
        return (g.flatten(1).norm(dim=1) - K).square().mean()

    wrong = {
        "slope_one": Wrong(
            penalty(lambda g: (g.flatten(1).norm(dim=1) - 1).square().mean()),
            "the target of the slope is 1 here, as in the book; take the one of the question",
            PENALTY,
        ),
        "one_norm": Wrong(
            penalty(lambda g: (g.norm() - K).square()),
            "one norm was taken over the whole batch: even a perfect critic is then punished, the "
            "more the larger the batch; take a norm for each image",
            PENALTY,
        ),
        "norm_over_channels": Wrong(
            penalty(lambda g: (g.norm(dim=1) - K).square().mean()),
            "the norm was taken over the channels, pixel by pixel; flatten the images first",
            PENALTY,
        ),
        "at_real_images": Wrong(
            penalty(square, lambda real, fake, e: real),
            "this is the penalty at the real images, which leaves the way between the heaps free",
            PENALTY,
        ),
        "exchanged": Wrong(
            penalty(square, lambda real, fake, e: between(fake, real, e)),
            "epsilon is the weight of the real image; here it is that of the generated one",
            PENALTY,
        ),
        "one_epsilon": Wrong(
            penalty(square, lambda real, fake, e: between(real, fake, e[:1])),
            "the epsilon of the first image was used for all; give it the shape (N, 1, 1, 1)",
            PENALTY,
        ),
        "no_graph": Wrong(
            penalty(lambda g: square(g.detach())),
            "it has no gradient in the critic's weights, so it changes nothing; pass "
            "create_graph=True to torch.autograd.grad",
            PENALTY,
        ),
    }
    banned = (
        "companion.models.penalties.gradient_penalty",
        "companion.models.penalties.r1_penalty",
    )
    call = calls.penalty_and_slope
    return Question("gradient_penalty", 3, inputs, reference, wrong, banned, call)


def _normalized(c: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        weight = torch.randn(6, 3, 2, 2, generator=rng) / 12  # its norm is below the bound
        return weight, F.normalize(torch.randn(6, generator=rng), dim=0)

    def reference(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """In the singular vectors: the components of u grow by their squared singular values."""
        U, s, _ = torch.linalg.svd(weight.double().flatten(1), full_matrices=False)
        a = s ** (2 * STEPS) * (U.T @ u.double())
        return c * weight.double() * (a / s).norm() / a.norm(), U @ a / a.norm()

    def iterate(weight: Tensor, u: Tensor, steps: int = STEPS) -> tuple[Tensor, Tensor]:
        W = weight.flatten(1)
        v = W.T @ u
        for _ in range(steps):
            v = F.normalize(W.T @ u, dim=0)
            u = F.normalize(W @ v, dim=0)
        return u @ W @ v, u

    def scaled(factor: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], object]:
        def normalized(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
            sigma, u = iterate(weight, u)
            return weight * factor(sigma), u

        return normalized

    def divided(size: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], object]:
        return lambda weight, u: (c * weight / size(weight.flatten(1)), iterate(weight, u)[1])

    def one_step(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        sigma, u = iterate(weight, u, 1)
        return c * weight / sigma, u

    wrong = {
        "no_bound": Wrong(
            scaled(lambda sigma: 1 / sigma),
            "the bound is 1 here, as in the book; the question asks for the factor of the variant",
            POWER,
        ),
        "bound_inverted": Wrong(
            scaled(lambda sigma: 1 / (c * sigma)),
            "the bound stands in the denominator: this layer stretches by at most 1 / bound",
            POWER,
        ),
        "only_if_larger": Wrong(
            scaled(lambda sigma: torch.clamp(c / sigma, max=1)),
            "weights below the bound were left as they are; spectral norm rescales every weight",
            POWER,
        ),
        "squared": Wrong(
            scaled(lambda sigma: c / sigma**2),
            "this divides by the square of the singular value; take u^T W v of unit vectors",
            POWER,
        ),
        "one_step": Wrong(
            one_step, f"one step of the power iteration was made; the question has {STEPS}", POWER
        ),
        "exact": Wrong(
            divided(lambda W: torch.linalg.matrix_norm(W, 2)),
            "this divides by the exact singular value; the power iteration's estimate is asked for",
            POWER,
        ),
        "frobenius": Wrong(
            divided(torch.linalg.matrix_norm),
            "the root of the sum of all squares is larger than the largest singular value",
            POWER,
        ),
        "old_u": Wrong(
            lambda weight, u: (c * weight / iterate(weight, u)[0], u),
            "u is returned as it was, and the estimate never gets better; return the new one",
            POWER,
        ),
    }
    banned = (
        "torch.nn.utils.spectral_norm",
        "torch.nn.utils.parametrizations.spectral_norm",
        *(f"torch.linalg.{name}" for name in ("svd", "svdvals", "norm", "matrix_norm")),
    )
    return Question("normalized", 3, inputs, reference, wrong, banned)
