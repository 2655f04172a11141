"""The same coordinator and the same agents over modelled links, boards and time."""
