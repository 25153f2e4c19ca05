/** Having lanes accept where a service listens, and answer for its regions ahead of requests. @module */
import type { Server } from 'node:http';
import { fieldsWithoutOrigin, withOriginFields } from './http/cors.ts';
import type { GivenFields } from './http/read/region-headers.ts';
import { giveToLanes, type LaneOptions } from './node/lane-server.ts';
import type { Listeners } from './node/listeners.ts';
import { logOfLanes } from './observe/access-log.ts';
import type { Pagerelay } from './pagerelay.ts';
import { NativeRelay } from './relay/native-relay.ts';
import type { ServiceOptions } from './service.ts';

/** What a server's lanes are to do. */
export type LanesAsked = Required<Pick<LaneOptions, 'room' | 'onCrowd' | 'guarded' | 'proxies'>> & {
  /** What all answers of regions have. */
  readonly fields: GivenFields;
};

/** Has lanes accept at all listeners that they can; Node goes on doing so at others. */
export function acceptInLanes(
  server: Server,
  listeners: Listeners,
  opened: Pagerelay,
  { accessLog, maxConnections, reserveDescriptors, unaskable, cors }: ServiceOptions,
  { fields, ...lanes }: LanesAsked,
): void {
  // Lanes do not have the list of peers that may be in this kernel without being seen.
  const logs = !accessLog || accessLog.output.native !== undefined;
  const may = opened.publisher && unaskable.length === 0 && logs;
  if (!may || !(opened.relay instanceof NativeRelay)) return;
  const options = { ...lanes, maxConnections, reserveDescriptors, ...logOfLanes(accessLog) };
  if (giveToLanes(server, opened.relay, options, listeners.all).length > 0) fillAhead(opened, fields, cors);
}

// All answers of this server's route for regions have these fields, and nothing that the request would change.
function fillAhead({ publisher, catalog, outgoing }: Pagerelay, fields: GivenFields, cors: readonly string[]): void {
  const forOrigin = fieldsWithoutOrigin(cors);
  publisher?.fillAhead(
    () => catalog.list.unopened(),
    '/regions/',
    withOriginFields(fields, forOrigin),
    (seen) => outgoing.engineFor(seen),
    forOrigin,
  );
}
