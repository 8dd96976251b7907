"""Figures of merit: how far a generated sample is from the truth, beside how far truth is."""
