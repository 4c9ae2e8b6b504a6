"""Is it any good? Fréchet distance, class shares, bits per dimension and the codecs to beat."""

from companion.likelihoods import bits_per_dimension
from companion.metrics.codecs import png_bits_per_dimension, webp_bits_per_dimension
from companion.metrics.features import class_shares, image_features
from companion.metrics.frechet import frechet_distance

__all__ = [
    "bits_per_dimension",
    "class_shares",
    "frechet_distance",
    "image_features",
    "png_bits_per_dimension",
    "webp_bits_per_dimension",
]
