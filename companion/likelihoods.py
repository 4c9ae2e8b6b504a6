r"""Likelihoods of 8-bit pixels, and of black-and-white ones.

A gray value is one of the 256 levels :math:`k/255`. A *discretized logistic* gives level
:math:`x` the mass that a logistic density of mean :math:`m` and scale :math:`s` has within half a
level of it,

.. math::

    P(x) = \sigma\!\left(\frac{x - m + \delta}{s}\right)
         - \sigma\!\left(\frac{x - m - \delta}{s}\right), \qquad \delta = \tfrac{1}{510},

where black (0) also receives all mass below it and white (1) all mass above it, so that the 256
masses sum to one (Salimans et al. 2017, eq. 2). A mixture of a few such components per pixel can
be sharp and have several modes, which one logistic cannot.

For black-and-white images a pixel is a Bernoulli variable; :func:`binarize` makes such images.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from companion import checks, noise

HALF_LEVEL = 0.5 / 255
FAR = 1e30  # stands for infinity, at any scale, yet keeps all gradients finite
# From a scale far below one gray level (sharper changes nothing but the gradient) to one far beyond
# the gray range, where the mass of a level would vanish in rounding.
LOG_SCALES = (-7.0, 7.0)


def discretized_mixture_log_prob(parameters: Tensor, images: Tensor) -> Tensor:
    r"""Log-probability of each pixel under a mixture of discretized logistics.

    .. math:: \log P(x) = \log \sum_{k=1}^{K} \pi_k P(x; m_k, s_k)

    With :math:`b = (x - m + \delta)/s` and :math:`a = (x - m - \delta)/s` each component uses
    the identity :math:`\sigma(b) - \sigma(a) = \sigma(b)\,\sigma(-a)\,(1 - e^{-(b - a)})`. All
    three factors have stable logarithms, so no case distinction for small masses is needed.

    Args:
        parameters: shape ``(N, 3KC, H, W)``: mixture logits, means (in units of the gray range,
            so 0 is black and 1 is white), and log-scales, ``KC`` channels each.
        images: shape ``(N, C, H, W)``, gray values in ``[0, 1]``.

    Returns:
        Natural logarithms (nats) of shape ``(N, C, H, W)``, at most 0.

    Raises:
        ValueError: if ``parameters`` do not hold three numbers or a multiple for each pixel.

    Source: Salimans, Karpathy, Chen and Kingma (2017), *PixelCNN++*, eq. 2.
    """
    checks.floats(parameters=parameters, images=images)
    logits, means, log_scales = _split(parameters, images.shape[1])
    # (N, 1, C, H, W), against K components in the second place
    images = _levels(images, parameters)[:, None]
    if images.shape[2:] != means.shape[2:] or len(images) != len(means):
        raise ValueError(
            f"images of shape {tuple(images[:, 0].shape)} do not fit parameters of shape "
            f"{tuple(parameters.shape)}; both need the same N, H and W"
        )
    # The outermost levels own the whole tail beyond them: their outer edge lies far away.
    upper = torch.where(images > 1 - HALF_LEVEL, FAR, images + HALF_LEVEL)
    lower = torch.where(images < HALF_LEVEL, -FAR, images - HALF_LEVEL)
    inverse_scales = torch.exp(-log_scales)
    b = (upper - means) * inverse_scales
    a = (lower - means) * inverse_scales
    log_mass = F.logsigmoid(b) + F.logsigmoid(-a) + torch.log(-torch.expm1(a - b))
    return torch.logsumexp(F.log_softmax(logits, dim=1) + log_mass, dim=1)


def discretized_mixture_sample(
    parameters: Tensor,
    *,
    channels: int = 1,
    rng: torch.Generator | None = None,
    temperature: float = 1.0,
) -> Tensor:
    r"""Draw 8-bit gray values from a mixture of discretized logistics.

    A component is drawn from the softmax of the logits (Gumbel-max), then a logistic variable
    :math:`m + s \log\frac{u}{1-u}` with uniform :math:`u`, which is rounded to the nearest level.

    Args:
        parameters: shape ``(N, 3KC, H, W)``, as for :func:`discretized_mixture_log_prob`.
        channels: :math:`C` of the images.
        rng: the generator to draw from; torch's default generator if it is not given.
        temperature: divides the logits and multiplies the scales; 1 samples the model itself,
            lower values are safer and less varied.

    Returns:
        Images of shape ``(N, C, H, W)`` whose values are levels ``k/255``.

    Raises:
        ValueError: if ``parameters`` do not hold three numbers or a multiple for each pixel, or
            the temperature is not positive.
    """
    checks.number("temperature", temperature, above=0, remedy="use 1.0 for the model itself")
    logits, means, log_scales = _split(parameters, channels)
    gumbel = -torch.log(-torch.log(_uniform(logits, rng)))
    chosen = (logits / temperature + gumbel).argmax(dim=1, keepdim=True)
    mean, log_scale = means.gather(1, chosen), log_scales.gather(1, chosen)
    noise = torch.logit(_uniform(mean, rng))
    return to_levels(mean + temperature * torch.exp(log_scale) * noise)[:, 0]


def discretized_mixture_mean(parameters: Tensor, *, channels: int = 1) -> Tensor:
    r"""Mean image :math:`\sum_k \pi_k m_k`, with each component's mean clipped to [0, 1].

    Args:
        parameters: shape ``(N, 3KC, H, W)``, as for :func:`discretized_mixture_log_prob`.
        channels: :math:`C` of the images.

    Returns:
        Images of shape ``(N, C, H, W)`` in ``[0, 1]``.

    Raises:
        ValueError: if ``parameters`` do not hold three numbers or a multiple for each pixel.
    """
    logits, means, _ = _split(parameters, channels)
    mean = (F.softmax(logits, dim=1) * means.clamp(0, 1)).sum(dim=1)
    return mean.clamp(0, 1)  # weights can add up to a rounding error more than 1


@torch.no_grad()
def spread_components(bias: Tensor, channels: int = 1) -> None:
    """Spread a mixture over the gray range, so that its components do not start as copies.

    Args:
        bias: of the layer whose output are a mixture's parameters, ``(3KC,)``; changed in place.
            Its means become evenly spaced from 0 to 0.8, its log-scales -2.
        channels: C.
    """
    _, means, log_scales = bias.view(3, -1, channels)
    means.copy_(torch.linspace(0, 0.8, len(means), device=bias.device)[:, None].expand_as(means))
    log_scales.fill_(-2.0)


def bernoulli_log_prob(logits: Tensor, images: Tensor) -> Tensor:
    r"""Log-probability of black-and-white pixels under independent Bernoulli distributions.

    .. math:: \log P(x) = x\,l - \log(1 + e^l), \qquad P(x = 1) = \sigma(l)

    It is minus the binary cross-entropy; a likelihood, however, only where ``x`` is 0 or 1.

    Args:
        logits: :math:`l`, of the images' shape, or with further dimensions before it.
        images: :math:`x`, shape ``(N, C, H, W)``.

    Returns:
        Nats, of the logits' shape.
    """
    checks.floats(logits=logits, images=images)
    return _levels(images, logits) * logits - F.softplus(logits)


def binarize(images: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
    """Draw black-and-white images: each pixel is 1 with its gray value as the probability.

    Args:
        images: shape ``(N, C, H, W)``, gray values in ``[0, 1]``; those that are 0 or 1 stay.
        rng: the generator to draw from; torch's default generator if it is not given.

    Raises:
        TypeError: if the images are not floats.
        ValueError: if they are not in ``[0, 1]``, but for a tolerance of a thousandth (looked at
            on the CPU only, as in :func:`companion.data.check_images`).

    Source: the protocol of Salakhutdinov and Murray (2008), drawn anew at each use.
    """
    checks.pixels("images", images)
    u = noise.uniform(*images.shape, like=images, rng=rng)
    return (u < images.clamp(0, 1)).to(images.dtype)


def check_binary(images: Tensor) -> None:
    """Raise a ValueError unless every pixel is 0 or 1: only then is Bernoulli a likelihood.

    A thousandth more or less is a rounding error, as in :func:`companion.data.check_images`; the
    values are looked at on the CPU only, as in :func:`companion.data.check_images`.
    """
    if not checks.values_are_readable(images):
        return
    if not ((images - images.clamp(0, 1).round()).abs() <= checks.TOLERANCE).all():
        raise ValueError(
            "images must be black and white (every pixel 0 or 1), got gray values, for which "
            "cross-entropy is no likelihood; use companion.likelihoods.binarize(images)"
        )


def bits_per_dimension(log_prob: Tensor, dimensions: int) -> Tensor:
    r"""Convert log-likelihoods in nats per image to bits per dimension.

    .. math:: \text{bpd} = -\frac{\log p(x)}{d \ln 2}

    Args:
        log_prob: natural log-probabilities of 8-bit images, any shape.
        dimensions: :math:`d`, the number of values in an image, 784 for Fashion-MNIST.

    Raises:
        ValueError: if ``dimensions`` is not positive.

    Source: Theis, van den Oord and Bethge (2016), *A note on the evaluation of generative models*.
    """
    checks.floats(log_prob=log_prob)
    checks.integer("dimensions", dimensions, remedy="give the number of pixel values, such as 784")
    return -log_prob / (dimensions * math.log(2))


def to_levels(images: Tensor) -> Tensor:
    """Clip to [0, 1] and round to the nearest of the 256 gray levels ``k/255``."""
    return torch.round(images.clamp(0, 1) * 255) / 255


def _split(parameters: Tensor, channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, means and log-scales, each of shape ``(N, K, C, H, W)``."""
    if parameters.ndim != 4 or parameters.shape[1] % (3 * channels):
        raise ValueError(
            f"parameters must have shape (N, 3K * {channels}, H, W): logits, means and log-scales "
            f"of K components, got {tuple(parameters.shape)}"
        )
    # Contiguous: a channels-last decoder interleaves the three, which is slower to read.
    logits, means, log_scales = (
        part.contiguous().unflatten(1, (-1, channels)) for part in parameters.chunk(3, dim=1)
    )
    return logits, means, log_scales.clamp(*LOG_SCALES)


def _uniform(like: Tensor, rng: torch.Generator | None) -> Tensor:
    """Uniform numbers strictly inside (0, 1), so that their logarithms are finite."""
    return noise.uniform(*like.shape, like=like, rng=rng).clamp(1e-6, 1 - 1e-6)


def _levels(images: Tensor, like: Tensor) -> Tensor:
    """Gray values in the type of the parameters, but never in bf16, which has too few of them."""
    return images.to(torch.promote_types(like.dtype, torch.float32))
