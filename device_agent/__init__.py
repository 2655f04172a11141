"""The agent that runs on a board: numpy, onnxruntime, paho-mqtt, and no torch."""
