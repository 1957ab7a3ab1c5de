/** Start the page. */

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  window.dispatchEvent(new Event('themechange'));
}

const VIEWS = { prediction: PredictionView, screening: ScreeningView };

const content = JSON.parse(byId('data').textContent);
const view = new VIEWS[content.kind](content);
byId('theme').addEventListener('click', switchTheme);
for (const [target, name] of [[window, 'themechange'], [matchMedia('(prefers-color-scheme: dark)'), 'change']]) {
  target.addEventListener(name, () => view.panel.viewer?.paint());
}
