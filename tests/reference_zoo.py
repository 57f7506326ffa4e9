"""More cells as NumPy loops from their papers' equations, which also take complex numbers.

Each takes x (T, D), the first state or states (H,), and parameters under the names that the
library's modules give them, and returns the outputs (T, H). With complex numbers, a derivative is
the imaginary part of a loss at a point that is moved by an imaginary step: exact to rounding.
"""

import numpy as np
import scipy


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def relu(a):
    return np.where(a.real > 0, a, 0)


def hears(gate, h):
    """The state without what dropout takes from this gate."""
    return h * gate.get("state_mask", 1.0)


def heard(gate, x, h):
    """x W + h U + b, of what there is; a vector of recurrent weights multiplies unit by unit."""
    total = gate.get("bias", 0.0)
    if "kernel" in gate:
        total = total + (x * gate.get("input_mask", 1.0)) @ gate["kernel"]
    if "recurrent_kernel" in gate:
        u, h = gate["recurrent_kernel"], hears(gate, h)
        total = total + (h @ u if u.ndim == 2 else h * u)
    return total


def looped(step):
    """A loop over the steps of x, that returns every output: the last of the states."""

    def loop(w, x, states, **options):
        outputs = []
        for now in x:
            states = step(w, now, *states, **options)
            outputs.append(states[-1])
        return np.stack(outputs)

    return loop


def gate(w, x, h):
    """A gate; if refined, between f^2 and 1 - (1 - f)^2."""
    if "refine" not in w:
        return sigmoid(heard(w, x, h))
    f, r = sigmoid(heard(w["gate"], x, h)), sigmoid(heard(w["refine"], x, h))
    return r * (1 - (1 - f) ** 2) + (1 - r) * f**2


@looped
def gru(w, x, h, reset_after=True, update_gate="keep", **_):
    r = gate(w["reset"], x, h) if "reset" in w else 1.0
    z, n = gate(w["update"], x, h), w["candidate"]
    if reset_after:
        n = heard(n, x, 0 * h) + r * (h @ n["recurrent_kernel"] + w.get("recurrent_bias", 0.0))
    else:
        n = heard(n, x, r * h)
    z = z if update_gate == "keep" else 1 - z
    return (z * h + (1 - z) * np.tanh(n),)


@looped
def lstm(w, x, c, h, input="learned", output="learned", **_):
    total = lambda name, c: heard(w[name], x, h) + w[name].get("peephole", 0.0) * c
    f = gate(w["forget"], x, h) if "gate" in w["forget"] else sigmoid(total("forget", c))
    i = 1 - f if input == "coupled" else sigmoid(total("input", c))
    c = f * c + i * np.tanh(heard(w["candidate"], x, h))
    o = 1.0 if output == "open" else sigmoid(total("output_gate", c))
    return c, o * np.tanh(c)


@looped
def min_gru(w, x, h, activation="identity"):
    z, n = sigmoid(heard(w["update"], x, h)), heard(w["candidate"], x, h)
    n = np.where(n.real >= 0, n + 0.5, sigmoid(n)) if activation == "positive" else n
    return ((1 - z) * h + z * n,)


@looped
def min_lstm(w, x, h):
    f, i = sigmoid(heard(w["forget"], x, h)), sigmoid(heard(w["input"], x, h))
    return ((f * h + i * heard(w["candidate"], x, h)) / (f + i),)


@looped
def lru(w, x, re, im, _):
    size, angle = np.exp(-np.exp(w["nu"])), np.exp(w["theta"])
    real, imaginary = size * np.cos(angle), size * np.sin(angle)
    scale = np.exp(w["gamma"])
    re, im = (
        real * re - imaginary * im + scale * (x @ w["real"]["kernel"]),
        imaginary * re + real * im + scale * (x @ w["imaginary"]["kernel"]),
    )
    return re, im, heard(w["output_real"], x, re) - heard(w["output_imaginary"], x, im)


@looped
def indrnn(w, x, h):
    return (relu(heard(w["candidate"], x, h)),)


@looped
def mgu(w, x, h):
    f = sigmoid(heard(w["forget"], x, h))
    return ((1 - f) * h + f * np.tanh(heard(w["candidate"], x, f * h)),)


@looped
def mut1(w, x, h):
    z, r = sigmoid(heard(w["update"], x, h)), sigmoid(heard(w["reset"], x, h))
    n = np.tanh(heard(w["candidate"], x, r * h) + np.tanh(x @ w["inputs"]["kernel"]))
    return (n * z + h * (1 - z),)


@looped
def mut3(w, x, h):
    z, r = sigmoid(heard(w["update"], x, np.tanh(h))), sigmoid(heard(w["reset"], x, h))
    return (np.tanh(heard(w["candidate"], x, r * h)) * z + h * (1 - z),)


def normed(a, gain):
    """LN of one vector, whose numbers have the gains of several gates in turn."""
    centred = a - a.mean()
    return gain.reshape(-1) * centred / np.sqrt((centred**2).mean() + 1e-5)


