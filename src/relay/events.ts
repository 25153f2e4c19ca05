/** Events of the shim. @module */
import type { Outcome } from './relay.ts';
import type { ShimEvents } from './shim.ts';

// enum pr_event_kind
const kinds = [
  'accepted',
  'broken',
  'drained',
  'stalled',
  'granted',
  'unwanted',
  'gone',
  'returned',
  'arrived',
  'crowded',
  'opened',
] as const;
const fieldsOfEvent = 5;

/** What an event tells; which of it means something, and what, is told by its kind. */
export type ShimEvent = {
  readonly id: number;
  readonly outcome: Outcome;
  readonly errno: number;
  readonly bytes: number;
};

type Handlers = Readonly<Record<(typeof kinds)[number], (event: ShimEvent) => void>>;

/** Has each event handled by its kind. */
export function deliver(events: ShimEvents, handlers: Handlers): void {
  for (let at = 0; at < events.length; at += fieldsOfEvent) {
    const event = events.slice(at, at + fieldsOfEvent) as [number, number, Outcome, number, number];
    const [number, id, outcome, errno, bytes] = event;
    const kind = kinds[number];
    if (kind) handlers[kind]({ id, outcome, errno, bytes });
  }
}
