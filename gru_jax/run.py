"""What a recurrence computes."""

from typing import Any, NamedTuple

from gru_jax.axes import Carry, HiddenSequence, Outputs


class Run(NamedTuple):
    """What a recurrence computes.

    carry: the carry after the last step.
    outputs: (*batch, time, hidden).
    activations: the gates at every step; None if not wanted.
    carries: the carry after every step, in arrays like the outputs; None if not wanted.
    last: the output that belongs to `carry`, (*batch, hidden).
    """

    carry: Carry
    outputs: HiddenSequence
    activations: Any
    carries: Any
    last: Outputs

    def chosen(self, outputs: Any, return_carry: bool | str, return_activations: bool) -> Any:
        """The outputs, or a tuple of them and whatever else is to be returned."""
        result: tuple[Any, ...] = (outputs,)
        if return_carry:
            result = (self.carries if return_carry == "all" else self.carry, *result)
        if return_activations:
            result = (*result, self.activations)
        return result if len(result) > 1 else outputs
