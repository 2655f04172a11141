"""How real links are shared: weights, lending and caps over real brokers and processes."""
