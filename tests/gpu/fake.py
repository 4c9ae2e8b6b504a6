"""A GPU that is not there: tensors that say ``cuda:0`` and have no values.

torch's FakeTensorMode gives every result its shape, type and device, and refuses operands of two
devices as a GPU would. `pretended_gpu` adds what is missing for the whole package to run:

- `Watch`, which sees every operator and notes those for which the processor has to wait for the
  device: ``.item()``, ``if tensor:``, copies between the two, results whose size depends on values;
- `gradients`, the walk through autograd's graph; torch's own asks the driver for streams.

Values, speed, streams and kernels (cuDNN's refusals) are beyond it.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import Node, get_gradient_edge
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import companion

PACKAGE = Path(companion.__file__).parent
CUDA = torch.device("cuda", 0)

# Operators that wait: the size of their result, or the result itself, is read from the device.
READ_BACK = {
    "_local_scalar_dense": "a value is read: item(), float() or bool()",
    "is_nonzero": "a value is read: bool()",
    "equal": "torch.equal",
    "nonzero": "nonzero",
    "masked_select": "masked_select",
    "bincount": "bincount",
    "_unique2": "unique",
    "unique_dim": "unique",
    "unique_consecutive": "unique",
    "repeat_interleave": "repeat_interleave",
    "_linalg_eigh": "an error code of linalg is read",
    "_linalg_eigvals": "an error code of linalg is read",
    "_linalg_svd": "an error code of linalg is read",
    "linalg_inv_ex": "an error code of linalg is read",
}


class Generator(torch.Generator):
    """Stands for a generator on the GPU, which cannot be made without one.

    Operators get it without its class, so they know it by its seed.
    """

    SEED = 0xC0DA
    device = CUDA  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.manual_seed(self.SEED)


class Watch(TorchDispatchMode):
    """Notes every wait as ``file: function: what``, and answers what cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = func.name().split("::")[1].split(".")[0]
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        here = {tensor.device.type for tensor in tensors}
        if kwargs.get("generator") is not None:
            self._check_generator(kwargs, tensors)
        if "cuda" in here and name in READ_BACK:
            self._note(READ_BACK[name])
        if name in ("_to_copy", "copy_"):
            self._check_copy(name, args, kwargs)
        if name == "_local_scalar_dense":
            return getattr(args[0], "answer", 0.5 if args[0].is_floating_point() else 0)
        if name in ("is_nonzero", "equal"):
            return False
        if name == "nonzero":  # as if every entry were one
            return args[0].new_empty(args[0].numel(), args[0].ndim, dtype=torch.long)
        if name == "bincount":
            return args[0].new_empty(kwargs.get("minlength", args[2] if len(args) > 2 else 0))
        if name in ("index", "index_put", "index_put_") and "cuda" in here:
            masks = [i for i in args[1] if i is not None and i.dtype is torch.bool]
            if masks:
                self._note("a mask as an index")
                if name == "index":  # as if every entry were taken
                    return args[0].new_empty(masks[0].numel(), *args[0].shape[masks[0].ndim :])
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and result.dtype is torch.bool:
            # What the package's checks of values hope for: (x >= 0).all(), h > 0, error <= bound.
            result.answer = name in ("all", "gt", "le")  # type: ignore[attr-defined]
        return result

    def _check_generator(self, kwargs: dict[str, Any], tensors: list[Tensor]) -> None:
        where = torch.device(kwargs.get("device") or (tensors[0].device if tensors else "cpu"))
        there = kwargs["generator"].initial_seed() == Generator.SEED
        if there != (where.type == "cuda"):
            raise RuntimeError(f"a generator of another device cannot draw on {where}")
        kwargs["generator"] = None

    def _check_copy(self, name: str, args: tuple, kwargs: dict[str, Any]) -> None:
        if name == "copy_":
            source, target = args[1].device, args[0].device
            non_blocking = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
        else:
            source = args[0].device
            target = torch.device(kwargs.get("device") or source)
            non_blocking = kwargs.get("non_blocking", False)
        if target.type == "meta":  # nothing is copied there
            return
        if source.type != target.type and not (non_blocking and target.type == "cuda"):
            self._note(f"a copy from {source.type} to {target.type}")

    def _note(self, what: str) -> None:
        frame = sys._getframe(2)
        while frame is not None and not frame.f_code.co_filename.startswith(str(PACKAGE)):
            frame = frame.f_back  # type: ignore[assignment]
        place = "outside the package"
        if frame is not None:
            path = Path(frame.f_code.co_filename).relative_to(PACKAGE).as_posix()
            place = f"{path}: {frame.f_code.co_qualname}"
        self.waits.append(f"{place}: {what}")


# ---- Autograd ------------------------------------------------------------------------------------


