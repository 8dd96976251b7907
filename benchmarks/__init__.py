"""Measurements: of speed, of studies, of physics, and of the systems of a dissertation."""
