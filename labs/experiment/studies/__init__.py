"""The named experiments: their arms, and which rows and assignments these see."""
