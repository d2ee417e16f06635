"""Online serving: routes ad candidates and predicts their conversion probabilities."""
