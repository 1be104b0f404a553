"""The kinds of models. Each is a module with:

SETTINGS                             what can be configured: option name -> arguments for argparse
fit(table, settings, random, log)    trains on a table, and returns the model as something that JSON can hold
chance(model, row)                   how likely it is, from 0 to 1, that a row is of the second of the two classes
"""

from . import forest, knn, logistic

KINDS = {"knn": knn, "logistic": logistic, "forest": forest}
