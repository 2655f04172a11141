"""A whole fleet on one machine: real processes, emulated boards."""
