"""Tests of what is read and shown of a refinement."""

from __future__ import annotations

import dataclasses
import json

import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase.build import bulk
from pymatgen.core import Structure

from aiida_alphacrystal.report.prediction import write_cifs
from aiida_alphacrystal.report.refinement import FailedStructure, read_refinement
from aiida_alphacrystal.report.tables import print_refinement
from aiida_alphacrystal.workchains import RefineWorkChain


@pytest.fixture
def node(toy, make_code):
    """Return a refinement of copper in which the hexagonal structure failed."""
    structures = [
        orm.StructureData(ase=bulk('Cu', kind, a=a)) for kind, a in (('bcc', 2.8), ('hcp', 2.6), ('fcc', 3.6))
    ]
    builder = RefineWorkChain.get_builder_from_protocol(
        make_code(plugin=None), structures, 'fast', {'max_atoms': 1}, refiner=toy
    )
    return run_get_node(builder)[1]


@pytest.fixture
def report(node):
    return read_refinement(node)


def test_what_is_read(node, report):
    assert report.formula == 'Cu'
    assert (report.refiner, report.code, report.protocol) == ('test.toy', 'pw@localhost', 'fast')
    assert (report.pk, report.uuid) == (node.pk, node.uuid)
    assert (report.kendall_tau, report.same_best) == (-1.0, False)
    best, other = report.refined
    assert (best.rank, best.predicted_rank, best.spacegroup_symbol, best.number_of_atoms) == (1, 3, 'Fm-3m', 1)
    assert (other.rank, other.predicted_rank, other.spacegroup_symbol) == (2, 1, 'Im-3m')
    assert best.uuid == node.outputs.structures.rank_01.uuid
    assert Structure.from_str(best.cif, fmt='cif').volume == pytest.approx(best.volume_per_atom)
    assert report.failed == (FailedStructure(2, 'structure_02', 401, 'the structure is too large'),)
    assert len(read_refinement(node, 1).refined) == 1


def test_json(report):
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values['refined'][0]['relative_energy'] == 0.0
    assert values['failed'][0]['exit_status'] == 401


def test_files(report, tmp_path):
    paths = write_cifs(report.formula, report.refined, tmp_path, suffix='_dft')
    assert [path.name for path in paths] == ['Cu_rank_01_dft.cif', 'Cu_rank_02_dft.cif']
    assert paths[0].read_text(encoding='utf-8') == report.refined[0].cif


def test_table(report, capsys):
    print_refinement(report, ' -p mine')
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 100
    assert lines[0] == 'Cu: 2 structures by DFT energy, the best first'
    row = next(line for line in lines if 'Fm-3m' in line)
    cells = [cell.strip() for cell in row.strip('│').split('│')]
    assert cells[:4] == ['1', '3', 'Fm-3m (225)', '1']
    assert cells[5:7] == ['0.0', '-']
    assert 'structure_02 failed (exit status 401): the structure is too large' in lines
    assert 'Agreement with the predicted order (Kendall tau): -1.00.' in lines
    assert f'  aiida-alphacrystal show -p mine {report.pk}' in '\n'.join(lines)


def test_a_structure_that_has_become_another_one(report, capsys):
    first, second = report.refined
    equal = dataclasses.replace(second, same_as=first.label)
    print_refinement(dataclasses.replace(report, refined=(first, equal)))
    assert 'Rank 2 has become the same structure as rank 1.' in capsys.readouterr().out
