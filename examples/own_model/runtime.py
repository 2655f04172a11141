"""Runs the finished model on the test images, with onnxruntime alone."""

import numpy as np
import onnxruntime

NAMES = ("sandal", "sneaker", "ankle boot")

session = onnxruntime.InferenceSession("runs/latest/final.onnx")
(entry,) = session.get_inputs()
data = np.load("shoes-test.npz")
images = data["x"].astype(np.float32) / 255

guesses = [int(session.run(None, {entry.name: image[None]})[0].argmax()) for image in images]
for label, name in enumerate(NAMES):
    found = np.mean(np.equal(guesses, label)[data["y"] == label])
    print(f"{name:<10} {found:.0%} recognised")
print(f"{np.mean(guesses == data['y']):.2%} of {len(images)} images")