def side_by_side(w, gates):
    """The kernels W and U and the biases of several gates as one."""
    parts = ("kernel", "recurrent_kernel", "bias")
    return [np.concatenate([w[name][part] for name in gates], axis=-1) for part in parts]


def normed_sums(w, x, h, gates, norm):
    """Of several gates: LN(x W) + LN(h U) + b, LN(x W + h U) + b, or LN(x W) + h U + b."""
    kernel, recurrent, b = side_by_side(w, gates)
    gain = w["norm"]["first"]["gain"]
    if norm == "sum":
        total = normed(x @ kernel + h @ recurrent, gain)
    elif norm == "products":
        total = normed(x @ kernel, gain) + normed(h @ recurrent, w["norm"]["second"]["gain"])
    else:
        total = normed(x @ kernel, gain) + h @ recurrent
    return np.split(total + b, len(gates))


@looped
def ln_gru(w, x, h, norm="products"):
    if norm == "sum":
        r, z, n = normed_sums(w, x, h, ("reset", "update", "candidate"), norm)
        n = np.tanh(sigmoid(r) * n)
    else:
        r, z = normed_sums(w, x, h, ("reset", "update"), norm)
        along = normed(x @ w["candidate"]["kernel"], w["along"]["gain"])
        across = normed(h @ w["candidate"]["recurrent_kernel"], w["across"]["gain"])
        n = np.tanh(along + sigmoid(r) * across + w["candidate"]["bias"])
    return ((1 - sigmoid(z)) * h + sigmoid(z) * n,)


@looped
def ln_lstm(w, x, c, h, norm="products"):
    gates = ("input", "forget", "candidate", "output_gate")
    i, f, g, o = normed_sums(w, x, h, gates, norm)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(normed(c, w["memory_norm"]["gain"]) + w["memory_bias"])


@looped
def li_gru(w, x, h):
    z, n = normed_sums(w, x, h, ("update", "candidate"), "inputs")
    return (sigmoid(z) * h + (1 - sigmoid(z)) * relu(n),)


@looped
def janet(w, x, c, beta=1.0):
    a = heard(w["forget"], x, c)
    return (sigmoid(a) * c + (1 - sigmoid(a - beta)) * np.tanh(heard(w["candidate"], x, c)),)


@looped
def brc(w, x, h):
    c, a = sigmoid(heard(w["update"], x, h)), 1 + np.tanh(heard(w["feedback"], x, h))
    n = np.tanh(heard(w["candidate"], x, h) + a * hears(w["candidate"], h))
    return (c * h + (1 - c) * n,)


nbrc = brc


@looped
def lem(w, x, z, y, dt=1.0):
    d_z, d_y = (dt * sigmoid(heard(w[name], x, y)) for name in ("memory_step", "output_step"))
    z = (1 - d_z) * z + d_z * np.tanh(heard(w["memory"], x, y))
    return z, (1 - d_y) * y + d_y * np.tanh(heard(w["candidate"], x, z))


@looped
def slstm(w, x, c, n, m, h):
    a, f = heard(w["input"], x, h), m - np.log(1 + np.exp(-heard(w["forget"], x, h)))
    z, o = np.tanh(heard(w["candidate"], x, h)), sigmoid(heard(w["output_gate"], x, h))
    m = np.where(a.real > f.real, a, f)
    c = np.exp(f - m) * c + np.exp(a - m) * z
    n = np.exp(f - m) * n + np.exp(a - m)
    return c, n, m, o * c / n


@looped
def cornn(w, x, z, y, dt=0.06, gamma=66.0, epsilon=15.0):
    force = np.tanh(heard(w["position"], x, y) + z @ w["velocity"]["recurrent_kernel"])
    z = z + dt * (force - gamma * y - epsilon * z)
    return z, y + dt * z


@looped
def fastgrnn(w, x, h):
    total = heard(w["shared"], x, h)
    z, n = sigmoid(total + w["update_bias"]), np.tanh(total + w["bias"])
    return ((sigmoid(w["zeta"]) * (1 - z) + sigmoid(w["nu"])) * n + z * h,)


def skew(values, size):
    """-S^T = S with these numbers above the diagonal, row by row."""
    found, left = np.zeros((size, size), values.dtype), list(values)
    for row in range(size):
        for column in range(row + 1, size):
            found[row, column] = left.pop(0)
            found[column, row] = -found[row, column]
    return found


@looped
def antisymmetric(w, x, h, gated=False, epsilon=0.1, gamma=0.01):
    across = hears(w["candidate"], h) @ (skew(w["skew"], len(h)) - gamma * np.eye(len(h)))
    n = np.tanh(heard(w["candidate"], x, h) + across)
    z = sigmoid(heard(w["update"], x, h) + across) if gated else 1.0
    return (h + epsilon * z * n,)


@looped
def exprnn(w, x, h):
    turned = hears(w["candidate"], h) @ scipy.linalg.expm(skew(w["skew"], len(h)))
    total = heard(w["candidate"], x, h) + turned
    size = np.where(total.real < 0, -total, total)
    return (np.sign(total.real) * relu(size + w["bias"]),)
