"""The axis legend: one name per kind of axis, and the aliases that signatures use.

    *batch    any number of leading axes: examples, seeds, or none
    time      steps of the sequence, earliest first
    features  what one time step of the input holds (D)
    hidden    units of a recurrent layer (H)
    outputs   what the readout produces
    state     all that a model remembers, in one row: an LSTM's (c, h), every layer's
    lags      steps back from the end: entry n belongs to h_{T-n}

Aliases document and are not checked at run time; jaxtyping can check them
(`jaxtyping.install_import_hook`) where somebody wants that.
"""

from typing import Any

import jax
from jaxtyping import Bool, Float, Int, PRNGKeyArray, Shaped

Array = jax.Array
Key = PRNGKeyArray

StepInput = Float[Array, "*batch features"]
State = Float[Array, "*batch hidden"]
Carry = Any  # one State, or a tuple of them: an LSTM's (c, h)
Activations = dict[str, State]

Sequence = Float[Array, "*batch time features"]
Inputs = Shaped[Array, "..."]  # a Sequence, or whole numbers (*batch, time)
HiddenSequence = Float[Array, "*batch time hidden"]
Lengths = Int[Array, "*batch"]
Resets = Bool[Array, "*batch time"]
Outputs = Float[Array, "*batch outputs"]
PerExample = Float[Array, "*batch"]

FlatState = Float[Array, " state"]
States = Float[Array, "time state"]
Vectors = Float[Array, "count state"]
ByLag = Float[Array, " lags"]
PerUnit = Float[Array, " hidden"]
