/** Rows of a table of which one is chosen, by the mouse or by keys. */

class ChoosableRows {
  /**
   * @param {HTMLTableSectionElement} body whose rows carry data-place.
   * @param {function(number)} onChoose called with the place of the row.
   */
  constructor(body, onChoose) {
    this.body = body;
    this.onChoose = onChoose;
    body.addEventListener('click', (event) => {
      const row = event.target.closest('tr');
      if (row) this.choose(row, true);
    });
    body.addEventListener('keydown', (event) => this.onKey(event));
  }

  get rows() {
    return [...this.body.rows].filter((row) => !row.hidden);
  }

  onKey(event) {
    const rows = this.rows;
    const now = rows.indexOf(event.target.closest('tr'));
    const moves = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: rows.length - 1, Enter: now, ' ': now, PageDown: now + 10, PageUp: now - 10 };
    if (now < 0 || !(event.key in moves)) return;
    event.preventDefault();
    this.choose(rows[Math.min(Math.max(moves[event.key], 0), rows.length - 1)], true);
  }

  /** Choose the row with a place. */
  choosePlace(place) {
    const row = this.body.querySelector(`tr[data-place="${Number(place)}"]`);
    if (row) this.choose(row, false);
  }

  choose(row, focus) {
    for (const chosen of this.body.querySelectorAll('[aria-selected="true"]')) {
      chosen.setAttribute('aria-selected', 'false');
      chosen.tabIndex = -1;
    }
    row.setAttribute('aria-selected', 'true');
    row.tabIndex = 0;
    if (focus) row.focus();
    this.onChoose(Number(row.dataset.place));
  }
}
