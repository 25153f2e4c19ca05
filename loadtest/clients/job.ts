/** What a client process is told, and what it tells. Both travel as JSON. @module */
import type { Scenario } from '../model/scenario.ts';

/** Which program makes the requests. */
export type ClientKind = 'autocannon' | 'undici' | 'c';

/** What bodies are compared with. */
export type ReferenceSource =
  /** All regions, one behind the other. */
  | { readonly kind: 'file'; readonly path: string }
  /** Pages that say what they are, in blocks of so many bytes that are written as one (loadtest/clients/stamped.ts). */
  | { readonly kind: 'stamped'; readonly blockBytes: number };

/** A scenario as a client needs it: what requests are made of, and the rate itself. */
export type Asked = Pick<Scenario, 'pattern' | 'size' | 'connections'> &
  Omit<Partial<Scenario>, 'rate'> & { readonly rate?: number | undefined };

/** Where regions are served, and what requests for them need. */
export type Contact = {
  /** `http://127.0.0.1:8080`. */
  readonly origin: string;
  /** Instead of TCP. */
  readonly socketPath?: string | undefined;
  /** Of a region; `*` stands for its number. */
  readonly path: string;
  /** Of each region. */
  readonly regionBytes: number;
  /** Bearer tokens, sent in turn. */
  readonly tokens: readonly string[];
  /** Undefined: bodies are counted only. */
  readonly reference: ReferenceSource | undefined;
};

/** One load. */
export type Job = Contact & {
  readonly client: ClientKind;
  /** The Host field. */
  readonly host: string;
  readonly scenario: Asked;
  readonly seconds: number;
  /** No more requests than that: the end even before `seconds`. */
  readonly most: number;
  readonly seed: number;
  /** By the number of the region, for If-None-Match; empty where that is not sent. */
  readonly etags: readonly string[];
  /** Of undici, whose bodies are checked by sha-256: each so many-th; 1 is each. */
  readonly checkEvery: number;
};

/** What can be wrong with an answer, or with the lack of one. */
export const faultKinds = [
  'wrong-bytes',
  'short-body',
  'wrong-status',
  'wrong-header',
  'no-answer',
  'server-gone',
  'metrics-mismatch',
  'gauge-not-zero',
  'bad-metrics',
  'failed-writes',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** One thing that is wrong: it fails the run. */
export type Fault = {
  readonly kind: FaultKind;
  /** `GET /regions/demo, Range: bytes=0-4095`; undefined where it is not about one. */
  readonly request?: string;
  readonly detail: string;
};
