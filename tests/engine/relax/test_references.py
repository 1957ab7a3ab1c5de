"""Reference energies of the elements and formation energies."""

from __future__ import annotations

import json

import pytest

from aiida_alphacrystal.engine.errors import UnsupportedElementError
from aiida_alphacrystal.engine.relax import elemental_references, formation_energy, relax_structures, resolve_potential
from aiida_alphacrystal.engine.relax import references as references_module
from aiida_alphacrystal.engine.relax.elements import element_crystals
from aiida_alphacrystal.engine.relax.references import compute_references, shipped_references
from aiida_alphacrystal.engine.settings import RelaxSettings


def test_formation_energy():
    assert formation_energy(-3.0, {'Na': 1, 'Cl': 3}, {'Na': -1.0, 'Cl': -2.0}) == pytest.approx(-1.25)


def test_shipped_table_covers_chgnet(chgnet):
    sha256 = resolve_potential('chgnet').files.sha256
    assert set(shipped_references()[sha256]) == chgnet.elements


@pytest.mark.parametrize('symbol', ['Na', 'O', 'Si', 'Ti'])
def test_shipped_values_are_what_the_command_computes(chgnet, symbol):
    computed = compute_references([symbol], chgnet)
    assert elemental_references([symbol], chgnet)[symbol] == pytest.approx(computed[symbol], abs=1e-4)


def test_unshipped_values_are_computed_once(chgnet, monkeypatch):
    monkeypatch.setattr(references_module, 'shipped_references', dict)
    monkeypatch.setattr(references_module, '_COMPUTED', {})
    first = elemental_references(['Al', 'Mg'], chgnet)
    monkeypatch.setattr(references_module, 'compute_references', None)
    assert elemental_references({'Mg', 'Al'}, chgnet) == first


def test_unknown_element(chgnet):
    with pytest.raises(UnsupportedElementError, match='Po'):
        elemental_references(['Na', 'Po'], chgnet)


def test_every_element_has_sound_crystals(chgnet):
    crystals = {symbol: element_crystals(symbol) for symbol in sorted(chgnet.elements)}
    assert all(set(map(str, crystal.species)) == {symbol} for symbol, some in crystals.items() for crystal in some)
    first = [some[0] for some in crystals.values()]
    relaxed = relax_structures(first, chgnet, RelaxSettings(max_steps=0, batch_size=30))
    assert {relaxation.reason for relaxation in relaxed} == {None}


def test_formation_energies_are_near_experiment(chgnet, distorted):
    relaxations = relax_structures(distorted, chgnet, RelaxSettings())
    experiment = [-2.13, -3.32, -3.26, -0.37, -3.29]
    for relaxation, expected in zip(relaxations, experiment, strict=True):
        counts = {str(symbol): int(n) for symbol, n in relaxation.structure.composition.get_el_amt_dict().items()}
        value = formation_energy(relaxation.energy, counts, elemental_references(counts, chgnet))
        assert value == pytest.approx(expected, abs=0.4)


def test_command_writes_the_table(tmp_path, monkeypatch, chgnet):
    monkeypatch.setattr(references_module, 'compute_references', lambda elements, _: dict.fromkeys(elements, -1.0))
    path = tmp_path / 'references.json'
    references_module.main(['chgnet', '--output', str(path)])
    document = json.loads(path.read_text())
    assert document['card']['unit'] == 'eV/atom'
    assert set(document['potentials'][chgnet.sha256]['energies']) == chgnet.elements
