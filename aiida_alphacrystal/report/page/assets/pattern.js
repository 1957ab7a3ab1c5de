/** The powder pattern of a structure, and a measurement beside it. */

const ANGLES = [5, 90];
const LINE_WIDTH = 0.2; // full width at half maximum, degrees
const MAX_FILE = 5e6; // bytes
const MAX_POINTS = 20000;

/** @returns {number[][]} the pattern as a curve, its highest point at 100. */
function profile(lines) {
  const points = [];
  for (let angle = ANGLES[0]; angle <= ANGLES[1] + 1e-9; angle += 0.04) {
    let sum = 0;
    for (const [centre, intensity] of lines) {
      const away = (angle - centre) / (LINE_WIDTH / 2);
      if (Math.abs(away) < 30) sum += intensity * (0.5 / (1 + away * away) + 0.5 * Math.exp(-Math.LN2 * away * away));
    }
    points.push([angle, sum]);
  }
  const highest = Math.max(...points.map(([, height]) => height)) || 1;
  return points.map(([angle, height]) => [angle, (100 * height) / highest]);
}

/**
 * Read a measurement.
 * @param {string} text lines of two numbers; others are passed over.
 * @returns {number[][]} angles and intensities, from 0 to 100.
 * @throws {Error} where it holds none.
 */
function readMeasurement(text) {
  const rows = text.split(/\r\n|\r|\n/).map((line) => line.trim().split(/[\s,;]+/).map(Number));
  const all = rows.filter((row) => row.length >= 2 && Number.isFinite(row[0]) && Number.isFinite(row[1]));
  const points = all.filter(([angle]) => angle >= ANGLES[0] && angle <= ANGLES[1]).map(([angle, height]) => [angle, height]);
  if (all.length < 5) throw new Error('no two columns of numbers (2\u03b8 and intensity) were found');
  if (points.length < 5) throw new Error(`no points lie between ${ANGLES[0]} and ${ANGLES[1]} degrees`);
  points.sort((one, other) => one[0] - other[0]);
  const kept = thin(points, MAX_POINTS);
  const heights = kept.map(([, height]) => height);
  const [low, high] = [heights.reduce((a, b) => Math.min(a, b)), heights.reduce((a, b) => Math.max(a, b))];
  if (high === low) throw new Error('all intensities are the same');
  return kept.map(([angle, height]) => [angle, (100 * (height - low)) / (high - low)]);
}

/** @returns {Array} every n-th entry, so that not more than the given number are left. */
function thin(points, most) {
  const step = Math.ceil(points.length / most);
  return points.filter((_, index) => index % step === 0);
}

class PatternPlot {
  constructor() {
    this.row = null;
    this.measured = null;
    this.place = byId('pattern');
    drawInWidth(this.place, (width) => this.paint(width));
    byId('experiment').addEventListener('change', (event) => this.read(event.target.files[0]));
    byId('experiment-clear').addEventListener('click', () => this.clear());
  }

  show(row) {
    this.row = row;
    const found = row.pattern ? `Rank ${row.rank}, ${row.pattern.length} lines` : `Rank ${row.rank} is not drawn`;
    say(byId('pattern-title'), found);
    readOut('pattern-readout', '', 'Point at a line, or use the arrow keys inside the plot.');
    if (this.place.clientWidth) this.paint(this.place.clientWidth);
  }

  async read(file) {
    if (!file) return;
    try {
      if (file.size > MAX_FILE) throw new Error('it is larger than 5 MB');
      this.measured = { name: file.name, points: readMeasurement(await file.text()) };
      say(byId('experiment-message'), '');
      byId('experiment-clear').hidden = false;
    } catch (error) {
      this.measured = null;
      say(byId('experiment-message'), `${file.name} cannot be shown: ${error.message}.`);
    }
    this.paint(this.place.clientWidth);
  }

  clear() {
    this.measured = null;
    byId('experiment').value = '';
    byId('experiment-clear').hidden = true;
    say(byId('experiment-message'), '');
    this.paint(this.place.clientWidth);
  }

  paint(width) {
    if (!this.row?.pattern) {
      this.place.replaceChildren();
      return;
    }
    const height = width < 520 ? 230 : 290;
    const area = { left: 14, right: width - 14, top: 26, bottom: height - 62 };
    const x = (angle) => area.left + ((angle - ANGLES[0]) / (ANGLES[1] - ANGLES[0])) * (area.right - area.left);
    const y = (share) => area.bottom - (share / 100) * (area.bottom - area.top);
    const path = (points) => points.map(([angle, share], place) => `${place ? 'L' : 'M'}${x(angle).toFixed(1)} ${y(share).toFixed(1)}`).join('');
    const svg = plotFrame(width, height, 'Powder pattern: intensity over scattering angle');
    svg.append(...this.axis(x, area, width, height));
    if (this.measured) svg.append(draw('path', { class: 'measured', d: path(this.measured.points) }));
    svg.append(draw('path', { class: 'simulated', d: path(profile(this.row.pattern)) }));
    for (const [angle] of this.row.pattern) {
      svg.append(draw('line', { class: 'stick', x1: x(angle), x2: x(angle), y1: area.bottom + 5, y2: area.bottom + 14 }));
    }
    const cursor = draw('line', { class: 'guide', y1: area.top, y2: area.bottom + 14, visibility: 'hidden' });
    svg.append(cursor, ...this.legend(area));
    lookAlong(svg, this.row.pattern.map(([angle]) => x(angle)), (place) => {
      const [angle, intensity, spacing, indices] = this.row.pattern[place];
      fill(cursor, { x1: x(angle), x2: x(angle), visibility: 'visible' }, []);
      readOut('pattern-readout', `(${indices}): 2\u03b8 = ${angle.toFixed(2)}\u00b0, d = ${spacing.toFixed(3)} \u00c5, intensity ${intensity.toFixed(1)} %`);
    });
    this.place.replaceChildren(svg);
  }

  axis(x, area, width, height) {
    const marks = [draw('line', { class: 'axis', x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom })];
    for (let angle = 10; angle <= ANGLES[1]; angle += width < 520 ? 20 : 10) {
      marks.push(draw('line', { class: 'grid', x1: x(angle), x2: x(angle), y1: area.top, y2: area.bottom }));
      marks.push(axisText(x(angle), area.bottom + 32, String(angle)));
    }
    marks.push(axisText((area.left + area.right) / 2, height - 8, '2\u03b8 (degrees), Cu K\u03b1'));
    return marks;
  }

  legend(area) {
    const entries = [['simulated', `simulated, rank ${this.row.rank}`]];
    if (this.measured) entries.push(['measured', this.measured.name.length > 24 ? `${this.measured.name.slice(0, 23)}\u2026` : this.measured.name]);
    return entries.flatMap(([name, text], place) => {
      const begin = area.left + place * 160;
      return [
        draw('line', { class: name, x1: begin, x2: begin + 18, y1: 12, y2: 12 }),
        draw('text', { x: begin + 24, y: 16 }, text),
      ];
    });
  }
}
