"""The names of axes, and the array types that signatures use.

    *batch    any number of leading axes: examples, seeds, or none
    time      steps of the sequence, the earliest first
    features  the numbers of one time step of the input (D)
    hidden    the units of a recurrent layer (H)
    outputs   the numbers that the readout returns
    state     the states of all layers in one flat vector, such as an LSTM's c and h (S)
    lags      the number of steps back from the end: entry n belongs to h_{T-n}

The types are documentation and are not checked at run time. To check them, install jaxtyping's
import hook (`jaxtyping.install_import_hook`).
"""

from typing import Any

import jax
from jaxtyping import Bool, Float, Int, PRNGKeyArray, Shaped

Array = jax.Array
Key = PRNGKeyArray

StepInput = Float[Array, "*batch features"]
State = Float[Array, "*batch hidden"]
Carry = Any  # one State, or a tuple of several, such as an LSTM's (c, h)
Activations = dict[str, State]

Sequence = Float[Array, "*batch time features"]
Inputs = Shaped[Array, "..."]  # a Sequence, or tokens: whole numbers (*batch, time)
HiddenSequence = Float[Array, "*batch time hidden"]
Lengths = Int[Array, "*batch"]
Resets = Bool[Array, "*batch time"]
Outputs = Float[Array, "*batch outputs"]
PerExample = Float[Array, "*batch"]

FlatState = Float[Array, " state"]
States = Float[Array, "time state"]
Vectors = Float[Array, "count state"]
VectorsByLag = Float[Array, "count lags"]
ByLag = Float[Array, " lags"]
UnitsByLag = Float[Array, "lags hidden"]
PerUnit = Float[Array, " hidden"]
PerFeature = Float[Array, " features"]
Exponents = Float[Array, " count"]
