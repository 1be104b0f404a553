"""How the steps of this pipeline hand data to each other.

Small results are outputs: a JSON object in the file named by WINDLASS_OUTPUT. Everything larger is a file in the
directory named by WINDLASS_RUN_DIR, which the steps of a run share on a host, and only its name is an output.
"""

import json
import os
import random
import sys
from pathlib import Path


def fail(message):
    """Ends the step: the message goes to its log, the exit code is 1."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def log(message):
    """Writes a line to the step's log at once, for those who follow it."""
    print(message, flush=True)


def step_name():
    """The name of the step that this script is run as."""
    return _variable("WINDLASS_STEP")


def seeded_random(seed, purpose):
    """A source of random numbers of its own for each purpose, so that no step depends on what another one drew."""
    return random.Random(f"{seed}/{purpose}")


def write_outputs(**outputs):
    """Writes the step's outputs."""
    Path(_variable("WINDLASS_OUTPUT")).write_text(json.dumps(outputs), encoding="utf-8")


def save(name, content):
    """Keeps JSON content for later steps and returns the file's name. It appears whole or not at all."""
    path = Path(_variable("WINDLASS_RUN_DIR")) / name
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(json.dumps(content), encoding="utf-8")
    os.replace(unfinished, path)
    return name


def fetch(name):
    """Reads what an earlier step saved."""
    path = Path(_variable("WINDLASS_RUN_DIR")) / name
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"{name} cannot be read: {error.strerror}; the step that saves it must run before")
    except ValueError as error:
        fail(f"{name} is not JSON: {error}; run the step that saves it again")


def _variable(name):
    value = os.environ.get(name)
    if not value:
        fail(f"{name} is not set; start this script as a step of pipeline.yaml")
    return value
