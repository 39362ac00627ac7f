"""What a policy that was never shown would have brought, estimated from the log of another."""
