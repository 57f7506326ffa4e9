"""Makes tests/golden/keras.npz with Keras 3, so that parity is tested where it is not installed.

KERAS_BACKEND=jax python tests/golden/make_keras.py
"""

from pathlib import Path

import jax
import keras
import numpy as np

LAYERS = {
    "gru": lambda **options: keras.layers.GRU(4, **options),
    "gru_reset_before": lambda **options: keras.layers.GRU(
        4, reset_after=False, recurrent_activation="hard_sigmoid", **options
    ),
    "lstm": lambda **options: keras.layers.LSTM(4, **options),
    "vanilla": lambda **options: keras.layers.SimpleRNN(4, **options),
}


def golden() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    found = {}
    for name, make in LAYERS.items():
        both = keras.layers.Bidirectional(make(return_sequences=True))
        model = keras.Sequential([both, make(return_sequences=True, return_state=True)])
        x = random.normal(size=(2, 5, 3)).astype(np.float32)
        model(x)
        model.set_weights([random.normal(0, 0.5, w.shape) for w in model.get_weights()])
        fixed = [variable.value for variable in model.non_trainable_variables]
        run = lambda weights, x, model=model, fixed=fixed: model.stateless_call(weights, fixed, x)[
            0
        ]
        loss = lambda weights, x, run=run: sum(jax.numpy.sin(y).sum() for y in run(weights, x))
        weights = [variable.value for variable in model.trainable_variables]
        for_weights, for_x = jax.grad(loss, (0, 1))(weights, x)
        outputs, *states = run(weights, x)
        found |= {f"{name}/weights/{i}": np.asarray(w) for i, w in enumerate(weights)}
        found |= {f"{name}/gradients/{i}": np.asarray(w) for i, w in enumerate(for_weights)}
        found |= {f"{name}/states/{i}": np.asarray(state) for i, state in enumerate(states)}
        found |= {f"{name}/x": x, f"{name}/outputs": outputs, f"{name}/for_x": for_x}
    return found


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).parent / "keras.npz", **golden())
