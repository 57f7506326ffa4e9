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
    """Whatever makes a cell: its class, or a `functools.partial` of it with options."""

    def __call__(
        self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs
    ) -> nnx.RNNCellBase: ...


class Encoder(nnx.Module):
    """Turns the inputs into what the first layer sees, (*batch, time, features).

    Args:
      kind: "none": the inputs are real, (*batch, time, input_size), and stay as they are.
        Otherwise they are tokens, whole numbers (*batch, time) in 0..input_size - 1:
        "one_hot" makes unit vectors of them; "embedding", learned vectors of size
        `embedding_size`; "scalar", a single feature, the number itself.
      input_size: the number of features, or of kinds of tokens.
      embedding_size: the number of features of an embedding.
      rngs: the source of the parameters.

    Raises:
      FieldError: an argument has a value that is not allowed.
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
    """One recurrent layer, which runs forwards in time or in both directions.

    A bidirectional layer concatenates the outputs of both directions, (*batch, time, 2 * hidden),
    and its carry is the pair of the carries of both.

    Args:
      forward: runs from the first step to the last.
      backward: runs from the last step to the first; None for a layer of one direction.
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
        """Runs the layer: the last carry, the outputs, and the activations (None if not wanted).

        The arguments are those of `RNN`. The activations of a bidirectional layer are a pair.
        """

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
        """The output that belongs to a carry, (*batch, hidden).

        If bidirectional, those of both carries side by side, (*batch, 2 * hidden): the forward
        one belongs to the last step, and the backward one to the first.
        """
        if self.backward is None:
            return self.forward.output(carry)
        ends = [self.forward.output(carry[0]), self.backward.output(carry[1])]
        return jnp.concatenate(ends, axis=-1)

    def initialize_carry(self, batch: tuple[int, ...]) -> Carry:
        """The carry before the first step, for these leading axes."""
        start = self.forward.initialize_carry(batch)
        return start if self.backward is None else (start, self.backward.initialize_carry(batch))


def _resets_going_back(resets: Resets, lengths: Lengths | None) -> Resets:
    """The resets for the backward direction.

    Where an episode starts at step t, the backward direction enters the previous episode at step
    t - 1, and so is reset there.
    """
    if lengths is not None:
        resets = resets & (jnp.arange(resets.shape[-1]) < lengths[..., None])
    return jnp.concatenate([resets[..., 1:], jnp.zeros_like(resets[..., :1])], axis=-1)


class SequenceModel(nnx.Module):
    """Encoder, stacked recurrent layers and a linear readout.

    Args:
      make_cell: makes a cell, for each layer and direction; for instance `GRUCell` or
        `functools.partial(GRUCell, reset_after=False)`.
      input_size: the number of input features, or of kinds of tokens.
      output_size: the number of outputs.
      hidden_sizes: the number of units of each layer, from the lowest to the top layer.
      readout: what the linear readout is applied to, and the shape of the outputs. "last": the
        top layer's output after the last step, (*batch, outputs). "every": its output at every
        step, (*batch, time, outputs). "flatten": its outputs at all steps concatenated,
        (*batch, outputs).
      encoder: "none" for real inputs; "one_hot", "embedding" or "scalar" for tokens: see
        `Encoder`.
      embedding_size: the number of features of an embedding.
      bidirectional: every layer runs in both directions; the layer above sees both outputs.
      length: the number of time steps; needed for "flatten" only.
      unroll, gradient, segment: see `RNN`.
      rngs: the source of the parameters.

    Raises:
      FieldError: an argument has a value that is not allowed.

    A model can also be fed step by step, as an agent does in reinforcement learning: it passes the
    carry on, and resets it at the first step of an episode. The outputs are the same as for all
    steps at once:

    >>> from gru_jax import GRUCell
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
          inputs: (*batch, time, input_size), or tokens (*batch, time).
          initial_carry: the carry to start from: a tuple with an entry for each layer, as
            `initialize_carry` and `return_carry` give it.
          seq_lengths, resets: see `RNN`. Outputs at padded steps have no meaning.
          return_carry: return the carry after the last step as well.
          return_activations: return the gates of all layers as well.

        Returns:
          outputs, (carry, outputs), (outputs, activations) or (carry, outputs, activations);
          carry and activations are tuples with an entry for each layer.

        Raises:
          ValueError: see `RNN`.
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
        """Everything but the readout; the arguments are those of `__call__`.

        Returns:
          The carries of all layers, the outputs of the top layer (*batch, time, hidden), and the
          activations of all layers (None if not wanted).
        """
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
        """The readout, given what `recur` returns: all layers' carries, the top layer's outputs."""
        if self.readout_kind == "last":
            hidden = self.layers[-1].output(carries[-1])
        elif self.readout_kind == "flatten":
            hidden = hidden.reshape(*hidden.shape[:-2], -1)
        return self.readout(hidden)

    def initialize_carry(self, batch: tuple[int, ...]) -> tuple[Carry, ...]:
        """The carries of all layers before the first step, for these leading axes."""
        return tuple(layer.initialize_carry(batch) for layer in self.layers)


def parameter_count(model: nnx.Module) -> int:
    """The number of parameters, counting every number of every array."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


BuildModel = Callable[[nnx.Rngs], SequenceModel]
