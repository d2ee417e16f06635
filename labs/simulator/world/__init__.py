"""The world: market, users, context, seasons, delays, drift, and what gives each setup its CVR."""
