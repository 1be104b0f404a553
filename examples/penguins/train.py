"""Trains one model with one configuration and saves it."""

import argparse
import time

from exchange import fetch, log, save, seeded_random, step_name, write_outputs
from models import KINDS


def main():
    arguments = parse()
    settings = {name: getattr(arguments, name) for name in KINDS[arguments.kind].SETTINGS}
    table = fetch("train.json")
    started = time.process_time()
    model = KINDS[arguments.kind].fit(table, settings, seeded_random(arguments.seed, step_name()), log)
    log(f"trained on {len(table['rows'])} rows in {time.process_time() - started:.2f} s of processor time")
    saved = {"kind": arguments.kind, "settings": settings, "model": model}
    write_outputs(model=save(f"{step_name()}.json", saved))


def parse():
    """One sub-command for each kind of model, with one option for each of its settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, kind in KINDS.items():
        options = kinds.add_parser(name, help=kind.__doc__.splitlines()[0])
        options.add_argument("--seed", required=True, type=int, help="of all that is random in the training")
        for setting, description in kind.SETTINGS.items():
            options.add_argument(f"--{setting}", required=True, **description)
    return parser.parse_args()


if __name__ == "__main__":
    main()