def gradients(
    outputs: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    inputs: Sequence[Tensor] | None = None,
    create_graph: bool = False,
) -> tuple[Tensor | None, ...]:
    """What autograd's engine does: the gradients of ``inputs``; without them, of all leaves."""
    edges = [get_gradient_edge(tensor) for tensor in outputs]
    asked = [get_gradient_edge(tensor) for tensor in inputs or ()]
    arrived: dict[Node, list[Tensor | None]] = {}

    def arrive(node: Node, slot: int, grad: Tensor) -> None:
        meta = node._input_metadata[slot]  # type: ignore[attr-defined]
        if grad.device != meta.device:
            raise RuntimeError(f"{node.name()} wants a gradient on {meta.device}: {grad.device}")
        grad = grad.sum_to_size(tuple(meta.shape)).to(meta.dtype)
        slots = arrived.setdefault(node, [None] * len(node._input_metadata))  # type: ignore[attr-defined]
        before = slots[slot]
        slots[slot] = grad if before is None else before + grad

    with torch.set_grad_enabled(create_graph):
        for edge, output, grad in zip(edges, outputs, grads, strict=True):
            arrive(edge.node, edge.output_nr, torch.ones_like(output) if grad is None else grad)
        for node in _from_outputs([edge.node for edge in edges]):
            slots = arrived.get(node)
            if slots is None:
                continue
            if hasattr(node, "variable"):  # where the graph ends: a leaf
                if inputs is None:
                    leaf, grad = node.variable, slots[0]
                    leaf.grad = grad if leaf.grad is None else leaf.grad + grad
                continue
            results: Any = node(*slots)
            results = results if isinstance(results, tuple) else (results,)
            for (following, slot), grad in zip(node.next_functions, results, strict=True):
                if following is not None and grad is not None:
                    arrive(following, slot, grad)
    found = [arrived.get(edge.node, [None] * (edge.output_nr + 1)) for edge in asked]
    return tuple(slots[edge.output_nr] for slots, edge in zip(found, asked, strict=True))


def _from_outputs(nodes: Sequence[Node]) -> list[Node]:
    """All nodes of the graph, each before those that get their gradients from it."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(node, False) for node in nodes]
    while stack:
        node, left = stack.pop()
        if left:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(n, False) for n, _ in node.next_functions if n is not None]
    return order[::-1]


def _listed(tensors: Any) -> list[Any]:
    return [tensors] if isinstance(tensors, Tensor | None) else list(tensors)


def _grad(outputs: Any, inputs: Any, grad_outputs: Any = None, **options: Any) -> Any:
    outputs = _listed(outputs)
    grads = [None] * len(outputs) if grad_outputs is None else _listed(grad_outputs)
    return gradients(outputs, grads, _listed(inputs), options.get("create_graph", False))


def _backward(self: Tensor, gradient: Tensor | None = None, **_: Any) -> None:
    gradients([self], [gradient])


# ---- Modules -----------------------------------------------------------------------------------


def _to(
    self: nn.Module,
    device: torch.device | str | None = None,
    memory_format: torch.memory_format | None = None,
) -> nn.Module:
    """``Module.to``, which cannot exchange what stands behind a parameter without values."""
    if device is None:  # the order of memory is none of our business
        return self
    with torch.no_grad():
        for module in self.modules():
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(parameter.to(device), parameter.requires_grad))
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, buffer.to(device))
    return self


# ---- The whole -----------------------------------------------------------------------------------


def _is_available() -> bool:
    """True for all but FakeTensorMode itself, which would go and start the device."""
    return not sys._getframe(1).f_code.co_filename.endswith("fake_tensor.py")


@contextlib.contextmanager
def pretended_gpu() -> Iterator[Watch]:
    """Inside, ``.to(CUDA)`` and ``train`` work: shapes, types and devices, no values."""
    watch = Watch()
    with contextlib.ExitStack() as stack:
        for owner, name, value in (
            (torch.cuda, "is_available", _is_available),
            (torch.cuda, "device_count", lambda: 1),
            (torch.cuda, "current_device", lambda: 0),
            (torch.cuda, "_lazy_init", lambda: None),
            (torch.cuda, "is_bf16_supported", lambda including_emulation=True: True),
            (torch.cuda, "get_device_capability", lambda device=None: (9, 0)),
            (torch.cuda, "is_current_stream_capturing", lambda: False),
            (torch.autograd, "grad", _grad),
            (torch.cuda, "mem_get_info", lambda device=None: (2**34, 2**34)),
            (torch.cuda, "get_rng_state", lambda device=None: torch.empty(16, dtype=torch.uint8)),
            (torch.cuda, "set_rng_state", lambda state, device=None: None),
            (Tensor, "backward", _backward),
            (nn.Module, "to", _to),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        # A copy of a model stays in the mode that its tensors belong to.
        stay = mock.patch.object(FakeTensorMode, "__deepcopy__", lambda s, _: s, create=True)
        stack.enter_context(stay)
        # cuDNN's recurrent kernels ask the driver for room to work in; torch's own do not.
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        stack.enter_context(FakeTensorMode())
        stack.enter_context(watch)
        yield watch
