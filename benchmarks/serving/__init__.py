"""One worker on one core: throughput and latency beside floors and other servers."""
