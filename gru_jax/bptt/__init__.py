"""Backpropagation through time that computes as much as possible for many steps at once.

`lax.scan` and its derivative compute every matrix product step by step. Only those that carry the
state from step to step, and its gradient back, have to be computed so. What the inputs add to the
gates, and the gradients of weights and biases, can be one product for many steps. `scan` computes
them for segments of the sequence that are short enough for their arrays to stay in a core's cache.
For an Elman network, for instance:

    forward, from the first segment to the last:
      p = x W + b                      all steps of the segment at once
      h_t = tanh(p_t + h_{t-1} U)      step by step
    backward, from the last segment to the first:
      da_t, dh_{t-1} = da_t U^T        step by step; a_t is the sum inside the tanh
      dW, dU, db, dx                   all steps of the segment at once

`scan` finds in the equations of a step what can be computed for many steps at once. `jaxprs` turns
a function into a list of equations, `joining` makes one product of those that multiply the same
values, `step` sorts the equations of a step, `recomputation` chooses which of its values to keep
for the loop backwards, `derivative` builds the functions that the loops call, and `loops` contains
the loops and `scan`.
"""

from gru_jax.bptt.loops import GRADIENTS, scan, segment_length

__all__ = ["GRADIENTS", "scan", "segment_length"]
