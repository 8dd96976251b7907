"""Hyperparameter studies, without Ray: what is searched, how, and what came of it."""
