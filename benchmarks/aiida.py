"""Measure what AiiDA adds to the engine, and whether it holds when there is much to do.

Each part runs on a profile of its own in a temporary directory, once with SQLite and once with a PostgreSQL server that
is started for it, both with the ZeroMQ broker of AiiDA:

- ``overhead``: seconds of a PredictWorkChain that are not spent in the engine, formula by formula, and its seconds
  beyond those of ``engine.pipeline.predict`` in a run beside it.
- ``screen``: a ScreenWorkChain over many formulas, templates alone and nothing relaxed, by the daemon with two workers.
- ``queries``: every kind of question over 10,000 predictions, which are copies of a real one under other formulas.
- ``kills``: the worker is killed at three moments of every stage (``benchmarks/aiida_kills.py``).

    OMP_NUM_THREADS=1 python benchmarks/aiida.py --json
    OMP_NUM_THREADS=1 python benchmarks/aiida.py --parts queries --storages sqlite
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# the directory of a script comes first among those of modules, and this script is called like a package
sys.path[:] = [path for path in sys.path if Path(path or '.').resolve() != HERE]

PARTS = ('overhead', 'screen', 'queries', 'kills')
STORAGES = ('sqlite', 'postgresql')

#: Formulas of the overhead, from two to twenty atoms in the cell.
TEXTBOOK = ('NaCl', 'GaAs', 'TiO2', 'SrTiO3', 'Al2O3', 'LiFeAs', 'MgAl2O4', 'CaCO3')

#: What the screening changes of the protocol ``fast``.
UNRELAXED = {'search': {'max_candidates': 0}, 'relax': {'max_steps': 0}}

CATIONS = {
    **dict.fromkeys(('Li', 'Na', 'K', 'Rb', 'Cs', 'Cu', 'Ag'), 1),
    **dict.fromkeys(('Be', 'Mg', 'Ca', 'Sr', 'Ba', 'Zn', 'Cd'), 2),
    **dict.fromkeys(('Al', 'Ga', 'In', 'Sc', 'Y', 'La'), 3),
    **dict.fromkeys(('Ti', 'Zr', 'Sn'), 4),
}
ANIONS = {'F': 1, 'Cl': 1, 'Br': 1, 'I': 1, 'O': 2, 'S': 2, 'Se': 2, 'N': 3}

#: Formulas after which the memory of the workers is looked at first.
EARLY = 20


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--parts', default=','.join(PARTS), help='with commas between them')
    parser.add_argument('--storages', default=','.join(STORAGES), help='with commas between them')
    parser.add_argument('--formulas', type=int, default=200, help='that are screened, at most 272')
    parser.add_argument('--repetitions', type=int, default=2, help='runs of the overhead of which the fastest counts')
    parser.add_argument('--predictions', type=int, default=10_000, help='that are asked about')
    parser.add_argument('--workers', type=int, default=2, help='of the daemon')
    parser.add_argument('--output', type=Path, help='write the results into this file as well')
    parser.add_argument('--json', action='store_true')
    parser.add_argument('--profile-directory', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--storage-configuration', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.profile_directory is not None:
        print(json.dumps(measure(arguments)))
        return
    results = {}
    for storage in arguments.storages.split(','):
        results[storage] = {part: in_new_profile(arguments, storage, part) for part in arguments.parts.split(',')}
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(results, indent=2) + '\n')
    print(json.dumps(results, indent=2) if arguments.json else results)


def in_new_profile(arguments: argparse.Namespace, storage: str, part: str) -> dict[str, Any]:
    """Run one part in a process of its own, with an empty profile."""
    with tempfile.TemporaryDirectory() as directory, storage_configuration(storage, Path(directory)) as configuration:
        options = {
            '--parts': part,
            '--formulas': arguments.formulas,
            '--predictions': arguments.predictions,
            '--repetitions': arguments.repetitions,
            '--workers': arguments.workers,
            '--profile-directory': directory,
            '--storage-configuration': json.dumps(configuration),
        }
        words = [str(word) for option in options.items() for word in option]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
        environment = {**os.environ, 'AIIDA_PATH': directory, 'PATH': path}
        done = subprocess.run([sys.executable, __file__, *words], env=environment, stdout=subprocess.PIPE, check=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


@contextlib.contextmanager
def storage_configuration(storage: str, directory: Path) -> Iterator[dict[str, Any]]:
    """Start what a storage needs and return its configuration."""
    if storage == 'sqlite':
        yield {'filepath': str(directory / 'storage')}
        return
    import psycopg

    spec = importlib.util.spec_from_file_location('postgresql', HERE.parent / 'tests' / 'workchains' / 'postgresql.py')
    servers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(servers)
    with servers.TemporaryPostgreSQL(servers.find_server()) as server:
        login = {'host': 'localhost', 'port': server.port, 'user': server.username, 'autocommit': True}
        with psycopg.connect(**login) as connection:
            connection.execute("CREATE USER aiida PASSWORD 'aiida'")
            connection.execute(
                "CREATE DATABASE aiida OWNER aiida ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
            )
        yield {
            'database_engine': 'postgresql_psycopg',
            'database_name': 'aiida',
            'database_username': 'aiida',
            'database_password': 'aiida',
            'database_hostname': 'localhost',
            'database_port': server.port,
            'repository_uri': (directory / 'repository').as_uri(),
        }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Make the profile and run one part in it."""
    from aiida.manage.configuration import create_profile, get_config, load_profile

    configuration = json.loads(arguments.storage_configuration)
    config = get_config(create=True)
    backend = 'core.sqlite_dos' if 'filepath' in configuration else 'core.psql_dos'
    create_profile(
        config,
        name='benchmark',
        email='benchmark@localhost',
        storage_backend=backend,
        storage_config=configuration,
        broker_backend='core.zeromq',
        broker_config={},
    )
    config.set_default_profile('benchmark').store()
    load_profile('benchmark')
    begin = time.perf_counter()
    if arguments.parts == 'overhead':
        result = measure_overhead(arguments.repetitions)
    elif arguments.parts == 'screen':
        result = measure_screening(arguments.formulas, arguments.workers)
    elif arguments.parts == 'queries':
        result = measure_queries(arguments.predictions)
    elif arguments.parts == 'kills':
        result = measure_kills()
    else:
        raise SystemExit(f'There is no part {arguments.parts!r}: give some of {", ".join(PARTS)}.')
    return {**result, 'cores': os.cpu_count(), 'wall_seconds': round(time.perf_counter() - begin, 1)}


