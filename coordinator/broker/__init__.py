"""A broker of our own for rehearsals and tests: on loopback only, gone with its process."""

from coordinator.broker.embedded import EmbeddedBroker

__all__ = ["EmbeddedBroker"]
