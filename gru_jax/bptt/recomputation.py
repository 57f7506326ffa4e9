"""What to keep of a step for its derivative, and what to compute again."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csgraph, csr_array

from gru_jax.bptt.jaxprs import Program, Var, type_of, variables

# What computing one number again costs, in bytes that might have been kept instead: an element-wise
# equation is fused with those that read it. What is not named here is never computed again.
CHEAP = (
    "abs add and broadcast_in_dim clamp concatenate convert_element_type copy eq ge gt imag "
    "integer_pow le lt max min mul ne neg not or pvary real reshape select_n sign slice split "
    "square squeeze stop_gradient sub xor"
)
COSTLY = "cos div erf exp expm1 log log1p logistic rsqrt sin sqrt tanh"
AGAIN = dict.fromkeys(CHEAP.split(), 0.25) | dict.fromkeys(COSTLY.split(), 3.0)


def least_kept(
    program: Program, free: set[Var], required: Sequence[Var], shown: set[Var]
) -> list[Var]:
    """What to keep so that all that is required can be computed, at the least cost.

    Keeping a variable costs its bytes. Computing it again costs what `AGAIN` says of its equation,
    and requires the variables that this reads. The least sum is a minimum cut: from the source an
    endless flow enters what is required; a variable passes on as much as it costs to keep, to its
    equation, which drains as much as it costs again and passes on to what it reads.

    Args:
      free: variables that are there in any case.
      shown: those that are kept in any case.
    """
    if not required:
        return []
    equations = program.before(free, required)
    makers = {v: e for e in equations for v in e.outvars}
    read = [v for e in equations for v in variables(e.invars)]
    names = [v for v in dict.fromkeys([*required, *makers, *read]) if v not in free]
    weight = {v: type_of(v).size * type_of(v).dtype.itemsize for v in names}
    unit = 2**-12 * max(weight.values(), default=1)
    whole = lambda cost: 1 + int(cost / unit)
    source, sink, endless = 0, 1, 2**30
    place = {v: 2 * order for order, v in enumerate(names, 1)}
    edges = {(source, place[v]): endless for v in required}
    for v in names:
        edges[place[v], place[v] + 1] = 1 if v in shown else whole(weight[v])
        again = AGAIN.get(makers[v].primitive.name) if v in makers else None
        if again is None:
            edges[place[v] + 1, sink] = endless
        else:
            edges[place[v] + 1, sink] = whole(again * type_of(v).size)
            inputs = [u for u in variables(makers[v].invars) if u not in free]
            edges |= {(place[v] + 1, place[u]): endless for u in inputs}
    size = 2 + 2 * len(names)
    costs = np.array(list(edges.values()), np.int32)
    network = csr_array((costs, tuple(np.array(list(edges)).T)), (size, size))
    rest = network - csgraph.maximum_flow(network, source, sink).flow
    rest.data = np.maximum(rest.data, 0)
    rest.eliminate_zeros()
    reached = set(csgraph.breadth_first_order(rest, source, return_predecessors=False).tolist())
    return [v for v in names if place[v] in reached and place[v] + 1 not in reached]
