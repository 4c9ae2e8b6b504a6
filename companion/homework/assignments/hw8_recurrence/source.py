# %% [markdown]
# # Homework 8: gradients through time, a gated step, and a likelihood
#
# *Practiced:* backpropagation through time by hand, a GRU's step, the likelihood of sequences of
# unequal length. *Read first:* [Backpropagation through time](rnn/recurrence),
# [LSTM and GRU](rnn/gates) and [An image is 28 rows](rnn/rows). *Time:* 80 to 120 minutes.
# *Points:*
# 12, of which 10 are for functions and 2 for question 4, which a person grades.
#
# Write three functions. The cell below each of them checks it on random inputs, as often as you
# like, and says what is wrong. You may use what `torch` and `torch.nn.functional` have, but no
# function of `companion` or `torch` that does what a question asks for. Vectors of a batch stand in
# rows, so that $W x$ is `x @ W.T` in code.

# %%
import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEAK = VARIANT.leak
KEEP = VARIANT.keep
TEMPERATURE = VARIANT.temperature

# %% [markdown]
# ## Question 1: backpropagation through time, with a leak (4 points)
#
# A *leaky* recurrent network keeps a part of its state at every step. With $\alpha = VARIANT.leak$,
#
# $$
# a_t = W_{xh}\, x_t + W_{hh}\, h_{t-1} + b, \qquad
# h_t = (1 - \alpha)\, h_{t-1} + \alpha \tanh(a_t), \qquad h_0 = 0 .
# $$
#
# Let $g_t$ be the part of $\partial L / \partial h_t$ that comes directly from the loss at step
# $t$,
# and not by way of later steps. Derive how
# [the gradient in $a_t$](rnn/recurrence#eq-recurrence-delta) and
# [the sums over the steps](rnn/recurrence#eq-recurrence-bptt) change: there are now two paths from
# $h_{t-1}$ to $h_t$.
#
# `inputs` has shape `(N, T, d)`, `W_xh` `(m, d)`, `W_hh` `(m, m)`, `b` `(m,)`, and
# `state_gradients`,
# the $g_t$, `(N, T, m)`. Return three tensors: the gradients of $L$ in $W_{xh}$, $W_{hh}$ and $b$,
# in
# their shapes, summed over the steps and the batch. Walk by hand; autograd refuses.


