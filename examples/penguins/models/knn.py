"""k nearest neighbours, with features weighted by how much they help.

The weights are learned: each round changes one at random and keeps the change if the training rows, each judged by the
others, are told apart better.
"""

import math
from heapq import nsmallest
from operator import itemgetter, sub

from .settings import positive_integer

ROUNDS = 16
# The deviation of the logarithm of a change: most lie between halving and doubling.
CHANGE = 0.7

METRICS = {
    "euclidean": math.dist,
    "manhattan": lambda one, other: sum(map(abs, map(sub, one, other))),
}

SETTINGS = {
    "k": {"type": positive_integer, "help": "how many neighbours vote"},
    "metric": {"choices": list(METRICS), "help": "how far two rows are from each other"},
}


def fit(table, settings, random, log):
    """Learns the weights."""
    model = {**settings, "labels": table["labels"]}

    def weighted(weights):
        return {**model, "weights": weights, "rows": [scale(row, weights) for row in table["rows"]]}

    best = weighted([1.0] * len(table["features"]))
    least = loss(best)
    log(f"loss with equal weights: {least:.4f}")
    for number in range(1, ROUNDS + 1):
        weights = list(best["weights"])
        weights[random.randrange(len(weights))] *= math.exp(random.gauss(0, CHANGE))
        changed = weighted(weights)
        found = loss(changed)
        if found < least:
            best, least = changed, found
            log(f"loss after round {number}: {least:.4f}")
    return best


def chance(model, row):
    """The share of the second class among the nearest neighbours."""
    return share(model, scale(row, model["weights"]), None)


def share(model, scaled, itself):
    """The same for a scaled row, which may be one of the model's own and then is no neighbour of `itself`."""
    distance = METRICS[model["metric"]]
    neighbours = (
        (distance(scaled, other), label)
        for index, (other, label) in enumerate(zip(model["rows"], model["labels"]))
        if index != itself
    )
    nearest = nsmallest(model["k"], neighbours, key=itemgetter(0))
    # One vote more for each class: few neighbours of one mind are no certainty.
    return (sum(label for _, label in nearest) + 1) / (len(nearest) + 2)


def loss(model):
    """The mean logarithmic loss of the model's own rows, each judged by the others."""
    total = 0.0
    for index, (row, label) in enumerate(zip(model["rows"], model["labels"])):
        second = share(model, row, index)
        total -= math.log(second if label else 1 - second)
    return total / len(model["rows"])


def scale(row, weights):
    """A row with each feature multiplied by its weight."""
    return [value * weight for value, weight in zip(row, weights)]
