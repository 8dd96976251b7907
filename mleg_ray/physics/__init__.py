"""Physics as pure functions of tensors, in GeV and radians."""
