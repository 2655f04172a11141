"""Picks the shoes out of the example's images: sandals, sneakers and ankle boots."""

import numpy as np

EXAMPLE = "../edgesplit/examples/fashion_mnist"
SANDAL, SNEAKER, BOOT = 5, 7, 9

for part in ("train", "test"):
    data = np.load(f"{EXAMPLE}/{part}.npz")
    shoes = np.isin(data["y"], (SANDAL, SNEAKER, BOOT))
    labels = np.searchsorted((SANDAL, SNEAKER, BOOT), data["y"][shoes])
    np.savez(f"shoes-{part}.npz", x=data["x"][shoes], y=labels)
    print(f"shoes-{part}.npz: {len(labels)} images of {data['x'].shape[1:]}")
