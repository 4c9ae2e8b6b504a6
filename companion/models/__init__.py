"""One module per chapter, named as the chapter is."""

from companion import checks
from companion.models.beta_vae import BetaVAE
from companion.models.classifier import Classifier
from companion.models.conv_lstm import ConvLSTM
from companion.models.dcgan import DCGAN
from companion.models.draw import DRAW
from companion.models.gan import GAN
from companion.models.gated_rnn import GRUByHand, LSTMByHand
from companion.models.infogan import InfoGAN
from companion.models.iwae import IWAE
from companion.models.pixel_cnn import PixelCNN
from companion.models.pixel_rnn import PixelRNN
from companion.models.rnn import PlainRNN
from companion.models.row_rnn import RowRNN
from companion.models.sequence_model import SequenceModel
from companion.models.vae import VAE
from companion.models.vq_vae import VQVAE
from companion.models.wgan import LSGAN, R1GAN, WGAN, WGANGP, HingeGAN

__all__ = [
    "DCGAN",
    "DRAW",
    "GAN",
    "IWAE",
    "LSGAN",
    "R1GAN",
    "VAE",
    "VQVAE",
    "WGAN",
    "WGANGP",
    "BetaVAE",
    "Classifier",
    "ConvLSTM",
    "GRUByHand",
    "HingeGAN",
    "InfoGAN",
    "LSTMByHand",
    "PixelCNN",
    "PixelRNN",
    "PlainRNN",
    "RowRNN",
    "SequenceModel",
]

for _name in __all__:  # an argument that a model does not take is answered by those that it does
    for _method in ("__init__", "sample"):
        _function = getattr(globals()[_name], _method, None)
        if _function is not None and not hasattr(_function, "__wrapped__"):
            setattr(globals()[_name], _method, checks.explained(_function))


def __getattr__(name: str) -> object:
    raise checks.unknown_name(__name__, name, __all__)
