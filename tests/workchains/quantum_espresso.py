"""The real Quantum ESPRESSO, where it is installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from aiida import orm
from aiida_pseudo.data.pseudo import UpfData
from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily

#: Where Debian's package quantum-espresso-data has its pseudopotentials.
PSEUDOPOTENTIALS = Path('/usr/share/espresso/pseudo')
FILES = ('Si.pbe-nl-rrkjus_psl.1.0.0.UPF', 'C.pbe-n-kjpaw_psl.0.1.UPF')
CUTOFFS = {'cutoff_wfc': 30.0, 'cutoff_rho': 240.0}


def find_program():
    """Return the path of pw.x; without it the tests are skipped, or fail where CI demands it."""
    program = shutil.which('pw.x')
    if program is not None and all((PSEUDOPOTENTIALS / name).is_file() for name in FILES):
        return program
    message = "no pw.x with Debian's pseudopotentials is installed"
    if os.environ.get('ALPHACRYSTAL_REQUIRE_QUANTUM_ESPRESSO') == '1':
        pytest.fail(f'{message}, but ALPHACRYSTAL_REQUIRE_QUANTUM_ESPRESSO=1 demands it')
    pytest.skip(message)


def install_family(directory, label):
    """Install the pseudopotentials of silicon and carbon as a family."""
    for name in FILES:
        shutil.copy(PSEUDOPOTENTIALS / name, directory)
    family = CutoffsPseudoPotentialFamily.create_from_folder(directory, label, pseudo_type=UpfData)
    family.set_cutoffs(dict.fromkeys(family.elements, CUTOFFS), 'standard', unit='Ry')
    return family


def make_code(computer, program, label):
    """Set up a code that runs on one core without MPI."""
    return orm.InstalledCode(
        label=label,
        computer=computer,
        filepath_executable=str(program),
        default_calc_job_plugin='quantumespresso.pw',
        with_mpi=False,
        prepend_text='export OMP_NUM_THREADS=1',
    ).store()
