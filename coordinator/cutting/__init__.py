"""Where a model can be cut, what a cut costs, and the two parts that it leaves."""
