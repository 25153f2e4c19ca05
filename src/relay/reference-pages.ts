import { setImmediate } from 'node:timers/promises';
import type { Reference, Relay } from './relay.ts';

/** All references, a page in each turn of the event loop. Those that come or go meanwhile are there or not. */
export async function* referencePages(relay: Pick<Relay, 'references'>): AsyncGenerator<readonly Reference[]> {
  for (let page = relay.references(); ; page = relay.references({ after: page.next })) {
    yield page.items;
    if (page.next === undefined) return;
    await setImmediate();
  }
}
