/** Which build of what runs here, as a metric. @module */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { Relay } from '../relay/relay.ts';
import type { Family } from './family.ts';

const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');

/** The version of this package. */
export const { version } = JSON.parse(manifest) as { readonly version: string };

/** Versions of the service, Node and the kernel, and whether it has its shim. */
export function buildFamily({ portableBecause }: Pick<Relay, 'portableBecause'>): Family {
  const relay = portableBecause === undefined ? 'shim' : 'portable';
  return {
    name: 'pagerelay_build_info',
    type: 'gauge',
    help: 'Versions of the service, of Node and of the kernel; relay is shim, or portable where every byte is copied.',
    samples: [{ labels: { version, node: process.versions.node, kernel: release(), relay }, value: 1 }],
  };
}
