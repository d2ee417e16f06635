"""An ad network that never was: a market, its users, and a click log whose truth is known."""
