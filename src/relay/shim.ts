/**
 * The one module that loads the native shim. Results below zero are errno, negated; native-shim/core/relay.h has the
 * contracts.
 *
 * @module
 */
import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import type { Counters, Engine, FileIdentity, Generation, Outcome, PeerKind, Reference } from './relay.ts';

declare const relayBrand: unique symbol;
/** A relay of the shim: an object that only the shim can make. */
export type ShimRelay = { readonly [relayBrand]: true };

export type ShimOptions = {
  readonly lanes: number;
  readonly maxHoldSeconds: number;
  readonly maxBrokenOff: number;
  /** For tests: what every peer is taken for. */
  readonly peerKind?: PeerKind | undefined;
  /** For tests: a wrong done rule, to show that they would see one. */
  readonly releaseWhenAccepted?: boolean | undefined;
};

/** kind, id, outcome, errno and bytes of each event, one after the other. */
export type ShimEvents = readonly (number | Outcome)[];

export type Shim = {
  createRelay(options: ShimOptions, onEvents: (events: ShimEvents) => void): ShimRelay;
  closeRelay(relay: ShimRelay): void;
  openTree(relay: ShimRelay, path: string): number;
  statGeneration(relay: ShimRelay, tree: number, path: string): FileIdentity | number;
  generationIsAt(relay: ShimRelay, generation: number, tree: number, path: string): number;
  openGeneration(relay: ShimRelay, tree: number, path: string): Generation | number;
  closeGeneration(relay: ShimRelay, generation: number): number;
  generationDescriptor(relay: ShimRelay, generation: number): number;
  hold(
    relay: ShimRelay,
    generation: number,
    epoch: number,
    version: number,
    engine: Engine,
    segments: readonly (number | string)[],
  ): number;
  changeToStream(relay: ShimRelay, transmission: number): number;
  advance(relay: ShimRelay, transmission: number, bytes: number): number;
  release(relay: ShimRelay, transmission: number, outcome: Outcome): number;
  references(relay: ShimRelay, generation: number): Reference[] | number;
  adopt(
    relay: ShimRelay,
    fd: number,
    unaskable: boolean,
    node: number,
  ): { readonly id: number; readonly peerKind: PeerKind } | number;
  send(relay: ShimRelay, connection: number, transmission: number, head: string): number | ShimFailure;
  finish(relay: ShimRelay, connection: number): number;
  breakOff(relay: ShimRelay, connection: number): number;
  closeConnection(relay: ShimRelay, connection: number): number;
  counters(relay: ShimRelay): Counters;
  createMemfd(name: string): number;
  nudge(): number;
  enableFaults(): void;
  setFault(call: string, errno: number, skip: number, count: number): void;
};

/** A send that failed at once; `errno` is negated. */
export type ShimFailure = { readonly errno: number; readonly bytes: number; readonly outcome: Outcome };

/** The shim, or why there is none. */
export type ShimVerdict = { readonly shim: Shim } | { readonly missing: string };

/** Loads the shim. `PAGERELAY_PORTABLE=1` leaves it out. */
export function loadShim(): ShimVerdict {
  if (process.env.PAGERELAY_PORTABLE === '1') return { missing: 'PAGERELAY_PORTABLE is set' };
  try {
    return { shim: createRequire(import.meta.url)('../../native-shim/build/Release/pagerelay.node') as Shim };
  } catch (error) {
    return { missing: error instanceof Error ? (error.message.split('\n')[0] ?? error.message) : String(error) };
  }
}

/** The name of a negated errno: `'ENOENT'` for -2. */
export function errnoName(result: number): string {
  return getSystemErrorName(result);
}
