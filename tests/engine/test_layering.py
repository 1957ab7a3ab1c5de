"""The rules of the house that no linter keeps."""

import ast
import subprocess
import sys
from pathlib import Path

import aiida_alphacrystal

PACKAGE = Path(aiida_alphacrystal.__file__).parent


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ''


def test_no_module_of_the_engine_names_aiida():
    modules = sorted((PACKAGE / 'engine').rglob('*.py'))
    assert len(modules) > 20
    outside = ('aiida.', 'aiida_alphacrystal.data', 'aiida_alphacrystal.calcfunctions', 'aiida_alphacrystal.workchains')
    guilty = [
        f'{path.name}: {name}'
        for path in modules
        for name in _imports(path)
        if name == 'aiida' or name.startswith(outside)
    ]
    assert guilty == []


def test_the_whole_pipeline_imports_without_aiida():
    code = (
        'import sys; sys.modules["aiida"] = None\n'
        'import aiida_alphacrystal.engine.pipeline\n'
        'print(sorted(name for name in sys.modules if name.startswith("aiida.")))'
    )
    finished = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip().splitlines()[-1] == '[]'


def test_nothing_loads_pickles_or_evaluates_text():
    for path in sorted(PACKAGE.rglob('*.py')):
        names = set(_imports(path))
        assert not names & {'pickle', 'dill', 'cloudpickle', 'joblib'}, path
        calls = [
            node.func for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))) if isinstance(node, ast.Call)
        ]
        assert not any(isinstance(call, ast.Name) and call.id in {'eval', 'exec'} for call in calls), path
