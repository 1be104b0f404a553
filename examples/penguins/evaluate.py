"""Judges a saved model by rows that it was not trained on."""

import argparse
import math

from exchange import fetch, log, write_outputs
from models import KINDS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="the model, as saved by train.py")
    parser.add_argument("--on", required=True, choices=["validation", "test"], help="the rows to judge it by")
    arguments = parser.parse_args()

    saved = fetch(arguments.model)
    table = fetch(f"{arguments.on}.json")
    chances = [KINDS[saved["kind"]].chance(saved["model"], row) for row in table["rows"]]
    confusion = confuse(chances, table["labels"])
    result = {
        "kind": saved["kind"],
        "settings": saved["settings"],
        "model": arguments.model,
        "accuracy": round((confusion[0][0] + confusion[1][1]) / len(chances), 4),
        "log_loss": round(log_loss(chances, table["labels"]), 4),
        "confusion": confusion,
        "classes": table["classes"],
    }
    log(f"accuracy {result['accuracy']:.1%}, log loss {result['log_loss']:.4f}, over {len(chances)} rows")
    write_outputs(result=result)


def confuse(chances, labels):
    """How many rows of each class (outer list) were taken for each class (inner lists)."""
    confusion = [[0, 0], [0, 0]]
    for chance, label in zip(chances, labels):
        confusion[label][int(chance >= 0.5)] += 1
    return confusion


def log_loss(chances, labels):
    """The mean of -log(chance given to the right class): small if the model is right, and as sure as it may be."""
    right = (chance if label else 1 - chance for chance, label in zip(chances, labels))
    return sum(-math.log(max(chance, 1e-12)) for chance in right) / len(labels)


if __name__ == "__main__":
    main()
