"""The model that experiments train: encoder -> stacked recurrent layers -> linear readout."""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import nnx

from gru_jax import fields
from gru_jax.axes import Carry, HiddenSequence, Inputs, Lengths, Outputs, Resets, Sequence
from gru_jax.recurrence import RNN

READOUTS = ("last", "every", "flatten")
ENCODERS = ("none", "one_hot", "embedding", "scalar")


class MakeCell(Protocol):
    """Anything called as a cell's class is: a class, or a partial with its options."""

    def __call__(
        self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs
    ) -> nnx.RNNCellBase: ...


class Encoder(nnx.Module):
    """What the first layer sees of the inputs.

    "none": (*batch, time, input_size) as it is; "one_hot": tokens of `input_size` kinds as
    unit vectors; "embedding": tokens as learned vectors of `embedding_size`; "scalar":
    tokens as the number that they are, one feature.
    """

    def __init__(self, kind: str, input_size: int, embedding_size: int, *, rngs: nnx.Rngs):
        self.kind = fields.one_of("encoder", kind, ENCODERS)
        self.input_size = fields.integer("input_size", input_size, 1)
        fields.integer("embedding_size", embedding_size, 1)
        learned = kind == "embedding"
        self.embedding = nnx.Embed(input_size, embedding_size, rngs=rngs) if learned else None
        sizes = {
            "none": input_size,
            "one_hot": input_size,
            "embedding": embedding_size,
            "scalar": 1,
        }
        self.features = sizes[kind]

    def __call__(self, inputs: Inputs) -> Sequence:
        if self.kind == "one_hot":
            return jax.nn.one_hot(inputs, self.input_size)
        if self.embedding is not None:
            return self.embedding(inputs)
        if self.kind == "scalar":
            return inputs[..., None].astype(jnp.float32)
        return inputs


class Layer(nnx.Module):
    """One recurrent layer: forward in time, or both ways with the outputs side by side.

    A bidirectional layer's carry is the pair (forward's, backward's).
    """

    def __init__(self, forward: RNN, backward: RNN | None = None):
        self.forward = forward
        self.backward = backward

    def __call__(
        self,
        inputs: Sequence,
        *,
        initial_carry: Carry | None = None,
        seq_lengths: Lengths | None = None,
        resets: Resets | None = None,
        return_activations: bool = False,
    ) -> tuple[Carry, HiddenSequence, Any]:
        """The carry, the outputs and the gates at every step; None in place of unwanted gates."""

        def run(rnn: RNN, **options: Any) -> tuple[Carry, HiddenSequence, Any]:
            found: Any = rnn(
                inputs,
                seq_lengths=seq_lengths,
                return_carry=True,
                return_activations=return_activations,
                **options,
            )
            return found if return_activations else (*found, None)

        starts = (initial_carry, None) if self.backward is None else initial_carry or (None, None)
        there = run(self.forward, initial_carry=starts[0], resets=resets)
        if self.backward is None:
            return there
        back = run(
            self.backward,
            initial_carry=starts[1],
            resets=None if resets is None else _resets_going_back(resets, seq_lengths),
            reverse=True,
            keep_order=True,
        )
        carries, outputs, activations = zip(there, back, strict=True)
        return carries, jnp.concatenate(outputs, axis=-1), activations

    def output(self, carry: Carry) -> Outputs:
        """What a carry shows: both ends of the sequence side by side if bidirectional."""
        if self.backward is None:
            return self.forward.output(carry)
        ends = [self.forward.output(carry[0]), self.backward.output(carry[1])]
        return jnp.concatenate(ends, axis=-1)

    def initialize_carry(self, batch: tuple[int, ...]) -> Carry:
        start = self.forward.initialize_carry(batch)
        return start if self.backward is None else (start, self.backward.initialize_carry(batch))


def _resets_going_back(resets: Resets, lengths: Lengths | None) -> Resets:
    """An episode that starts at t ends, for somebody who comes from the right, before t - 1."""
    if lengths is not None:
        resets = resets & (jnp.arange(resets.shape[-1]) < lengths[..., None])
    return jnp.concatenate([resets[..., 1:], jnp.zeros_like(resets[..., :1])], axis=-1)


