"""Emulated fleets with real processes and transfers: what plans foretell, and what they take."""
