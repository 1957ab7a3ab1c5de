"""The science of AlphaCrystal-II in plain Python: no module below this one imports AiiDA."""
