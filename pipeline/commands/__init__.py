"""The commands of `hardtower`, one a file. Their modules load nothing heavy when imported."""
