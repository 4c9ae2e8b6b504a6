"""One loop that trains every model of the book; it knows none of them by name."""

import contextlib
import math
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from companion import checks
from companion.data import as_model_input, batches, batches_per_epoch
from companion.game import Player
from companion.layers import evaluating
from companion.progress import has_stderr, progress_bar
from companion.training import arguments, hardware
from companion.training.average import Average
from companion.training.batch_norm import whole_batches
from companion.training.history import RECORD_EVERY, History, NotFiniteError, OnRecord, Recorder
from companion.training.interrupts import Interrupts
from companion.training.modes import learning
from companion.training.run import Run
from companion.training.settings import settings_of
from companion.training.update import Update

# Trainings in several threads take turns: they share torch's random numbers.
_one_at_a_time = threading.RLock()


@checks.explained
def train(
    model: nn.Module,
    *data: Tensor,
    epochs: int,
    batch_size: int = 128,
    seed: int = 0,
    players: Sequence[Player] | None = None,
    learning_rate: float | None = None,
    schedule: Literal["constant", "cosine"] = "constant",
    clip_norm: float | None = None,
    accumulate: int = 1,
    ema_decay: float | None = None,
    device: str | torch.device = "auto",
    precision: str = "auto",
    compile: bool = False,
    run_dir: str | Path | None = None,
    checkpoint_every: int | None = None,
    on_record: OnRecord | None = None,
    on_epoch: Callable[[int, nn.Module], object] | None = None,
    progress: bool = True,
) -> History:
    r"""Train a model by letting its players move in turn, batch after batch.

    The model says who plays (``model.players()``, see :class:`~companion.game.Player`); everything
    else about training is here. For each batch, each player whose turn it is takes one step of
    its optimizer on its own loss while the parameters of the others are held fixed. Calling
    ``train`` again with the same ``run_dir`` resumes a run that was stopped, and ends in the same
    weights as if it had never been.

    Started by ``torchrun``, each process takes its share of every batch; gradients, recorded
    losses, the statistics of batch norm and codebooks are means over all processes, so the run is
    that of one process with the whole batch. Where a loss is no mean over images (free bits), or
    what it records (a perplexity), it is the mean of that of the shares. What a loss draws at
    random each process draws for itself; buffers that each fills by itself (a pool of past fakes)
    are kept from the first, which alone calls ``on_record`` and ``on_epoch``.

    Args:
        model: any module with a method ``players()``; it is trained in place, on ``device``, and
            afterwards returns to the device that it came from. Networks inside it whose
            parameters are all frozen stay in evaluation mode.
        data: images of shape ``(N, C, H, W)`` or sequences ``(N, T, C, H, W)``, as ``uint8`` or as
            floats in [0, 1]; then, if the losses want them, further images, labels or other
            tensors of the same length; or :class:`~companion.data.Unpaired` sets. What would fill
            more than half of a GPU's free memory stays where it is, and is moved batch by batch:
            a memory-mapped tensor may be of any size.
        epochs: passes over the data. Two calls with one epoch each are not one call with two:
            both start with a fresh optimizer and see the same order and noise.
        batch_size: images per step, over all processes together.
        seed: determines the order of the data and all noise that the losses draw.
        players: in place of those that the model names, to change a step size or an optimizer:
            ``players=[replace(p, learning_rate=1e-4) for p in model.players()]``.
        learning_rate: one for all players, in place of their own.
        schedule: of the learning rates: ``"constant"``, or ``"cosine"`` with the factor
            :math:`\tfrac12(1 + \cos(\pi t/T))` at step :math:`t` of :math:`T`.
        clip_norm: the largest norm a player's gradient may have; longer ones are shortened.
        accumulate: cut each batch into at most so many parts and add up their gradients, to save
            memory. Whatever is no mean over images (batch norm, free bits, a codebook) then sees
            a part at a time.
        ema_decay: if given, keep the average
            :math:`\bar\theta \leftarrow \gamma\bar\theta + (1 - \gamma)\theta` of all weights and
            batch-norm statistics with this :math:`\gamma`, and leave it in the model at the end.
        device: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"mps"``.
        precision: ``"auto"`` (bf16 where the GPU has it, else float32), ``"float32"``,
            ``"bf16"``, or ``"fp16"`` (with loss scaling).
        compile: compile the players' losses with ``torch.compile``: slow to start, then faster.
            One with a gradient inside, such as a gradient penalty, stays as it is.
        run_dir: a folder for checkpoints (one an epoch) and, for models that have ``preview(rng)``
            or ``sample``, a sheet of samples an epoch, always of the same noise. A folder belongs
            to one run: other data, another model or another loss are refused. (Of a loss its own
            lines are compared, not those of the functions that it calls: change the folder, too.)
            What training changes and a resumed run needs must be parameters or registered buffers.
        checkpoint_every: save a checkpoint every so many steps, too.
        on_record: called every ten steps with the step and the mean losses by name, to log them;
            see :func:`~companion.training.tensorboard`.
        on_epoch: called after each epoch with its number and the model (the averaged one if there
            is an average) in evaluation mode without gradients, to draw or measure it; what it
            draws at random has no influence on the run. If it returns True the run ends, and is
            finished: the same ``run_dir`` then gives its weights back; see
            :func:`~companion.training.stop_early`.
        progress: whether to show a progress bar.

    Returns:
        The history of all losses; ``history.plot()`` draws it. Ctrl-C ends the run after the
        step that it falls into, keeps what was learned in the model and in a checkpoint, and
        sets ``history.interrupted``; a second Ctrl-C does not wait for the step. SIGTERM and
        SIGHUP do the same, and then end the process.

    Raises:
        TypeError, ValueError: if the data or an option does not fit, with what would.
        FloatingPointError: if a loss or a weight becomes NaN or infinite; says at which step and
            for whom. The last checkpoint is from before.
        CheckpointError: if a checkpoint is damaged, belongs to another run, or cannot be saved,
            or another run uses the folder.

    Source: the alternating steps are Goodfellow et al. (2014), algorithm 1; the averaging is
    Polyak and Juditsky (1992) in its exponential form.
    """
    # 1. Everything that can be refused is refused before anything is done.
    players = arguments.players_of(model, players, learning_rate, arguments.count(data))
    arguments.check_data(data)
    arguments.check_options(
        epochs, seed, accumulate, clip_norm, ema_decay, schedule, checkpoint_every,
        on_record, on_epoch, run_dir,
    )  # fmt: skip
    epochs, seed = int(epochs), int(seed)  # numpy's are none that JSON knows
    batch_size = checks.integer("batch_size", batch_size, remedy="choose 128, say")
    device = hardware.pick_device(device)
    dtype = hardware.pick_precision(precision, device)
    steps_per_epoch = batches_per_epoch(min(map(len, data)), batch_size)
    total_steps = epochs * steps_per_epoch
    arguments.check_moves(players, total_steps)
    arguments.look_at(data[0])
    rank, world_size = hardware.join_processes(device)
    on_meta = (part.to("meta") for part in data)  # which has shapes, and checks the rest of them
    batches(*on_meta, batch_size=batch_size, seed=seed, epoch=0, world_size=world_size)
    arguments.check_own_gradients(players, accumulate, dtype, world_size)

    with contextlib.ExitStack() as stack:
        # 2. The surroundings: all of this is undone at the end, whatever happens.
        stack.enter_context(_one_at_a_time)
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(hardware.own_randomness(device))
        stack.enter_context(hardware.visiting(model, device))
        stack.enter_context(learning(model))
        if dtype is not None:
            stack.enter_context(hardware.recurrence_in_float32(model, device))
        if world_size > 1:
            stack.enter_context(whole_batches(model))
        interrupts = stack.enter_context(Interrupts())

        # 3. What the steps need.
        model_dtype = next(model.parameters()).dtype
        updates = [Update(model, p, device, dtype, compile, world_size) for p in players]
        for update in updates:
            stack.callback(update.release)
        average = Average(model, ema_decay) if ema_decay is not None else None
        shown = average.model if average is not None else model
        settings: dict[str, Any] = {"attributes": {}}
        if run_dir is not None:
            settings = settings_of(
                model, players, data, batch_size=batch_size, seed=seed, schedule=schedule,
                epochs=epochs if schedule == "cosine" else None, clip_norm=clip_norm,
                accumulate=accumulate, ema_decay=ema_decay, precision=str(dtype or "float32"),
                processes=world_size,
            )  # fmt: skip
        run = Run(run_dir, model, updates, average, settings, device, rank, seed)
        stack.enter_context(run.locked())

        # 4. Where an earlier run was stopped, if it was.
        torch.manual_seed(seed * world_size + rank)
        history, step = run.resume()
        if step > total_steps:
            raise ValueError(
                f"{run.checkpoint} is already at epoch {history.epochs}, beyond the {epochs} "
                "asked for; ask for more epochs or choose another run_dir"
            )
        talks = progress and rank == 0
        if step and talks and has_stderr():
            ended = ", where on_epoch has ended it" if history.stopped else ""
            where = f"step {step} of {total_steps}{ended}"
            print(f"resuming {run.checkpoint} at {where}", file=sys.stderr)
        if step == 0:
            with hardware.own_randomness(device):
                run.save_sheet(0, shown)
        data = hardware.keep_or_move(data, device)
        bar = stack.enter_context(
            progress_bar(total=total_steps, initial=step, unit="step", disable=not talks)
        )
        least = {player.name: player.least for player in players if player.least is not None}
        recorder = Recorder(history, batch_size, bar, on_record if rank == 0 else None, least)

        # 5. The game.
        whole = True  # whether every player has made its move of the step
        try:
            while step < total_steps and not history.stopped:
                epoch, first = divmod(step, steps_per_epoch)
                for batch in batches(
                    *data, batch_size=batch_size, seed=seed, epoch=epoch, rank=rank,
                    world_size=world_size, start=first,
                ):  # fmt: skip
                    batch = as_model_input(tuple(x.to(device) for x in batch), model_dtype)
                    factor = _rate_factor(schedule, step, total_steps)
                    losses: dict[str, Tensor] = {}
                    whole = False
                    for update in updates:
                        if (step + 1) % update.player.every == 0:
                            own = update.step(batch, factor, clip_norm, accumulate)
                            arguments.check_names(own, losses)
                            losses |= own
                    if average is not None:
                        average.update()
                    step += 1
                    whole = True
                    recorder.add(step, losses)
                    if checkpoint_every and step % checkpoint_every == 0:
                        recorder.flush(step)
                        run.save(step, history)
                    _stop_if_asked(interrupts, step, world_size)
                recorder.flush(step)
                history.epochs = epoch + 1
                run.save(step, history)
                with hardware.own_randomness(device):
                    run.save_sheet(epoch + 1, shown)
                    if on_epoch is not None:
                        history.stopped = _asked_to_end(
                            on_epoch, epoch + 1, shown, interrupts, rank, world_size
                        )
                if history.stopped:
                    run.save(step, history)
                _stop_if_asked(interrupts, RECORD_EVERY, world_size)
        except KeyboardInterrupt:
            history.interrupted = step < total_steps
            if whole:  # half a step is never saved: the last checkpoint counts
                recorder.flush(step)
                run.save(step, history)
        except NotFiniteError as error:
            raise run.refused(error) from None
        if average is not None and average.started:
            model.load_state_dict(average.state_dict())
    if interrupts.exit_code is not None:
        raise SystemExit(interrupts.exit_code)
    return history


