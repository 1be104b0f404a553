"""Splits a table into rows to train on, rows to choose a model by, and rows to judge the chosen one by.

All three hold the classes in the same shares. Features are scaled to mean 0 and deviation 1, by the mean and deviation
of the training rows alone: nothing of the other two may be known to a model.
"""

import argparse
from statistics import fmean, pstdev

from exchange import fail, fetch, log, save, seeded_random

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", required=True, type=int, help="decides which row goes where")
    seed = parser.parse_args().seed

    table = fetch("penguins.json")
    parts = deal(table["labels"], seeded_random(seed, "split"))
    for part, indices in parts.items():
        if not indices:
            fail(f"nothing is left for the {part} part; give a table with more rows")
    scale = scaler([table["rows"][index] for index in parts["train"]])
    for part, indices in parts.items():
        rows = [scale(table["rows"][index]) for index in indices]
        labels = [table["labels"][index] for index in indices]
        save(f"{part}.json", {**table, "rows": rows, "labels": labels})
        log(f"{part}: {len(rows)} rows")


def deal(labels, random):
    """Deals the rows of each class out to the parts; returns the indices of each part's rows."""
    parts = {part: [] for part in SHARES}
    for label in sorted(set(labels)):
        indices = [index for index, other in enumerate(labels) if other == label]
        random.shuffle(indices)
        start, reached = 0, 0.0
        for part, share in SHARES.items():
            reached += share
            end = round(reached * len(indices))
            parts[part] += indices[start:end]
            start = end
    return parts


def scaler(rows):
    """A function that scales a row by the mean and deviation of each column of these rows."""
    columns = list(zip(*rows))
    means = [fmean(column) for column in columns]
    deviations = [pstdev(column) or 1.0 for column in columns]
    return lambda row: [(value - mean) / by for value, mean, by in zip(row, means, deviations)]


if __name__ == "__main__":
    main()
