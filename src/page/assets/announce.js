/** What a screen reader is told of changes: seldom, and only when there is something else to say. @module */
import { bytes, counted, duration } from './format.js';

const leastMilliseconds = 15_000;

/** Speaks through a polite live region. */
export class Announcer {
  #place;
  #saidAt = Number.NEGATIVE_INFINITY;
  #said = '';

  constructor(place) {
    this.#place = place;
  }

  show({ totals, holds }) {
    const now = performance.now();
    if (now - this.#saidAt < leastMilliseconds) return;
    const text = inWords(totals, holds);
    if (text === this.#said) return;
    this.#said = text;
    this.#saidAt = now;
    this.#place.textContent = text;
  }
}

function inWords({ references, heldBytes, quarantinedBytes }, { list }) {
  if (references === 0 && quarantinedBytes === 0) return 'Nothing is held.';
  const oldest = list[0] ? `, the oldest for ${duration(list[0].ageSeconds)}` : '';
  const quarantined = quarantinedBytes > 0 ? ` ${bytes(quarantinedBytes)} quarantined.` : '';
  return `${counted(references, 'response')} in flight, ${bytes(heldBytes)} held${oldest}.${quarantined}`;
}
