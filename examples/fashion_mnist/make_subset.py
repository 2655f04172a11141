"""Cuts the example's two small files out of Fashion-MNIST.

The full set comes with Debian's package `dataset-fashion-mnist`. Run from any folder:

    python examples/fashion_mnist/make_subset.py [--from DIR] [--out DIR]

The files are the same, byte for byte, whenever it runs.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

from runtime.dataset import open_source
from runtime.shard import write_shard

PACKAGED = Path("/usr/share/datasets/fashion-mnist")
SUBSETS = {"train": ("train", 6000), "test": ("t10k", 5000)}
"""Name of the subset: prefix of the full files, number of leading images that are kept."""


def make_subsets(full: Path, out: Path) -> None:
    """Writes train.npz and test.npz into `out` from the four idx files in `full`."""
    for name, (prefix, count) in SUBSETS.items():
        source = f"idx:{prefix}-images-idx3-ubyte.gz,{prefix}-labels-idx1-ubyte.gz"
        data = open_source(source, full)
        inputs, labels = data.inputs[:count], data.labels[:count]
        write_shard(out / f"{name}.npz", inputs, labels, zipfile.ZIP_LZMA)


def main() -> None:
    """Reads the command line and writes both subsets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--from", dest="full", type=Path, default=PACKAGED, metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR")
    args = parser.parse_args()
    make_subsets(args.full, args.out)


if __name__ == "__main__":
    main()
