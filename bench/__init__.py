"""Figures: every number in the documentation is printed by a script here."""
