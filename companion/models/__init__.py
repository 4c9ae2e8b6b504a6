"""One module per chapter, named as the chapter is."""

from companion.models.classifier import Classifier
from companion.models.dcgan import DCGAN
from companion.models.row_rnn import RowRNN
from companion.models.vae import VAE

__all__ = ["DCGAN", "VAE", "Classifier", "RowRNN"]
