"""The page in a real browser: headless Chromium.

Without Chromium and its driver the tests are skipped, or fail where ALPHACRYSTAL_REQUIRE_CHROMIUM=1 demands them.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import time

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from aiida_alphacrystal.report.page.collect import collect_prediction
from aiida_alphacrystal.report.page.render import render_page

#: Characters that look like others.
TIMES, DASH, MINUS = '\N{MULTIPLICATION SIGN}', '\N{EN DASH}', '\N{MINUS SIGN}'
#: Seconds that anything in the browser may take.
PATIENCE = 30
#: WebGL without a graphics card, as root as well.
ARGUMENTS = (
    '--headless=new',
    '--no-sandbox',
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
    '--window-size=1280,1000',
)


def _program(*names):
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        message = f'{names[0]} is not installed'
        if os.environ.get('ALPHACRYSTAL_REQUIRE_CHROMIUM') == '1':
            pytest.fail(f'{message}, but ALPHACRYSTAL_REQUIRE_CHROMIUM=1 demands it')
        pytest.skip(message)
    return found


@pytest.fixture(scope='module')
def driver(tmp_path_factory):
    """Return a running browser."""
    chromium, chromedriver = _program('chromium', 'chromium-browser', 'google-chrome'), _program('chromedriver')
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*ARGUMENTS, f'--user-data-dir={tmp_path_factory.mktemp("chromium")}'):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
    running = webdriver.Chrome(options=options, service=Service(chromedriver))
    running.implicitly_wait(0)
    yield running
    running.quit()


class Browser:
    """A page that is open, and what a user does with it."""

    def __init__(self, driver, directory):
        self.driver = driver
        self.directory = directory
        self.downloads = directory / 'downloads'
        self.downloads.mkdir()
        self.resize(1280, 1000)
        self.command('Browser.setDownloadBehavior', behavior='allow', downloadPath=str(self.downloads))
        self.command('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': 'light'}])
        driver.get('about:blank')
        driver.get_log('browser')
        driver.get_log('performance')

    def command(self, name, **values):
        return self.driver.execute_cdp_cmd(name, values)

    def resize(self, width, height):
        self.command(
            'Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def open(self, page):
        path = self.directory / 'page.html'
        path.write_text(render_page(page), encoding='utf-8')
        self.driver.get(path.as_uri())
        self.wait(lambda: self.text('#viewer-title') or self.find('#viewer-missing').is_displayed())
        return self

    def find(self, selector):
        return self.driver.find_element('css selector', selector)

    def all(self, selector):
        return self.driver.find_elements('css selector', selector)

    def text(self, selector):
        return self.find(selector).get_property('textContent').strip()

    def click(self, selector):
        self.driver.execute_script('arguments[0].scrollIntoView({block: "center"})', self.find(selector))
        self.find(selector).click()

    def press(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self):
        return self.driver.switch_to.active_element

    def script(self, text, *values):
        return self.driver.execute_script(text, *values)

    def wait(self, condition):
        end = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < end, f'not within {PATIENCE} s'
            time.sleep(0.05)
        return found

    def picture(self):
        """Return what the viewer shows, as numbers (height, width, 3)."""
        from PIL import Image

        time.sleep(0.3)  # a frame has to be drawn
        element = self.find('#viewer')
        self.script('arguments[0].scrollIntoView({block: "center"})', element)
        return np.asarray(Image.open(io.BytesIO(element.screenshot_as_png)).convert('RGB')).astype(int)

    def download(self, selector):
        before = set(self.downloads.iterdir())
        self.click(selector)

        def arrived():
            return {path for path in self.downloads.iterdir() if not path.name.endswith('.crdownload')} - before

        (path,) = self.wait(arrived)
        return path

    def complaints(self):
        """Return what the browser has logged."""
        return [entry['message'] for entry in self.driver.get_log('browser')]

    def requests(self):
        """Return the addresses of all requests."""
        events = [json.loads(entry['message'])['message'] for entry in self.driver.get_log('performance')]
        return [event['params']['request']['url'] for event in events if event['method'] == 'Network.requestWillBeSent']


@pytest.fixture
def browser(driver, tmp_path):
    """Return a browser that has complained of nothing when the test ends, and has sent nothing."""
    opened = Browser(driver, tmp_path)
    yield opened
    assert opened.complaints() == []
    assert [address for address in opened.requests() if not address.startswith(('file:', 'data:', 'blob:'))] == []


@pytest.fixture
def opened(browser, page):
    """Return a browser with the page of a prediction."""
    return browser.open(page)


def share_of(picture, colour, tolerance=40):
    """Return how much of a picture has about the hue of a colour, whatever its brightness."""
    lit = picture / np.maximum(picture.max(axis=-1, keepdims=True), 1)
    wanted = np.array(colour) / max(colour)
    vivid = picture.max(axis=-1) - picture.min(axis=-1) > tolerance
    return float((vivid & (np.abs(lit - wanted).max(axis=-1) < 0.2)).mean())


def test_the_viewer_draws_both_elements(opened):
    picture = opened.picture()
    sodium, chlorine = (171, 92, 242), (31, 240, 31)
    assert share_of(picture, sodium) > 0.01
    assert share_of(picture, chlorine) > 0.01
    assert opened.text('#legend') == f'Cl {TIMES} 4Na {TIMES} 4'
    assert not opened.find('#viewer-missing').is_displayed()


def test_the_second_rank(opened):
    first, image = opened.text('#viewer-title'), opened.picture()
    opened.click('#ranking tbody tr:nth-child(2)')
    assert first.startswith('Rank 1: NaCl, Fm3m (225)')
    assert opened.text('#viewer-title').startswith('Rank 2: NaCl, Pm3m (221)')
    assert opened.all('#ranking [aria-selected="true"]')[0].get_attribute('data-place') == '1'
    assert len(opened.all('#ranking [aria-selected="true"]')) == 1
    assert 'Rank 2' in opened.text('#distances-title')
    assert opened.text('#pattern-title').startswith('Rank 2, ')
    assert 'a, b, c = 3.500, 3.500, 3.500 Å' in opened.text('#viewer-facts')
    assert (np.abs(opened.picture() - image).max(axis=-1) > 30).mean() > 0.02


def test_keys_choose(opened):
    from selenium.webdriver.common.keys import Keys

    for _ in range(40):
        opened.press(Keys.TAB)
        if opened.focused().tag_name == 'tr':
            break
    assert opened.focused().get_attribute('data-place') == '0'
    opened.press(Keys.ARROW_DOWN)
    assert opened.text('#viewer-title').startswith('Rank 2')
    opened.press(Keys.END)
    assert opened.text('#viewer-title').startswith('Rank 3')
    opened.press(Keys.ARROW_DOWN)
    assert opened.focused().get_attribute('data-place') == '2'
    opened.press(Keys.HOME, Keys.ENTER)
    assert opened.text('#viewer-title').startswith('Rank 1')
    outline = opened.script('return getComputedStyle(document.activeElement).outlineStyle')
    assert outline == 'solid'


def test_keys_turn_the_crystal(opened):
    from selenium.webdriver.common.keys import Keys

    image = opened.picture()
    opened.script('document.getElementById("viewer").focus()')
    opened.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert (np.abs(opened.picture() - image).max(axis=-1) > 30).mean() > 0.01
    opened.click('#reset')
    opened.script('document.activeElement.blur()')
    assert (np.abs(opened.picture() - image).max(axis=-1) > 30).mean() < 0.01


def test_cells_and_looks(opened):
    image = opened.picture()
    opened.click('[data-cell="primitive"]')
    assert opened.text('#viewer-facts').startswith('primitive cell: a, b, c = 3.988, 3.988, 3.988 Å')
    assert (np.abs(opened.picture() - image).max(axis=-1) > 30).mean() > 0.02
    for selector in ('[data-cell="conventional"]', '#repeat', '[data-look="spheres"]'):
        before = opened.picture()
        opened.click(selector)
        assert opened.find(selector).get_attribute('aria-pressed') == 'true'
        assert (np.abs(opened.picture() - before).max(axis=-1) > 30).mean() > 0.02


def test_spin(opened):
    opened.click('[data-cell="primitive"]')  # few atoms: every frame is drawn by the processor here
    image = opened.picture()
    opened.click('#spin')
    assert opened.find('#spin').get_attribute('aria-pressed') == 'true'
    time.sleep(0.5)
    opened.click('#spin')
    stopped = opened.picture()
    assert (np.abs(stopped - image).max(axis=-1) > 30).mean() > 0.005
    assert (np.abs(opened.picture() - stopped).max(axis=-1) > 30).mean() < 0.001


@pytest.mark.parametrize('rank', [1, 2, 3])
def test_cif(opened, structures, rank):
    opened.click(f'#ranking tbody tr:nth-child({rank})')
    path = opened.download('#download-cif')
    assert path.name == f'NaCl_rank_{rank:02d}.cif'
    read = Structure.from_file(path)
    assert StructureMatcher(scale=False).get_rms_dist(read, structures[rank - 1])[0] == pytest.approx(0, abs=1e-6)
    assert read.lattice.parameters == pytest.approx(structures[rank - 1].lattice.parameters)
    conventional = Structure.from_file(opened.download('#download-conventional'))
    assert StructureMatcher(scale=False).fit(conventional, structures[rank - 1])


def test_tables_and_picture(opened, page):
    ranking = opened.download('#download-csv').read_text().splitlines()
    assert ranking[0].startswith('rank,formula,number_of_atoms,formula_units,spacegroup')
    assert [line.split(',')[0] for line in ranking[1:]] == ['1', '2', '3']
    everything = json.loads(opened.download('#download-json').read_text())
    assert everything['facts'] == page.facts
    assert everything['candidates'][2]['crystal'] == page.candidates[2]['crystal']
    assert opened.download('#download-picture').read_bytes().startswith(b'\x89PNG')


def test_text_of_users_stays_text(browser, page, evil):
    facts = {**page.facts, 'label': evil, 'description': evil, 'formula': evil, 'potential_notice': evil}
    row = {**page.candidates[0], 'origin': evil, 'formula': evil, 'spacegroup_symbol': evil}
    browser.open(dataclasses.replace(page, facts=facts, candidates=(row, *page.candidates[1:])))
    assert browser.text('.user-label') == evil
    assert browser.text('h1') == evil
    assert evil in browser.text('#viewer-title')
    assert browser.all('img') == []
    assert browser.driver.title.startswith(evil)
    # a dialog would have raised UnexpectedAlertPresentException at any of these commands


def test_distances_by_key_and_mouse(opened):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    assert len(opened.all('#distances .map')) == 3
    opened.script('document.querySelector("#distances svg").focus()')
    assert opened.text('#distances-readout').startswith('Na1 to its own nearest image: predicted 3.99')
    opened.press(Keys.ARROW_RIGHT)
    assert opened.text('#distances-readout').startswith(f'Na1 {DASH} Cl1: predicted 2.82')
    assert opened.text('#distances-readout').endswith('realised 2.82 Å')
    opened.script('arguments[0].scrollIntoView({block: "center"})', opened.find('#distances'))
    ActionChains(opened.driver).move_to_element_with_offset(opened.all('#distances .map > svg')[1], 40, 40).perform()
    assert opened.text('#distances-readout').startswith('Cl1 to its own nearest image')


def test_a_measurement_is_laid_over(opened, tmp_path):
    angles = np.linspace(4, 95, 2000)
    heights = 40 + 900 * np.exp(-(((angles - 31.7) / 0.1) ** 2))
    lines = [f'{angle:.3f}\t{height:.2f}' for angle, height in zip(angles, heights, strict=True)]
    measured = tmp_path / 'measured.xy'
    measured.write_text('# 2theta intensity\n' + '\n'.join(lines))
    opened.find('#experiment').send_keys(str(measured))
    opened.wait(lambda: opened.all('#pattern .measured'))
    assert 'measured.xy' in opened.text('#pattern svg')
    wrong = tmp_path / '<img src=x>.xy'
    wrong.write_text('nothing of the kind')
    opened.find('#experiment').send_keys(str(wrong))
    opened.wait(lambda: opened.find('#experiment-message').is_displayed())
    assert 'cannot be shown: no two columns of numbers' in opened.text('#experiment-message')
    assert opened.all('#pattern path.measured') == []
    opened.find('#experiment').send_keys(str(measured))
    opened.wait(lambda: opened.all('#pattern path.measured'))
    opened.click('#experiment-clear')
    assert opened.all('#pattern path.measured') == []


def test_energies(opened):
    from selenium.webdriver.common.keys import Keys

    assert opened.text('#energies-title') == '3 candidates'
    assert opened.text('#energies-legend') == f'template {TIMES} 1descent {TIMES} 1free {TIMES} 1'
    assert len(opened.all('#energies g.open')) == 3
    opened.script('document.querySelector("#energies svg").focus()')
    opened.press(Keys.ARROW_RIGHT)
    assert opened.text('#energies-readout').startswith(
        f'Rank 2 (c_002), descent: as built {MINUS}1.000, relaxed {MINUS}1.800'
    )
    opened.script('arguments[0].scrollIntoView({block: "center"})', opened.find('#energies'))
    opened.all('#energies .rank-label')[2].click()
    assert opened.text('#viewer-title').startswith('Rank 3')


@pytest.mark.parametrize('kind', ['page', 'screening_page'])
@pytest.mark.parametrize('width', [360, 768])
def test_narrow_screens(browser, request, kind, width):
    browser.resize(width, 800)
    browser.open(request.getfixturevalue(kind))
    inside, scrolled = browser.script('return [innerWidth, document.documentElement.scrollWidth]')
    assert inside == width
    assert scrolled <= browser.script('return document.documentElement.clientWidth') <= width


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_themes(browser, page, scheme):
    def brightness():
        colour = browser.script('return getComputedStyle(document.body).backgroundColor')
        return sum(int(part) for part in colour.removeprefix('rgb(').removesuffix(')').split(','))

    browser.command('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': scheme}])
    browser.open(page)
    assert (brightness() < 200) == (scheme == 'dark')
    browser.click('#theme')
    assert (brightness() < 200) == (scheme == 'light')


def shown(browser):
    """Return the formulas of the rows that can be seen, in order."""
    return [
        row.find_element('css selector', 'td').text for row in browser.all('#formulas tbody tr') if row.is_displayed()
    ]


def test_screening(browser, screening_page, evil):
    browser.open(screening_page)
    assert shown(browser) == ['NaCl', 'MgO', evil, 'CsCl']
    assert browser.all('#formulas img') == []
    assert browser.text('#viewer-title').startswith('NaCl, Pm3m (221)')
    browser.click('#formulas tbody tr:nth-child(4)')
    assert browser.text('#viewer-title').startswith('CsCl, Fm3m (225), all structures: aiida-alphacrystal report 31')
    assert share_of(browser.picture(), (31, 240, 31)) > 0.005
    browser.click('#formulas tbody tr:nth-child(3)')
    assert browser.text('#viewer-missing') == f'No structure: No candidate for {evil}.'
    assert not browser.find('#download-cif').is_enabled()


def test_sorting_and_filtering_a_screening(browser, screening_page, evil):
    from selenium.webdriver.common.keys import Keys

    browser.open(screening_page)
    browser.click('#formulas thead th:nth-child(4) button')
    assert shown(browser) == ['CsCl', 'MgO', 'NaCl', evil]
    assert browser.find('#formulas thead th:nth-child(4)').get_attribute('aria-sort') == 'ascending'
    browser.click('#formulas thead th:nth-child(4) button')
    assert shown(browser) == ['NaCl', 'MgO', 'CsCl', evil]
    browser.click('#filter')
    browser.press('fm-3m cl')
    assert shown(browser) == ['CsCl']
    assert browser.text('#formulas-count') == '1 of 4 shown'
    browser.press(Keys.TAB)
    while browser.focused().tag_name != 'tr':
        browser.press(Keys.TAB)
    browser.press(Keys.ENTER)
    assert browser.text('#viewer-title').startswith('CsCl')
    rows = browser.download('#download-csv').read_text().splitlines()
    assert len(rows) == 5
    assert rows[1].startswith('NaCl,0,,3,2,221,Pm-3m,-1')


def test_a_real_prediction(browser, prediction):
    page = collect_prediction(prediction)
    browser.open(page)
    assert len(browser.all('#ranking tbody tr')) == len(page.candidates)
    node = prediction.outputs.structures.rank_02
    browser.click('#ranking tbody tr:nth-child(2)')
    assert node.uuid in browser.text('#provenance')
    read = Structure.from_file(browser.download('#download-cif'))
    assert np.allclose(read.distance_matrix, node.get_pymatgen_structure().distance_matrix, atol=1e-5)


def test_without_webgl(browser, page):
    """Where the browser cannot draw in three dimensions the rest of the page works."""
    blocked = browser.command(
        'Page.addScriptToEvaluateOnNewDocument',
        source='HTMLCanvasElement.prototype.getContext = () => null;',
    )
    try:
        browser.open(page)
        browser.complaints()  # the library says so itself
        browser.click('#ranking tbody tr:nth-child(2)')
        assert 'no WebGL' in browser.text('#viewer-missing')
        assert browser.text('#distances-title').startswith('Rank 2')
        assert browser.download('#download-cif').name == 'NaCl_rank_02.cif'
    finally:
        browser.command('Page.removeScriptToEvaluateOnNewDocument', identifier=blocked['identifier'])
