r"""Questions of homework 3: a bound, its gap, and two estimators of one gradient.

The model is :math:`z \sim N(0, 1)` and :math:`x \mid z \sim N(\sin(bz), s^2)`, the guess
:math:`q = N(\mu, \sigma^2)` with :math:`\log \sigma^2` called ``logvar``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from companion.homework.question import Question, Wrong

JENSEN, TERMS = "vae/elbo#eq-elbo-jensen", "vae/elbo#eq-elbo-terms"
IDENTITY, EVIDENCE = "vae/elbo#eq-elbo-identity", "vae/elbo#eq-elbo-evidence"
SCORE, PATHWISE = "vae/elbo#eq-elbo-score", "vae/elbo#eq-elbo-pathwise"
OBJECTIVE = "vae/elbo#one-objective-and-it-is-maximized"
PRIOR = Normal(torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64))


def constants(variant: int = 0) -> dict[str, float]:
    """The decoder's bend b, the noise s of the data, and the baseline of the score function."""
    step = variant % 50
    return {
        "bend": round(1.2 + 0.05 * step, 2),
        "noise": round(0.25 + 0.01 * step, 2),
        "baseline": round(-1 - 0.1 * step, 1),
    }


def questions(variant: int = 0) -> dict[str, Question]:
    """The four questions, in the order of the text."""
    numbers = constants(variant)
    model = _Model(numbers["bend"], numbers["noise"])
    four = (_elbo(model), _gap(model), _score(model, numbers["baseline"]), _pathwise(model))
    return {question.name: question for question in four}


