"""Is it any good? Figures computed from tensors alone: of densities, features, codes and frames.

What looks at images through a network, and measures whole models, is :mod:`companion.evaluation`.
"""

from companion.metrics.codecs import png_bits_per_dimension, webp_bits_per_dimension
from companion.metrics.divergences import (
    GaussianWasserstein,
    box_js_divergence,
    gaussian_kl_divergence,
    gaussian_wasserstein_distance,
    js_divergence,
    kl_divergence,
    wasserstein_distance,
)
from companion.metrics.frechet import frechet_distance
from companion.metrics.matching import best_matching, contingency, mutual_information
from companion.metrics.modes import modes_covered, share_near_modes
from companion.metrics.neighbors import PRDC, Neighbors, nearest_neighbors, prdc
from companion.metrics.video import (
    constant_velocity,
    copy_last_frame,
    frame_errors,
    frame_ssim,
)

__all__ = [
    "PRDC",
    "GaussianWasserstein",
    "Neighbors",
    "best_matching",
    "box_js_divergence",
    "constant_velocity",
    "contingency",
    "copy_last_frame",
    "frame_errors",
    "frame_ssim",
    "frechet_distance",
    "gaussian_kl_divergence",
    "gaussian_wasserstein_distance",
    "js_divergence",
    "kl_divergence",
    "modes_covered",
    "mutual_information",
    "nearest_neighbors",
    "png_bits_per_dimension",
    "prdc",
    "share_near_modes",
    "wasserstein_distance",
    "webp_bits_per_dimension",
]
