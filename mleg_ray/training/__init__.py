"""The one training loop, its data, and the choice of the best snapshot; knows no Ray."""
