"""What the board and the coordinator share: messages, topics, transfers, codecs, optimisers.

Imports neither torch nor onnx; a test holds that.
"""
