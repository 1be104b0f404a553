"""Ranks what was evaluated and picks the best: by accuracy, and among equals by log loss."""

import argparse
import json

from exchange import fail, log, write_outputs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+", metavar="RESULT", help="the `result` of evaluate.py, as JSON")
    try:
        results = [json.loads(result) for result in parser.parse_args().results]
        ranking = sorted(results, key=lambda result: (-result["accuracy"], result["log_loss"], result["model"]))
    except (KeyError, TypeError, ValueError) as error:
        fail(f"a RESULT is not what evaluate.py writes: {error!r}")
    log(f"the best of {len(ranking)}: {ranking[0]['model']}, accuracy {ranking[0]['accuracy']:.1%}")
    write_outputs(ranking=ranking, best=ranking[0]["model"])


if __name__ == "__main__":
    main()