def measure_overhead(repetitions: int) -> dict[str, Any]:
    """Compare the work chain with the engine, formula by formula; of the runs of each in turn the fastest counts.

    The difference of two runs holds the chance in both, which is as large as what is looked for. So the time that a
    work chain spends in the functions of the engine is taken as well: what is left of the same run is what AiiDA adds,
    with the loading of weights, the reading of inputs and the writing of results.

    :param repetitions: runs of each.
    """
    from aiida.engine import run_get_node

    from aiida_alphacrystal.data import PotentialData
    from aiida_alphacrystal.engine import pipeline
    from aiida_alphacrystal.engine.composition import parse_formula
    from aiida_alphacrystal.engine.relax.potentials import load_potential, resolve_potential
    from aiida_alphacrystal.engine.settings import PredictionSettings
    from aiida_alphacrystal.workchains import PredictWorkChain

    models = pipeline.load_models()
    files = resolve_potential('chgnet').files
    potential = load_potential(files)
    node = PotentialData.get_or_create(files).store()
    inside = watch_engine()
    rows = []
    for protocol in ('fast', 'balanced'):
        settings = PredictionSettings.from_dict(PredictWorkChain.get_protocol_parameters(protocol))
        for number, formula in enumerate(('MgO', *TEXTBOOK)):
            seconds: dict[str, list[float]] = {'engine': [], 'aiida': [], 'outside': []}
            for _ in range(repetitions if number else 1):
                begin = time.perf_counter()
                bare = pipeline.predict(parse_formula(formula), models, potential, settings)
                middle = time.perf_counter()
                inside.clear()
                builder = PredictWorkChain.get_builder_from_protocol(formula, protocol, potential=node)
                process = run_get_node(builder)[1]
                end = time.perf_counter()
                seconds['engine'].append(middle - begin)
                seconds['aiida'].append(end - middle)
                seconds['outside'].append(end - middle - sum(inside))
            engine, aiida, outside = (min(values) for values in seconds.values())
            ranking = process.outputs.ranking['rows']
            if [row['spacegroup'] for row in ranking] != [place.spacegroup for place in bare.ranking]:
                raise SystemExit(f'The ranking of {formula} is not that of the engine.')
            if number:  # the first one loads and compiles what all others use
                rows.append(
                    {
                        'formula': formula,
                        'protocol': protocol,
                        'engine_seconds': round(engine, 2),
                        'aiida_seconds': round(aiida, 2),
                        'overhead_seconds': round(outside, 2),
                        'difference_seconds': round(aiida - engine, 2),
                        'allowed_seconds': round(max(2.0, 0.1 * engine), 2),
                    }
                )
    return {
        'rows': rows,
        'largest_overhead_seconds': max(row['overhead_seconds'] for row in rows),
        'median_overhead_seconds': round(statistics.median(row['overhead_seconds'] for row in rows), 2),
        'within_bar': all(row['overhead_seconds'] <= row['allowed_seconds'] for row in rows),
        'largest_difference_seconds': max(row['difference_seconds'] for row in rows),
        'differences_within_bar': sum(row['difference_seconds'] <= row['allowed_seconds'] for row in rows),
    }


