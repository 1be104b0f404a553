"""Reads the table of penguins, drops what is incomplete, and turns it into numbers.

The question is whether a penguin is female or male; the features are its four measurements and its species.
"""

import argparse
import csv
import math
from pathlib import Path

from exchange import fail, log, save, write_outputs

MEASUREMENTS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
SPECIES = ["Adelie", "Chinstrap", "Gentoo"]
CLASSES = ["female", "male"]
COLUMNS = [*MEASUREMENTS, "species", "sex"]
MISSING = "NA"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the table, as CSV with a header")
    path = parser.parse_args().file

    table = {"features": MEASUREMENTS + SPECIES, "classes": CLASSES, "rows": [], "labels": []}
    dropped = 0
    for line, penguin in read(path):
        if MISSING in (penguin[column] for column in COLUMNS):
            dropped += 1
            continue
        try:
            table["rows"].append(features(penguin))
            table["labels"].append(CLASSES.index(one_of(CLASSES, penguin["sex"])))
        except ValueError as error:
            fail(f"{path}, line {line}: {error}; correct the line, or write {MISSING} for what is not known")
    rows = len(table["rows"])
    if rows == 0:
        fail(f"{path} has no complete row")
    log(f"{rows} penguins; {dropped} more are incomplete and dropped")
    save("penguins.json", table)
    write_outputs(rows=rows, dropped=dropped)


def read(path):
    """Yields the number of each line, and the line as a dictionary."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.DictReader(file, restval=MISSING)
            absent = set(COLUMNS).difference(lines.fieldnames or [])
            if absent:
                fail(f"{path} has no column {', '.join(sorted(absent))}; is it the table of penguins?")
            for penguin in lines:
                yield lines.line_num, penguin
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}")
    except (UnicodeDecodeError, csv.Error) as error:
        fail(f"{path} is not CSV in UTF-8: {error}")


def features(penguin):
    """The measurements, then for each species 1 if the penguin is of it, else 0."""
    species = [float(one_of(SPECIES, penguin["species"]) == name) for name in SPECIES]
    measurements = [float(penguin[column]) for column in MEASUREMENTS]
    if not all(0 < measurement < math.inf for measurement in measurements):
        raise ValueError("a measurement must be a number above 0")
    return measurements + species


def one_of(known, name):
    """The name, which must be a known one."""
    if name not in known:
        raise ValueError(f"{name!r} is none of {', '.join(known)}")
    return name


if __name__ == "__main__":
    main()
