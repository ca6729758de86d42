"""Running models: devices, where weights come from, batches by tokens, and one loader for each kind of model."""
