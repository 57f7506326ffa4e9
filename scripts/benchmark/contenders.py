"""The contract of a contender in the benchmark, and our own.

Every contender starts from the same weights and trains on the same batch: a recurrent layer, a
linear readout of its last state, the mean squared error, Adam.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from flax import nnx

from gru_jax import CELLS, Cell
from gru_jax.cells.base import Gate
from gru_jax.streams import TRAIN, stream

RATE = 1e-3  # of Adam
CHUNK = 10  # steps of this project in one dispatch
Weights = dict[str, Any]  # arrays of NumPy or JAX


@functools.cache
def gates(make: type[Cell]) -> tuple[str, ...]:
    """The names of a cell's gates, in the order in which it creates them."""
    names: list[str] = []

    def look() -> None:
        cell = make(1, 1, rngs=nnx.Rngs(0))
        names.extend(name for name, part in vars(cell).items() if isinstance(part, Gate))

    # Only traced, because JAX must not create its devices before a contender has said how many it
    # uses, and not at all in the process of one that does not use JAX.
    jax.eval_shape(look)
    return tuple(names)


@dataclasses.dataclass(frozen=True)
class Work:
    """Sizes of a training step: examples, time steps, inputs, units."""

    batch: int
    time: int
    features: int
    hidden: int

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (batch, time, features) and targets (batch, 1)."""
        generator = np.random.default_rng(0)
        inputs = generator.normal(size=(self.batch, self.time, self.features))
        return inputs.astype(np.float32), generator.normal(size=(self.batch, 1)).astype(np.float32)

    def weights(self, cell: str) -> Weights:
        """W, U, b: kernels and bias of each gate; V, v: those of the readout."""
        generator = np.random.default_rng(1)
        count, width = len(gates(CELLS[cell])), 1 / np.sqrt(self.hidden)
        shapes = {
            "W": (count, self.features, self.hidden),
            "U": (count, self.hidden, self.hidden),
            "b": (count, self.hidden),
            "V": (self.hidden, 1),
            "v": (1,),
        }
        draw = lambda shape: generator.uniform(-width, width, shape).astype(np.float32)
        return {name: draw(shape) for name, shape in shapes.items()}


class LeftOutError(Exception):
    """A library that is not installed, or that has no such cell."""


class Contender:
    """One way to train.

    loss, gradient: before the first step; the gradient of the recurrent kernels (gates, H, H).
    compile_seconds, temporary_bytes: of the compiled step, as XLA plans them for all devices
      together; None if the library compiles where we cannot see it, or not at all.
    taken: what our own path chose for these sizes.
    otherwise: options with which our cell has the equations of this contender's cell.
    distribution: the name under which its version is looked up, if `environment` lacks it.
    """

    loss: float | None = None
    gradient: np.ndarray | None = None
    compile_seconds: float | None = None
    temporary_bytes: int | None = None
    taken: dict[str, Any] | None = None
    otherwise: Mapping[str, Any] = MappingProxyType({})
    distribution: str | None = None

    def __init__(self, cell: str, work: Work):
        raise NotImplementedError

    def train(self, steps: int) -> None:
        """Makes this many steps and waits for the last."""
        raise NotImplementedError

    def _compiled(self, lower: Callable[[], Any], devices: int = 1) -> None:
        """Compiles the step, and asks XLA how much memory it plans."""
        began = time.perf_counter()
        program = lower().compile()
        self.compile_seconds = time.perf_counter() - began
        self.temporary_bytes = devices * program.memory_analysis().temp_size_in_bytes
        self.train(CHUNK)


class Ours(Contender):
    """This project's training path: chunks of steps, with one device per CPU core.

    gradient, unroll, dtype: options of the model.
    cores: how many; 0: as many as the batch or the seeds can be divided over.
    options: of the cell.
    """

    def __init__(
        self,
        cell: str,
        work: Work,
        *,
        gradient: str = "auto",
        unroll: int = 1,
        seeds: int = 1,
        cores: int = 0,
        dtype: str | None = None,
        **options: Any,
    ):
        from gru_jax import Experiment, bptt, devices, training

        if not options.keys() <= CELLS[cell].options().keys():
            raise LeftOutError(f"{cell} has no such option: {', '.join(options)}")
        self.otherwise = options
        given = options | ({"dtype": jax.numpy.dtype(dtype)} if dtype else {})
        devices.use_cpu_cores(seeds, work.batch, cores)
        self.wait = jax.block_until_ready
        experiment = Experiment(
            _fixed_task(work),
            lambda rngs: our_model(cell, work, rngs, gradient, unroll, **given),
            batch_size=work.batch,
            chunk=CHUNK,
            evaluation_examples=work.batch,
        )
        mesh = devices.make_mesh(seeds, experiment.parts)
        data = training.placed_data(experiment, mesh, range(seeds))
        rates, bounds = (RATE,) * seeds, (np.inf,) * seeds
        self.state = training.init(experiment, mesh, tuple(range(seeds)), rates, bounds)
        # The training path computes the gradient on each device's share of the batch.
        share = (work.batch // mesh.shape[devices.BATCH], work.hidden)
        segment = bptt.segment_length(work.time, [jax.ShapeDtypeStruct(share, np.float32)])
        self.taken = {"devices": mesh.size, "gradient": gradient, "segment": segment}
        self.loss, self.gradient = reference(cell, work, gradient, **given)
        self.step = lambda state: training.train_chunk(experiment, mesh, state, data)[0]
        lower = lambda: training.train_chunk.lower(experiment, mesh, self.state, data)
        self._compiled(lower, mesh.size)

    def train(self, steps: int) -> None:
        for _ in range(0, steps, CHUNK):
            self.state = self.step(self.state)
        self.wait(self.state.params)


def our_model(
    cell: str,
    work: Work,
    rngs: Any = None,
    gradient: str = "auto",
    unroll: int = 1,
    **options: Any,
) -> Any:
    """A model of ours with the weights from which all contenders start."""
    from gru_jax import SequenceModel

    make = functools.partial(CELLS[cell], **options)
    sizes: dict[str, Any] = {"hidden_sizes": (work.hidden,), "rngs": rngs or nnx.Rngs(0)}
    path: dict[str, Any] = {"gradient": gradient, "unroll": unroll}
    model: Any = SequenceModel(make, work.features, 1, **path, **sizes)
    weights = work.weights(cell)
    for index, gate in enumerate(_gates(model, cell)):
        gate.kernel[...] = weights["W"][index]
        gate.recurrent_kernel[...] = weights["U"][index]
        if gate.bias is not None:
            gate.bias[...] = weights["b"][index]
    model.readout.kernel[...], model.readout.bias[...] = weights["V"], weights["v"]
    return model


def reference(
    cell: str, work: Work, gradient: str = "plain", **options: Any
) -> tuple[float, np.ndarray]:
    """The loss, and the gradient of the recurrent kernels, before the first step."""
    graph, params = nnx.split(our_model(cell, work, gradient=gradient, **options))
    inputs, targets = work.data()
    loss = lambda params: ((nnx.merge(graph, params)(inputs) - targets) ** 2).mean()
    value, slopes = jax.jit(jax.value_and_grad(loss))(params)
    kernels = [gate.recurrent_kernel[...] for gate in _gates(nnx.merge(graph, slopes), cell)]
    return float(value), np.stack([np.asarray(kernel) for kernel in kernels])


def _fixed_task(work: Work) -> Any:
    """A task with a single batch, which stays on the device."""
    import jax.numpy as jnp

    from gru_jax.tasks.base import Example, Regression

    batch: Any = work.data()
    whole = Example(*batch)

    @dataclasses.dataclass(frozen=True, eq=False)
    class Fixed(Regression):
        input_size = work.features
        baseline_loss = 0.0
        data = property(lambda _: whole)

        def example(self, key: Any) -> Example:
            raise NotImplementedError

        def training_examples(
            self, seed: Any, step: Any, indices: Any, data: Any, size: int
        ) -> Example:
            # Rotated at random, because the inputs of real tasks differ between seeds, and XLA lays
            # out a product differently if they do not.
            shift = jax.random.randint(stream(TRAIN, seed, step), (), 0, size)
            indices = jnp.roll(indices, shift)
            return Example(data.inputs[indices], data.targets[indices])

    return Fixed(work.time)


def _gates(model: Any, cell: str) -> list[Any]:
    return [getattr(model.layers[0].forward.cell, name) for name in gates(CELLS[cell])]
