"""Hyperparameter studies and ensembles."""
