"""The vector quantizer: the nearest entry of a codebook, and how the codebook learns.

Source: van den Oord, Vinyals and Kavukcuoglu (2017), *Neural Discrete Representation Learning*.
"""

from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from companion import checks


class Quantized(NamedTuple):
    """What the quantizer makes of vectors ``(N, code_dim, h, w)``."""

    vectors: Tensor  # nearest entries; gradients pass straight through to what was quantized
    codes: Tensor  # their places in the codebook, whole numbers (N, h, w)
    commitment: Tensor  # ||z - sg(e)||^2 of each image, (N,)
    codebook: Tensor  # ||sg(z) - e||^2 of each image, (N,)


def perplexity(codes: Tensor, codebook_size: int) -> Tensor:
    r"""How many codes are in use, as if all were used alike.

    .. math:: \exp\Big(-\sum_j p_j \log p_j\Big) \in [1, J]

    with :math:`p_j` the share of code :math:`j` among the given ones.

    Args:
        codes: whole numbers from 0 to ``codebook_size - 1``, any shape.
        codebook_size: :math:`J`.
    """
    shares = _counts(codes.flatten(), codebook_size) / codes.numel()
    return torch.exp(torch.special.entr(shares).sum())


class VectorQuantizer(nn.Module):
    r"""The nearest entries of a codebook, with gradients that pass straight through.

    .. math::

        \text{forward: } e, \qquad \text{backward: } \nabla_z L := \nabla_e L

    By moving averages an entry follows the mean of the vectors that choose it,

    .. math::

        n_j \leftarrow \gamma n_j + (1 - \gamma) |Z_j|, \quad
        m_j \leftarrow \gamma m_j + (1 - \gamma) \sum_{z \in Z_j} z, \quad
        e_j = m_j / n_j,

    where :math:`Z_j` are the vectors of the batch (of all processes together) nearest to entry
    :math:`j`. An entry that is
    used less than a hundredth as often as the average one is dead; it is revived as a vector of
    the batch, chosen at random.

    Args:
        codebook_size: entries, :math:`J`.
        code_dim: length of an entry.
        moving_average: move the entries so; otherwise they are parameters, moved by the gradient
            of :math:`\|\mathrm{sg}(z) - e\|^2`.
        revive: whether dead entries are revived.
        decay: :math:`\gamma`.

    Raises:
        TypeError, ValueError: if a size is no positive whole number.

    Source: van den Oord et al. (2017), eqs. 1 to 3 and appendix A.1; the revival is that of
    Williams et al. (2020) and Dhariwal et al. (2020), in a simple form.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(
        self,
        codebook_size: int,
        code_dim: int,
        moving_average: bool = True,
        revive: bool = True,
        decay: float = 0.99,
    ) -> None:
        super().__init__()
        checks.integer("codebook_size", codebook_size, remedy="use 128, say")
        checks.integer("code_dim", code_dim, remedy="use 16, say")
        checks.number("decay", decay, least=0, below=1, remedy="use 0.99, say")
        self.moving_average, self.revive, self.decay = moving_average, revive, decay
        entries = torch.randn(codebook_size, code_dim)
        if moving_average:
            self.register_buffer("codebook", entries)
            self.register_buffer("sums", torch.zeros_like(entries))
        else:
            self.codebook = nn.Parameter(entries)
        # No entry counts yet: all that the first batch does not choose are dead at once, and
        # begin as vectors of that batch.
        self.register_buffer("counts", torch.zeros(codebook_size))

    def forward(self, z: Tensor) -> Quantized:
        """Quantize vectors of shape ``(N, code_dim, h, w)``; in training, the codebook learns."""
        with torch.autocast(
            z.device.type, enabled=False
        ):  # 16 bits are too few to find the nearest
            z = z.to(self.codebook.dtype)
            flat = z.movedim(1, -1).flatten(0, -2)  # (N h w, code_dim)
            codes = self.nearest(flat).view(len(z), *z.shape[2:])
            entries = self.lookup(codes)
            result = Quantized(
                vectors=z + (entries - z).detach(),
                codes=codes,
                commitment=(z - entries.detach()).square().sum(dim=(1, 2, 3)),
                codebook=(z.detach() - entries).square().sum(dim=(1, 2, 3)),
            )
            if self.training:
                self.learn(flat.detach(), codes.flatten())
            return result

    @torch.no_grad()
    def nearest(self, vectors: Tensor) -> Tensor:
        """The entry nearest to each of ``(M, code_dim)`` vectors: whole numbers ``(M,)``."""
        # |z - e|^2 = |z|^2 - 2 z e + |e|^2, of which |z|^2 is the same for all entries
        squares = self.codebook.square().sum(dim=1)
        return torch.addmm(squares, vectors, self.codebook.T, alpha=-2).argmin(dim=1)

    def lookup(self, codes: Tensor) -> Tensor:
        """Entries of codes ``(N, h, w)``, as ``(N, code_dim, h, w)``."""
        return F.embedding(codes, self.codebook).movedim(-1, 1)

    @torch.no_grad()
    def learn(self, vectors: Tensor, codes: Tensor) -> None:
        """Move the averages, and revive the dead."""
        size = len(self.codebook)
        used = _of_all_processes(_counts(codes, size).to(self.counts.dtype))
        self.counts.lerp_(used, 1 - self.decay)
        if self.moving_average:
            sums = torch.zeros_like(self.codebook).index_add_(0, codes, vectors)
            self.sums.lerp_(_of_all_processes(sums), 1 - self.decay)
            seen = (self.counts > 1e-6)[:, None]
            self.codebook.copy_(torch.where(seen, self.sums / self.counts[:, None], self.codebook))
        if self.revive:
            fresh = self.counts.mean()
            dead = self.counts < 0.01 * fresh
            chosen = vectors[torch.randint(len(vectors), (size,), device=vectors.device)]
            if _several_processes():  # all revive the same entries as the same vectors
                distributed.broadcast(chosen, src=0)
            self.codebook.copy_(torch.where(dead[:, None], chosen, self.codebook))
            if self.moving_average:
                self.sums.copy_(torch.where(dead[:, None], fresh * chosen, self.sums))
            self.counts.copy_(torch.where(dead, fresh, self.counts))


def _counts(codes: Tensor, size: int) -> Tensor:
    """How often each of ``size`` codes occurs; `bincount` would make a GPU's processor wait."""
    return torch.zeros(size, device=codes.device).index_add_(
        0, codes, torch.ones(len(codes), device=codes.device)
    )


def _several_processes() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _of_all_processes(sums: Tensor) -> Tensor:
    if _several_processes():
        distributed.all_reduce(sums)
    return sums
