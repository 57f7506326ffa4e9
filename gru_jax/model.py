"""The model that experiments train: encoder -> stacked recurrent layers -> linear readout."""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import nnx

from gru_jax import arguments, fields, masking
from gru_jax.axes import Array, Carry, HiddenSequence, Inputs, Key, Lengths, Outputs, Resets
from gru_jax.layers import Encoder, Layer
from gru_jax.recurrence import RNN
from gru_jax.regularizers import Draws, Regularizer, checked, draws, dropped
from gru_jax.run import Run

READOUTS = ("last", "every", "flatten")


class MakeCell(Protocol):
    """Whatever makes a cell: its class, or a `functools.partial` of it with options."""

    def __call__(
        self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs
    ) -> nnx.RNNCellBase: ...


class SequenceModel(nnx.Module):
    """Encoder, stacked recurrent layers and a linear readout.

    Embedding and readout are stored in the precision of the cells' parameters.

    Args:
      make_cell: makes a cell, for each layer and direction; for instance `GRUCell` or
        `functools.partial(GRUCell, reset_after=False)`.
      input_size: the number of input features, or of kinds of tokens.
      output_size: the number of outputs.
      hidden_sizes: the number of units of each layer, from the lowest to the top layer.
      readout: what the linear readout is applied to, and the shape of the outputs. "last": the
        top layer's final state, (*batch, outputs). "every": its output at every step,
        (*batch, time, outputs). "flatten": its outputs at all steps concatenated,
        (*batch, outputs).
      encoder: "none" for real inputs; "one_hot", "embedding" or "scalar" for tokens: see
        `Encoder`.
      embedding_size: the number of features of an embedding.
      bidirectional: every layer runs in both directions; the layer above sees both outputs.
      length: the number of time steps; needed for "flatten" only.
      recurrence, unroll, gradient, segment: see `RNN`.
      regularizer: what a call with a key is regularised with, see `Regularizer`.
      rngs: the source of the parameters.

    Raises:
      FieldError: an argument has a value that is not allowed.

    A model has no switch between training and evaluation: a call with a key is regularised, any
    other is not. A new key is needed for every update, and `rngs.dropout()` makes one:

    >>> import jax.numpy as jnp
    >>> from gru_jax import GRUCell, Regularizer
    >>> rngs = nnx.Rngs(0, dropout=1)
    >>> model = SequenceModel(GRUCell, 4, 2, hidden_sizes=(8, 8), rngs=rngs,
    ...                       regularizer=Regularizer(dropout=0.2, zoneout=(0.1,)))
    >>> x = jnp.ones((3, 5, 4))
    >>> trained, evaluated = model(x, key=rngs.dropout()), model(x)

    A model can also be fed step by step, as an agent does in reinforcement learning: it passes the
    carry on, and resets it at the first step of an episode. The outputs are the same as for all
    steps at once:

    >>> model = SequenceModel(GRUCell, 4, 2, hidden_sizes=(8,), readout="every", rngs=nnx.Rngs(0))
    >>> carry = model.initialize_carry((3,))                        # three environments
    >>> observation, is_first = jnp.ones((3, 4)), jnp.array([False, True, False])
    >>> carry, action = model(observation[:, None], initial_carry=carry,
    ...                       resets=is_first[:, None], return_carry=True)
    >>> action.shape
    (3, 1, 2)
    """

    def __init__(
        self,
        make_cell: MakeCell,
        input_size: int,
        output_size: int,
        *,
        hidden_sizes: tuple[int, ...],
        readout: str = "last",
        encoder: str = "none",
        embedding_size: int = 32,
        bidirectional: bool = False,
        length: int | None = None,
        recurrence: str = "auto",
        unroll: int = 1,
        gradient: str = "auto",
        segment: int = 0,
        regularizer: Regularizer | None = None,
        rngs: nnx.Rngs,
    ):
        self.readout_kind = fields.one_of("readout", readout, READOUTS)
        fields.boolean("bidirectional", bidirectional)
        self.encoder = Encoder(encoder, input_size, embedding_size, rngs=rngs)
        sizes = fields.sequence("hidden_sizes", hidden_sizes, "a list of whole numbers")
        if not sizes:
            raise fields.FieldError("hidden_sizes", sizes, "one whole number a layer")

        self.regularizer = checked(regularizer)
        if len(sizes) == 1 and (rate := self.regularizer.dropout):
            raise fields.FieldError("regularizer.dropout", rate, "0: there is only one layer")
        options: dict[str, Any] = {
            "recurrence": recurrence,
            "unroll": unroll,
            "gradient": gradient,
            "segment": segment,
        }

        def run(features: int, size: int) -> RNN:
            fields.integer("hidden_sizes", size, 1)
            cell = make_cell(features, size, rngs=rngs)
            return RNN(cell, regularizer=self.regularizer.of_a_layer, **options)

        layers, features = [], self.encoder.features
        for size in sizes:
            layers.append(
                Layer(run(features, size), run(features, size) if bidirectional else None)
            )
            features = 2 * size if bidirectional else size
        self.layers = nnx.List(layers)
        if readout == "flatten":
            features *= fields.integer("length", length, 1)
        fields.integer("output_size", output_size, 1)
        self.readout = nnx.Linear(features, output_size, rngs=rngs)
        _store(self.encoder.embedding, self.layers[0].forward.cell)
        _store(self.readout, self.layers[0].forward.cell)

    def __call__(
        self,
        inputs: Inputs,
        *,
        initial_carry: tuple[Carry, ...] | None = None,
        seq_lengths: Lengths | None = None,
        resets: Resets | None = None,
        return_carry: bool | str = False,
        return_activations: bool = False,
        key: Key | None = None,
        examples: Array | None = None,
    ) -> Any:
        """Runs the model over a batch of sequences.

        Args:
          inputs: (*batch, time, input_size), or tokens (*batch, time).
          initial_carry: the carry to start from: a tuple with an entry for each layer, as
            `initialize_carry` and `return_carry` give it.
          seq_lengths, resets: see `RNN`. Outputs at padded steps have no meaning.
          return_carry: return the carry after the last step as well (True), or the carry after
            every step (`"all"`), see `RNN`.
          return_activations: return the gates of all layers as well.
          key: turns the regularisers on, which draw from it; None for evaluation.
          examples: the numbers of the examples, (*batch,), on which their masks depend beside the
            key; by default 0, 1, 2, ... A device that has a part of a batch has a part of these.

        Returns:
          outputs, (carry, outputs), (outputs, activations) or (carry, outputs, activations);
          carry and activations are tuples with an entry for each layer.

        Raises:
          ValueError: see `RNN` and `read`; or the inputs of an encoder are not tokens.
        """
        arguments.return_carry(return_carry)
        drawn, every = draws(key, examples), return_carry == "all"
        model = masking.noisy(self, self.regularizer.weight_noise, drawn) if drawn else self
        run = model._run(
            inputs, initial_carry, seq_lengths, resets, return_activations, every, drawn
        )
        outputs = model.read(run.last, run.outputs)
        return run.chosen(outputs, return_carry, return_activations)

    def recur(
        self,
        inputs: Inputs,
        initial_carry: tuple[Carry, ...] | None = None,
        seq_lengths: Lengths | None = None,
        resets: Resets | None = None,
        return_activations: bool = True,
    ) -> tuple[tuple[Carry, ...], HiddenSequence, tuple[Any, ...]]:
        """Everything but the readout; the arguments are those of `__call__`.

        Returns:
          The carries of all layers, the outputs of the top layer (*batch, time, hidden), and the
          activations of all layers (None if not wanted).
        """
        run = self._run(inputs, initial_carry, seq_lengths, resets, return_activations)
        return run.carry, run.outputs, run.activations

    def _run(
        self,
        inputs: Inputs,
        initial_carry: tuple[Carry, ...] | None,
        seq_lengths: Lengths | None,
        resets: Resets | None,
        return_activations: bool,
        every_carry: bool = False,
        draws: Draws | None = None,
    ) -> Run:
        """The run of the top layer, but with carries and activations of all layers."""
        hidden = self.encoder(inputs, stepwise=initial_carry is not None)
        batch = hidden.shape[:-2]
        if initial_carry is not None:
            initial_carry = arguments.carry(initial_carry, self.initialize_carry(batch))
        runs: list[Run] = []
        for index, layer in enumerate(self.layers):
            here = None if draws is None else draws.at(f"layer {index}")
            if index and here is not None and (rate := self.regularizer.dropout):
                drop = here.at("dropout")
                kept = drop.chosen_by_example(1 - rate, batch, hidden.shape[-2:])
                hidden = dropped(hidden, kept, rate)
            run = layer(
                hidden,
                initial_carry=None if initial_carry is None else initial_carry[index],
                seq_lengths=seq_lengths,
                resets=resets,
                return_activations=return_activations,
                every_carry=every_carry,
                draws=here,
            )
            runs.append(run)
            hidden = run.outputs
        carry, _, activations, carries, _ = zip(*runs, strict=True)
        return runs[-1]._replace(carry=carry, activations=activations, carries=carries)

    def read(self, last: Outputs, hidden: HiddenSequence) -> Outputs:
        """The readout.

        Args:
          last: the top layer's output at the end of each sequence, (*batch, hidden).
          hidden: its outputs at all steps, (*batch, time, hidden).

        Raises:
          ValueError: the readout is "flatten", and there are more or fewer steps than `length`.
        """
        if self.readout_kind == "last":
            hidden = last
        elif self.readout_kind == "flatten":
            *batch, time, features = hidden.shape
            length = self.readout.in_features // features
            if time != length:
                raise ValueError(
                    f"inputs have {time} steps: must have {length}, the model's length"
                )
            hidden = hidden.reshape(*batch, time * features)
        return self.readout(hidden)

    def initialize_carry(self, batch: tuple[int, ...]) -> tuple[Carry, ...]:
        """The carries of all layers before the first step, for these leading axes, see `RNN`."""
        return tuple(layer.initialize_carry(batch) for layer in self.layers)


def _store(module: nnx.Embed | nnx.Linear | None, cell: nnx.RNNCellBase) -> None:
    """Stores a module's parameters in the precision in which those of the cell are stored."""
    stored = [leaf.dtype for leaf in jax.tree.leaves(nnx.state(cell, nnx.Param))]
    if module is None or not stored or (dtype := jnp.result_type(*stored)) == module.param_dtype:
        return
    module.param_dtype = dtype
    module.dtype = dtype if isinstance(module, nnx.Embed) else None
    for name, value in nnx.state(module, nnx.Param).items():
        setattr(module, name, nnx.Param(value[...].astype(dtype)))


def parameter_count(model: nnx.Module) -> int:
    """The number of parameters: the total size of their arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


BuildModel = Callable[[nnx.Rngs], SequenceModel]
