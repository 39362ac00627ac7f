"""Pictures of sales: decoding, scene labels, statistics, topics."""
