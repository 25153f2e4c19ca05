/** A region's pages on a canvas: what is held lights up, and fades when it is not any more. @module */
import { colour, onThemeChange, wantsStillness } from './theme.js';

const fadeMilliseconds = 1200;
const gap = 1;
const widestCell = 13;
const columnsWhere = [
  [1000, 128],
  [0, 64],
];

/** A state of a cell; the next one is leased. */
const quarantined = 3;

const colours = { names: ['page-free', 'page-sent', 'page-unsent', 'page-quarantined', 'page-leased'], values: [] };
const readColours = () => {
  colours.values = colours.names.map(colour);
};
onThemeChange(readColours);

/** Draws one region's map. */
export class PageMap {
  #canvas;
  #states = new Uint8Array(0);
  /** What a cell was before it was let go, and when that was. */
  #fading = new Map();
  #due = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    if (colours.values.length === 0) readColours();
    new ResizeObserver(() => this.#redraw()).observe(canvas.parentElement);
    onThemeChange(() => this.#redraw());
  }

  /** Takes a snapshot's map. */
  show({ cells, runs }) {
    const states = new Uint8Array(cells);
    for (let at = 0; at < runs.length; at += 3) states.fill(runs[at + 2], runs[at], runs[at] + runs[at + 1]);
    if (states.length !== this.#states.length) this.#fading.clear();
    else if (!wantsStillness()) this.#letGo(states);
    const same = states.length === this.#states.length && states.every((state, cell) => state === this.#states[cell]);
    this.#states = states;
    if (!same) this.#redraw();
  }

  #letGo(next) {
    const now = performance.now();
    for (let cell = 0; cell < next.length; cell++) {
      if (next[cell] !== 0) this.#fading.delete(cell);
      else if (this.#states[cell] !== 0) this.#fading.set(cell, { state: this.#states[cell], since: now });
    }
  }

  #redraw() {
    if (this.#due === 0) this.#due = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#due = 0;
    const canvas = this.#canvas;
    const width = canvas.parentElement.clientWidth;
    if (width === 0 || this.#states.length === 0) return;
    const { columns, pitch } = layout(width, this.#states.length);
    const rows = Math.ceil(this.#states.length / columns);
    const scale = devicePixelRatio;
    const pixels = { width: Math.round(width * scale), height: Math.round((rows * pitch - gap) * scale) };
    if (canvas.width !== pixels.width) canvas.width = pixels.width;
    if (canvas.height !== pixels.height) canvas.height = pixels.height;
    canvas.style.height = `${rows * pitch - gap}px`;
    const context = canvas.getContext('2d');
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, rows * pitch);
    for (let cell = 0; cell < this.#states.length; cell++) {
      this.#drawCell(context, cell, (cell % columns) * pitch, Math.floor(cell / columns) * pitch, pitch - gap);
    }
    if (this.#fading.size > 0) this.#redraw();
  }

  #drawCell(context, cell, x, y, side) {
    const state = this.#states[cell];
    context.fillStyle = colours.values[state];
    context.fillRect(x, y, side, side);
    if (state >= quarantined) drawShape(context, state, x, y, side);
    const fading = this.#fading.get(cell);
    if (!fading) return;
    const left = 1 - (performance.now() - fading.since) / fadeMilliseconds;
    if (left <= 0) {
      this.#fading.delete(cell);
      return;
    }
    context.globalAlpha = left * left;
    context.fillStyle = colours.values[fading.state];
    context.fillRect(x, y, side, side);
    context.globalAlpha = 1;
  }
}

// Not everybody tells red from violet from blue.
function drawShape(context, state, x, y, side) {
  const third = side / 3;
  if (state === quarantined) {
    context.strokeStyle = colours.values[0];
    context.lineWidth = Math.max(1, side / 5);
    context.beginPath();
    context.moveTo(x, y + side);
    context.lineTo(x + side, y);
    context.stroke();
  } else {
    context.fillStyle = colours.values[0];
    context.fillRect(x + third, y + third, third, third);
  }
}

function layout(width, cells) {
  const columns = columnsWhere.find(([least]) => width >= least)[1];
  return { columns, pitch: Math.min(widestCell, (width + gap) / Math.min(columns, Math.max(cells, 16))) };
}
