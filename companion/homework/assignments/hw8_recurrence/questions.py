"""What is asked in homework 8, the true answers, and the famous wrong ones."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.homework.question import Question, Wrong

DELTA = "rnn/recurrence#eq-recurrence-delta"
SUMS = "rnn/recurrence#eq-recurrence-bptt"
OUTPUT = "rnn/recurrence#eq-recurrence-output"
CHAIN = "rnn/recurrence#eq-recurrence-chain"
LOSS = "rnn/recurrence#eq-recurrence-loss"
GRU = "rnn/gates#eq-gates-gru"
KEEP = "rnn/gates#eq-gates-bias"


def constants(variant: int) -> dict[str, int | float]:
    """Of a variant; those from 0 to 49 all differ, and no leak is 1/2, which equals 1 - leak."""
    step = variant % 50
    return {
        "leak": round(0.3 + 0.011 * step, 3),
        "keep": round(1 + step / 20, 2),
        "temperature": round(1.5 + step / 20, 2),
    }


def questions(variant: int = 0) -> dict[str, Question]:
    leak, keep, temperature = constants(variant).values()
    return {q.name: q for q in (_gradients(leak), _gru_step(keep), _nll(temperature))}


def _gradients(leak: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, ...]:
        shapes = ((3, 6, 2), (4, 2), (4, 4), (4,), (3, 6, 4))  # N = 3, T = 6, d = 2, m = 4
        return tuple(torch.randn(*shape, generator=rng) * 0.8 for shape in shapes)

    def reference(x: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, g: Tensor) -> tuple[Tensor, ...]:
        """By autograd, of the loss whose gradient in the states is g: their sum, weighted by g."""
        with torch.enable_grad():
            weights = W_x, W_h, b = tuple(w.double().requires_grad_() for w in (W_x, W_h, b))
            states = _states(x.double(), W_x, W_h, b, leak)[1]
            return torch.autograd.grad((states[:, 1:] * g).sum(), weights)

    def walk(
        slope: Callable[[Tensor, Tensor], Tensor] = lambda s, h: leak * (1 - s**2),
        back: Callable[[Tensor, Tensor], Tensor] = lambda delta, W: delta @ W,
        direct: float = 1 - leak,
        late: bool = False,
        scale: float = 1,
    ) -> Callable[..., tuple[Tensor, ...]]:
        """The walk from the last step to the first, with one thing that may be different."""

        def gradients(x: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, g: Tensor) -> tuple:
            squashed, states = _states(x, W_x, W_h, b, leak)
            of_state = delta = torch.zeros_like(g[:, 0])
            deltas: list[Tensor] = []
            for t in reversed(range(6)):
                of_state = g[:, t] + direct * of_state + back(delta, W_h)
                delta = slope(squashed[:, t], states[:, t + 1]) * of_state
                deltas.insert(0, delta)
            d = torch.stack(deltas, dim=1) * scale
            before = states[:, 1:] if late else states[:, :-1]
            sums = torch.einsum("nti,ntj->ij", d, x), torch.einsum("nti,ntj->ij", d, before)
            return *sums, d.sum(dim=(0, 1))

        return gradients

    def last_summand(x: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, g: Tensor) -> tuple:
        squashed, states = _states(x, W_x, W_h, b, leak)
        d = leak * (1 - squashed[:, -1] ** 2) * g[:, -1]
        return d.T @ x[:, -1], d.T @ states[:, -2], d.sum(dim=0)

    wrong = {
        "no_direct_path": Wrong(
            walk(direct=0),
            "the direct path is missing: h_(t-1) reaches h_t by (1 - leak) h_(t-1), too",
            DELTA,
        ),
        "plain": Wrong(
            walk(lambda s, h: 1 - s**2, direct=0),
            "these are the plain network's formulas; with a leak, both paths from h_(t-1) to h_t "
            "have a factor: 1 - leak and leak",
            DELTA,
        ),
        "slope_of_state": Wrong(
            walk(lambda s, h: leak * (1 - h**2)),
            "the slope of tanh was computed from the state; it is 1 - tanh(a)^2 of what is inside",
            DELTA,
        ),
        "not_transposed": Wrong(
            walk(back=lambda delta, W: delta @ W.T),
            "the gradient went back through W_hh itself; it takes the transpose, `delta @ W_hh`",
            DELTA,
        ),
        "state_after": Wrong(
            walk(late=True),
            "the sum for W_hh pairs delta_t with h_t; the matrix was multiplied with h_(t-1)",
            SUMS,
        ),
        "last_summand": Wrong(
            last_summand,
            "this is the last step's summand; the weights serve all steps, so sum over all",
            SUMS,
        ),
        "mean_over_steps": Wrong(
            walk(scale=1 / 6),
            "this is the mean over the steps; the gradient of a shared weight is the sum",
            SUMS,
        ),
    }
    banned = (
        "companion.models.rnn.backpropagation_through_time",
        "torch.autograd.grad",
        "torch.autograd.backward",
        "torch.Tensor.backward",
    )
    return Question("gradients", 4, inputs, reference, wrong, banned)


def _states(x: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, leak: float) -> tuple[Tensor, Tensor]:
    """What tanh gives at each step, (N, T, m), and the states from h_0 on, (N, T + 1, m)."""
    states, squashed = [x.new_zeros(len(x), len(b))], []
    for t in range(x.shape[1]):
        squashed.append(torch.tanh(x[:, t] @ W_x.T + states[-1] @ W_h.T + b))
        states.append((1 - leak) * states[-1] + leak * squashed[-1])
    return torch.stack(squashed, dim=1), torch.stack(states, dim=1)


def _gru_step(keep: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, ...]:
        shapes = ((3, 2), (3, 4), (12, 2), (12, 4), (12,), (12,))  # N = 3, d = 2, m = 4
        return tuple(torch.randn(*shape, generator=rng) for shape in shapes)

    def reference(x: Tensor, h: Tensor, *weights: Tensor) -> Tensor:
        """Each sequence, each unit and each block by itself, in float64."""
        new = torch.empty(h.shape, dtype=torch.float64)
        x, h, A, B, a, b = (t.double() for t in (x, h, *weights))
        for n, i in ((n, i) for n in range(len(h)) for i in range(4)):
            gates = torch.special.expit(A @ x[n] + a + B @ h[n] + b + keep * (torch.arange(12) > 3))
            j, u = 8 + i, gates[4 + i]
            seen = sum(B[j, k] * gates[k] * h[n, k] for k in range(4))
            new[n, i] = u * h[n, i] + (1 - u) * torch.tanh(A[j] @ x[n] + a[j] + seen + b[j])
        return new

    def step(
        order: tuple[int, int, int] = (0, 1, 2),
        more: tuple[float, float] = (0, keep),
        reset_after: bool = False,
        mix: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda u, h, n: u * h + (1 - u) * n,
        second: float = 1,
        resets: bool = True,
    ) -> Callable[..., Tensor]:
        """A step, with one thing that may be different."""

        def new_state(x: Tensor, h: Tensor, *weights: Tensor) -> Tensor:
            W_x, W_h, b_x, b_h = weights
            from_x = (x @ W_x.T + b_x).chunk(3, dim=1)
            W, b = W_h.chunk(3), (second * b_h).chunk(3)
            j, k, last = order
            r = torch.sigmoid(from_x[j] + h @ W[j].T + b[j] + more[0])
            u = torch.sigmoid(from_x[k] + h @ W[k].T + b[k] + more[1])
            r = r if resets else torch.ones_like(r)
            seen = r * (h @ W[last].T + b[last]) if reset_after else (r * h) @ W[last].T + b[last]
            return mix(u, h, torch.tanh(from_x[last] + seen))

        return new_state

    wrong = {
        "reset_after": Wrong(
            step(reset_after=True),
            "the reset gate acts after the matrix, as in torch; multiply the state: W_hn (r * h)",
            GRU,
        ),
        "no_reset": Wrong(
            step(resets=False), "the reset gate is missing: the new part sees all of h", GRU
        ),
        "exchanged_mix": Wrong(
            step(mix=lambda u, h, n: (1 - u) * h + u * n),
            "u and 1 - u are exchanged: here u near 1 keeps the old state",
            GRU,
        ),
        "update_first": Wrong(
            step((1, 0, 2)),
            "the blocks were taken in the order u, r, n; they are stacked as r, u, n",
            GRU,
        ),
        "no_keep": Wrong(
            step(more=(0, 0)),
            "the number that is added inside of the update gate is missing",
            KEEP,
        ),
        "one_bias": Wrong(step(second=0), "the second bias, b_h, was left out; add both", GRU),
    }
    banned = ("companion.models.gated_rnn.gru_step", "torch.nn.GRU", "torch.nn.GRUCell")
    return Question("gru_step", 3, inputs, reference, wrong, banned)


def _nll(temperature: float) -> Question:
    N, T, K = 4, 6, 5

    def inputs(rng: torch.Generator) -> tuple[Tensor, ...]:
        symbols = torch.randint(K, (N, T), generator=rng)
        lengths = torch.cat([torch.tensor([T]), 2 + torch.randperm(T - 2, generator=rng)[: N - 1]])
        shapes = ((3, K), (3, 3), (3,), (K, 3), (K,))
        return symbols, lengths, *(torch.randn(*shape, generator=rng) for shape in shapes)

    def reference(symbols: Tensor, lengths: Tensor, *weights: Tensor) -> Tensor:
        """Symbol by symbol: no mask, no shift."""
        W_xh, W_hh, b, W_hy, b_y = (w.double() for w in weights)
        total = torch.zeros((), dtype=torch.float64)
        for sequence, length in zip(symbols.tolist(), lengths.tolist(), strict=True):
            h = torch.tanh(b)
            for symbol in sequence[:length]:
                p = torch.exp((W_hy @ h + b_y) / temperature)
                total -= torch.log(p[symbol] / p.sum())
                h = torch.tanh(W_xh[:, symbol] + W_hh @ h + b)
        return total / N

    def model(
        log_p: Callable[[Tensor], Tensor] = lambda y: F.log_softmax(y / temperature, dim=-1),
        reduce: Callable[[Tensor, Tensor], Tensor] = lambda cost, mask: (cost * mask).sum() / N,
        shifted: bool = True,
        tied: bool = False,
    ) -> Callable[..., Tensor]:
        """The model, with one thing that may be different."""

        def nll(symbols: Tensor, lengths: Tensor, *weights: Tensor) -> Tensor:
            W_xh, W_hh, b, W_hy, b_y = weights
            x = F.one_hot(symbols, K).float()
            x = F.pad(x[:, :-1], (0, 0, 1, 0)) if shifted else x
            h, outputs = x.new_zeros(N, len(b)), []
            for t in range(T):
                h = torch.tanh(x[:, t] @ W_xh.T + h @ W_hh.T + b)
                outputs.append(h @ (W_xh if tied else W_hy.T) + b_y)
            costs = -log_p(torch.stack(outputs, dim=1)).gather(2, symbols[:, :, None])[..., 0]
            return reduce(costs, (torch.arange(T) < lengths[:, None]).float())

        return nll

    wrong = {
        "sees_itself": Wrong(
            model(shifted=False),
            "the network reads a symbol before it predicts it; shift the inputs, zeros first",
            CHAIN,
        ),
        "tied_output": Wrong(
            model(tied=True),
            "the output reuses the input matrix; it has a matrix of its own, W_hy",
            OUTPUT,
        ),
        "padding_counted": Wrong(
            model(reduce=lambda cost, mask: cost.sum() / N),
            "what stands behind the end of a sequence was counted; use its first `length` symbols",
            LOSS,
        ),
        "mean_over_symbols": Wrong(
            model(reduce=lambda cost, mask: (cost * mask).sum() / mask.sum()),
            "this is the mean over all symbols; sum over steps, then average over the sequences",
            LOSS,
        ),
        "mean_over_steps": Wrong(
            model(reduce=lambda cost, mask: ((cost * mask).sum(1) / mask.sum(1)).mean()),
            "each sequence was averaged over its steps; the log-likelihood of a sequence is a sum",
            LOSS,
        ),
        "sign": Wrong(
            model(reduce=lambda cost, mask: -(cost * mask).sum() / N),
            "this is the log-likelihood, which is raised; the loss is minus it",
            LOSS,
        ),
        "first_is_free": Wrong(
            model(reduce=lambda cost, mask: (cost * mask)[:, 1:].sum() / N),
            "the first symbol costs something, too: it is predicted from the zero input",
            CHAIN,
        ),
        "difference": Wrong(
            model(reduce=lambda cost, mask: (cost * 0).sum()),
            "two equal log-likelihoods always differ by zero; the loss is minus one of them",
            CHAIN,
        ),
        "softmax_twice": Wrong(
            model(lambda y: F.log_softmax((y / temperature).softmax(dim=-1), dim=-1)),
            "a softmax was applied before a loss that takes logits; leave it out",
            LOSS,
        ),
        "no_temperature": Wrong(
            model(lambda y: F.log_softmax(y, dim=-1)),
            "the temperature is missing: divide the logits by it",
            LOSS,
        ),
        "temperature_outside": Wrong(
            model(lambda y: F.log_softmax(y, dim=-1) / temperature),
            "log-probabilities over the temperature no longer sum to one; divide the logits",
            LOSS,
        ),
    }
    return Question("negative_log_likelihood", 3, inputs, reference, wrong)
