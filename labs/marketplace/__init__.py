"""Simulated ad auctions in which two models bid against each other's budgets, side by side."""
