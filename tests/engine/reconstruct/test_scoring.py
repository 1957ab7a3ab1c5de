"""Tests of the score of the templates."""

import os
import signal
import threading
import time
from multiprocessing.queues import Queue

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.engine.datasets import Crystal, DatasetError, read_crystals
from aiida_alphacrystal.engine.errors import SettingsError, UnsupportedElementError
from aiida_alphacrystal.engine.metrics import STRICT_RMS, normalised_rms
from aiida_alphacrystal.engine.progress import reporting
from aiida_alphacrystal.engine.reconstruct import scoring
from aiida_alphacrystal.engine.reconstruct.candidates import Candidate
from aiida_alphacrystal.engine.reconstruct.library import load_library
from aiida_alphacrystal.engine.reconstruct.scoring import score_templates
from aiida_alphacrystal.engine.reconstruct.training import train_templates
from aiida_alphacrystal.engine.settings import TemplateSettings

UNSEEN = {'KCl', 'SrO', 'TlCl', 'CaTiO3'}
TIMES = {'seconds_per_1000', 'seconds_to_start', 'jobs'}


def crystal_of(structure, name=''):
    """Return a structure as an entry of a dataset."""
    species = tuple(site.specie.symbol for site in structure)
    return Crystal(
        name or structure.composition.reduced_formula, structure.lattice.matrix, species, structure.frac_coords
    )


def rock_salt(first, second):
    structure = Structure.from_spacegroup(225, Lattice.cubic(5.5), [first, second], [[0] * 3, [0.5] * 3])
    return structure.get_primitive_structure()


def caesium_chloride(first, second):
    return Structure(Lattice.cubic(4), [first, second], [[0] * 3, [0.5] * 3])


@pytest.fixture(scope='module')
def crystals(crystals_file):
    return read_crystals(crystals_file)


@pytest.fixture(scope='module')
def library(crystals, tmp_path_factory):
    directory = tmp_path_factory.mktemp('library')
    known = [crystal for crystal in crystals if crystal.material_id not in UNSEEN]
    train_templates(known, {'file': 'known', 'crystals': len(known)}, directory)
    return load_library(directory / 'templates.safetensors')


@pytest.fixture(scope='module')
def unseen(crystals):
    """Crystals with a template, and one of seven atoms, which no cells of the library add up to."""
    odd = Structure(Lattice.cubic(7), ['Na'] * 4 + ['P'] * 3, np.linspace(0, 0.9, 21).reshape(7, 3))
    return (*(crystal for crystal in crystals if crystal.material_id in UNSEEN), crystal_of(odd, 'odd'))


@pytest.fixture(scope='module')
def scores(library, unseen):
    return score_templates(library, unseen, TemplateSettings())


def test_unseen_crystals_are_found_and_a_new_prototype_is_told_apart(scores):
    assert set(scores) >= {'le12', 'le20', 'new_prototypes', 'ece', 'seconds_per_1000'}
    assert set(scores['le12']) == set(scores['le20']) == {'n', '1', '5', '20'}
    assert scores['le12'] == scores['le20']
    assert scores['le20']['n'] == 5
    assert scores['le20']['5'] == scores['le20']['20'] == pytest.approx(4 / 5)
    assert scores['strict']['le20']['20'] == pytest.approx(4 / 5)
    assert scores['nearest_template']['le20']['20'] == pytest.approx(4 / 5)
    assert scores['new_prototypes'] == {'n': 1, 'share': pytest.approx(1 / 5), '1': 0, '5': 0, '20': 0}
    assert 0 <= scores['ece'] <= 1
    assert scores['rmse']['20'] == pytest.approx(0, abs=1e-4)
    assert [failure['material_id'] for failure in scores['failures']] == ['odd']
    assert scores['seconds_per_1000'] > 0


def test_the_number_of_processes_changes_only_the_times(library, unseen, scores):
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGINT)
    shared = score_templates(library, unseen, TemplateSettings(), jobs=2)
    assert shared['jobs'] == 2
    assert shared['rmse'] == pytest.approx(scores['rmse'], abs=1e-12)  # the last bit depends on the threads of BLAS
    exact = scores.keys() - TIMES - {'rmse'}
    assert {key: shared[key] for key in exact} == {key: scores[key] for key in exact}
    assert shared.keys() == scores.keys()
    assert dict(os.environ) == environment
    assert signal.getsignal(signal.SIGINT) is handler


def test_no_thread_outlives_the_processes(library, unseen, monkeypatch):
    """One that does may be ended with the interpreter while it holds a lock, which Python then complains about."""
    feed = Queue._feed

    def feed_slowly(*args):
        feed(*args)
        time.sleep(0.2)

    monkeypatch.setattr(Queue, '_feed', staticmethod(feed_slowly))
    score_templates(library, unseen, TemplateSettings(), jobs=2)
    assert 'QueueFeederThread' not in {thread.name for thread in threading.enumerate()}


def test_progress_is_reported_for_both_passes(library, unseen):
    told = []
    with reporting(lambda *report: told.append(report)):
        score_templates(library, unseen[:2], TemplateSettings())
    assert told == [(stage, done, 2) for stage in ('generate', 'score') for done in range(3)]


def candidate(structure, probability):
    return Candidate(
        structure=structure,
        source='template',
        origin='by hand',
        spacegroup=1,
        formula_units=1,
        cost=0.0,
        probability=probability,
    )


