/** A crystal in three dimensions, drawn by 3Dmol.js. */

const FACE = 1e-3; // fractional coordinate within which an atom lies on a face of the cell
const LOOKS = {
  sticks: { share: 0.42, least: 0.28, most: 0.78, stick: 0.11 },
  spheres: { share: 0.95, least: 0.5, most: 2.4, stick: 0 },
};
const AXES = [['a', '#d55e00'], ['b', '#009e73'], ['c', '#0072b2']];
const TURN = 8; // degrees that a key turns

/** @returns {number[]} Cartesian coordinates of a fractional position. */
function toCartesian(lattice, position) {
  return [0, 1, 2].map((axis) => position.reduce((sum, value, row) => sum + value * lattice[row][axis], 0));
}

/** @returns {Array<{symbol: string, place: number[]}>} every atom in and on the faces of a block of cells. */
function atomsInBlock(cell, repeat) {
  const atoms = [];
  cell.coords.forEach((coords, index) => {
    const images = coords.map((value) => {
      const first = value - Math.floor(value + FACE);
      return Array.from({ length: repeat + 1 }, (_, step) => first + step).filter((image) => image <= repeat + FACE);
    });
    for (const x of images[0]) for (const y of images[1]) for (const z of images[2]) {
      atoms.push({ symbol: cell.species[index], place: toCartesian(cell.lattice, [x, y, z]) });
    }
  });
  return atoms;
}

/** @returns {function(string, string): number} the length below which two elements are joined. */
function bondRule(elements, symbols) {
  const { factor, polar, nonmetal } = elements.bonds;
  const styles = elements.styles;
  const differ = (one, other) => Math.abs(styles[one].electronegativity - styles[other].electronegativity) >= polar;
  const ionic = symbols.some((one) => symbols.some((other) => differ(one, other)));
  const nonmetals = (one, other) => Math.min(styles[one].electronegativity, styles[other].electronegativity) >= nonmetal;
  return (one, other) => {
    if (ionic && !differ(one, other) && !nonmetals(one, other)) return 0;
    return factor * (styles[one].radius + styles[other].radius);
  };
}

/** @returns {number[][]} for each atom the atoms that it is joined to. */
function findBonds(atoms, longest) {
  const bonds = atoms.map(() => []);
  for (let one = 0; one < atoms.length; one += 1) {
    for (let other = 0; other < one; other += 1) {
      const [a, b] = [atoms[one], atoms[other]];
      const squared = a.place.reduce((sum, value, axis) => sum + (value - b.place[axis]) ** 2, 0);
      if (squared < longest(a.symbol, b.symbol) ** 2) {
        bonds[one].push(other);
        bonds[other].push(one);
      }
    }
  }
  return bonds;
}

/** @returns {{x: number, y: number, z: number}} a point as 3Dmol takes it. */
function point([x, y, z]) {
  return { x, y, z };
}

/** @returns {boolean} whether the browser draws in three dimensions. */
function hasWebGL() {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('webgl2') || canvas.getContext('webgl');
  context?.getExtension('WEBGL_lose_context')?.loseContext();
  return Boolean(context);
}

class CrystalViewer {
  /**
   * @param {HTMLElement} place what the viewer fills.
   * @param {Object} elements how elements are drawn.
   */
  constructor(place, elements) {
    this.place = place;
    this.elements = elements;
    this.choice = { cell: 'conventional', look: 'sticks', repeat: 1 };
    this.spinning = false;
    this.crystal = null;
    if (!hasWebGL()) throw new Error('no WebGL');
    this.view = window.$3Dmol.createViewer(place, { backgroundAlpha: 0, antialias: true, orthographic: true, disableFog: true });
    this.listen();
  }

  listen() {
    // the wheel scrolls the page unless the viewer has been chosen
    const unchosen = (event) => {
      if (document.activeElement !== this.place && !event.ctrlKey) event.stopPropagation();
    };
    this.place.addEventListener('wheel', unchosen, { capture: true });
    this.place.addEventListener('pointerdown', () => this.place.focus({ preventScroll: true }));
    this.place.addEventListener('keydown', (event) => this.onKey(event));
    new ResizeObserver(() => this.view.resize()).observe(this.place);
  }

