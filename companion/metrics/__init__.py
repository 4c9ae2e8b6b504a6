"""Is it any good? Distances of densities and of features, class shares, bits, codecs to beat."""

from companion.likelihoods import bits_per_dimension
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
from companion.metrics.features import class_shares, image_features, inception_features
from companion.metrics.frechet import frechet_distance
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
    "bits_per_dimension",
    "box_js_divergence",
    "class_shares",
    "constant_velocity",
    "copy_last_frame",
    "frame_errors",
    "frame_ssim",
    "frechet_distance",
    "gaussian_kl_divergence",
    "gaussian_wasserstein_distance",
    "image_features",
    "inception_features",
    "js_divergence",
    "kl_divergence",
    "modes_covered",
    "nearest_neighbors",
    "png_bits_per_dimension",
    "prdc",
    "share_near_modes",
    "wasserstein_distance",
    "webp_bits_per_dimension",
]
