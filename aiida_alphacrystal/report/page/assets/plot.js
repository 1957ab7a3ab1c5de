/** What the plots share: linear axes, marks of the sources, looking along a row of points. */

const SHAPES = {
  template: (size) => draw('circle', { r: size }),
  descent: (size) => draw('rect', { x: -0.9 * size, y: -0.9 * size, width: 1.8 * size, height: 1.8 * size }),
  genetic: (size) => draw('path', { d: `M0 ${-1.15 * size}L${1.1 * size} ${0.9 * size}H${-1.1 * size}Z` }),
  free: (size) => draw('path', { d: `M0 ${-1.3 * size}L${1.3 * size} 0L0 ${1.3 * size}L${-1.3 * size} 0Z` }),
};

/** @returns {SVGElement} the mark of a source: its shape and, by its class, its colour. */
function sourceMark(source, size, attributes = {}) {
  const shape = (SHAPES[source] || SHAPES.template)(size);
  return draw('g', { ...attributes, class: `source-${source} ${attributes.class || ''}` }, shape);
}

/** @returns {SVGElement} an empty plot. */
function plotFrame(width, height, label) {
  return draw('svg', { viewBox: `0 0 ${width} ${height}`, width, height, tabindex: 0, role: 'application', 'aria-label': label });
}

/** @returns {SVGElement} a label of an axis, centred at a point. */
function axisText(x, y, text, attributes = {}) {
  return draw('text', { x, y, 'text-anchor': 'middle', ...attributes }, text);
}

/** Call back with the place of a point when it is pointed at or reached by a key. */
function lookAlong(svg, places, onPlace) {
  let current = -1;
  const go = (place) => {
    current = Math.min(Math.max(place, 0), places.length - 1);
    if (places.length) onPlace(current);
  };
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) * svg.viewBox.baseVal.width) / box.width;
    go(places.reduce((best, place, index) => (Math.abs(place - x) < Math.abs(places[best] - x) ? index : best), 0));
  });
  svg.addEventListener('focus', () => current < 0 && go(0));
  svg.addEventListener('keydown', (event) => {
    const moves = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: places.length - 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    go(moves[event.key]);
  });
}
