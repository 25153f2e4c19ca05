/** The list of regions, each with the map of its pages. @module */
import { bytes, count, counted } from './format.js';
import { PageMap } from './page-map.js';

const stateNames = ['', 'sent, not done', 'unsent', 'quarantined', 'leased'];

/** Shows regions; those that stay keep their place in the document, and with it what is fading. */
export class Regions {
  #list;
  #more;
  #shown = new Map();

  constructor(list, more) {
    this.#list = list;
    this.#more = more;
  }

  show({ list, more, isUncounted }) {
    const names = new Set(list.map(({ name }) => name));
    for (const [name, { item }] of this.#shown) {
      if (names.has(name)) continue;
      item.remove();
      this.#shown.delete(name);
    }
    for (const [at, region] of list.entries()) this.#at(region.name, at).show(region);
    const least = isUncounted ? 'at least ' : '';
    this.#more.textContent =
      more > 0 ? `and ${least}${counted(more, 'region')} more, of which nothing is held or shown` : '';
  }

  #at(name, at) {
    const view = this.#shown.get(name) ?? new RegionView(name);
    this.#shown.set(name, view);
    if (this.#list.children[at] !== view.item) this.#list.insertBefore(view.item, this.#list.children[at] ?? null);
    return view;
  }
}

class RegionView {
  item = document.createElement('li');
  #facts = element('span', 'facts');
  #holders = element('span', 'holders');
  #canvas = document.createElement('canvas');
  #map;

  constructor(name) {
    this.item.className = 'region';
    this.item.dataset.region = name;
    const heading = document.createElement('h3');
    heading.textContent = name;
    const line = element('div', 'line');
    line.append(heading, this.#facts, this.#holders);
    const frame = document.createElement('div');
    frame.append(this.#canvas);
    this.#canvas.setAttribute('role', 'img');
    this.item.append(line, frame);
    this.#map = new PageMap(this.#canvas);
  }

  show(region) {
    const { size, backing, engine, copyFree, pageSize, references, leases, cells, cellBytes } = region;
    const copies = copyFree === null ? 'nobody could see whether it copies' : copyFree ? 'no\u00a0copy' : 'copies';
    const pages = `${count(Math.ceil(size / pageSize))} pages of ${bytes(pageSize)}`;
    setText(this.#facts, `${bytes(size)} · ${pages} · ${backing} · ${engine}, ${copies}`);
    this.#facts.classList.toggle('copies', copyFree === false);
    const held = [];
    if (references > 0) held.push(`held by ${counted(references, 'response')}`);
    if (leases > 0) held.push(counted(leases, 'lease'));
    setText(this.#holders, held.join(', '));
    const square = `a square is ${bytes(cellBytes)}`;
    const label = `Map of ${region.name}: ${square}; ${inWords(region.runs, cells)}`;
    if (this.#canvas.getAttribute('aria-label') !== label) this.#canvas.setAttribute('aria-label', label);
    this.item.dataset.held = String(references);
    this.#map.show(region);
  }
}

/** `12 of 512 squares on the way`. */
function inWords(runs, cells) {
  const sums = [0, 0, 0, 0, 0];
  for (let at = 0; at < runs.length; at += 3) sums[runs[at + 2]] += runs[at + 1];
  const parts = sums.flatMap((sum, state) => (sum > 0 ? [`${sum} of ${cells} ${stateNames[state]}`] : []));
  return parts.length > 0 ? parts.join(', ') : 'nothing held';
}

function element(tag, className) {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}

// A text that stays is not touched: a selection in it stays too.
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
