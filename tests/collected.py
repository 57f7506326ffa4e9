"""Files of examples such as somebody may have collected."""

import numpy as np
import scipy.io

LENGTHS = {"traindata": (9, 5, 7, 12), "validdata": (4, 8, 6), "testdata": (11, 3)}


def rolls(lengths, seed):
    """Pieces of random notes, as a .mat file has them."""
    generator = np.random.default_rng(seed)
    found = np.empty((1, len(lengths)), object)
    for number, length in enumerate(lengths):
        found[0, number] = (generator.random((length, 88)) < 0.1).astype(np.uint8)
    return found


def music(folder):
    """A .mat file, and its pieces by name."""
    path = folder / "music.mat"
    pieces = {name: rolls(each, seed) for seed, (name, each) in enumerate(LENGTHS.items())}
    scipy.io.savemat(path, pieces)
    return path, pieces


def texts(folder, count=40, name="texts.tsv", words=("word{}", "word{}")):
    """Reviews whose words all differ, so that a word tells the text.

    words: one for each of the two labels.
    """
    path = folder / name
    said = [words[i % 2].format(i) for i in range(count)]
    lines = [f"{('bad', 'good')[i % 2]}\t{said[i]} and more{i} !" for i in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return path


def ratings(folder, count=60):
    """Numbered sentences with ratings, of which a word tells the sign."""
    path = folder / "ratings.txt"
    said = [("bad", "good")[i % 2] + f" {'and so on ' * (i % 3)}{i}." for i in range(count)]
    lines = [f"{i}\t{('-1.5', '2.25')[i % 2]}\t{words}\r\n" for i, words in enumerate(said)]
    path.write_text("".join(lines), newline="")
    return path
