/**
 * The shim as it is built for tests alone (native-shim/testing/): it can have system calls fail, and do wrong what tests
 * are to find. A process that imports this module gets it in place of the one that is shipped.
 *
 * @module
 */
import Module, { createRequire } from 'node:module';
import type { Engine, PeerKind } from '../../src/relay/relay.ts';
import type { Shim } from '../../src/relay/shim.ts';
import type { Verdict } from '../../src/relay/witness.ts';
import type { Scope } from './scope.ts';

/** What is done wrong. */
export type Pretence = {
  /** What every peer is taken for. */
  readonly peerKind?: PeerKind;
  /** A wrong done rule. */
  readonly releaseWhenAccepted?: boolean;
  /** A writer neither waits for bytes of its pages that are not sent, nor keeps them for their readers. */
  readonly keepNothing?: boolean;
  /** What the witness says of engines, whatever it sees. */
  readonly witnessSays?: Readonly<Partial<Record<Engine, Verdict>>>;
  /** What it says of means that leave pages in flight as they are. */
  readonly meansWork?: boolean;
  /** Overwrites write to the pages themselves, whatever means were chosen. */
  readonly overwritesPages?: boolean;
};

type Testing = Shim & { setFault(call: string, errno: number, skip: number, count: number): void };

const require = createRequire(import.meta.url);
const shipped = require.resolve('../../native-shim/build/Release/pagerelay.node');
const testing = require('../../native-shim/build/Release/pagerelay_testing.node') as Testing;
const { PAGERELAY_TEST_PRETENDS: told = '{}' } = process.env;
let pretence = JSON.parse(told) as Pretence;

const pretending: Shim = {
  ...testing,
  createRelay({ ...options }, onEvents) {
    const { peerKind, releaseWhenAccepted, keepNothing } = pretence;
    return testing.createRelay(Object.assign(options, { peerKind, releaseWhenAccepted, keepNothing }), onEvents);
  },
  witness: ((...asked: Parameters<Shim['witness']>) => {
    const said = saidOf(asked);
    return typeof said === 'boolean' ? Number(said) : testing.witness(...asked);
  }) as Shim['witness'],
  fileOverwrite(overwrites) {
    const waiting = () => overwrites.map((overwrite) => ({ ...overwrite, means: 'wait' }) as const);
    return testing.fileOverwrite(pretence.overwritesPages ? waiting() : overwrites);
  },
};

function saidOf([question, , , engine]: Parameters<Shim['witness']>): Verdict | undefined {
  if (['punch', 'direct'].includes(question)) return pretence.meansWork;
  return question === 'copyFree' ? pretence.witnessSays?.[engine] : undefined;
}
require.cache[shipped] = Object.assign(new Module(shipped), { exports: pretending, loaded: true });

/** After `skip` more calls the next `count` calls of a system call fail; 0 ends it. @param errno positive */
export const setFault = testing.setFault;

/** Has relays and witnesses that are made from now on pretend, until the test ends. */
export function pretend(scope: Scope, wanted: Pretence): void {
  pretence = wanted;
  scope.after(() => {
    pretence = {};
  });
}

/** For a program of this project that is started: has it pretend, and what it starts. */
export function pretendingEnvironment(wanted: Pretence): Record<string, string> {
  return { NODE_OPTIONS: `--import=${import.meta.url}`, PAGERELAY_TEST_PRETENDS: JSON.stringify(wanted) };
}
