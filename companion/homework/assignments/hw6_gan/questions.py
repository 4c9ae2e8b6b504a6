"""What is asked in homework 6, the true answers, and the famous wrong ones."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.homework.assignments.hw6_gan import calls
from companion.homework.question import Question, Wrong

VALUE = "gan/minimax#eq-minimax-value"
AIMS = "gan/minimax#eq-minimax-ns"
LOGITS = "gan/dcgan#eq-dcgan-losses"
SIZE = "gan/dcgan#eq-dcgan-size"
PRIOR = "gan/minimax#minimax-exercise-prior"
SMOOTHING = "gan/dcgan#dcgan-ex-smoothing"


def constants(variant: int) -> dict[str, int | float]:
    """Of a variant; those from 0 to 49 all differ."""
    step = variant % 50
    return {"fakes": 3 + step, "label": round(0.9 - step / 250, 3), "dilation": 2 + step}


def questions(variant: int = 0) -> dict[str, Question]:
    """The four functions of a variant, by name."""
    fakes, label, dilation = constants(variant).values()
    asked = (
        _discriminator_loss(int(fakes)),
        _generator_loss(int(fakes)),
        _smoothed_loss(float(label)),
        _sides(int(dilation)),
    )
    return {question.name: question for question in asked}


def _cost(logits: Tensor, label: float) -> Tensor:
    """Mean cross-entropy of logits with a label, from logarithms of probabilities in float64."""
    t = logits.double()
    log_one, log_zero = -torch.logaddexp(-t, t * 0), -torch.logaddexp(t, t * 0)
    return -(label * log_one + (1 - label) * log_zero).mean()


def _discriminator_loss(k: int) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        fake = 2 * torch.randn(7, generator=rng)
        fake[0] = 20 + 30 * torch.rand((), generator=rng)  # where probabilities run out of digits
        return 1 + 2 * torch.randn(5, generator=rng), fake

    def reference(real: Tensor, fake: Tensor) -> Tensor:
        return (_cost(real, 1) + k * _cost(fake, 0)) / (1 + k)

    def of_probabilities(real: Tensor, fake: Tensor) -> Tensor:
        on_real = F.binary_cross_entropy(real.sigmoid(), torch.ones_like(real))
        on_fake = F.binary_cross_entropy(fake.sigmoid(), torch.zeros_like(fake))
        return (on_real + k * on_fake) / (1 + k)

    wrong = {
        "value": Wrong(
            lambda real, fake: -reference(real, fake),
            "this is the value V, which the discriminator raises; its loss is -V, never negative",
            VALUE,
        ),
        "exchanged_labels": Wrong(
            lambda real, fake: (_cost(real, 0) + k * _cost(fake, 1)) / (1 + k),
            "the labels are exchanged: real images cost softplus(-logit), generated ones softplus",
            LOGITS,
        ),
        "both_real": Wrong(
            lambda real, fake: (_cost(real, 1) + k * _cost(fake, 1)) / (1 + k),
            "real and generated images have the same sign, so that the constant answer 'real' "
            "is the best one; generated ones cost softplus(+logit)",
            LOGITS,
        ),
        "one_minus_logit": Wrong(
            lambda real, fake: (_cost(real, 1) + k * F.softplus(1 - fake).mean()) / (1 + k),
            "log(1 + exp(1 - D)) takes the logit for a probability; it falls as the logit of a "
            "generated image rises, and so teaches the opposite: use softplus(D)",
            LOGITS,
        ),
        "sigmoid_twice": Wrong(
            lambda real, fake: (_cost(real.sigmoid(), 1) + k * _cost(fake.sigmoid(), 0)) / (1 + k),
            "a sigmoid was applied before a loss that takes logits: then no image can cost less "
            "than 0.31 nats; leave the sigmoid out",
            LOGITS,
        ),
        "probabilities": Wrong(
            of_probabilities,
            "the cross-entropy was taken of probabilities: in float32 the sigmoid of 20 is 1, and "
            "the cost jumps to torch's limit of 100; compute it from the logits by softplus",
            LOGITS,
        ),
        "plain_sum": Wrong(
            lambda real, fake: _cost(real, 1) + _cost(fake, 0),
            "this is the loss for as many generated images as real ones; weight means by shares",
            PRIOR,
        ),
        "exchanged_weights": Wrong(
            lambda real, fake: (k * _cost(real, 1) + _cost(fake, 0)) / (1 + k),
            "the two weights are exchanged: the generated images are the more frequent ones",
            PRIOR,
        ),
        "pooled": Wrong(
            lambda real, fake: (5 * _cost(real, 1) + 7 * _cost(fake, 0)) / 12,
            "this is the mean over all logits that were given, so the weights depend on how many "
            "there are; take the two means first and weight them by the shares",
            PRIOR,
        ),
        "summed": Wrong(
            lambda real, fake: (5 * _cost(real, 1) + 7 * k * _cost(fake, 0)) / (1 + k),
            "summed over the images, the step size grows with the batch; take means",
            LOGITS,
        ),
    }
    banned = ("companion.models.gan.discriminator_loss",)
    return Question("discriminator_loss", 3, inputs, reference, wrong, banned)


def _generator_loss(k: int) -> Question:
    shift = math.log(k)  # minus the logit of the share 1 / (1 + k)

    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        return torch.randn(6, generator=rng), 2 * torch.randn(6, generator=rng) - shift

    def reference(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        t = fake.double() + shift
        return _cost(t, 1), -torch.special.expit(-t) / len(t)

    wrong = {
        "uncorrected": Wrong(
            lambda real, fake: _cost(fake, 1),
            "the logit was used as it is, but this discriminator expects few real images: it is "
            "log p/p_G plus the logit of their share, which must be subtracted",
            PRIOR,
        ),
        "wrong_direction": Wrong(
            lambda real, fake: _cost(fake - shift, 1),
            "the logit of the share was added; subtract it (it is negative, so the logit grows)",
            PRIOR,
        ),
        "share": Wrong(
            lambda real, fake: _cost(fake + math.log(1 + k), 1),
            "the logarithm of pi was subtracted; it is that of pi / (1 - pi), the logit of pi",
            PRIOR,
        ),
        "saturating": Wrong(
            lambda real, fake: -_cost(fake + shift, 0),
            "this is the minimax loss, whose slope vanishes where D is sure; take -E[log D]",
            AIMS,
        ),
        "helps_discriminator": Wrong(
            lambda real, fake: _cost(fake + shift, 0),
            "this is the discriminator's loss on generated images: a generator that lowers it "
            "makes its images easier to detect; turn the label around, softplus(-logit)",
            "gan/dcgan#eq-dcgan-gradients",
        ),
        "both_minimize": Wrong(
            lambda real, fake: _cost(real + shift, 1) + _cost(fake + shift, 0),
            "this is the discriminator's loss, real part and generated part: two players who "
            "minimize the same do not oppose each other; the generator lowers -E[log D(G(z))]",
            VALUE,
        ),
        "value": Wrong(
            lambda real, fake: -_cost(real + shift, 1) - _cost(fake + shift, 0),
            "this is the whole value V of the game: its real part has no gradient for the "
            "generator, and its other part saturates; use -E[log D(G(z))]",
            VALUE,
        ),
        "real_as_target": Wrong(
            lambda real, fake: F.binary_cross_entropy_with_logits(
                fake + shift, (real + shift).sigmoid()
            ),
            "the target is D of the real images here; the generator's target is the label 1, "
            "whatever D says of real images",
            AIMS,
        ),
        "summed": Wrong(
            lambda real, fake: 6 * _cost(fake + shift, 1),
            "summed over the images; take the mean",
            LOGITS,
        ),
        "detached": Wrong(
            lambda real, fake: _cost(fake.detach() + shift, 1),
            "the loss is right, but no gradient reaches the logits, so the generator never moves; "
            "detach is for the discriminator's step",
            LOGITS,
        ),
    }
    banned = ("generator_loss", "saturating_generator_loss")
    names = tuple(f"companion.models.gan.{name}" for name in banned)
    return Question("generator_loss", 3, inputs, reference, wrong, names, calls.loss_and_slope)


def _smoothed_loss(s: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        return 2 + 2 * torch.randn(6, generator=rng), 2 * torch.randn(4, generator=rng) - 1

    def reference(real: Tensor, fake: Tensor) -> Tensor:
        return _cost(real, s) + _cost(fake, 0)

    wrong = {
        "not_smoothed": Wrong(
            lambda real, fake: _cost(real, 1) + _cost(fake, 0),
            "the label of real images is 1 here; use the smoothed one",
            SMOOTHING,
        ),
        "two_sided": Wrong(
            lambda real, fake: _cost(real, s) + _cost(fake, 1 - s),
            "the labels of generated images were smoothed, too: where no real ones are, D is then "
            "content with them, and they reinforce their own place; their label stays 0",
            SMOOTHING,
        ),
        "scaled": Wrong(
            lambda real, fake: s * _cost(real, 1) + _cost(fake, 0),
            "the label only scales the cost of real images: the rest, (1 - label) softplus(logit), "
            "is missing, and without it nothing keeps D from being sure",
            SMOOTHING,
        ),
        "complement": Wrong(
            lambda real, fake: _cost(real, 1 - s) + _cost(fake, 0),
            "the two weights are exchanged: softplus(-logit), the cost of calling the image fake, "
            "has the label as its weight",
            SMOOTHING,
        ),
    }
    banned = ("companion.models.gan.discriminator_loss",)
    return Question("smoothed_loss", 2, inputs, reference, wrong, banned)


def _sides(d: int) -> Question:
    def inputs(rng: torch.Generator) -> tuple[int, Tensor]:
        kernel = torch.randint(3, 6, (3,), generator=rng)
        # Chosen so that no two wrong formulas agree on all layers.
        stride, padding, more = torch.tensor([[2, 3, 2], [1, 2, 1], [1, 0, 1]])
        layers = torch.stack([kernel, stride, padding, more], dim=1)
        return int(torch.randint(3, 8, (), generator=rng)), layers

    def chain(side: Callable[[int, int, int, int, int], int]) -> Callable[[int, Tensor], Tensor]:
        def sides(start: int, layers: Tensor) -> Tensor:
            found = [start]
            for k, s, p, o in layers.tolist():
                found.append(side(found[-1], k, s, p, o))
            return torch.tensor(found[1:])

        return sides

    def stamped(h: int, k: int, s: int, p: int, o: int) -> int:
        """Count: each of h pixels stamps a kernel, whose entries are d apart, s after the last."""
        last = max(i * s + j * d for i in range(h) for j in range(k))
        return last + 1 - 2 * p + o

    reference = chain(stamped)
    wrong = {
        "dense": Wrong(
            chain(lambda h, k, s, p, o: (h - 1) * s - 2 * p + k + o),
            "this is right for kernels without gaps; a dilated kernel of k entries covers "
            "dilation * (k - 1) + 1 pixels",
            SIZE,
        ),
        "dilated_too_far": Wrong(
            chain(lambda h, k, s, p, o: (h - 1) * s - 2 * p + d * k + o),
            "a dilated kernel does not cover dilation * k pixels: there is no gap behind its last "
            "entry, so it is dilation * (k - 1) + 1",
            SIZE,
        ),
        "convolution": Wrong(
            chain(lambda h, k, s, p, o: (h + 2 * p - d * (k - 1) - 1) // s + 1 + o),
            "this is the size after a convolution, which shrinks; a transposed convolution stamps "
            "its kernel once a pixel and grows",
            SIZE,
        ),
        "stride_times_side": Wrong(
            chain(lambda h, k, s, p, o: h * s),
            "a stride of s does not simply multiply the side by s; kernel, padding and output "
            "padding count as well",
            SIZE,
        ),
        "one_padding": Wrong(
            chain(lambda h, k, s, p, o: (h - 1) * s - p + d * (k - 1) + 1 + o),
            "padding cuts its pixels off both sides: subtract it twice",
            SIZE,
        ),
        "no_output_padding": Wrong(
            chain(lambda h, k, s, p, o: (h - 1) * s - 2 * p + d * (k - 1) + 1),
            "the output padding was left out; it adds to one end",
            SIZE,
        ),
        "not_chained": Wrong(
            lambda start, layers: torch.tensor(
                [stamped(start, *layer) for layer in layers.tolist()]
            ),
            "every layer was given the first side; each takes what the one before it has made",
            SIZE,
        ),
    }
    banned = ("torch.nn.ConvTranspose2d", "torch.nn.functional.conv_transpose2d")
    return Question("sides", 2, inputs, reference, wrong, banned)
