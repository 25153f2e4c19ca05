/** Requests that wait are taken a few at a time, in turns of the event loop. @module */

/** Milliseconds of one turn of the event loop for which waiting requests are taken. */
const turnMilliseconds = 2;

/** And so many of them at most. */
const mostInTurn = 32;

const waiting: (() => void)[] = [];
let isPlanned = false;

/**
 * Calls `act` in one of the next turns of the event loop, with a few others: what has just come is looked at in between,
 * however many connections have sent too much at once. What Node does at the end of a response is done by then.
 */
export function inTurn(act: () => void): void {
  waiting.push(act);
  if (!isPlanned) planTurn();
}

// Each is an immediate of its own: what it goes on with in microtasks happens before the next one, and its time counts.
function planTurn(): void {
  isPlanned = true;
  let began: number | undefined;
  const planned = Math.min(waiting.length, mostInTurn);
  for (let left = planned - 1; left >= 0; left--) {
    setImmediate(() => {
      began ??= performance.now();
      const act = performance.now() - began < turnMilliseconds ? waiting.shift() : undefined;
      if (left === 0) endTurn();
      act?.();
    });
  }
}

function endTurn(): void {
  isPlanned = false;
  if (waiting.length > 0) planTurn();
}
