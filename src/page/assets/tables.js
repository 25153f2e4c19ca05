/** Tables: the slowest holds, leases, lanes. @module */
import { bytes, counted, duration, range } from './format.js';

const oldSeconds = 10;
const stateOf = { sent: '1', unsent: '2', quarantined: '3' };

/**
 * A table with a caption. A row's cells are made once and their texts exchanged, so that focus, selection and scrolling
 * outlive an update. The roles are said once more, for narrow screens lay rows out as cards.
 */
class Table {
  #place;
  #columns;
  #none;
  #body;
  #caption;
  #frame;

  /** @param columns {{name: string, className?: string, wide?: boolean, show(cell: HTMLElement, item: object): void}[]} */
  constructor(place, columns, none) {
    this.#place = place;
    this.#columns = columns;
    this.#none = Object.assign(document.createElement('p'), { className: 'none', textContent: none });
    const table = withRole('table', 'table');
    table.className = 'cards';
    this.#caption = document.createElement('caption');
    const head = withRole('thead', 'rowgroup');
    const row = withRole('tr', 'row');
    row.append(...columns.map(({ name, className = '' }) => headOf(name, className)));
    head.append(row);
    this.#body = withRole('tbody', 'rowgroup');
    table.append(this.#caption, head, this.#body);
    this.#frame = document.createElement('div');
    this.#frame.className = 'scroll';
    this.#frame.append(table);
    place.append(this.#none);
  }

  show(items, caption) {
    const wanted = items.length > 0 ? this.#frame : this.#none;
    if (this.#place.firstChild !== wanted) this.#place.replaceChildren(wanted);
    this.#caption.textContent = caption;
    while (this.#body.rows.length > items.length) this.#body.lastElementChild?.remove();
    for (const [at, item] of items.entries()) {
      const row = this.#body.rows[at] ?? this.#addRow();
      for (const [column, { show }] of this.#columns.entries()) show(row.cells[column], item);
    }
  }

  #addRow() {
    const row = withRole('tr', 'row');
    for (const [at, { name, className = '', wide }] of this.#columns.entries()) {
      const cell = at === 0 ? withRole('th', 'rowheader') : withRole('td', 'cell');
      if (at === 0) cell.scope = 'row';
      cell.dataset.column = name;
      cell.className = wide ? `${className} wide` : className;
      row.append(cell);
    }
    this.#body.append(row);
    return row;
  }
}

/** Shows the oldest references. */
export class Holds {
  #table;

  constructor(place) {
    const columns = [
      text('Region', ({ region }) => region || '(forgotten)'),
      text(
        'Age',
        ({ ageSeconds }) => duration(ageSeconds),
        'number',
        ({ ageSeconds }) => ageSeconds >= oldSeconds,
      ),
      text('Held', (hold) => bytes(hold.bytes), 'number'),
      { name: 'State', show: showState },
      text('Engine', ({ engine }) => engine),
      text('Bytes', ({ first, last }) => range(first, last), 'number', undefined, true),
      text('Peer', peerOf, '', undefined, true),
    ];
    this.#table = new Table(place, columns, 'Nothing is held: every byte that was sent is done.');
  }

  show({ list, more }) {
    const rest = more > 0 ? `; ${counted(more, 'younger one')} not shown` : '';
    this.#table.show(list, `Responses whose pages are held, the oldest first${rest}`);
  }
}

/** Shows leases, the first to end first. */
export class Leases {
  #table;

  constructor(place) {
    const columns = [
      text('Region', ({ region }) => region),
      text('Bytes', ({ first, last }) => range(first, last), 'number', undefined, true),
      text(
        'Ends in',
        ({ expiresAt }) => duration(Math.max(0, (Date.parse(expiresAt) - Date.now()) / 1000)),
        'number',
        undefined,
        true,
      ),
      text('Owner', ({ owner }) => owner, '', undefined, true),
    ];
    this.#table = new Table(place, columns, 'No process has a lease.');
  }

  show({ list, more }) {
    this.#table.show(
      list,
      more > 0
        ? `Leases, the first to end first; ${counted(more, 'lease')} not shown`
        : 'Leases, the first to end first',
    );
  }
}

/** Shows how busy the threads are. */
export class Lanes {
  #table;

  constructor(place) {
    const columns = [
      text('Thread', ({ name }) => name),
      text('Busy', ({ busy }) => `${(100 * busy).toFixed(0)} %`, 'number'),
      { name: 'Of one core', className: 'bar', show: showBusy },
    ];
    this.#table = new Table(place, columns, 'This system does not say how busy threads are.');
  }

  show(threads, rates) {
    const rows = threads.map(({ name }) => ({ name, busy: rates?.busy.get(name) ?? 0 }));
    this.#table.show(rows, 'CPU time of the threads that carry regions');
  }
}

function peerOf({ peer, peerKind }) {
  return peer ? `${peer}, ${peerKind}` : 'in this process';
}

function text(name, read, className, isBad = () => false, wide = false) {
  const show = (cell, item) => {
    const now = read(item);
    if (cell.textContent !== now) cell.textContent = now;
    cell.classList.toggle('old', isBad(item));
    if (wide || cell.tagName === 'TH') cell.title = now;
  };
  return { name, className, wide, show };
}

function showState(cell, { state }) {
  if (cell.dataset.state === state) return;
  cell.dataset.state = state;
  const label = Object.assign(document.createElement('span'), { className: 'state' });
  const swatch = Object.assign(document.createElement('span'), { className: 'swatch' });
  swatch.dataset.state = stateOf[state] ?? '0';
  label.append(swatch, state);
  cell.replaceChildren(label);
}

// The same as the number before it: nothing more to say.
function showBusy(cell, { busy }) {
  let bar = cell.firstElementChild;
  if (!bar) {
    bar = Object.assign(document.createElement('div'), { className: 'track' });
    bar.setAttribute('aria-hidden', 'true');
    bar.append(document.createElement('div'));
    cell.append(bar);
  }
  bar.firstElementChild.style.width = `${100 * Math.min(1, busy)}%`;
}

function headOf(name, className) {
  const cell = withRole('th', 'columnheader');
  return Object.assign(cell, { scope: 'col', textContent: name, className });
}

function withRole(tag, role) {
  const made = document.createElement(tag);
  made.setAttribute('role', role);
  return made;
}
