"""Learning: tasks, models, directions, estimators, rounds, runs."""

import os

# A row of a matrix product must not depend on the rows beside it or on the number of threads by one bit: an example's loss is
# its own (decision 23).  MKL promises that in this mode only, and reads it at its first product.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
