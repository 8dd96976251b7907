"""The systems of the machine-learning event generator dissertation (Alanazi, ODU 2022)."""
