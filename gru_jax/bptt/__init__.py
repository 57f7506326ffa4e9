"""Backpropagation through time: what need not be a step's is computed for many steps at once.

The derivative of a scan multiplies matrices step by step. Only one of its products has to: the one
that carries the gradient from a step to the one before. What the inputs add to the gates, and what
all steps together add to the gradients of weights and biases, is one product for a whole segment of
steps, short enough to stay in a core's cache. Of an Elman network, for instance:

    forward, from the first segment to the last:
      p = x W + b                      all steps of the segment at once
      h_t = tanh(p_t + h_{t-1} U)      step by step
    backward, from the last segment to the first:
      da_t, dh_{t-1} = da_t U^T        step by step, of the sum a_t inside the tanh
      dW, dU, db, dx                   all steps of the segment at once

`loops` has `scan`, `derivative` finds which equations of a step go where, `recomputation` what is
kept of a step, and `jaxprs` treats functions as lists of equations.
"""

from gru_jax.bptt.loops import GRADIENTS, scan, segment_length

__all__ = ["GRADIENTS", "scan", "segment_length"]
