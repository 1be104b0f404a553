"""Writes report.md: all configurations, and how the best one does on rows that nothing was decided by."""

import argparse
import json
from pathlib import Path

from exchange import fail, log


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranking", required=True, type=json.loads, help="the `ranking` of pick.py, as JSON")
    parser.add_argument("--test", required=True, type=json.loads, help="the best one's `result` on the test rows")
    parser.add_argument("--rows", required=True, type=int, help="penguins in the table")
    parser.add_argument("--dropped", required=True, type=int, help="penguins that were dropped")
    parser.add_argument("--seed", required=True, type=int, help="the seed of the run")
    parser.add_argument("--out", required=True, type=Path, help="the directory for report.md")
    arguments = parser.parse_args()

    text = "\n\n".join([introduction(arguments), comparison(arguments.ranking), verdict(arguments.test)])
    log(text)
    path = arguments.out / "report.md"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}; choose another directory with the parameter `out`")
    log(f"\nwritten to {path.resolve()}")


def introduction(arguments):
    """What was asked, and of which data."""
    return (
        "# Female or male?\n\n"
        f"{len(arguments.ranking)} models tell a penguin's sex from its measurements and species. They were trained on "
        f"60 %, compared on 20 %,\nand the best one judged by the remaining 20 % of {arguments.rows} penguins "
        f"({arguments.dropped} incomplete ones dropped). Seed: {arguments.seed}."
    )


def comparison(ranking):
    """A table of all configurations, the best first."""
    lines = [
        "## Configurations\n",
        "| rank | model | settings | accuracy (validation) | log loss |",
        "| ---: | --- | --- | ---: | ---: |",
    ]
    for rank, result in enumerate(ranking, start=1):
        cells = [rank, result["kind"], settings_of(result), f"{result['accuracy']:.1%}", f"{result['log_loss']:.4f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def verdict(test):
    """The best configuration on the test rows, with what it took for what."""
    classes = test["classes"]
    lines = [
        f"## The best: {name_of(test)}\n",
        f"On the test rows: accuracy **{test['accuracy']:.1%}**, log loss {test['log_loss']:.4f}.\n",
        f"| is | {' | '.join(f'taken for {name}' for name in classes)} |",
        f"| --- |{' ---: |' * len(classes)}",
    ]
    for name, counts in zip(classes, test["confusion"]):
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def name_of(result):
    """A configuration in words: its kind and settings."""
    return f"{result['kind']} with {settings_of(result)}"


def settings_of(result):
    """Its settings in words."""
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in result["settings"].items()
    )


if __name__ == "__main__":
    main()
