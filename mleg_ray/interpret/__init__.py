"""Looking into a trained model: the surface of its loss, and what its hidden layers tell apart."""
