/** The page of a screening: a table that is sorted and filtered here. */

const SCREENING_COLUMNS = [
  { key: 'formula', title: 'Formula', cell: (row) => formulaNodes(row.formula) },
  { key: 'spacegroup', title: 'Space group', cell: (row) => (row.spacegroup === null ? ['none'] : [make('span', { class: 'symbol' }, ...symbolNodes(row.spacegroup_symbol)), ' ', make('span', { class: 'dim' }, row.spacegroup)]) },
  { key: 'number_of_atoms', title: 'Atoms', number: true, optional: true, cell: (row) => [row.number_of_atoms ?? DASH] },
  { key: 'formation_energy_per_atom', title: 'E', below: 'form', unit: 'eV/atom', number: true, cell: (row) => [numberText(row.formation_energy_per_atom, 3)] },
  { key: 'confidence', title: 'Confidence', number: true, cell: (row) => [percentText(row.confidence)] },
  { key: 'volume_per_atom', title: 'Volume', unit: '\u00c5\u00b3/atom', number: true, optional: true, cell: (row) => [numberText(row.volume_per_atom, 2)] },
  { key: 'source', title: 'Source', optional: true, cell: (row) => [row.source ?? DASH] },
  { key: 'structures', title: 'Ranked', number: true, spare: true, cell: (row) => [row.structures] },
  { key: 'prediction', title: 'Node', number: true, spare: true, cell: (row) => [row.prediction ?? DASH] },
];

/** @returns {number} the order of two values, what is missing last in both directions. */
function compareValues(one, other, direction) {
  if (one === null || other === null) return (one === null) - (other === null);
  const order = typeof one === 'number' ? one - other : String(one).localeCompare(String(other), 'en', { numeric: true });
  return direction * order;
}

class ScreeningView {
  /** @param {Object} data what was read of the screening. */
  constructor(data) {
    this.data = data;
    this.records = data.rows.map((values, place) => ({ ...Object.fromEntries(data.columns.map((name, index) => [name, values[index]])), place }));
    this.table = byId('formulas');
    this.body = this.table.tBodies[0];
    this.order = { key: null, direction: 1 };
    this.panel = new ViewerPanel(data.elements);
    this.rows = new ChoosableRows(this.body, (place) => this.show(place));
    this.buildHead();
    this.nodes = this.records.map((row) => this.buildRow(row));
    this.arrange();
    this.listen();
    const first = this.records.find((row) => data.crystals[row.place]) || this.records[0];
    if (first) this.rows.choosePlace(first.place);
  }

  buildHead() {
    this.heads = SCREENING_COLUMNS.map((column) => {
      const words = [column.title, ...(column.below ? [make('sub', {}, column.below)] : []), ...(column.unit ? [make('small', {}, column.unit)] : [])];
      const button = make('button', { type: 'button', class: 'sort' }, ...words);
      button.addEventListener('click', () => this.sort(column));
      return make('th', { scope: 'col', class: this.classes(column), 'aria-sort': 'none' }, button);
    });
    this.table.tHead.rows[0].replaceChildren(...this.heads);
  }

  classes(column) {
    return [column.number ? 'right' : '', column.optional ? 'optional' : '', column.spare ? 'spare' : ''].filter(Boolean).join(' ') || null;
  }

  buildRow(row) {
    const cells = SCREENING_COLUMNS.map((column) => make('td', { class: this.classes(column) }, ...column.cell(row)));
    return make('tr', { 'data-place': row.place, tabindex: -1, 'aria-selected': 'false', class: row.spacegroup === null ? 'failed' : null }, ...cells);
  }

  sort(column) {
    const again = this.order.key === column.key;
    this.order = { key: column.key, direction: again ? -this.order.direction : 1 };
    this.heads.forEach((head, place) => {
      const sorted = SCREENING_COLUMNS[place] === column;
      head.setAttribute('aria-sort', sorted ? (this.order.direction > 0 ? 'ascending' : 'descending') : 'none');
    });
    this.arrange();
  }

  /** Put the rows in order and hide those that the filter leaves out. */
  arrange() {
    const words = byId('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
    const { key, direction } = this.order;
    const order = [...this.records];
    if (key) order.sort((one, other) => compareValues(one[key], other[key], direction) || one.place - other.place);
    let shown = 0;
    for (const row of order) {
      const text = [row.formula, row.spacegroup_symbol, row.spacegroup, row.source, row.reason].join(' ').toLowerCase();
      const kept = words.every((word) => text.includes(word));
      this.nodes[row.place].hidden = !kept;
      shown += kept;
    }
    this.body.replaceChildren(...order.map((row) => this.nodes[row.place]));
    say(byId('formulas-count'), `${shown} of ${this.records.length} shown`);
    this.keepReachable();
  }

  /** Let the Tab key reach the rows, also where the chosen one is hidden. */
  keepReachable() {
    const rows = this.rows.rows;
    if (rows.length && !rows.some((row) => row.tabIndex === 0)) rows[0].tabIndex = 0;
  }

  listen() {
    byId('filter').addEventListener('input', () => this.arrange());
    byId('download-csv').addEventListener('click', () => {
      saveFile(`screening_${this.data.facts.pk}.csv`, 'text/csv', toCsv(this.data.columns, this.data.rows));
    });
    byId('download-json').addEventListener('click', () => {
      saveFile(`screening_${this.data.facts.pk}.json`, 'application/json', JSON.stringify(this.data, null, 1));
    });
  }

  /** Show the best structure of a formula. */
  show(place) {
    const row = this.records[place];
    const crystal = this.data.crystals[place] || null;
    const symbol = row.spacegroup === null ? [] : [', ', ...symbolNodes(row.spacegroup_symbol), ` (${row.spacegroup})`];
    const more = row.prediction === null ? [] : [', all structures: ', make('code', {}, `aiida-alphacrystal report ${row.prediction}`)];
    this.panel.show({
      crystal,
      title: [...formulaNodes(row.formula), ...symbol, ...more],
      file: fileName(row.formula),
      missing: row.reason ? `No structure: ${row.reason}` : 'This structure is listed but not drawn, so that the page stays small.',
    });
  }
}
