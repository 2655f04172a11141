"""The weights of the null executors: a hash chain of what was consumed.

A sample that is lost, counted twice or out of order changes the chain for ever, so equal chains
at the end of two runs prove that both used the same samples, each once and in its place.
"""

from __future__ import annotations

import hashlib

import numpy as np

from runtime.letters import Tensors
from runtime.tensors import pack, unpack

_NAME = "chain"


def link(*parts: bytes) -> bytes:
    """Returns the next link of a chain: the SHA-256 of `parts`, each behind its length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()


def wrap(chain: bytes) -> Tensors:
    """Returns a chain as the tensors of a letter."""
    return {_NAME: pack(np.frombuffer(chain, np.uint8))}


def unwrap(tensors: Tensors) -> bytes:
    """Returns the chain that `wrap` wrapped."""
    return unpack(tensors[_NAME]).tobytes()
