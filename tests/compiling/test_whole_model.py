"""A finished model runs under onnxruntime as it does under torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from coordinator.compiling.whole_model import export_model
from coordinator.zoo.resnet import resnet18
from coordinator.zoo.small_cnn import small_cnn
from coordinator.zoo.vit import vit

MODELS: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...]]] = {
    "small_cnn": (small_cnn, (1, 28, 28)),
    "resnet18": (resnet18, (1, 32, 32)),
    "vit": (vit, (1, 32, 32)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_exported_model_predicts_what_torch_predicts(name: str) -> None:
    factory, shape = MODELS[name]
    torch.manual_seed(0)
    model = factory(in_channels=1)
    with torch.no_grad():
        model.train()(torch.rand(8, *shape))  # running statistics other than the first ones
        x = torch.rand(2, *shape)
        expected = model.eval()(x).numpy()
    session = ort.InferenceSession(export_model(model, (x,)))
    (node,) = session.get_inputs()
    (predicted,) = session.run(None, {node.name: x.numpy()})
    np.testing.assert_allclose(predicted, expected, atol=1e-4)
