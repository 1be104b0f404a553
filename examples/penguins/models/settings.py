"""Types of settings: they turn an option's text into its value, or say what is wrong with it."""

import argparse
import math


def positive_integer(text):
    """A whole number from 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def non_negative_number(text):
    """A finite number from 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0")
    return number
