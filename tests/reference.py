"""The cells as NumPy loops, written from the equations and sharing nothing with the library."""

import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def gru(x, h, w, reset_after=True, keeps=True, reset="learned", update="learned"):
    """x (T, D), h (H,), w: W_r (D, H), U_r (H, H), b_r (H,), ... -> states (T, H)."""
    states = []
    for x_t in x:
        r = sigmoid(x_t @ w["W_r"] + h @ w["U_r"] + w["b_r"]) if reset == "learned" else 1.0
        if update == "learned":
            z = sigmoid(x_t @ w["W_z"] + h @ w["U_z"] + w["b_z"])
        elif update == "constant":
            z = sigmoid(w["b_z"])
        else:
            z = 1.0 if (update == "keep") == keeps else 0.0
        if reset_after:
            n = np.tanh(x_t @ w["W_n"] + w["b_n"] + r * (h @ w["U_n"] + w["c_n"]))
        else:
            n = np.tanh(x_t @ w["W_n"] + w["b_n"] + (r * h) @ w["U_n"])
        h = z * h + (1 - z) * n if keeps else (1 - z) * h + z * n
        states.append(h)
    return np.stack(states)


def lstm(x, c, h, w):
    """x (T, D), c and h (H,) -> states h (T, H) and the last c."""
    states = []
    for x_t in x:
        i, f, o = (sigmoid(x_t @ w["W_" + k] + h @ w["U_" + k] + w["b_" + k]) for k in "ifo")
        g = np.tanh(x_t @ w["W_g"] + h @ w["U_g"] + w["b_g"])
        c = f * c + i * g
        h = o * np.tanh(c)
        states.append(h)
    return np.stack(states), c


def vanilla(x, h, w, activation=np.tanh):
    """x (T, D), h (H,) -> states (T, H)."""
    states = []
    for x_t in x:
        h = activation(x_t @ w["W_n"] + h @ w["U_n"] + w["b_n"])
        states.append(h)
    return np.stack(states)


def minimal_rnn(x, h, w):
    """x (T, D), h (H,) -> states (T, H)."""
    states = []
    for x_t in x:
        n = np.tanh(x_t @ w["W_n"] + w["b_n"])
        u = sigmoid(h @ w["U_z"] + n @ w["W_z"] + w["b_z"])
        h = u * h + (1 - u) * n
        states.append(h)
    return np.stack(states)
