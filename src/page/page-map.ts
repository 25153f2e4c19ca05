/** Which pages of a region are held, in few numbers whatever the region's size and however many hold it. @module */

/** What stands in a cell, the strongest of what holds its pages. */
export const cellStates = { free: 0, sent: 1, unsent: 2, quarantined: 3, leased: 4 } as const;
export type CellState = (typeof cellStates)[keyof typeof cellStates];

/** Bytes that are held; `last` is inclusive. */
export type HeldRange = { readonly first: number; readonly last: number; readonly state: CellState };

/** A region's pages in equal cells, of which only those that are held are named. */
export type PageMap = {
  readonly cells: number;
  /** Bytes of a cell: whole pages. */
  readonly cellBytes: number;
  /** For each stretch of cells in one state: its first cell, how many, and the state. */
  readonly runs: readonly number[];
};

const statesByStrength = [cellStates.sent, cellStates.unsent, cellStates.quarantined, cellStates.leased];

/** Draws the map of a region of `size` bytes. @param mostCells a region of fewer pages gets a cell for each */
export function drawPageMap(size: number, pageSize: number, held: readonly HeldRange[], mostCells: number): PageMap {
  const pages = Math.max(1, Math.ceil(size / pageSize));
  const cellBytes = Math.ceil(pages / mostCells) * pageSize;
  const cells = Math.max(1, Math.ceil(size / cellBytes));
  const states = new Uint8Array(cells);
  for (const state of statesByStrength) mark(states, cellBytes, held, state);
  return { cells, cellBytes, runs: runsOf(states) };
}

// Beginnings and ends are counted and then added up once: a range costs the same however many cells it covers.
function mark(states: Uint8Array, cellBytes: number, held: readonly HeldRange[], state: CellState): void {
  const changes = new Int32Array(states.length + 1);
  let any = false;
  for (const range of held) {
    if (range.state !== state) continue;
    const from = Math.floor(range.first / cellBytes);
    if (from >= states.length) continue; // Of a longer generation before this one.
    any = true;
    changes[from] = (changes[from] ?? 0) + 1;
    const behind = Math.min(states.length, Math.floor(range.last / cellBytes) + 1);
    changes[behind] = (changes[behind] ?? 0) - 1;
  }
  if (!any) return;
  let holders = 0;
  for (let cell = 0; cell < states.length; cell++) {
    holders += changes[cell] ?? 0;
    if (holders > 0) states[cell] = state;
  }
}

function runsOf(states: Uint8Array): number[] {
  const runs: number[] = [];
  let first = 0;
  for (let cell = 1; cell <= states.length; cell++) {
    const state = states[first] ?? 0;
    if (states[cell] === state) continue;
    if (state !== cellStates.free) runs.push(first, cell - first, state);
    first = cell;
  }
  return runs;
}
