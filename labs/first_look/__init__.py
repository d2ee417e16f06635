"""A first look at a log of one's own: what its columns may mean, as a contract to be edited."""
