"""Logistic regression by stochastic gradient descent, with a penalty on large weights."""

import math
from operator import mul

from .settings import non_negative_number

EPOCHS = 1000

SETTINGS = {
    "rate": {"type": non_negative_number, "help": "how far one row moves the weights"},
    "penalty": {"type": non_negative_number, "help": "how strongly weights are pulled to 0"},
}


def fit(table, settings, random, log):
    """Descends row by row, in a new order in each epoch, with steps that grow smaller."""
    weights, bias = [0.0] * len(table["features"]), 0.0
    examples = list(zip(table["rows"], table["labels"]))
    for epoch in range(EPOCHS):
        random.shuffle(examples)
        rate = settings["rate"] / (1 + 10 * epoch / EPOCHS)
        kept = 1 - rate * settings["penalty"]
        for row, label in examples:
            step = rate * (label - sigmoid(bias + sum(map(mul, weights, row))))
            weights = [kept * weight + step * value for weight, value in zip(weights, row)]
            bias += step
        if (epoch + 1) % (EPOCHS // 5) == 0:
            model = {"weights": weights, "bias": bias}
            right = sum((chance(model, row) >= 0.5) == bool(label) for row, label in examples)
            log(f"epoch {epoch + 1}: {right} of {len(examples)} rows right")
    return {"weights": weights, "bias": bias}


def chance(model, row):
    """The sigmoid of the weighted sum."""
    return sigmoid(model["bias"] + sum(map(mul, model["weights"], row)))


def sigmoid(value):
    """1 / (1 + exp(-value)), without overflow for values far below 0."""
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    power = math.exp(value)
    return power / (1 + power)
