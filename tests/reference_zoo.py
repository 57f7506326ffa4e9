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
def indrnn(w, x, h):
    return (relu(heard(w["candidate"], x, h)),)


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
