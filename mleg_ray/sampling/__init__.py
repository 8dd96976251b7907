"""From a checkpoint to a dataset, shard by shard and exactly once; nothing here knows Ray."""
