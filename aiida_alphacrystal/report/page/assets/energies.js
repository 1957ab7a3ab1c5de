/** The energies of all candidates before and after their relaxation. */

const FLOOR = 1; // meV/atom; what is nearer to the lowest energy lies on this line
const MEV = 1000;
const LABEL_ROOM = 20; // pixels from one rank below the plot to the next

class EnergyPlot {
  /**
   * @param {Object} energies rows with label, source, before, after, reason and rank.
   * @param {function(number)} onRank called with the rank that was clicked.
   */
  constructor(energies, onRank) {
    this.onRank = onRank;
    this.place = byId('energies');
    this.rank = 1;
    const relaxed = energies.rows.filter((row) => row.after !== null);
    this.lowest = Math.min(...energies.rows.flatMap((row) => [row.before, row.after]).filter((value) => value !== null));
    this.rows = relaxed.sort((one, other) => one.after - other.after || one.label.localeCompare(other.label));
    this.describe(energies);
    drawInWidth(this.place, (width) => this.paint(width));
  }

  describe(energies) {
    const sources = [...new Set(energies.rows.map((row) => row.source))];
    byId('energies-legend').replaceChildren(
      ...sources.map((source) => {
        const mark = draw('svg', { viewBox: '-6 -6 12 12', class: 'marker', 'aria-hidden': 'true' }, sourceMark(source, 4));
        const count = energies.rows.filter((row) => row.source === source).length;
        return make('li', {}, mark, `${source} \u00d7 ${count}`);
      }),
    );
    const failed = energies.rows.length - this.rows.length;
    const before = energies.knows_before ? '' : '; energies before relaxation were not recorded';
    say(byId('energies-title'), `${energies.rows.length} candidates${failed ? `, ${failed} failed to relax` : ''}${before}`);
  }

  /** Mark the place of a rank. */
  show(row) {
    this.rank = row.rank;
    if (this.place.clientWidth) this.paint(this.place.clientWidth);
  }

  above(energy) {
    return Math.max(MEV * (energy - this.lowest), FLOOR);
  }

  paint(width) {
    if (!this.rows.length) return;
    const height = 330;
    const area = { left: 66, right: width - 12, top: 14, bottom: height - 52 };
    const values = this.rows.flatMap((row) => [row.before, row.after]).filter((value) => value !== null);
    const decades = Math.max(1, Math.ceil(Math.log10(Math.max(...values.map((value) => this.above(value))))));
    const step = (area.right - area.left) / this.rows.length;
    const x = (place) => area.left + (place + 0.5) * step;
    const y = (energy) => area.bottom - (Math.log10(this.above(energy)) / decades) * (area.bottom - area.top);
    const svg = plotFrame(width, height, 'Energies of all candidates before and after relaxation');
    svg.append(...this.axis(area, decades, height));
    const guide = draw('line', { class: 'guide', y1: area.top, y2: area.bottom, visibility: 'hidden' });
    svg.append(guide);
    const size = Math.min(5, Math.max(2, step / 3));
    const labelled = this.labelled(x);
    this.rows.forEach((row, place) => svg.append(...this.candidate(row, x(place), y, size, area, step, labelled.has(row))));
    lookAlong(svg, this.rows.map((_, place) => x(place)), (place) => {
      fill(guide, { x1: x(place), x2: x(place), visibility: 'visible' }, []);
      this.tell(this.rows[place]);
    });
    this.place.replaceChildren(svg);
  }

  axis(area, decades, height) {
    const marks = [];
    for (let decade = 0; decade <= decades; decade += 1) {
      const y = area.bottom - (decade / decades) * (area.bottom - area.top);
      const text = decade ? (10 ** decade).toLocaleString('en') : '\u2264 1';
      marks.push(draw('line', { class: 'grid', x1: area.left, x2: area.right, y1: y, y2: y }));
      marks.push(draw('text', { x: area.left - 6, y: y + 4, 'text-anchor': 'end' }, text));
    }
    const middle = (area.top + area.bottom) / 2;
    marks.push(axisText(0, 0, 'above the lowest (meV/atom)', { transform: `translate(12 ${middle}) rotate(-90)` }));
    marks.push(axisText((area.left + area.right) / 2, height - 6, 'candidates, by relaxed energy'));
    return marks;
  }

  /** @returns {Set<Object>} the rows whose rank is written below them: the chosen one, and others that leave it room. */
  labelled(x) {
    const ranked = this.rows.map((row, place) => [row, x(place)]).filter(([row]) => row.rank !== null);
    ranked.sort(([one], [other]) => (other.rank === this.rank) - (one.rank === this.rank) || one.rank - other.rank);
    const places = [];
    const kept = ranked.filter(([, place]) => places.every((taken) => Math.abs(taken - place) > LABEL_ROOM) && places.push(place));
    return new Set(kept.map(([row]) => row));
  }

  candidate(row, x, y, size, area, step, labelled) {
    const at = (energy) => `translate(${x.toFixed(1)} ${y(energy).toFixed(1)})`;
    const marks = [];
    if (row.rank === this.rank) {
      marks.push(draw('rect', { class: 'chosen', x: x - step / 2, width: step, y: area.top, height: area.bottom - area.top + 28 }));
    }
    if (row.before !== null) {
      marks.push(draw('line', { class: `path source-${row.source}`, x1: x, x2: x, y1: y(row.before), y2: y(row.after) }));
      marks.push(sourceMark(row.source, size, { class: 'open', transform: at(row.before) }));
    }
    marks.push(sourceMark(row.source, size, { transform: at(row.after) }));
    if (row.rank !== null) {
      if (labelled) marks.push(axisText(x, area.bottom + 22, String(row.rank), { class: 'rank-label' }));
      for (const mark of marks) mark.addEventListener('click', () => this.onRank(row.rank));
    }
    return marks;
  }

  tell(row) {
    const place = row.rank === null ? row.label : `Rank ${row.rank} (${row.label})`;
    const before = row.before === null ? '' : `as built ${numberText(row.before, 3)}, `;
    readOut('energies-readout', `${place}, ${row.source}: ${before}relaxed ${numberText(row.after, 3)} eV/atom (formation energy)`);
  }
}
