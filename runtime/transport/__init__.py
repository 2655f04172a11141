"""Carrying bytes between parties: the seam and its two worlds."""
