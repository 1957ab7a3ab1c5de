"""Tests of the adapter to any work chain with protocols."""

from __future__ import annotations

import pytest

from aiida_alphacrystal.engine.errors import SettingsError
from aiida_alphacrystal.refiners import ProtocolRefiner, RefinerError, RefinerSettings, get_refiner
from tests.toy_relax import ToyRefiner


@pytest.fixture
def refiner(toy):
    return get_refiner(toy)


def test_any_work_chain_with_protocols(refiner, make_code, silicon_carbide):
    assert type(refiner) is ProtocolRefiner
    refiner.check(make_code(), frozenset({'Si'}), RefinerSettings('fast'))
    builder = refiner.get_builder(make_code(), silicon_carbide, RefinerSettings('fast', {'scale': 0.9}))
    assert builder.structure is silicon_carbide
    assert builder.scale.value == 0.9


def test_settings_that_it_refuses(refiner, make_code, silicon_carbide):
    with pytest.raises(SettingsError, match=r'The work chain test\.toy does not take the settings \(ValueError: '):
        refiner.get_builder(make_code(), silicon_carbide, RefinerSettings('slow'))


def test_a_refiner_of_another_package(entry_points, aiida_profile):
    entry_points.add(ToyRefiner, 'aiida_alphacrystal.refiners:special')
    assert type(get_refiner('special')) is ToyRefiner


def test_a_refiner_that_is_not_there(aiida_profile):
    with pytest.raises(RefinerError, match="The refiner 'nothing' needs a work chain of that name, which is not"):
        get_refiner('nothing')


def test_a_refiner_without_its_plugin(aiida_profile, monkeypatch):
    from aiida import plugins
    from aiida.common.exceptions import MissingEntryPointError

    def fail(name):
        raise MissingEntryPointError(name)

    monkeypatch.setattr(plugins, 'WorkflowFactory', fail)
    with pytest.raises(RefinerError, match=r"install it with `pip install 'aiida-alphacrystal\[dft\]'`"):
        get_refiner('quantumespresso.pw.relax')


def test_a_refiner_that_is_broken(entry_points, aiida_profile):
    entry_points.add('aiida_alphacrystal.nothing:Nothing', 'aiida_alphacrystal.refiners:broken')
    with pytest.raises(RefinerError, match="The refiner 'broken' cannot be loaded from aiida_alphacrystal"):
        get_refiner('broken')


def test_a_work_chain_without_protocols(entry_points, aiida_profile):
    from aiida.engine import WorkChain

    entry_points.add(WorkChain, 'aiida.workflows:test.bare')
    with pytest.raises(RefinerError, match=r"The work chain 'test\.bare' has no protocols"):
        get_refiner('test.bare')
