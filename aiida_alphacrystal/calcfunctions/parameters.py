"""The part of the settings that each stage sees, so that a cached stage is reused while its own part is unchanged."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aiida import orm

from aiida_alphacrystal.engine.settings import PredictionSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ('ALGORITHM_VERSIONS', 'STAGES', 'read_settings', 'stage_parameters', 'stage_parameters_node')

#: The stages of a prediction in their order.
STAGES = ('featurize', 'predict_cells', 'predict_distances', 'reconstruct', 'relax', 'rank')

#: Raise the number of a function whenever the engine gives another result for the same inputs: the cache of AiiDA sees
#: the inputs of a calcfunction and its own source, not the engine behind it.
ALGORITHM_VERSIONS: Mapping[str, int] = MappingProxyType(
    {
        'featurize': 1,
        'predict_cells': 4,
        'predict_distances': 2,
        'reconstruct': 12,
        'relax': 5,
        'rank': 8,
        'rank_refined': 2,
        'to_primitive': 1,
        'compare': 1,
        'relax_competing': 1,
        'tabulate': 2,
        'join_tables': 1,
    }
)

_SECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        'featurize': ('max_atoms',),
        'predict_cells': ('max_atoms', 'cells'),
        'predict_distances': ('max_atoms',),
        'reconstruct': ('max_atoms', 'cells', 'templates', 'search'),
        'relax': ('relax',),
        'rank': ('rank',),
        'rank_refined': (),
        'to_primitive': (),
        'compare': (),
        'relax_competing': ('relax',),
        'tabulate': (),
        'join_tables': (),
    }
)

#: Content and UUID of the node that each stage was given last in this process.
_LAST_NODES: dict[str, tuple[dict[str, Any], str]] = {}


def stage_parameters(stage: str, settings: PredictionSettings) -> dict[str, Any]:
    """Return the content of the parameters node of a stage.

    :param stage: name of its calcfunction.
    :param settings: settings of the whole prediction.
    """
    values = settings.to_dict()
    return {'algorithm_version': ALGORITHM_VERSIONS[stage], **{key: values[key] for key in _SECTIONS[stage]}}


def stage_parameters_node(stage: str, settings: PredictionSettings) -> orm.Dict:
    """Return the parameters node of a stage: that of the prediction before, where it is in the database and the same.

    A process that predicts many compounds so stores it once.

    :param stage: name of its calcfunction.
    :param settings: settings of the whole prediction.
    """
    content = stage_parameters(stage, settings)
    before, uuid = _LAST_NODES.get(stage, (None, ''))
    if before == content:
        stored: orm.Dict | None = orm.QueryBuilder().append(orm.Dict, filters={'uuid': uuid}).first(flat=True)
        if stored is not None:
            return stored
    node = orm.Dict(content)
    _LAST_NODES[stage] = content, node.uuid
    return node


def read_settings(parameters: orm.Dict) -> PredictionSettings:
    """Return the settings that a parameters node holds; what it leaves out keeps its default.

    :param parameters: as :func:`stage_parameters` makes it.
    :raises SettingsError: if a setting is unknown or out of its range.
    """
    values = parameters.get_dict()
    values.pop('algorithm_version', None)
    return PredictionSettings.from_dict(values)