# %% question=gradients
def gradients(
    inputs: Tensor,
    W_xh: Tensor,
    W_hh: Tensor,
    b: Tensor,
    state_gradients: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients in W_xh, W_hh and b of the network with the leak LEAK."""
    ### BEGIN SOLUTION
    steps = inputs.shape[1]
    states, squashed = [inputs.new_zeros(len(inputs), len(b))], []
    for t in range(steps):
        squashed.append(torch.tanh(inputs[:, t] @ W_xh.T + states[-1] @ W_hh.T + b))
        states.append((1 - LEAK) * states[-1] + LEAK * squashed[-1])
    in_W_xh, in_W_hh, in_b = (
        torch.zeros_like(W_xh),
        torch.zeros_like(W_hh),
        torch.zeros_like(b),
    )
    later = torch.zeros_like(states[0])  # what reaches h_t by way of step t + 1
    for t in reversed(range(steps)):
        in_state = state_gradients[:, t] + later
        delta = LEAK * (1 - squashed[t] ** 2) * in_state
        in_W_xh = in_W_xh + delta.T @ inputs[:, t]
        in_W_hh = in_W_hh + delta.T @ states[t]  # h_{t-1}: the states start with h_0
        in_b = in_b + delta.sum(dim=0)
        later = (1 - LEAK) * in_state + delta @ W_hh
    return in_W_xh, in_W_hh, in_b
    ### END SOLUTION


# %% [markdown]
# ## Question 2: a step of a GRU (3 points)
#
# Write one step of the [gated recurrent unit](rnn/gates#eq-gates-gru) with two changes. The reset
# gate acts on the state *before* the matrix, as in the paper of Cho and others, and
# $\kappa = VARIANT.keep$ is added inside of the update gate, so that a fresh network keeps most of
# its state:
#
# $$
# \begin{aligned}
# r &= \sigma(W_{xr}\, x + b_{xr} + W_{hr}\, h + b_{hr}) \\
# u &= \sigma(W_{xu}\, x + b_{xu} + W_{hu}\, h + b_{hu} + \kappa) \\
# n &= \tanh\big(W_{xn}\, x + b_{xn} + W_{hn}\, (r \odot h) + b_{hn}\big) \\
# h' &= u \odot h + (1 - u) \odot n .
# \end{aligned}
# $$
#
# `x` has shape `(N, d)`, `h` `(N, m)`, `W_x` `(3m, d)`, `W_h` `(3m, m)`, `b_x` and `b_h` `(3m,)`.
# The
# blocks are stacked in the order $r, u, n$. Return the new state $h'$: shape `(N, m)`.


# %% question=gru_step
def gru_step(
    x: Tensor,
    h: Tensor,
    W_x: Tensor,
    W_h: Tensor,
    b_x: Tensor,
    b_h: Tensor,
) -> Tensor:
    """A GRU's new state, KEEP added in its update gate, shape (N, m)."""
    ### BEGIN SOLUTION
    x_r, x_u, x_n = (x @ W_x.T + b_x).chunk(3, dim=1)
    W_r, W_u, W_n = W_h.chunk(3)
    b_r, b_u, b_n = b_h.chunk(3)
    r = torch.sigmoid(x_r + h @ W_r.T + b_r)
    u = torch.sigmoid(x_u + h @ W_u.T + b_u + KEEP)
    n = torch.tanh(x_n + (r * h) @ W_n.T + b_n)
    return u * h + (1 - u) * n
    ### END SOLUTION


# %% [markdown]
# ## Question 3: the likelihood of sequences (3 points)
#
# A plain recurrent network writes sequences of symbols from an alphabet of $K$. It predicts each
# symbol from those before it, $p(s_1, \dots, s_T) = \prod_t p(s_t \mid s_{<t})$,
# [the chain rule](rnn/recurrence#eq-recurrence-chain). Let $x_t$ be the symbol $s_t$ as a vector
# with
# a single one, and $x_0 = 0$, $h_0 = 0$. Then
#
# $$
# \begin{aligned}
# h_t &= \tanh(W_{xh}\, x_{t-1} + W_{hh}\, h_{t-1} + b), \\
# y_t &= W_{hy}\, h_t + b_y, \\
# p(s_t = k \mid s_{<t}) &= \operatorname{softmax}(y_t / \tau)_k
# \end{aligned}
# $$
#
# at the temperature $\tau = VARIANT.temperature$. Sequence $n$ consists of its first
# `lengths[n]` symbols; what stands behind them is padding and must not matter.
#
# `symbols` are integers from 0 to $K - 1$ of shape `(N, T)`, `lengths` integers of shape `(N,)`,
# and
# `W_xh` `(m, K)`, `W_hh` `(m, m)`, `b` `(m,)`, `W_hy` `(K, m)`, `b_y` `(K,)`. Return
# [the loss](rnn/recurrence#eq-recurrence-loss): minus the log-likelihood of a sequence, summed over
# its steps, averaged over the `N` sequences, one number in nats: shape `()`.


# %% question=negative_log_likelihood
def negative_log_likelihood(
    symbols: Tensor,
    lengths: Tensor,
    W_xh: Tensor,
    W_hh: Tensor,
    b: Tensor,
    W_hy: Tensor,
    b_y: Tensor,
) -> Tensor:
    """Minus the mean log-likelihood at TEMPERATURE, nats, shape ()."""
    ### BEGIN SOLUTION
    one_hot = F.one_hot(symbols, len(b_y)).to(b.dtype)
    total = b.new_zeros(())
    x, h = torch.zeros_like(one_hot[:, 0]), b.new_zeros(len(symbols), len(b))
    for t in range(symbols.shape[1]):
        h = torch.tanh(x @ W_xh.T + h @ W_hh.T + b)
        logits = (h @ W_hy.T + b_y) / TEMPERATURE
        costs = F.cross_entropy(logits, symbols[:, t], reduction="none")
        total = total + (costs * (t < lengths)).sum()
        x = one_hot[:, t]
    return total / len(symbols)
    ### END SOLUTION


# %% [markdown]
# ## Question 4: what the best loss is, and explain (2 points)
#
# The data are all strings of at most seven zeros and ones in which no two ones are neighbors, each
# followed by the symbol 2, "end". They are equally probable. The cell trains a network of 24
# numbers
# of state on them with your loss, in less than a minute, and draws the loss beside the logarithm of
# the number of strings.

# %%
import itertools

from companion import plots

strings = [
    [*bits, 2]
    for length in range(8)
    for bits in itertools.product((0, 1), repeat=length)
    if (1, 1) not in itertools.pairwise(bits)
]
lengths = torch.tensor([len(string) for string in strings])
padded = [string + [0] * (8 - len(string)) for string in strings]
symbols = torch.tensor(padded)

torch.manual_seed(0)
shapes = ((24, 3), (24, 24), (24,), (3, 24), (3,))
weights = [(0.3 * torch.randn(shape)).requires_grad_() for shape in shapes]
optimizer = torch.optim.Adam(weights, lr=1e-2)
losses = []
for _ in range(600):
    loss = negative_log_likelihood(symbols, lengths, *weights)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
best = math.log(len(strings))
print(f"{len(strings)} strings, log {best:.3f} nats")
print(f"the loss at the end {losses[-1]:.3f} nats")
plots.curves(
    {"loss": losses},
    xlabel="update",
    ylabel="nats per string",
    references={"best": best},
)

# %% [markdown]
# Answer in 100 to 200 words:
#
# - Why can no network get below the dotted line? What does the distance to it measure, and what
#   does
#   it mean for the strings that the network writes?
# - Somebody's loss is far below the dotted line. Name two mistakes of which each could be the
#   reason, and say how you would find out.
# - In question 1, which factor takes the part of $\rho$, the rate at which gradients vanish, along
#   the
#   path that the leak opens? How small is it after 100 steps for your $\alpha$?

# %% [markdown] answer
# *Your answer to question 4.*
