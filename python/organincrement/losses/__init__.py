"""One file per loss family: pure functions of tensors."""
