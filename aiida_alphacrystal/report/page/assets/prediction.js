/** The page of a prediction. */

const RANKING_COLUMNS = [
  'rank', 'formula', 'number_of_atoms', 'formula_units', 'spacegroup', 'spacegroup_symbol', 'formation_energy_per_atom',
  'energy_per_atom', 'volume_per_atom', 'score', 'confidence', 'probability', 'source', 'origin', 'converged', 'pk', 'uuid',
];

class PredictionView {
  /** @param {Object} data what was read of the prediction. */
  constructor(data) {
    this.data = data;
    this.name = fileName(data.facts.formula);
    this.panel = new ViewerPanel(data.elements);
    this.maps = new DistanceMaps(data.predicted);
    this.pattern = new PatternPlot();
    this.energies = new EnergyPlot(data.energies, (rank) => this.rows.choosePlace(rank - 1));
    this.rows = new ChoosableRows(byId('ranking').tBodies[0], (place) => this.show(place));
    this.markSources();
    this.listen();
    this.show(0);
  }

  markSources() {
    for (const marker of document.querySelectorAll('#ranking svg[data-source]')) marker.append(sourceMark(marker.dataset.source, 4));
  }

  listen() {
    byId('download-csv').addEventListener('click', () => {
      const rows = this.data.candidates.map((row) => RANKING_COLUMNS.map((column) => row[column]));
      saveFile(`${this.name}_ranking.csv`, 'text/csv', toCsv(RANKING_COLUMNS, rows));
    });
    byId('download-json').addEventListener('click', () => {
      saveFile(`${this.name}_prediction.json`, 'application/json', JSON.stringify(this.data, null, 1));
    });
    for (const button of document.querySelectorAll('[data-refined]')) {
      const row = this.data.refinements[button.dataset.refinement].refined[button.dataset.refined];
      button.addEventListener('click', () => saveFile(`${this.name}_rank_${row.rank}_dft.cif`, 'chemical/x-cif', row.cif));
    }
  }

  /** Show the structure in a place of the ranking. */
  show(place) {
    const row = this.data.candidates[place];
    this.panel.show({
      crystal: row.crystal,
      title: [`Rank ${row.rank}: `, ...formulaNodes(row.formula), ', ', ...symbolNodes(row.spacegroup_symbol), ` (${row.spacegroup}), ${row.origin}`],
      file: `${this.name}_rank_${String(row.rank).padStart(2, '0')}`,
      missing: 'This structure is listed but not drawn, so that the page stays small.',
    });
    this.maps.show(row);
    this.pattern.show(row);
    this.energies.show(row);
  }
}