@dataclass(frozen=True)
class _Model:
    bend: float
    noise: float

    @property
    def constant(self) -> float:
        return math.log(self.noise * math.sqrt(2 * math.pi))

    def likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """The logarithm of p(x|z)."""
        return Normal(torch.sin(self.bend * z), self.noise).log_prob(x)

    def slope(self, x: Tensor, z: Tensor) -> Tensor:
        """Its derivative in z."""
        inner = self.bend * torch.cos(self.bend * z)
        return (x - torch.sin(self.bend * z)) / self.noise**2 * inner

    def evidence(self, x: Tensor) -> Tensor:
        """log p(x), by the trapezoidal rule on a grid of its own, shape (N,)."""
        z = torch.linspace(-9, 9, 4001, dtype=torch.float64)
        joint = self.likelihood(x[:, None], z) + PRIOR.log_prob(z)
        return torch.trapezoid(joint.exp(), z, dim=1).log()

    def reconstruction(self, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        """The mean of log p(x|z) under q, by the moments of sin(bz)."""
        angle, spread = self.bend * mu, self.bend**2 * logvar.exp()
        sine = torch.sin(angle) * torch.exp(-spread / 2)
        square = (1 - torch.cos(2 * angle) * torch.exp(-2 * spread)) / 2
        return -(x**2 - 2 * x * sine + square) / (2 * self.noise**2) - self.constant

    def elbo(self, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        return self.reconstruction(x, mu, logvar) - _rate(mu, logvar)


def _rate(mu: Tensor, logvar: Tensor) -> Tensor:
    return kl_divergence(Normal(mu, torch.exp(logvar / 2)), PRIOR)


def _points(rng: torch.Generator) -> tuple[Tensor, ...]:
    x, mu, logvar = torch.randn(3, 6, generator=rng, dtype=torch.float64)
    return x, mu, 0.5 * logvar - 1


def _on_grid(rng: torch.Generator) -> tuple[Tensor, ...]:
    step = 0.008 + 0.004 * torch.rand((), generator=rng, dtype=torch.float64)
    return *_points(rng), step * torch.arange(-1000, 1001, dtype=torch.float64)


def _with_noise(rng: torch.Generator) -> tuple[Tensor, ...]:
    return *_points(rng), torch.randn(4, 6, generator=rng, dtype=torch.float64)


def _integral(model: _Model, integrand: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Integrates over the grid a function of log p(x|z), log p(z) and log q(z)."""

    def answer(x: Tensor, mu: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
        q = Normal(mu[:, None], torch.exp(logvar[:, None] / 2))
        values = integrand(model.likelihood(x[:, None], z), PRIOR.log_prob(z), q.log_prob(z))
        return values.sum(1) * (z[1] - z[0])

    return answer


def _elbo(model: _Model) -> Question:
    def reference(x: Tensor, mu: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
        return model.elbo(x, mu, logvar)

    wrong = {
        "prior outside": Wrong(
            _integral(model, lambda like, prior, q: prior.exp() * (like - q)),
            "the mean was taken under p(z); take it under q, with p(z) inside the logarithm",
            JENSEN,
        ),
        "no prior": Wrong(
            _integral(model, lambda like, prior, q: q.exp() * (like - q)),
            "log p(z) is missing; without the prior this can exceed log p(x)",
            OBJECTIVE,
        ),
        "no rate": Wrong(
            lambda x, mu, v, z: model.reconstruction(x, mu, v),
            "the rate KL(q || p(z)) is missing, so that a code may cost as much as it likes",
            TERMS,
        ),
        "rate added": Wrong(
            lambda x, mu, v, z: model.reconstruction(x, mu, v) + _rate(mu, v),
            "the rate has the wrong sign: it is the price of the code and must be subtracted",
            TERMS,
        ),
        "evidence": Wrong(
            lambda x, mu, v, z: model.evidence(x),
            "this is log p(x) itself; the bound has the logarithm inside the mean over q",
            JENSEN,
        ),
        "code at its mean": Wrong(
            lambda x, mu, v, z: model.likelihood(x, mu) - _rate(mu, v),
            "the likelihood was taken at the mean of q; take the mean of log p(x|z) over all z",
            TERMS,
        ),
        "no step": Wrong(
            lambda x, mu, v, z: model.elbo(x, mu, v) / (z[1] - z[0]),
            "the step of the grid is missing: an integral is the sum times h",
            EVIDENCE,
        ),
        "log sigma": Wrong(
            lambda x, mu, v, z: model.elbo(x, mu, 2 * v),
            "logvar was taken for log sigma; sigma is exp(logvar / 2)",
            "vae/elbo#eq-elbo-rate",
        ),
        "no constant": Wrong(
            lambda x, mu, v, z: model.elbo(x, mu, v) + model.constant,
            "log p(x|z) lacks its constant -log(s sqrt(2 pi)); without it p(x|z) is no density",
            "vae/elbo#eq-elbo-model",
        ),
        "sign": Wrong(
            lambda x, mu, v, z: -model.elbo(x, mu, v),
            "this is the negative bound, a loss; return the bound, which is maximized",
            OBJECTIVE,
        ),
    }
    return Question("elbo", 3, _on_grid, reference, wrong, ("companion.models.vae.gaussian_kl",))


def _gap(model: _Model) -> Question:
    def reference(x: Tensor, mu: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
        return model.evidence(x) - model.elbo(x, mu, logvar)

    def reverse(x: Tensor, mu: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
        evidence = model.evidence(x)[:, None]

        def integrand(like: Tensor, prior: Tensor, q: Tensor) -> Tensor:
            posterior = like + prior - evidence
            return posterior.exp() * (posterior - q)

        return _integral(model, integrand)(x, mu, logvar, z)

    def no_prior(*inputs: Tensor) -> Tensor:
        total = _integral(model, lambda like, prior, q: like.exp())(*inputs).log()
        return _integral(model, lambda like, prior, q: q.exp() * (q - like))(*inputs) + total

    wrong = {
        "reversed": Wrong(
            reverse,
            "this is the reverse divergence, a mean under the posterior; the gap has q first",
            IDENTITY,
        ),
        "rate": Wrong(
            lambda x, mu, v, z: _rate(mu, v),
            "this is the rate KL(q || p(z)); compare q with the posterior, not with the prior",
            IDENTITY,
        ),
        "not normalized": Wrong(
            lambda x, mu, v, z: -model.elbo(x, mu, v),
            "the posterior was not normalized, which gives minus the bound; divide by p(x)",
            EVIDENCE,
        ),
        "no prior": Wrong(
            no_prior,
            "the posterior lacks the prior; by Bayes' rule it is p(x|z) p(z) / p(x)",
            EVIDENCE,
        ),
        "divided by a sum": Wrong(
            lambda x, mu, v, z: reference(x, mu, v, z) - torch.log(z[1] - z[0]),
            "p(x) was computed without the step of the grid; an integral is the sum times h",
            EVIDENCE,
        ),
        "sign": Wrong(
            lambda x, mu, v, z: -reference(x, mu, v, z),
            "the sign is wrong: the gap is log p(x) minus the bound and never negative",
            IDENTITY,
        ),
    }
    return Question("gap", 3, _on_grid, reference, wrong)


def _score(model: _Model, baseline: float) -> Question:
    def f(x: Tensor, mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
        return model.likelihood(x, mu + torch.exp(logvar / 2) * noise)

    def reference(x: Tensor, mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
        z = mu + torch.exp(logvar / 2) * noise
        free = logvar.expand_as(z).clone().requires_grad_()
        log_q = Normal(mu, torch.exp(free / 2)).log_prob(z)
        (score,) = torch.autograd.grad(log_q.sum(), free)
        return (model.likelihood(x, z) - baseline) * score

    def through_the_draw(x: Tensor, mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
        sigma = torch.exp(logvar / 2)
        log_q = Normal(mu, sigma).log_prob(mu + sigma * noise)
        moved = model.slope(x, mu + sigma * noise) * sigma * noise / 2
        return moved * log_q - (f(x, mu, logvar, noise) - baseline) / 2

    wrong = {
        "no baseline": Wrong(
            lambda x, mu, v, e: f(x, mu, v, e) * (e**2 - 1) / 2,
            "the baseline is missing; subtract it from f before you multiply",
            SCORE,
        ),
        "baseline late": Wrong(
            lambda x, mu, v, e: f(x, mu, v, e) * (e**2 - 1) / 2 - baseline,
            "the baseline was taken from the product, which shifts the mean; subtract it from f",
            SCORE,
        ),
        "log sigma": Wrong(
            lambda x, mu, v, e: (f(x, mu, v, e) - baseline) * (e**2 - 1),
            "this is the derivative with respect to log sigma; that for logvar is half of it",
            SCORE,
        ),
        "constant forgotten": Wrong(
            lambda x, mu, v, e: (f(x, mu, v, e) - baseline) * e**2 / 2,
            "the score lacks its -1/2, the slope of -logvar/2 in log q; a score has mean 0",
            SCORE,
        ),
        "through the draw": Wrong(
            through_the_draw,
            "the gradient went through the draw as well; detach z before you differentiate log q",
            SCORE,
        ),
        "mean": Wrong(
            lambda *inputs: reference(*inputs).mean(0),
            "this is the mean over the draws; return one number for each draw, shape (K, N)",
            SCORE,
        ),
    }
    return Question("score_gradient", 3, _with_noise, reference, wrong)


def _pathwise(model: _Model) -> Question:
    def reference(x: Tensor, mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
        sigma = torch.exp(logvar / 2)
        return model.slope(x, mu + sigma * noise) * sigma * noise / 2

    wrong = {
        "noise without a scale": Wrong(
            lambda x, mu, v, e: torch.zeros_like(e),
            "no gradient reaches logvar: draw z as mu + exp(logvar / 2) * noise, without detach",
            "vae/elbo#noise-without-a-scale",
        ),
        "log sigma": Wrong(
            lambda *inputs: 2 * reference(*inputs),
            "this is the derivative with respect to log sigma; that for logvar is half of it",
            PATHWISE,
        ),
        "for the mean": Wrong(
            lambda x, mu, v, e: model.slope(x, mu + torch.exp(v / 2) * e),
            "this is the derivative with respect to mu; multiply it by that of z in logvar",
            PATHWISE,
        ),
        "inner derivative": Wrong(
            lambda *inputs: reference(*inputs) / model.bend,
            "the inner derivative of sin(b z) is missing, the factor b",
            PATHWISE,
        ),
    }
    return Question("pathwise_gradient", 3, _with_noise, reference, wrong)