  onKey(event) {
    const turns = { ArrowLeft: [-TURN, 'vy'], ArrowRight: [TURN, 'vy'], ArrowUp: [-TURN, 'vx'], ArrowDown: [TURN, 'vx'] };
    const zooms = { '+': 1.15, '=': 1.15, '-': 1 / 1.15 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (turns[event.key]) this.view.rotate(...turns[event.key]);
    else if (zooms[event.key]) this.view.zoom(zooms[event.key]);
    else return;
    event.preventDefault();
    this.view.render();
  }

  /** @returns {Object} the cell that is drawn. */
  get cell() {
    return this.crystal[this.choice.cell];
  }

  /** Draw a crystal, or nothing. */
  show(crystal) {
    this.crystal = crystal;
    this.paint();
    if (crystal) this.reset();
  }

  /** Change how the crystal is drawn. */
  choose(choice) {
    Object.assign(this.choice, choice);
    if (!this.crystal) return;
    this.paint();
    if ('look' in choice) this.view.render();
    else this.reset();
  }

  paint() {
    this.view.removeAllModels();
    this.view.removeAllShapes();
    this.view.removeAllLabels();
    if (this.crystal) {
      this.paintAtoms();
      this.paintEdges();
      this.paintAxes();
    }
    this.view.render();
  }

  paintAtoms() {
    const atoms = atomsInBlock(this.cell, this.choice.repeat);
    const symbols = [...new Set(this.cell.species)];
    const look = LOOKS[this.choice.look];
    const bonds = look.stick ? findBonds(atoms, bondRule(this.elements, symbols)) : atoms.map(() => []);
    const model = this.view.addModel();
    model.addAtoms(
      atoms.map(({ symbol, place }, serial) => ({
        elem: symbol, serial, ...point(place), bonds: bonds[serial], bondOrder: bonds[serial].map(() => 1),
      })),
    );
    for (const symbol of symbols) {
      const { colour, radius } = this.elements.styles[symbol];
      const size = Math.min(Math.max(look.share * radius, look.least), look.most);
      const style = { sphere: { radius: size, color: colour } };
      if (look.stick) style.stick = { radius: look.stick, color: colour };
      model.setStyle({ elem: symbol }, style);
    }
  }

  paintEdges() {
    const color = getComputedStyle(this.place).getPropertyValue('--edge').trim();
    const steps = Array.from({ length: this.choice.repeat + 1 }, (_, step) => step);
    for (let axis = 0; axis < 3; axis += 1) {
      for (const one of steps) for (const other of steps) {
        const begin = [one, other];
        begin.splice(axis, 0, 0);
        const end = [...begin];
        end[axis] = this.choice.repeat;
        this.tube(begin, end, 0.04, color);
      }
    }
  }

  paintAxes() {
    AXES.forEach(([name, color], axis) => {
      const end = [0, 0, 0];
      end[axis] = 1;
      this.tube([0, 0, 0], end, 0.07, color);
      const length = Math.hypot(...this.cell.lattice[axis]);
      const beyond = end.map((value) => value * (1 + 1.1 / length));
      const options = { position: point(toCartesian(this.cell.lattice, beyond)), fontColor: color, fontSize: 22, bold: true };
      this.view.addLabel(name, { ...options, showBackground: false, alignment: 'center', inFront: true });
    });
  }

  tube(begin, end, radius, color) {
    const [start, stop] = [begin, end].map((position) => point(toCartesian(this.cell.lattice, position)));
    this.view.addCylinder({ start, end: stop, radius, color, fromCap: 1, toCap: 1 });
  }

  /** Look at the whole crystal from the front, a little from above. */
  reset() {
    this.view.setView([0, 0, 0, 0, 0, 0, 0, 1]);
    this.view.zoomTo();
    this.view.rotate(-90, 'vx');
    this.view.rotate(-24, 'vy');
    this.view.rotate(13, 'vx');
    this.view.zoom(1.45);
    this.view.render();
  }

  /** Turn the crystal for ever, or stop. */
  spin(on) {
    this.spinning = on;
    this.view.spin(on ? 'vy' : false, 0.6);
  }

  /** @returns {string} the picture as a data URL. */
  picture() {
    return this.view.pngURI();
  }
}

/** Join the viewer with its buttons. */
class ViewerPanel {
  /** @param {Object} elements how elements are drawn. */
  constructor(elements) {
    this.elements = elements;
    this.subject = null;
    this.viewer = this.open();
    this.listen();
  }