class SequenceModel(nnx.Module):
    """Encoder, stacked recurrent layers and a linear readout.

    Args:
      make_cell: called once a layer and direction, for instance `GRUCell` or
        `functools.partial(GRUCell, reset_after=False)`.
      input_size: features of a time step, or kinds of tokens.
      output_size: size of the readout.
      hidden_sizes: units of each layer, the lowest first.
      readout: "last": (*batch, outputs) from the top layer's final state; "every":
        (*batch, time, outputs); "flatten": (*batch, outputs) from all its outputs, whose
        number, `length`, must then be given.
      encoder: "none" for real inputs; "one_hot", "embedding" or "scalar" for tokens.
      embedding_size: size of a learned embedding.
      bidirectional: every layer runs both ways; the layer above sees both.
      length: time steps, for "flatten".
      unroll, gradient, segment: see `RNN`.

    Raises:
      FieldError: an option is outside what is allowed.

    Acting one step at a time, as reinforcement learning does, with the carry reset where an
    episode ends; feeding the same steps at once gives the same outputs:

    >>> from gru_jax import GRUCell
    >>> model = SequenceModel(GRUCell, 4, 2, hidden_sizes=(8,), readout="every", rngs=nnx.Rngs(0))
    >>> carry = model.initialize_carry((3,))                        # three environments
    >>> observation, ended = jnp.ones((3, 4)), jnp.array([False, True, False])
    >>> carry, action = model(observation[:, None], initial_carry=carry,
    ...                       resets=ended[:, None], return_carry=True)
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
        unroll: int = 1,
        gradient: str = "auto",
        segment: int = 0,
        rngs: nnx.Rngs,
    ):
        self.readout_kind = fields.one_of("readout", readout, READOUTS)
        fields.boolean("bidirectional", bidirectional)
        self.encoder = Encoder(encoder, input_size, embedding_size, rngs=rngs)
        sizes = fields.sequence("hidden_sizes", hidden_sizes, "a list of whole numbers")
        if not sizes:
            raise fields.FieldError("hidden_sizes", sizes, "one whole number a layer")

        def run(features: int, size: int) -> RNN:
            fields.integer("hidden_sizes", size, 1)
            cell = make_cell(features, size, rngs=rngs)
            return RNN(cell, unroll=unroll, gradient=gradient, segment=segment)

        layers, features = [], self.encoder.features
        for size in sizes:
            layers.append(
                Layer(run(features, size), run(features, size) if bidirectional else None)
            )
            features = 2 * size if bidirectional else size
        self.layers = nnx.List(layers)
        if readout == "flatten":
            features *= fields.integer("length", length, 1)
        self.readout = nnx.Linear(features, output_size, rngs=rngs)

    def __call__(
        self,
        inputs: Inputs,
        *,
        initial_carry: tuple[Carry, ...] | None = None,
        seq_lengths: Lengths | None = None,
        resets: Resets | None = None,
        return_carry: bool = False,
        return_activations: bool = False,
    ) -> Any:
        """Runs the model over a batch of sequences.

        Args:
          inputs: (*batch, time, input_size), or (*batch, time) tokens.
          initial_carry: one carry a layer, as `initialize_carry` and `return_carry` give.
          seq_lengths, resets: see `RNN`. Readouts at padded steps mean nothing.

        Returns:
          outputs, (carry, outputs), (outputs, activations) or (carry, outputs, activations);
          carry and activations are tuples with one entry a layer.
        """
        carries, hidden, activations = self.recur(
            inputs, initial_carry, seq_lengths, resets, return_activations
        )
        outputs = self.read(carries, hidden)
        result: tuple[Any, ...] = (outputs,)
        if return_carry:
            result = (carries, *result)
        if return_activations:
            result = (*result, activations)
        return result if len(result) > 1 else outputs

    def recur(
        self,
        inputs: Inputs,
        initial_carry: tuple[Carry, ...] | None = None,
        seq_lengths: Lengths | None = None,
        resets: Resets | None = None,
        return_activations: bool = True,
    ) -> tuple[tuple[Carry, ...], HiddenSequence, tuple[Any, ...]]:
        """All but the readout: every layer's carry, the top's outputs, every layer's gates."""
        hidden = self.encoder(inputs)
        carries, activations = [], []
        for index, layer in enumerate(self.layers):
            carry, hidden, gates = layer(
                hidden,
                initial_carry=None if initial_carry is None else initial_carry[index],
                seq_lengths=seq_lengths,
                resets=resets,
                return_activations=return_activations,
            )
            carries.append(carry)
            activations.append(gates)
        return tuple(carries), hidden, tuple(activations)

    def read(self, carries: tuple[Carry, ...], hidden: HiddenSequence) -> Outputs:
        """The readout of every layer's last carry and the top layer's outputs."""
        if self.readout_kind == "last":
            hidden = self.layers[-1].output(carries[-1])
        elif self.readout_kind == "flatten":
            hidden = hidden.reshape(*hidden.shape[:-2], -1)
        return self.readout(hidden)

    def initialize_carry(self, batch: tuple[int, ...]) -> tuple[Carry, ...]:
        """The carry before the first step, for `batch` leading axes."""
        return tuple(layer.initialize_carry(batch) for layer in self.layers)


def parameter_count(model: nnx.Module) -> int:
    """How many numbers training adjusts."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


BuildModel = Callable[[nnx.Rngs], SequenceModel]
