"""How Sphinx builds the documentation: ``sphinx-build -W --keep-going -b html docs docs/_build``.

The build touches neither the network nor the AiiDA profiles of whoever builds: AiiDA gets a directory and a profile
that are gone afterwards. ``ALPHACRYSTAL_DOCS_ONLINE=1`` links to the documentation of the libraries, for which their
sites are asked for their indices.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / 'aiida_alphacrystal'
sys.path.insert(0, str(DOCS / '_extensions'))

_aiida_directory = tempfile.TemporaryDirectory(prefix='alphacrystal-docs-')
os.environ['AIIDA_PATH'] = _aiida_directory.name
os.environ.pop('AIIDA_PROFILE', None)

from aiida.manage.configuration import get_config, load_profile  # noqa: E402
from aiida.storage.sqlite_temp import SqliteTempBackend  # noqa: E402

import aiida_alphacrystal  # noqa: E402

get_config(create=True).set_option('warnings.showdeprecations', False)  # autodoc looks at what nobody uses
load_profile(SqliteTempBackend.create_profile('docs', options={'warn_development_version': False}), allow_switch=True)

project = 'aiida-alphacrystal'
author = 'The aiida-alphacrystal developers'
project_copyright = author
version = release = aiida_alphacrystal.__version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.apidoc',
    'sphinx.ext.intersphinx',
    'sphinx.ext.viewcode',
    'sphinx_click',
    'sphinx_design',
    'aiida.sphinxext',
    'generated_reference',
    'links',
    'mathml',
]
exclude_patterns = ['_build']
nitpicky = True
nitpick_ignore_regex = [('py:class', r'.*\.Attributes(Read|Write)?Model')]  # made by AiiDA for each type of node
suppress_warnings = ['toc.empty_glob']  # every how-to may have a place of its own in the list

myst_enable_extensions = ['amsmath', 'colon_fence', 'dollarmath']
myst_heading_anchors = 4
myst_url_schemes = ['http', 'https', 'mailto']

apidoc_modules = [
    {
        'path': str(PACKAGE),
        'destination': 'reference/api',
        'exclude_patterns': [str(PACKAGE / 'cli'), str(PACKAGE / 'weights')],
        'module_first': True,
        'separate_modules': False,
        'include_private': False,
    }
]
autodoc_default_options = {'members': True, 'ignore-module-all': True, 'show-inheritance': True}  # no re-exports
autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
python_use_unqualified_type_names = True
add_module_names = False

intersphinx_mapping = (
    {
        'python': ('https://docs.python.org/3', None),
        'aiida': ('https://aiida.readthedocs.io/projects/aiida-core/en/latest', None),
        'numpy': ('https://numpy.org/doc/stable', None),
        'click': ('https://click.palletsprojects.com/en/stable', None),
    }
    if os.environ.get('ALPHACRYSTAL_DOCS_ONLINE')
    else {}
)

html_theme = 'furo'
html_title = f'aiida-alphacrystal {release}'
html_static_path = ['_static']
html_css_files = ['terminal.css']
html_show_sphinx = False
html_math_renderer = 'mathml'


def setup(app: Sphinx) -> None:
    """Remove the directory of AiiDA when the build has ended.

    :param app: the build.
    """
    app.connect('build-finished', lambda *_: _aiida_directory.cleanup())