@pytest.fixture
def by_hand(monkeypatch, library):
    """Return a function that scores answers that are given by hand."""

    def score(entries):
        """Score entries: crystal, candidates with their probability or an error, plain templates or an error."""
        answers = {crystal.formula.reduced: answer for crystal, *answer in entries}

        def propose(_, formula, settings, max_atoms):
            assert (settings, max_atoms) == (TemplateSettings(), 20)
            found = answers[formula.reduced][0]
            if isinstance(found, Exception):
                raise found
            return tuple(candidate(*pair) for pair in found)

        def same_stoichiometry(_, formula, max_atoms):
            if isinstance(answers[formula.reduced][1], Exception):
                raise answers[formula.reduced][1]
            yield from answers[formula.reduced][1]

        monkeypatch.setattr(scoring, 'propose', propose)
        monkeypatch.setattr(scoring, 'same_stoichiometry', same_stoichiometry)
        return score_templates(library, [crystal for crystal, *_ in entries], TemplateSettings())

    return score


def test_rates_by_hand(by_hand):
    perovskite = Structure.from_spacegroup(
        221, Lattice.cubic(4), ['Ba', 'Ti', 'O'], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]
    ).make_supercell([3, 1, 1], in_place=False)
    distorted = perovskite.copy()
    distorted.translate_sites(range(3), [0.0, 0.05, 0.25])
    rms = normalised_rms(distorted, perovskite)
    assert rms > STRICT_RMS
    unknown = UnsupportedElementError('No template knows Cs.')
    result = by_hand(
        [
            (
                crystal_of(rock_salt('K', 'Cl')),
                [(caesium_chloride('K', 'Cl'), 0.6), (rock_salt('K', 'Cl'), 0.3)],
                [caesium_chloride('K', 'Cl'), rock_salt('K', 'Cl')],
            ),
            (crystal_of(rock_salt('Sr', 'O')), [(rock_salt('Sr', 'O'), 0.9)], [rock_salt('Sr', 'O')]),
            (crystal_of(perovskite), [(distorted, 0.5)], []),
            (crystal_of(rock_salt('Cs', 'Br')), unknown, unknown),
            (crystal_of(rock_salt('Ga', 'As')), [], [caesium_chloride('Ga', 'As')]),
        ]
    )
    assert result['le12'] == {'n': 4, '1': 1 / 4, '5': 2 / 4, '20': 2 / 4}
    assert result['le20'] == {'n': 5, '1': 2 / 5, '5': 3 / 5, '20': 3 / 5}
    assert result['strict'] == {
        'le12': {'n': 4, '1': 1 / 4, '5': 2 / 4, '20': 2 / 4},
        'le20': {'n': 5, '1': 1 / 5, '5': 2 / 5, '20': 2 / 5},
    }
    assert result['nearest_template'] == {
        'le12': {'n': 4, '1': 1 / 4, '5': 2 / 4, '20': 2 / 4},
        'le20': {'n': 5, '1': 1 / 5, '5': 2 / 5, '20': 2 / 5},
    }
    assert result['new_prototypes'] == {'n': 3, 'share': 3 / 5, '1': 1 / 3, '5': 1 / 3, '20': 1 / 3}
    assert result['ece'] == pytest.approx((0.6 + 0.1 + 0.5) / 3)
    assert result['ece_all'] == pytest.approx((0.6 + 0.1 + 0.5 + 0.7) / 4)
    assert result['rmse']['1'] == pytest.approx(rms / 2, abs=1e-6)
    assert result['rmse']['20'] == pytest.approx(rms / 3, abs=1e-6)
    assert result['failures'] == [
        {'material_id': 'CsBr', 'reason': 'No template knows Cs.'},
        {'material_id': 'GaAs', 'reason': 'No template offers a structure for GaAs.'},
    ]


def test_the_ranks_up_to_which_a_match_counts(by_hand):
    wrong, right = caesium_chloride('K', 'Cl'), rock_salt('K', 'Cl')
    truth = crystal_of(right)
    for rank, expected in ((5, (0, 1, 1)), (6, (0, 0, 1)), (20, (0, 0, 1)), (21, (0, 0, 0))):
        found = [(wrong, 0.0)] * (rank - 1) + [(right, 1.0)]
        result = by_hand([(truth, found, [structure for structure, _ in found])])
        assert tuple(result['le12'][top] for top in ('1', '5', '20')) == expected
        assert tuple(result['nearest_template']['le12'][top] for top in ('1', '5', '20')) == expected
        assert result['new_prototypes']['n'] == 0, 'a template far down the list is a template all the same'
        assert result['ece'] == result['ece_all'] == 0


def test_nothing_is_said_where_there_is_nothing_to_count(by_hand):
    cell = Structure(Lattice.cubic(9), ['K'] * 13, np.linspace(0, 0.9, 39).reshape(13, 3))
    result = by_hand([(crystal_of(cell), [(cell, None)], [cell])])
    assert result['le12'] == {'n': 0, '1': None, '5': None, '20': None}
    assert result['le20'] == {'n': 1, '1': 1, '5': 1, '20': 1}
    assert result['new_prototypes'] == {'n': 0, 'share': 0, '1': None, '5': None, '20': None}
    assert result['ece'] is None
    assert result['ece_all'] is None


def test_what_cannot_be_scored(library, unseen):
    large = Structure(Lattice.cubic(9), ['K'] * 21, np.linspace(0, 0.9, 63).reshape(21, 3))
    with pytest.raises(DatasetError, match='no crystal to score'):
        score_templates(library, [], TemplateSettings())
    with pytest.raises(DatasetError, match='big holds 21 atoms, more than the 20'):
        score_templates(library, [crystal_of(large, 'big')], TemplateSettings())
    with pytest.raises(SettingsError, match='number of processes is 0'):
        score_templates(library, unseen, TemplateSettings(), jobs=0)