def _rate_factor(schedule: str, step: int, total_steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / total_steps)) if schedule == "cosine" else 1.0


def _asked_to_end(
    on_epoch: Callable[[int, nn.Module], object],
    epoch: int,
    shown: nn.Module,
    interrupts: Interrupts,
    rank: int,
    world_size: int,
) -> bool:
    """Call ``on_epoch`` in the first process; whether it ends the run, all processes learn."""
    answer: object = None
    if rank == 0:
        try:
            with evaluating(shown):
                answer = on_epoch(epoch, shown)
        except KeyboardInterrupt:
            if world_size == 1:
                raise
            interrupts.received = signal.SIGINT  # the others are told at the next vote
    # Of Python, numpy or torch; what else a function returns is not meant for us.
    kind = str(getattr(answer, "dtype", type(answer).__name__))
    ended = kind.removeprefix("torch.") == "bool" and bool(answer)
    return ended if world_size == 1 else hardware.any_process(ended)


def _stop_if_asked(interrupts: Interrupts, step: int, world_size: int) -> None:
    """End the run between two steps; several processes agree on it, every ten steps."""
    asked = interrupts.received is not None
    if world_size > 1:
        if step % RECORD_EVERY:
            return
        asked = hardware.any_process(asked)
    if asked:
        raise KeyboardInterrupt
