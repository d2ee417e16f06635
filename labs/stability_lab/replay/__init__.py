"""The labeller's decisions replayed under other settings, and what they did to the traffic."""
