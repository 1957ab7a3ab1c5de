/** Matrices of distances as maps with one common pair that is looked at. */

// cividis (Nunez, Anderton, Renslow, PLoS ONE 13, e0199239, 2018) and a diverging scale between orange and purple
const SEQUENTIAL = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [254, 232, 56]];
const DIVERGING = [[179, 88, 6], [241, 163, 64], [247, 247, 247], [153, 142, 195], [84, 39, 136]];
const MAP = { left: 24, top: 20, size: 260 };

/** @returns {string} the colour at a place from 0 to 1 of a scale. */
function colourAt(scale, share) {
  const place = Math.min(Math.max(share, 0), 1) * (scale.length - 1);
  const below = Math.min(Math.floor(place), scale.length - 2);
  const mixed = scale[below].map((value, part) => Math.round(value + (place - below) * (scale[below + 1][part] - value)));
  return `rgb(${mixed.join(',')})`;
}

/** @returns {Array<{symbol: string, first: number, count: number}>} runs of equal elements. */
function elementRuns(species) {
  const runs = [];
  species.forEach((symbol, place) => {
    const last = runs.at(-1);
    if (last && last.symbol === symbol) last.count += 1;
    else runs.push({ symbol, first: place, count: 1 });
  });
  return runs;
}

class MatrixMap {
  /**
   * @param {Object} spec title, matrix, species, names, scale (colours), low, high, unit.
   * @param {function(number, number)} onPoint called with the pair that is pointed at.
   */
  constructor(spec, onPoint) {
    this.spec = spec;
    this.onPoint = onPoint;
    this.step = MAP.size / spec.matrix.length;
    this.svg = this.paint();
    this.node = make('figure', { class: 'map' }, make('figcaption', {}, spec.title), this.svg, this.legend());
    this.listen();
  }

  paint() {
    const { matrix, scale, low, high, title } = this.spec;
    const width = MAP.left + MAP.size + 2;
    const label = `${title}: map of ${matrix.length} by ${matrix.length} distances`;
    const svg = draw('svg', { viewBox: `0 0 ${width} ${MAP.top + MAP.size + 2}`, tabindex: 0, role: 'application', 'aria-label': label });
    const cells = draw('g', { 'shape-rendering': 'crispEdges' });
    matrix.forEach((row, i) => row.forEach((value, j) => {
      const colour = colourAt(scale, (value - low) / (high - low || 1));
      cells.append(draw('rect', { ...this.corner(i, j), width: this.step + 0.3, height: this.step + 0.3, fill: colour }));
    }));
    this.cursor = draw('rect', { class: 'cursor', width: this.step, height: this.step, visibility: 'hidden' });
    svg.append(cells, ...this.axes(), this.cursor);
    return svg;
  }

  corner(i, j) {
    return { x: MAP.left + j * this.step, y: MAP.top + i * this.step };
  }

  axes() {
    const marks = [];
    for (const { symbol, first, count } of elementRuns(this.spec.species)) {
      const middle = (first + count / 2) * this.step;
      marks.push(draw('text', { x: MAP.left + middle, y: MAP.top - 6, 'text-anchor': 'middle' }, symbol));
      marks.push(draw('text', { x: MAP.left - 5, y: MAP.top + middle + 4, 'text-anchor': 'end' }, symbol));
      if (!first) continue;
      const edge = first * this.step;
      marks.push(draw('line', { class: 'divide', x1: MAP.left + edge, x2: MAP.left + edge, y1: MAP.top, y2: MAP.top + MAP.size }));
      marks.push(draw('line', { class: 'divide', y1: MAP.top + edge, y2: MAP.top + edge, x1: MAP.left, x2: MAP.left + MAP.size }));
    }
    return marks;
  }

