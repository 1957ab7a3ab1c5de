"""Predict a crystal, write its report and take pictures of it, light and dark (needs Chromium and its driver).

In the root of the repository: ``verdi run docs/images/make_report.py``.
"""

from __future__ import annotations

import base64
import io
import shutil
import tempfile
import time
from pathlib import Path

from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from aiida_alphacrystal.report.page.collect import collect_prediction
from aiida_alphacrystal.report.page.render import render_page

WIDTH, HEIGHT = 1280, 2130

#: Without a window, without a graphics card, as root as well.
ARGUMENTS = (
    '--headless=new',
    '--no-sandbox',
    '--hide-scrollbars',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
)


def main() -> None:
    """Predict SrTiO3 with the protocol ``fast`` and take pictures of its report."""
    _, node = run_get_node(WorkflowFactory('alphacrystal.predict').get_builder_from_protocol('SrTiO3', protocol='fast'))
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which('chromium') or shutil.which('google-chrome') or ''
    for argument in ARGUMENTS:
        options.add_argument(argument)
    with tempfile.TemporaryDirectory() as directory:
        page = Path(directory) / 'report.html'
        page.write_text(render_page(collect_prediction(node)), encoding='utf-8')
        driver = webdriver.Chrome(options=options, service=Service(shutil.which('chromedriver')))
        try:
            for scheme in ('light', 'dark'):
                take_picture(driver, page, scheme, Path(f'docs/images/report_{scheme}.png'))
        finally:
            driver.quit()


def take_picture(driver: webdriver.Chrome, page: Path, scheme: str, target: Path) -> None:
    """Write the upper part of a page as a picture.

    :param driver: the browser.
    :param page: the page.
    :param scheme: ``light`` or ``dark``.
    :param target: the picture.
    """
    driver.execute_cdp_cmd(
        'Emulation.setDeviceMetricsOverride',
        {'width': WIDTH, 'height': HEIGHT, 'deviceScaleFactor': 1, 'mobile': False},
    )
    features = [{'name': 'prefers-color-scheme', 'value': scheme}]
    driver.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': features})
    driver.get(page.as_uri())
    time.sleep(3)  # until the crystal has been drawn
    shot = driver.execute_cdp_cmd('Page.captureScreenshot', {'format': 'png'})
    Image.open(io.BytesIO(base64.b64decode(shot['data']))).convert('RGB').save(target, optimize=True)
    print(f'Wrote {target}')


main()
