"""Build files of known crystals to train on: from files, OPTIMADE providers, the Materials Project, or given ones."""

from aiida_alphacrystal.engine.dataset_building.build import CARD, DatasetSettings, build_dataset
from aiida_alphacrystal.engine.dataset_building.crystals import UnusableError, crystal_row, primitive_crystal
from aiida_alphacrystal.engine.dataset_building.duplicates import without_duplicates
from aiida_alphacrystal.engine.dataset_building.filters import PRESETS, Filters
from aiida_alphacrystal.engine.dataset_building.folder import FolderSource
from aiida_alphacrystal.engine.dataset_building.journal import DatasetJournal, Page
from aiida_alphacrystal.engine.dataset_building.materials_project import MaterialsProjectSource
from aiida_alphacrystal.engine.dataset_building.optimade import OptimadeSource
from aiida_alphacrystal.engine.dataset_building.sources import Entry, Fetched, GivenCrystals, Source
from aiida_alphacrystal.engine.dataset_building.split import Split
from aiida_alphacrystal.engine.dataset_building.web import UnreachableError

__all__ = (
    'CARD',
    'PRESETS',
    'DatasetJournal',
    'DatasetSettings',
    'Entry',
    'Fetched',
    'Filters',
    'FolderSource',
    'GivenCrystals',
    'MaterialsProjectSource',
    'OptimadeSource',
    'Page',
    'Source',
    'Split',
    'UnreachableError',
    'UnusableError',
    'build_dataset',
    'crystal_row',
    'primitive_crystal',
    'without_duplicates',
)