  legend() {
    const { scale, low, high, unit } = this.spec;
    const strip = draw('svg', { viewBox: '0 0 100 8', preserveAspectRatio: 'none', class: 'strip', 'aria-hidden': 'true' });
    for (let place = 0; place < 50; place += 1) {
      strip.append(draw('rect', { x: 2 * place, y: 0, width: 2.2, height: 8, fill: colourAt(scale, place / 49) }));
    }
    return make('div', { class: 'scale' }, make('span', {}, numberText(low, 1)), strip, make('span', {}, `${numberText(high, 1)} ${unit}`));
  }

  listen() {
    const count = this.spec.matrix.length;
    const inside = (value) => Math.min(Math.max(value, 0), count - 1);
    this.svg.addEventListener('pointermove', (event) => {
      const box = this.svg.getBoundingClientRect();
      const unit = this.svg.viewBox.baseVal.width / box.width;
      const [x, y] = [(event.clientX - box.left) * unit - MAP.left, (event.clientY - box.top) * unit - MAP.top];
      if (x >= 0 && y >= 0) this.onPoint(inside(Math.floor(y / this.step)), inside(Math.floor(x / this.step)));
    });
    this.svg.addEventListener('focus', () => this.pair || this.onPoint(0, 0));
    this.svg.addEventListener('keydown', (event) => {
      const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      const [i, j] = this.pair || [0, 0];
      this.onPoint(inside(i + move[0]), inside(j + move[1]));
    });
  }

  /** Frame a pair. */
  mark(i, j) {
    this.pair = [i, j];
    fill(this.cursor, { ...this.corner(i, j), visibility: 'visible' }, []);
  }
}

class DistanceMaps {
  /** @param {Object} predicted what was predicted, by the number of atoms in the cell. */
  constructor(predicted) {
    this.predicted = predicted;
    this.maps = [];
  }

  /** Show what was predicted for a candidate beside what it is. */
  show(row) {
    const said = this.predicted[row.number_of_atoms];
    const found = row.distances?.found;
    const matrices = said ? this.matrices(said, found) : [];
    this.maps = matrices.map((spec) => new MatrixMap({ ...spec, species: said.species, unit: '\u00c5' }, (i, j) => this.point(i, j)));
    byId('distances').replaceChildren(...this.maps.map((map) => map.node));
    this.data = { said, found };
    say(byId('distances-title'), this.title(row, said));
    readOut('distances-readout', '', said ? 'Point at a pair, or use the arrow keys inside a map.' : '');
  }

  title(row, said) {
    if (!said) return `No distances were predicted for a cell of ${row.number_of_atoms} atoms.`;
    return row.distances ? `Rank ${row.rank}: root mean square difference ${row.distances.rms.toFixed(2)} \u00c5` : `Rank ${row.rank}: prediction only`;
  }

  matrices(said, found) {
    const all = [...said.mean, ...(found || [])].flat();
    const range = { low: Math.min(...all), high: Math.max(...all), scale: SEQUENTIAL };
    const maps = [{ title: 'Predicted mean', matrix: said.mean, ...range }];
    if (!found) return maps;
    const difference = found.map((row, i) => row.map((value, j) => value - said.mean[i][j]));
    const most = Math.max(0.5, ...difference.flat().map(Math.abs));
    maps.push({ title: 'Realised', matrix: found, ...range });
    maps.push({ title: 'Realised \u2212 predicted', matrix: difference, low: -most, high: most, scale: DIVERGING });
    return maps;
  }

  point(i, j) {
    for (const map of this.maps) map.mark(i, j);
    const { said, found } = this.data;
    const pair = i === j ? `${said.names[i]} to its own nearest image` : `${said.names[i]} \u2013 ${said.names[j]}`;
    const predicted = `predicted ${said.mean[i][j].toFixed(2)} \u00b1 ${said.spread[i][j].toFixed(2)} \u00c5`;
    readOut('distances-readout', `${pair}: ${predicted}${found ? `, realised ${found[i][j].toFixed(2)} \u00c5` : ''}`);
  }
}
