"""Homework 4: references by ``torch.distributions``, and what is usually written instead."""

import random

from companion.homework.assignments.hw4_vae.codes import draw, rate
from companion.homework.assignments.hw4_vae.objectives import free_bits, negative_elbo
from companion.homework.question import Question


def constants(variant: int) -> dict[str, float]:
    """Prior mean, temperature and free nats; no two variants have the same ones."""
    if variant == 0:
        return {"prior_mean": 0.5, "temperature": 0.7, "free_nats": 0.1}
    rng = random.Random(variant)
    return {
        "prior_mean": round(rng.uniform(0.6, 1.5) + variant % 1000 / 1e4, 4),
        "temperature": round(rng.uniform(0.2, 0.5) + variant % 1000 / 1e4, 4),
        "free_nats": round(rng.uniform(0.15, 0.4) + variant % 1000 / 1e4, 4),
    }


def questions(variant: int = 0) -> dict[str, Question]:
    """The four functions of this homework."""
    numbers = constants(variant)
    asked = (
        rate(numbers["prior_mean"]),
        draw(numbers["temperature"]),
        negative_elbo(numbers["prior_mean"]),
        free_bits(numbers["prior_mean"], numbers["free_nats"]),
    )
    return {question.name: question for question in asked}
