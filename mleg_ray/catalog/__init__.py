"""What a dataset is, where its events come from, and its shards on disk."""
