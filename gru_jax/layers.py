"""The parts of a model before its readout: the encoder and the recurrent layer."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from gru_jax import arguments, fields
from gru_jax.axes import Carry, Inputs, Lengths, Outputs, Resets, Sequence
from gru_jax.recurrence import RNN
from gru_jax.regularizers import Draws
from gru_jax.run import Run

ENCODERS = ("none", "one_hot", "embedding", "scalar")


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

    def __call__(self, inputs: Inputs, stepwise: bool = False) -> Sequence:
        """Returns the features of all steps.

        Args:
          inputs: numbers or tokens, see above.
          stepwise: whether this may be a single step of a sequence, see `arguments.tokens`.

        Raises:
          ValueError: the inputs are not what the encoder takes.
        """
        if self.kind == "none":
            return arguments.inputs(inputs, self.input_size)
        inputs = arguments.tokens(inputs, self.input_size, stepwise)
        if self.kind == "one_hot":
            return jax.nn.one_hot(inputs, self.input_size)
        if self.embedding is not None:
            return self.embedding(inputs)
        return inputs[..., None].astype(jnp.float32)


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
        every_carry: bool = False,
        draws: Draws | None = None,
    ) -> Run:
        """Runs the layer; the arguments are those of `RNN.run`.

        Carries and activations of a bidirectional layer are pairs.
        """
        options: dict[str, Any] = {
            "return_activations": return_activations,
            "every_carry": every_carry,
        }
        if self.backward is None:
            return self.forward.run(
                inputs,
                initial_carry=initial_carry,
                seq_lengths=seq_lengths,
                resets=resets,
                draws=draws,
                **options,
            )
        inputs = arguments.inputs(inputs, None)
        *batch, time, _ = inputs.shape
        lengths = arguments.lengths(seq_lengths, tuple(batch), time, inputs)
        resets = arguments.resets(resets, (*batch, time), inputs)
        starts = arguments.carry(initial_carry, self.initialize_carry(tuple(batch)))
        there = self.forward.run(
            inputs,
            initial_carry=starts[0],
            seq_lengths=lengths,
            resets=resets,
            draws=None if draws is None else draws.at("forward"),
            **options,
        )
        back = self.backward.run(
            inputs,
            initial_carry=starts[1],
            seq_lengths=lengths,
            resets=None if resets is None else _resets_going_back(resets, lengths),
            reverse=True,
            keep_order=True,
            draws=None if draws is None else draws.at("backward"),
            **options,
        )
        both = lambda first, second: jnp.concatenate([first, second], axis=-1)
        return Run(
            carry=(there.carry, back.carry),
            outputs=both(there.outputs, back.outputs),
            activations=(there.activations, back.activations),
            carries=(there.carries, back.carries),
            last=both(there.last, back.last),
        )

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
        """The carry before the first step, for these leading axes, see `RNN`."""
        start = self.forward.initialize_carry(batch)
        return start if self.backward is None else (start, self.backward.initialize_carry(batch))


def _resets_going_back(resets: Resets, lengths: Lengths | None) -> Resets:
    """The resets for the backward direction.

    Where an episode starts at step t, the backward direction enters the previous episode at step
    t - 1, and so is reset there.
    """
    if lengths is not None:
        steps = jnp.arange(resets.shape[-1]).reshape(*[1] * lengths.ndim, -1)
        resets = resets & (steps < lengths[..., None])
    return jnp.concatenate([resets[..., 1:], jnp.zeros_like(resets[..., :1])], axis=-1)
