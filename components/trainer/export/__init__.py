"""The full graph and the serving graph, and the proof that one is the other without soft parts."""
