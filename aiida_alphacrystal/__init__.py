"""Predict crystal structures from a formula, inside AiiDA, by the AlphaCrystal-II method."""

__version__ = '0.1.0'
