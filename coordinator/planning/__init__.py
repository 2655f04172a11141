"""The scheduler's mathematics: problems, planners, bounds. Values in, values out."""
