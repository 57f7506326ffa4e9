"""Which values of a step to keep for its derivative, and which to recompute."""

from collections.abc import Sequence

import numpy as np
import scipy

from gru_jax.bptt.jaxprs import Program, Var, type_of, variables

# The cost of recomputing one number, as the number of bytes that are as costly to keep. It is low
# because XLA fuses an element-wise equation with those that read it. Primitives that are not named
# here are never recomputed.
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
    """The variables to keep, so that the required ones can be had at the least cost.

    Keeping a variable costs its size in bytes. Recomputing it costs what `AGAIN` says about its
    equation, and requires the variables that the equation reads. The cheapest choice is a minimum
    cut of a network with two nodes for each variable v, "v is required" and "v is recomputed":

      source -> required(v)           unlimited, for each v in `required`
      required(v) -> recomputed(v)    cost of keeping v; cut: v is kept
      recomputed(v) -> sink           cost of recomputing v; cut: v is recomputed
      recomputed(v) -> required(u)    unlimited, for each u that v's equation reads

    Args:
      program: the equations.
      free: variables that are available at no cost.
      required: variables that are read.
      shown: variables that are stored in any case, so that keeping them costs next to nothing.
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
    sparse = scipy.sparse  # which SciPy loads only now
    network = sparse.csr_array((costs, tuple(np.array(list(edges)).T)), (size, size))
    rest = network - sparse.csgraph.maximum_flow(network, source, sink).flow
    rest.data = np.maximum(rest.data, 0)
    rest.eliminate_zeros()
    order = sparse.csgraph.breadth_first_order(rest, source, return_predecessors=False)
    reached = set(order.tolist())
    return [v for v in names if place[v] in reached and place[v] + 1 not in reached]
