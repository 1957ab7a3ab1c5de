"""How good the predictions are on known crystals, entry by entry and as a whole."""

from __future__ import annotations

from aiida_alphacrystal.engine.evaluation.entries import COLUMNS, EntryResult
from aiida_alphacrystal.engine.evaluation.journal import Journal, JournalError, read_evaluation
from aiida_alphacrystal.engine.evaluation.plan import Plan
from aiida_alphacrystal.engine.evaluation.runner import evaluate
from aiida_alphacrystal.engine.evaluation.summary import summarise

__all__ = (
    'COLUMNS',
    'EntryResult',
    'Journal',
    'JournalError',
    'Plan',
    'evaluate',
    'read_evaluation',
    'summarise',
)
