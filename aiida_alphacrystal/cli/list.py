"""The command that finds predictions."""

from __future__ import annotations

import datetime

import click

from aiida_alphacrystal.cli import params
from aiida_alphacrystal.cli.errors import BadInput

__all__ = ('cmd_list',)

#: Lines of a table where no limit is given; laying out thousands takes longer than finding them.
_SHOWN = 100


@click.command('list')
@click.option(
    '-e', '--element', 'elements', metavar='SYMBOL', multiple=True, help='The compound holds it; may be repeated.'
)
@click.option('--system', metavar='SYSTEM', help='The compound holds these elements and no others, such as Li-Fe-P-O.')
@click.option('--formula', metavar='FORMULA', help='The compound, in any way of writing it.')
@click.option('--space-group', type=params.WholeNumber(1, 230), metavar='N', help='Space group of the best structure.')
@click.option('--any-rank', is_flag=True, help='With --space-group: that of any ranked structure.')
@click.option('--min-energy', type=float, metavar='E', help='Lowest formation energy of the best structure, eV/atom.')
@click.option('--max-energy', type=float, metavar='E', help='Highest formation energy of the best structure, eV/atom.')
@click.option(
    '--max-above-hull',
    type=click.FloatRange(min=0),
    metavar='E',
    help='Highest energy above the convex hull of all that has been predicted with the same potential, eV/atom.',
)
@click.option('--since', metavar='DATE', help='Made on this day or later, such as 2026-05-31 or 2026-05-31T12:00.')
@click.option('--until', metavar='DATE', help='Made on this day or earlier.')
@click.option('--group', metavar='LABEL', help='In this group, such as that of a screening.')
@click.option('--potential', metavar='NAME', help='Relaxed and ranked with this potential.')
@click.option(
    '--limit',
    type=params.WholeNumber(1, 10_000_000),
    metavar='N',
    help='How many at most, the newest first; a table shows 100 of all where it is left out.',
)
@params.TABLE_FORMAT
@params.PROFILE
@click.pass_context
def cmd_list(
    ctx: click.Context,
    *,
    elements: tuple[str, ...],
    system: str | None,
    formula: str | None,
    space_group: int | None,
    any_rank: bool,
    min_energy: float | None,
    max_energy: float | None,
    max_above_hull: float | None,
    since: str | None,
    until: str | None,
    group: str | None,
    potential: str | None,
    limit: int | None,
    output_format: str,
    profile: str | None,
) -> None:
    """List the predictions that meet all conditions, the newest first.

    Each line tells the best structure of a prediction; `show PK` prints all of them.
    """
    from aiida_alphacrystal.cli.profile import load_profile, profile_option
    from aiida_alphacrystal.cli.streams import clean_stdout
    from aiida_alphacrystal.report.tables import print_csv, print_found, print_json

    if any_rank and space_group is None:
        raise BadInput('--any-rank says where the space group may stand: give --space-group as well.')
    begin, end = _moment(since, end_of_day=False), _moment(until, end_of_day=True)
    with clean_stdout():
        name = load_profile(profile, create=False, debug=ctx.obj['debug'])
        from aiida_alphacrystal.query import FIELDS, Criteria, find_predictions

        if group is not None:
            _check_group(group, name)
        found = find_predictions(
            Criteria(
                elements=elements,
                chemical_system=system,
                formula=formula,
                spacegroup=space_group,
                any_rank=any_rank,
                min_energy=min_energy,
                max_energy=max_energy,
                max_energy_above_hull=max_above_hull,
                since=begin,
                until=end,
                group=group,
                potential=potential,
            ),
            limit,
        )
    rows = [prediction.to_dict() for prediction in found]
    if output_format == 'json':
        print_json({'predictions': rows})
    elif output_format == 'csv':
        print_csv(rows, FIELDS)
    else:
        print_found(found, _SHOWN if limit is None else None, profile_option(name))


def _moment(text: str | None, *, end_of_day: bool) -> datetime.datetime | None:
    """Return the moment that a user names, in the time zone of this machine.

    :param text: a day, or a day and a time.
    :param end_of_day: whether a day alone stands for its end.
    :raises BadInput: if it is neither.
    """
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f'{text!r} is no date: write one such as 2026-05-31 or 2026-05-31T12:00.') from None
    if end_of_day and len(text.strip()) <= len('2026-05-31'):
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return moment.astimezone()


def _check_group(label: str, profile: str) -> None:
    """See that there is a group.

    :raises BadInput: if there is none.
    """
    from aiida.orm import Group, QueryBuilder

    if not QueryBuilder().append(Group, filters={'label': label}).count():
        raise BadInput(
            f'There is no group {label!r} in the profile {profile!r}: `verdi group list -a` lists all groups.'
        )
