"""Random forest: many small decision trees, each grown on other rows, that vote."""

from statistics import fmean

from .settings import positive_integer

TREES = 400
# Features that a tree looks at for one cut.
CANDIDATES = 3

SETTINGS = {"depth": {"type": positive_integer, "help": "the most cuts between a tree's root and its leaves"}}


def fit(table, settings, random, log):
    """Grows each tree on as many rows as there are, drawn with repetition."""
    examples = list(zip(table["rows"], table["labels"]))
    trees = []
    for number in range(1, TREES + 1):
        trees.append(grow(random.choices(examples, k=len(examples)), settings["depth"], random))
        if number % (TREES // 5) == 0:
            log(f"{number} of {TREES} trees grown")
    return {"trees": trees}


def chance(model, row):
    """The mean of what the trees say."""
    return fmean(leaf(tree, row) for tree in model["trees"])


def leaf(tree, row):
    """Goes down a tree to the leaf that the row belongs to."""
    while isinstance(tree, dict):
        tree = tree["below"] if row[tree["feature"]] < tree["threshold"] else tree["above"]
    return tree


def grow(examples, depth, random):
    """A tree: a cut with two trees below it, or a leaf, which is a chance."""
    ones = sum(label for _, label in examples)
    cut = None
    if depth > 0 and 0 < ones < len(examples):
        features = random.sample(range(len(examples[0][0])), CANDIDATES)
        cut = min(filter(None, (best_cut(examples, feature) for feature in features)), default=None)
    if cut is None:
        # One more of each class: few rows of one mind are no certainty.
        return (ones + 1) / (len(examples) + 2)
    _, feature, threshold = cut
    below = [example for example in examples if example[0][feature] < threshold]
    above = [example for example in examples if example[0][feature] >= threshold]
    return {
        "feature": feature,
        "threshold": threshold,
        "below": grow(below, depth - 1, random),
        "above": grow(above, depth - 1, random),
    }


def best_cut(examples, feature):
    """The purest cut along a feature as (impurity, feature, threshold); none if all rows have the same value."""
    ordered = sorted((row[feature], label) for row, label in examples)
    size, all_ones = len(ordered), sum(label for _, label in ordered)
    best, ones = None, 0
    for count in range(1, size):
        ones += ordered[count - 1][1]
        before, value = ordered[count - 1][0], ordered[count][0]
        if before == value:
            continue
        mixed = impurity(ones, count) + impurity(all_ones - ones, size - count)
        if best is None or mixed < best[0]:
            best = (mixed, feature, value)
    return best


def impurity(ones, size):
    """Gini's measure, times the number of rows."""
    return 2 * ones * (size - ones) / size