  open() {
    try {
      return new CrystalViewer(byId('viewer'), this.elements);
    } catch {
      byId('viewer').hidden = true;
      return null;
    }
  }

  listen() {
    const cells = [...document.querySelectorAll('[data-cell]')];
    const looks = [...document.querySelectorAll('[data-look]')];
    for (const button of cells) {
      button.addEventListener('click', () => {
        press(cells, button);
        this.viewer?.choose({ cell: button.dataset.cell });
        this.describe();
      });
    }
    for (const button of looks) {
      button.addEventListener('click', () => {
        press(looks, button);
        this.viewer?.choose({ look: button.dataset.look });
      });
    }
    this.toggle('repeat', (on) => this.viewer?.choose({ repeat: on ? 2 : 1 }));
    this.toggle('spin', (on) => this.viewer?.spin(on));
    byId('reset').addEventListener('click', () => this.viewer?.reset());
    byId('download-cif').addEventListener('click', () => this.saveCif('primitive', ''));
    byId('download-conventional').addEventListener('click', () => this.saveCif('conventional', '_conventional'));
    byId('download-picture').addEventListener('click', () => saveUrl(`${this.subject.file}.png`, this.viewer.picture()));
  }

  toggle(id, act) {
    const button = byId(id);
    button.addEventListener('click', () => {
      const on = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', String(on));
      act(on);
    });
  }

  saveCif(cell, ending) {
    saveFile(`${this.subject.file}${ending}.cif`, 'chemical/x-cif', this.subject.crystal[cell].cif);
  }

  /**
   * Show a structure.
   * @param {{crystal: ?Object, title: Array, file: string, missing: string}} subject
   */
  show(subject) {
    this.subject = subject;
    byId('viewer-title').replaceChildren(...subject.title);
    this.viewer?.show(subject.crystal);
    const missing = subject.crystal ? 'This browser cannot draw in three dimensions (no WebGL).' : subject.missing;
    say(byId('viewer-missing'), subject.crystal && this.viewer ? '' : missing);
    for (const id of ['download-cif', 'download-conventional']) byId(id).disabled = !subject.crystal;
    byId('download-picture').disabled = !subject.crystal || !this.viewer;
    this.describe();
  }

  describe() {
    const { crystal } = this.subject;
    const chosen = document.querySelector('[data-cell][aria-pressed="true"]').dataset.cell;
    const cell = crystal?.[chosen];
    byId('legend').replaceChildren(...(cell ? this.legend(cell) : []));
    byId('viewer-facts').textContent = cell ? cellText(cell, chosen) : '';
  }

  legend(cell) {
    const counts = new Map();
    for (const symbol of cell.species) counts.set(symbol, (counts.get(symbol) || 0) + 1);
    return [...counts].map(([symbol, count]) => {
      const dot = draw('svg', { viewBox: '-6 -6 12 12', class: 'marker', 'aria-hidden': 'true' });
      dot.append(draw('circle', { r: 5, fill: this.elements.styles[symbol].colour, class: 'atom' }));
      return make('li', {}, dot, `${symbol} \u00d7 ${count}`);
    });
  }
}

/** @returns {string} lengths, angles and volume of a cell. */
function cellText(cell, name) {
  const [a, b, c] = cell.lattice;
  const dot = (one, other) => one.reduce((sum, value, axis) => sum + value * other[axis], 0);
  const angle = (one, other) => (180 / Math.PI) * Math.acos(dot(one, other) / Math.hypot(...one) / Math.hypot(...other));
  const cross = [b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]];
  const lengths = [a, b, c].map((axis) => Math.hypot(...axis).toFixed(3)).join(', ');
  const angles = [angle(b, c), angle(a, c), angle(a, b)].map((value) => value.toFixed(1)).join(', ');
  const volume = Math.abs(dot(a, cross)).toFixed(1);
  return `${name} cell: a, b, c = ${lengths} \u00c5; \u03b1, \u03b2, \u03b3 = ${angles}\u00b0; V = ${volume} \u00c5\u00b3; ${cell.species.length} atoms`;
}
