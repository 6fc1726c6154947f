"""Looking at a model in training without leaving a trace.

Monitoring that changes what it watches is worse than none: a probe pass that updates BatchNorm
statistics or consumes random numbers makes a monitored training a different training. The context
managers here put everything back, also after an exception, so that a run with monitoring is bit for
bit the run without.
"""

from __future__ import annotations

import contextlib
import random
import sys
import threading
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from conceptmon_tb.distributed.fsdp import remember_sharding
from conceptmon_tb.module_state import is_sharded, remember_modules

DEFAULT_SEED = 20230927
_thread = threading.local()


def unwrap_model(model: nn.Module) -> nn.Module:
    """Give the user's own module inside `torch.compile`, DataParallel, DDP and averaged weights.

    Hooks do not fire inside a compiled graph, and the wrappers put a prefix before layer names. The
    inner module shares its weights with the wrapper.

    Args:
        model: Any module.

    Returns:
        The innermost module; `model` itself when it is not wrapped.
    """
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel, torch.optim.swa_utils.AveragedModel)
    while True:
        compiled = getattr(model, "_orig_mod", None)
        if isinstance(compiled, nn.Module):
            model = compiled
        elif isinstance(model, wrappers):
            model = model.module
        else:
            return model


def has_foreign_hooks(model: nn.Module) -> bool:
    """Whether somebody hooks into a model's forward, so that it must not be ended half-way.

    What a hook before the forward begins (sharded weights that are gathered, a profiler's range) a hook
    after it may have to end.

    Args:
        model: The user's own module.

    Returns:
        True for hooks of any module or of all modules, scripted, offloaded and fully sharded modules.
    """
    shared = torch.nn.modules.module
    if shared._global_forward_hooks or shared._global_forward_pre_hooks:  # noqa: SLF001 (no public way)
        return True
    return any(
        module._forward_hooks  # noqa: SLF001
        or module._forward_pre_hooks  # noqa: SLF001
        or isinstance(module, torch.jit.ScriptModule)
        or hasattr(module, "_hf_hook")
        or is_sharded(module)
        for module in model.modules()
    )


@contextlib.contextmanager
def preserve_rng_streams(seed: int = DEFAULT_SEED) -> Iterator[None]:
    """Run a block with seeded global random streams and put the caller's streams back afterwards.

    Covers Python's `random`, NumPy's legacy stream and torch on the CPU and on every CUDA device that
    is in use. Inside, the streams start at `seed`, so that whatever is random there is the same every
    time.

    Args:
        seed: Where the streams start inside the block.

    Raises:
        RuntimeError: The streams belong to a training in another thread (see `beside_training`).
    """
    if is_beside_training():
        raise RuntimeError(
            "scoring in the background would touch the random streams of the training; "
            "nothing was touched. Use asynchronous=False with this detector"
        )
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (the user's transforms draw from the legacy stream)
        torch.default_generator.manual_seed(seed)
        if cuda_states:
            torch.cuda.manual_seed_all(seed)
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)


def stream_states() -> tuple[object, ...]:
    """Where the global random streams of the CPU are, to be compared with a later moment."""
    of_numpy = np.random.get_state(legacy=False)  # noqa: NPY002
    # Which numbers there are depends on the generator, which a user may have changed.
    generator = {
        name: part.tobytes() if isinstance(part, np.ndarray) else part
        for name, part in of_numpy["state"].items()
    }
    return random.getstate(), {**of_numpy, "state": generator}, torch.get_rng_state().numpy().tobytes()


@contextlib.contextmanager
def beside_training() -> Iterator[None]:
    """Run a block in a thread of its own while a training goes on in another, without a trace in that.

    Inside, `preserve_rng_streams` refuses to seed the streams that the training draws from. Gradients are
    off, which holds for this thread alone. Autocast's weight cache is shared by all threads and emptied by
    the last autocast block that a thread leaves; one more is counted here, so that there is no last one.
    """
    _thread.beside_training = True
    torch.autocast_increment_nesting()
    try:
        with torch.no_grad():
            yield
    finally:
        torch.autocast_decrement_nesting()
        _thread.beside_training = False


def is_beside_training() -> bool:
    """Whether this thread runs beside a training that the global state belongs to."""
    return getattr(_thread, "beside_training", False)


@contextlib.contextmanager
def preserve_training_state(model: nn.Module, seed: int = DEFAULT_SEED) -> Iterator[None]:
    """Run a block with the model in evaluation mode and put everything back afterwards.

    Inside, every module's `training` flag is False (set directly: a model's own `train()` may merge
    weights or freeze layers), gradients, inference mode and autocast are off, and compiled parts run
    uncompiled. Afterwards, also after an exception: `training` of each module, buffers and plain
    attributes (content and identity, see `module_state`), `requires_grad`, the grad mode, cuDNN's flags
    and the global random streams are as before. Weights are not copied; a forward that writes to them is
    reported.

    Args:
        model: The model in training.
        seed: Where the random streams start inside the block.

    Raises:
        RuntimeError: The block altered a parameter of the model in place.
    """
    modules = list(model.modules())
    training = [module.training for module in modules]
    restore_modules, free_weights = remember_modules(modules), remember_sharding(modules)
    parameters = [(name, p, _version(p), p.requires_grad) for name, p in model.named_parameters()]
    cudnn = torch.backends.cudnn
    cudnn_flags = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic)
    with (
        preserve_rng_streams(seed),
        torch.inference_mode(False),
        torch.no_grad(),
        _autocast_disabled(),
        _compiled_code_left_alone(),
    ):
        try:
            for module in modules:
                module.training = False
            yield
        finally:
            for module, flag in zip(modules, training, strict=True):
                module.training = flag
            restore_modules()
            free_weights()
            for _, parameter, _, requires_grad in parameters:
                if parameter.requires_grad != requires_grad:
                    parameter.requires_grad_(requires_grad)
            cudnn.enabled, cudnn.benchmark, cudnn.deterministic = cudnn_flags
    for name, parameter, version, _ in parameters:
        if _version(parameter) != version:
            raise RuntimeError(
                f"the model's forward wrote to its own parameter {name!r} in evaluation mode, so training is "
                f"not what it was without monitoring; let the forward write only while self.training is True"
            )


def _version(tensor: Tensor) -> int:
    """How often a tensor was written to; torch does not count for those made in inference mode."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001


@contextlib.contextmanager
def _autocast_disabled() -> Iterator[None]:
    """Switch autocast off without touching its weight cache, which belongs to the training step."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if torch.cuda.is_available():
            stack.enter_context(torch.autocast("cuda", enabled=False))
        yield


@contextlib.contextmanager
def _compiled_code_left_alone() -> Iterator[None]:
    """Run what was compiled as the plain Python it was compiled from.

    Hooks see nothing inside a compiled part, and a compiled part that meets the probe's batches, hooks and
    modes would be compiled anew for them. Where nothing was compiled yet, the compiler is not even loaded.
    """
    with contextlib.ExitStack() as stack:
        if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
            try:
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            except RuntimeError as error:
                raise RuntimeError(
                    "a model cannot be watched from inside a function that is being compiled; call "
                    "add_concepts or observe outside of it, or in a function under @torch.compiler.disable"
                ) from error
        yield
