/** Make and change the page. Text becomes text nodes only, never markup. */

const SVG = 'http://www.w3.org/2000/svg';
const DASH = '\u2013';

/**
 * Make an element.
 * @param {string} name tag.
 * @param {Object} attributes null and undefined are left out.
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(key, String(value));
  }
  node.append(...children);
  return node;
}

/** @returns {HTMLElement} the element with an id. */
function byId(id) {
  return document.getElementById(id);
}

/** Show a message, or hide its place where there is none. */
function say(node, message) {
  node.textContent = message || '';
  node.hidden = !message;
}

/** Show what is pointed at below a plot; without a message, how to point. */
function readOut(id, message, hint = '') {
  const node = byId(id);
  node.textContent = message || hint;
  node.classList.toggle('told', Boolean(message));
}

/** @returns {string} a number with a true minus sign, a dash where there is none. */
function numberText(value, digits) {
  return value === null || value === undefined ? DASH : value.toFixed(digits).replace('-', '\u2212');
}

/** @returns {string} a share in percent. */
function percentText(value) {
  return value === null || value === undefined ? DASH : `${(100 * value).toFixed(1)} %`;
}

/** @returns {Array<Node|string>} a formula, its numbers as subscripts. */
function formulaNodes(text) {
  return String(text).split(/(\d+)/).filter(Boolean).map((part) => (/^\d+$/.test(part) ? make('sub', {}, part) : part));
}

/** @returns {Array<Node|string>} a Hermann-Mauguin symbol with its bars and screw axes. */
function symbolNodes(text) {
  return String(text).split(/(-\d|_\d)/).filter(Boolean).map((part) => {
    if (/^-\d$/.test(part)) return make('span', { class: 'bar' }, part[1]);
    return /^_\d$/.test(part) ? make('sub', {}, part[1]) : part;
  });
}

/** Hand a file to the user. */
function saveFile(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  saveUrl(name, url);
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function saveUrl(name, url) {
  const link = make('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

/**
 * Write rows as comma-separated values.
 * @param {string[]} columns
 * @param {Array<Array>} rows
 * @returns {string}
 */
function toCsv(columns, rows) {
  const quoted = (value) => {
    const text = value === null || value === undefined ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(quoted).join(',')).join('\n') + '\n';
}

/** @returns {string} text as a part of the name of a file. */
function fileName(text) {
  return String(text).replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 80) || 'structure';
}

/** Press one of several buttons. */
function press(buttons, pressed) {
  for (const button of buttons) button.setAttribute('aria-pressed', String(button === pressed));
}

/** Draw something now and whenever its place changes its width. */
function drawInWidth(place, paint) {
  let width = 0;
  const observer = new ResizeObserver(() => {
    const now = Math.round(place.clientWidth);
    if (now && now !== width) {
      width = now;
      paint(width);
    }
  });
  observer.observe(place);
}
