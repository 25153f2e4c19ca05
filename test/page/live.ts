/** A viewer without a browser. @module */

import type { ThreadTime } from '../../src/page/lane-load.ts';
import type { Snapshot } from '../../src/page/snapshot.ts';
import type { Scope } from '../support/scope.ts';

/** What one event says. */
export type Shown = Snapshot & { readonly at: number; readonly threads: readonly ThreadTime[] };

/** Events of `/page/live`, with their length in bytes, until the scope ends. */
export async function* watch(scope: Scope, origin: string, headers: Record<string, string> = {}) {
  const stop = new AbortController();
  scope.after(() => stop.abort());
  const response = await fetch(`${origin}/page/live`, { headers, signal: stop.signal });
  if (response.status !== 200 || !response.body) throw new Error(`status ${response.status}`);
  let rest = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + text).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events)
      yield { length: event.length, shown: JSON.parse(event.slice('data: '.length)) as Shown };
  }
}

/** The first event that `isIt` accepts. */
export async function firstWhere(scope: Scope, origin: string, isIt: (shown: Shown) => boolean) {
  for await (const event of watch(scope, origin)) if (isIt(event.shown)) return event;
  throw new Error('the stream has ended');
}
