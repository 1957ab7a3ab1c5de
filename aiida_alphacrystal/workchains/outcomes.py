"""What has become of the predictions and the jobs that a screening has called."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from aiida import orm
from aiida.common import LinkType

__all__ = ('BEGUN', 'CalledJob', 'called_jobs', 'called_predictions', 'fate_of', 'read_outcomes')

#: Filters for processes that the daemon has taken up; one that is only created may never have reached it.
BEGUN = {'attributes.process_state': {'in': ['running', 'waiting', 'finished']}}

#: Predictions that are looked up at once.
_LOOKED_UP = 200

#: Beginning of the label of the link between a screening and one of its jobs, and between a compound and its job.
_JOB, _COMPOUND = 'job_', 'job__compounds__'

#: A label that nothing has, for a query refuses an empty list.
_NONE = 'none'

#: Attributes that tell what became of a process.
_FATE = ('process_state', 'exit_status', 'exit_message', 'exception')


@dataclasses.dataclass(frozen=True)
class CalledJob:
    """A job of a screening.

    :param pk: primary key of the work chain that brings it to its end.
    :param fate: ``exit_status`` and ``reason`` for a compound of which there is no prediction, because the job failed.
    """

    pk: int
    fate: dict[str, Any]


def called_predictions(
    screening: orm.WorkChainNode, filters: Mapping[str, Any] | None = None, labels: Iterable[str] | None = None
) -> dict[str, int]:
    """Return the primary key of the latest prediction that a screening has called for each formula, by label.

    :param screening: the work chain.
    :param filters: of the predictions.
    :param labels: of the formulas, None for all.
    """
    wanted = {'!like': f'{_JOB}%'} if labels is None else {'in': [_NONE, *labels]}
    query = orm.QueryBuilder().append(orm.WorkChainNode, filters={'id': screening.pk}, tag='screening')
    query.append(
        orm.WorkChainNode,
        with_incoming='screening',
        filters=dict(filters or {}),
        edge_filters={'type': LinkType.CALL_WORK.value, 'label': wanted},
        edge_project='label',
        project='id',
        tag='prediction',
    )
    query.order_by({'prediction': {'id': 'asc'}})
    return {label: pk for pk, label in query.all()}


def called_jobs(
    screening: orm.WorkChainNode, filters: Mapping[str, Any] | None = None, labels: Iterable[str] | None = None
) -> dict[str, CalledJob]:
    """Return the latest job that a screening has called for each formula, by label of the formula.

    :param screening: the work chain.
    :param filters: of the work chains of the jobs.
    :param labels: of the formulas, None for all.
    """
    query = orm.QueryBuilder().append(orm.WorkChainNode, filters={'id': screening.pk}, tag='screening')
    query.append(
        orm.WorkChainNode,
        with_incoming='screening',
        edge_filters={'type': LinkType.CALL_WORK.value, 'label': {'like': f'{_JOB}%'}},
        filters=dict(filters or {}),
        project=['id', *(f'attributes.{key}' for key in _FATE)],
        tag='job',
    )
    wanted = {'like': f'{_COMPOUND}%'} if labels is None else {'in': [_NONE, *(_COMPOUND + label for label in labels)]}
    query.append(orm.Data, with_outgoing='job', edge_filters={'label': wanted}, edge_project='label')
    query.order_by({'job': {'id': 'asc'}})
    jobs = {}
    for pk, *fate, label in query.all():
        reason = f'its job <{pk}> failed: {_fate(*fate)["reason"]}'
        jobs[label.removeprefix(_COMPOUND)] = CalledJob(pk, {'exit_status': None, 'reason': reason})
    return jobs


def read_outcomes(pks: Mapping[str, int]) -> tuple[dict[str, orm.Dict], dict[str, dict[str, Any]]]:
    """Return the rankings of predictions that have one, and what became of the others, by label.

    :param pks: primary keys of the predictions by label.
    """
    names = {pk: label for label, pk in pks.items()}
    rankings: dict[str, orm.Dict] = {}
    failed: dict[str, dict[str, Any]] = {}
    for begin in range(0, len(names), _LOOKED_UP):
        chunk = {'id': {'in': list(names)[begin : begin + _LOOKED_UP]}}
        ranked = orm.QueryBuilder().append(orm.WorkChainNode, filters=chunk, project='id', tag='prediction')
        ranked.append(orm.Dict, with_incoming='prediction', edge_filters={'label': 'ranking'}, project='*')
        rankings |= {names[pk]: ranking for pk, ranking in ranked.all()}
        fates = orm.QueryBuilder()
        fates.append(orm.WorkChainNode, filters=chunk, project=['id', *(f'attributes.{key}' for key in _FATE)])
        failed |= {names[pk]: _fate(*fate) for pk, *fate in fates.all() if names[pk] not in rankings}
    return rankings, failed


def fate_of(process: orm.ProcessNode) -> dict[str, Any]:
    """Say what became of a process that did not finish well: its ``exit_status`` and the ``reason``.

    :param process: the process.
    """
    return _fate(*(process.base.attributes.get(key, None) for key in _FATE))


def _fate(state: str, exit_status: int | None, message: str | None, exception: str | None) -> dict[str, Any]:
    if state == 'excepted':
        reason = f'it stopped by an unforeseen error: {exception}'
    elif state == 'killed':
        reason = 'it was killed'
    elif state == 'finished':
        reason = message or 'no message'
    else:
        reason = f'it has not finished (it is {state})'
    return {'exit_status': exit_status, 'reason': ' '.join(str(reason).split())}
