"""Embeddings, trunk (shared bottom, MMoE, PLE) and towers; what they weigh and cost."""
