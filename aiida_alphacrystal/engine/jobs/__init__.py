"""Predictions as a job on another machine: one directory with a task in it, results and checkpoints written there.

``aiida-alphacrystal-engine DIRECTORY`` runs it, and nothing there knows of AiiDA.
"""

from __future__ import annotations

from aiida_alphacrystal.engine.jobs.files import (
    CHECKPOINTS,
    RESULTS,
    SUMMARY_FILE,
    TASK_FILE,
    Compound,
    Outcome,
    Task,
    read_result,
    read_summary,
    result_file,
    write_distances,
    write_task,
)
from aiida_alphacrystal.engine.jobs.results import Result

__all__ = (
    'CHECKPOINTS',
    'RESULTS',
    'SUMMARY_FILE',
    'TASK_FILE',
    'Compound',
    'Outcome',
    'Result',
    'Task',
    'read_result',
    'read_summary',
    'result_file',
    'write_distances',
    'write_task',
)
