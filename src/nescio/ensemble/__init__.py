"""Ensembles: models with different vocabularies, brought to one alphabet, the bytes."""
