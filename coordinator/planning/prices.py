"""The region of prices in which the best ones may still lie: an ellipsoid that every cut shrinks.

Prices of n resources are points of the simplex; the last price is one minus the others. With
two resources the ellipsoid is an interval and the method is bisection. (Groetschel, Lovasz,
Schrijver: Geometric Algorithms and Combinatorial Optimization, section 3.3, shallow and deep cuts.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define

from coordinator.planning.tables import Floats


@define(eq=False)
class PriceRegion:
    """All but the last price: an ellipsoid {y: (y - center)' inverse(shape) (y - center) <= 1}."""

    resources: Sequence[int]
    center: Floats
    shape: Floats

    @classmethod
    def whole(cls, resources: Sequence[int]) -> PriceRegion:
        """Returns the ball around all prices of these resources."""
        free = len(resources) - 1
        center = np.full(free, 1 / (free + 1))
        return cls(resources, center, np.eye(free) * (free / (free + 1)))

    @property
    def prices(self) -> Floats:
        """The prices [4] at the center; zero for resources that never bind."""
        prices = np.zeros(4)
        prices[list(self.resources)] = [*self.center, 1 - self.center.sum()]
        return prices

    def stay_positive(self) -> bool:
        """Cuts until the center is made of prices; False if hardly any are left."""
        while (worst := int(self.prices.argmin())) in self.resources and self.prices[worst] < 0:
            use = np.zeros(4)
            use[worst] = 1.0
            if not self.cut(use, 0.0):
                return False
        return True

    def cut(self, use: Floats, least: float) -> bool:
        """Keeps the prices at which `use` [4] costs at least `least`; False if hardly any do."""
        own = use[list(self.resources)]
        normal = own[:-1] - own[-1]
        reach = float(np.sqrt(normal @ self.shape @ normal)) if len(normal) else 0.0
        if reach < 1e-13:
            return False
        free = len(normal)
        depth = (least - own[-1] - normal @ self.center) / reach
        if depth >= 1 - 1e-9:
            return False
        # A cut that keeps more than this would not shrink the ellipsoid.
        depth = max(depth, -0.99 / free)
        step = self.shape @ normal / reach
        self.center = self.center + (1 + free * depth) / (free + 1) * step
        if free == 1:
            self.shape = self.shape * ((1 - depth) / 2) ** 2
            return True
        outer = 2 * (1 + free * depth) / ((free + 1) * (1 + depth)) * np.outer(step, step)
        self.shape = free**2 / (free**2 - 1) * (1 - depth**2) * (self.shape - outer)
        return True
