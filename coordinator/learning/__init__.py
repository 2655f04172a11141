"""The numerical side of a round at the server: replicas, averaging, evaluation, checkpoints."""