def watch_engine() -> list[float]:
    """Take the time of the functions of the engine that the stages call, and return the list that the seconds go to.

    The stages look these functions up when they run, in the modules that are changed here; the pipeline has its own.
    """
    from aiida_alphacrystal.engine import cells, network, rank, reconstruct, relax

    seconds: list[float] = []

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*arguments: Any, **keywords: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                seconds.append(time.perf_counter() - begin)

        return run

    for module, name in (
        (cells, 'predict_cells'),
        (network, 'predict_distances'),
        (reconstruct, 'reconstruct'),
        (relax, 'relax_structures'),
        (rank, 'rank_candidates'),
    ):
        setattr(module, name, watched(getattr(module, name)))
    return seconds


def screened_formulas(number: int) -> list[str]:
    """Return binary salts and oxides of the perovskite composition, always the same ones in the same order."""

    def salt(cation: str, anion: str) -> str:
        divisor = math.gcd(CATIONS[cation], ANIONS[anion])
        counts = (ANIONS[anion] // divisor, CATIONS[cation] // divisor)
        return ''.join(
            symbol + (str(count) if count > 1 else '') for symbol, count in zip((cation, anion), counts, strict=True)
        )

    salts = [salt(cation, anion) for anion in ANIONS for cation in CATIONS]
    twos, fours = ([symbol for symbol, charge in CATIONS.items() if charge == wanted] for wanted in (2, 4))
    oxides = [f'{first}{second}{anion}3' for anion in ('O', 'S', 'Se', 'Te') for first in twos for second in fours]
    formulas = [formula for pair in itertools.zip_longest(salts, oxides) for formula in pair if formula]
    if number > len(formulas):
        raise SystemExit(f'There are {len(formulas)} formulas to screen: give --formulas no larger.')
    return formulas[:number]


def measure_screening(number: int, workers: int) -> dict[str, Any]:
    """Screen formulas through the daemon."""
    from aiida.engine import submit
    from aiida.engine.daemon.client import get_daemon_client

    from aiida_alphacrystal.workchains import ScreenWorkChain

    client = get_daemon_client()
    client.start_daemon(workers)
    try:
        size = database_bytes()
        begin = time.perf_counter()
        formulas = screened_formulas(number)
        node = submit(ScreenWorkChain.get_builder_from_protocol(formulas, 'fast', UNRELAXED, group='benchmark'))
        memory: dict[int, dict[int, float]] = {}
        while not node.is_terminated:
            time.sleep(1)
            done = number_finished(node)
            if done >= EARLY and EARLY not in memory:
                memory[EARLY] = worker_memory(client)
                early = time.perf_counter() - begin
            if time.perf_counter() - begin > 60 + 60 * number:
                raise SystemExit('The screening is stuck.')
        seconds = time.perf_counter() - begin
        memory[number] = worker_memory(client)
        growth = [memory[number][pid] / memory[EARLY][pid] - 1 for pid in memory[EARLY]]
        return {
            'n': number,
            'workers': workers,
            'exit_status': node.exit_status,
            'rows': len(node.outputs.table['rows']),
            'with_structure': node.outputs.table['finished'],
            'failed': [row['formula'] for row in node.outputs.table['rows'] if row['reason']],
            'states': process_states(),
            'seconds': round(seconds, 1),
            'formulas_per_minute': round(60 * number / seconds, 1),
            'seconds_for_the_first': round(early, 1),
            'kilobytes_per_formula': round((database_bytes() - size) / number / 1000, 1),
            'nodes_per_formula': round(number_of_nodes() / number, 1),
            'worker_mebibytes_early': sorted(memory[EARLY].values()),
            'worker_mebibytes_at_the_end': sorted(memory[number].values()),
            'largest_growth': round(max(growth), 3),
            'within_bar': max(growth) <= 0.2 and set(process_states()) == {'finished'},
        }
    finally:
        stop_daemon(client)


def stop_daemon(client: Any) -> None:
    """Stop the daemon; what was measured is not lost with one that is too busy to answer."""
    import psutil
    from aiida.engine.daemon.client import DaemonTimeoutException

    daemon = psutil.Process(client.get_daemon_pid())
    try:
        client.stop_daemon(wait=True)
    except DaemonTimeoutException:
        for process in (*daemon.children(recursive=True), daemon):
            process.kill()


def number_finished(node: Any) -> int:
    """Return how many predictions of a screening have ended."""
    from aiida import orm

    query = orm.QueryBuilder().append(orm.WorkChainNode, filters={'id': node.pk}, tag='screening')
    ended = {'attributes.process_state': {'in': ['finished', 'excepted', 'killed']}}
    return query.append(orm.WorkChainNode, with_incoming='screening', filters=ended).count()


def process_states() -> dict[str, int]:
    """Return how many processes of the profile are in which state."""
    from aiida import orm

    states = orm.QueryBuilder().append(orm.ProcessNode, project='attributes.process_state').all(flat=True)
    return {state: states.count(state) for state in sorted(set(states))}


def number_of_nodes() -> int:
    """Return how many nodes the profile holds."""
    from aiida import orm

    return orm.QueryBuilder().append(orm.Node).count()


def worker_memory(client: Any) -> dict[int, float]:
    """Return the resident memory of every worker of the daemon, MiB."""
    import psutil

    # the daemon itself may be too busy to answer in time
    children = psutil.Process(client.get_daemon_pid()).children(recursive=True)
    workers = [child for child in children if 'worker' in child.cmdline()]
    return {worker.pid: round(worker.memory_info().rss / 2**20, 1) for worker in workers}


def database_bytes() -> int:
    """Return the size of the database and of the repository."""
    from aiida.manage import get_manager
    from sqlalchemy import text

    storage = get_manager().get_profile_storage()
    settings = get_manager().get_profile().storage_config
    if 'filepath' in settings:
        return tree_bytes(Path(settings['filepath']))
    size = storage.get_session().execute(text('SELECT pg_database_size(current_database())')).scalar()
    return int(size) + tree_bytes(Path(settings['repository_uri'].removeprefix('file://')))


def tree_bytes(directory: Path) -> int:
    """Return the size of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob('*') if path.is_file())


def measure_queries(number: int) -> dict[str, Any]:
    """Ask every kind of question about many predictions."""
    import datetime

    from aiida import orm
    from aiida.engine import run_get_node

    from aiida_alphacrystal.query import Criteria, find_equal_predictions, find_predictions
    from aiida_alphacrystal.workchains import PredictWorkChain

    node = run_get_node(PredictWorkChain.get_builder_from_protocol('NaCl', 'fast', UNRELAXED))[1]
    begin = time.perf_counter()
    formulas = copy_prediction(node, number)
    gather_statistics()
    made = time.perf_counter() - begin
    now = datetime.datetime.now(datetime.UTC)
    questions = {
        'all': Criteria(),
        'element': Criteria(elements=['O']),
        'two elements': Criteria(elements=['Na', 'O']),
        'chemical system': Criteria(chemical_system='O-Sr-Ti'),
        'formula': Criteria(formula='SrTiO3'),
        'space group': Criteria(spacegroup=225),
        'space group, any rank': Criteria(spacegroup=221, any_rank=True),
        'energy': Criteria(min_energy=-2.5, max_energy=-1.0),
        'energy above hull, chemical system': Criteria(chemical_system='O-Sr-Ti', max_energy_above_hull=0.1),
        'energy above hull, element': Criteria(elements=['Na'], max_energy_above_hull=0.1),
        'date': Criteria(since=now - datetime.timedelta(hours=1), until=now),
        'group': Criteria(group='copies'),
        'all at once': Criteria(
            elements=['O'], spacegroup=225, max_energy=0.0, since=now - datetime.timedelta(days=1), group='copies'
        ),
    }
    rows = {}
    for name, criteria in questions.items():
        seconds, found = timed(lambda criteria=criteria: len(find_predictions(criteria)))
        rows[name] = {'seconds': seconds, 'found': found}
    seconds, found = timed(lambda: len(find_equal_predictions(formulas[:200], node.inputs)))
    rows['what a screening of 200 formulas takes over'] = {'seconds': seconds, 'found': found}
    structure = node.outputs.structures['rank_01'].pk
    for words in (['list'], ['list', '--element', 'Na', '--format', 'csv'], ['provenance', str(structure)]):
        seconds, lines = timed(lambda words=words: lines_of_command(words))
        rows[f'command: {words[0] if words[0] == "provenance" else " ".join(words)}'] = {
            'seconds': seconds,
            'found': lines,
        }
    return {
        'predictions': number,
        'nodes': number_of_nodes(),
        'links': orm.QueryBuilder().append(orm.Node, tag='node').append(orm.Node, with_incoming='node').count(),
        'seconds_to_make_them': round(made, 1),
        'questions': rows,
        'slowest_seconds': max(row['seconds'] for name, row in rows.items() if not name.startswith('command')),
        'within_bar': all(row['seconds'] < 1 for name, row in rows.items() if not name.startswith('command')),
    }


def lines_of_command(words: list[str]) -> int:
    """Run a command and return how many lines it prints."""
    command = [sys.executable, '-m', 'aiida_alphacrystal.cli', *words]
    return len(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines())


def timed(function: Any, repetitions: int = 3) -> tuple[float, Any]:
    """Return the median of the seconds that a function takes, and its result."""
    seconds = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - begin)
    return round(statistics.median(seconds), 3), result


def copy_prediction(node: Any, number: int) -> list[str]:
    """Copy a prediction with everything that it made, each time under another formula; return the formulas.

    Inputs that predictions share are not copied. All copies belong to the group ``copies``.
    """
    from aiida import orm
    from aiida.common import timezone
    from aiida.manage import get_manager
    from aiida.orm.entities import EntityTypes

    from aiida_alphacrystal.calcfunctions.convert import compound_facts
    from aiida_alphacrystal.engine.composition import Formula

    storage = get_manager().get_profile_storage()
    shared = {node.inputs.potential.pk, node.inputs.parameters.pk, node.inputs.seed.pk}
    shared |= {model.pk for model in node.inputs.models.values()}
    nodes = orm.QueryBuilder().append(orm.Node, project='*').order_by({orm.Node: 'id'}).all(flat=True)
    copied = [found for found in nodes if found.pk not in shared]
    links = [
        (link.node.pk, found.pk, link.link_type.value, link.link_label)
        for found in nodes
        for link in found.base.links.get_incoming().all()
    ]
    compounds = [*compounds_for_copies(number)]
    user = orm.User.collection.get_default().pk
    formula, ranking = node.inputs.formula.pk, node.outputs.ranking.pk
    columns = ('node_type', 'process_type', 'label', 'description', 'repository_metadata')
    constant = {
        found.pk: {column: getattr(found.backend_entity.model, column) for column in columns} for found in copied
    }
    contents = {found.pk: found.base.attributes.all for found in copied}
    free = itertools.count(max(found.pk for found in nodes) + 1)

    def insert(kind: Any, rows: list[dict[str, Any]]) -> None:
        """Insert rows; the method of the storage loads each of them again."""
        mapper, _ = storage._get_mapper_from_entity(kind, False)
        with storage.transaction() as session:
            session.connection().execute(mapper.local_table.insert(), rows)

    made = []
    for begin in range(0, number, 500):
        rows = []
        for elements, counts, spacegroup, energy in compounds[begin : begin + 500]:
            facts = compound_facts(Formula(elements, counts))
            for found in copied:
                attributes = dict(contents[found.pk])
                if found.pk == formula:
                    attributes['value'] = facts['formula']
                if found.pk == ranking:
                    attributes |= facts
                    best = {'spacegroup': spacegroup, 'formation_energy_per_atom': energy, 'formula': facts['formula']}
                    attributes['best'] = {**attributes['best'], **best}
                    attributes['spacegroups'] = sorted({spacegroup, *attributes['spacegroups']})
                now = timezone.now()
                rows.append(
                    {
                        **constant[found.pk],
                        'id': next(free),
                        'uuid': str(uuid.uuid4()),
                        'ctime': now,
                        'mtime': now,
                        'attributes': attributes,
                        'extras': {},
                        'user_id': user,
                        'dbcomputer_id': None,
                    }
                )
            made.append(facts['formula'])
        pks = [row['id'] for row in rows]
        insert(EntityTypes.NODE, rows)
        edges, members = [], []
        group = orm.Group.collection.get_or_create(label='copies')[0]
        for offset in range(0, len(pks), len(copied)):
            new = dict(zip([found.pk for found in copied], pks[offset : offset + len(copied)], strict=True))
            edges += [
                {'input_id': new.get(source, source), 'output_id': new[target], 'type': kind, 'label': label}
                for source, target, kind, label in links
                if target in new
            ]
            members.append({'dbgroup_id': group.pk, 'dbnode_id': new[node.pk]})
        insert(EntityTypes.LINK, edges)
        insert(EntityTypes.GROUP_NODE, members)
    return made


def gather_statistics() -> None:
    """Do what the server does by itself within a minute or so after a database has grown."""
    from aiida.manage import get_manager
    from sqlalchemy import text

    if 'filepath' not in get_manager().get_profile().storage_config:
        with get_manager().get_profile_storage().transaction() as session:
            session.execute(text('ANALYZE'))


def compounds_for_copies(number: int) -> Iterator[tuple[tuple[str, ...], tuple[int, ...], int, float]]:
    """Yield elements, counts, space group and energy of as many different compounds."""
    groups = (225, 221, 216, 194, 62, 14, 2)
    pairs = [
        ((cation, anion), counts)
        for counts in ((1, 1), (1, 2), (2, 1), (2, 3))
        for cation in CATIONS
        for anion in ANIONS
    ]
    triples = [
        ((first, second, anion), counts)
        for counts in ((1, 1, 3), (1, 2, 4), (2, 1, 4), (1, 1, 2))
        for first, second in itertools.combinations(CATIONS, 2)
        for anion in ANIONS
    ]
    for place, (elements, counts) in enumerate(itertools.islice(itertools.cycle(pairs + triples), number)):
        yield elements, counts, groups[place % len(groups)], -4.0 + place % 500 / 100


def measure_kills() -> dict[str, Any]:
    """Do what the script beside this one does, in the profile that is loaded."""
    spec = importlib.util.spec_from_file_location('aiida_kills', Path(__file__).with_name('aiida_kills.py'))
    kills = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kills)
    with tempfile.TemporaryDirectory() as directory:
        result: dict[str, Any] = kills.kill_workers_of_profile(Path(directory))
        return result


if __name__ == '__main__':
    main()
