"""The world: market, users, context, drift, and intercepts that give each setup its CVR."""
