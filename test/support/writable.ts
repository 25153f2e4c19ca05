/** Services whose regions can be changed, and what they keep beside them. @module */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Service, ServiceOptions } from '../../src/service.ts';
import { until } from './poll.ts';
import { RawClient, type RawResponse } from './raw.ts';
import { makeFolder, type Place, sha256 } from './regions.ts';
import { type Change, change, codeOf } from './requests.ts';
import type { Scope } from './scope.ts';
import { type Running, startService } from './service.ts';

/** A service that listens, and the tree that it serves. */
export type Writable = Running & { readonly dir: string };

/** Bytes that were answered, and what they are identified by. */
export type Seen = { readonly status: number; readonly etag: string; readonly sha256: string };

/** A scope that ends what began last first: a folder goes when nobody writes to it any more. */
export function lastFirst(scope: Scope): Scope {
  const cleanUps: (() => unknown)[] = [];
  scope.after(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  });
  return { after: (cleanUp) => void cleanUps.push(cleanUp) };
}

/** A folder that goes when the test ends, after what is started in the scope that comes with it. */
export function makeTree(scope: Scope, place: Place): { dir: string; scope: Scope } {
  const own = lastFirst(scope);
  return { dir: makeFolder(own, place), scope: own };
}

/** Starts a service on a folder of its own, which may already have been made. */
export async function startWritable(
  scope: Scope,
  place: Place = 'tmpfs',
  options: Partial<ServiceOptions> = {},
): Promise<Writable> {
  const tree = makeTree(scope, place);
  const { dir = tree.dir } = options;
  const running = await startService(tree.scope, { drain: 0, ...options, dir, writable: true });
  assert.ok(await running.service.writer?.start.isOverWithin(30_000), 'its start is over');
  return { ...running, dir };
}

/** One request on a connection of its own. */
export async function send(scope: Scope, { port }: Pick<Running, 'port'>, request: Change): Promise<RawResponse> {
  const client = await RawClient.connect(scope, port);
  try {
    const answer = await change(client, request);
    assert.notEqual(answer.status, 100);
    return answer;
  } finally {
    client.destroy();
  }
}

/** Makes or replaces a region; gives its entity-tag. */
export async function put(scope: Scope, running: Pick<Running, 'port'>, name: string, body: Uint8Array) {
  const answer = await send(scope, running, { method: 'PUT', path: `/regions/${name}`, body });
  assert.ok(answer.status === 201 || answer.status === 204, `PUT ${name}: ${answer.status} ${answer.body}`);
  return answer.fields.get('etag') ?? assert.fail('an entity-tag');
}

/** Reads a whole region. */
export async function read(scope: Scope, running: Pick<Running, 'port'>, name: string): Promise<Seen> {
  const { status, fields, body } = await send(scope, running, { method: 'GET', path: `/regions/${name}` });
  return { status, etag: fields.get('etag') ?? '', sha256: sha256(body) };
}

/** The status and the code of a refusal. */
export function refusalIn(answer: RawResponse): readonly [number, string] {
  assert.equal(answer.fields.get('content-type'), 'application/problem+json', `${answer.status} ${answer.body}`);
  return [answer.status, codeOf(answer)];
}

/** What is on its way into the tree, or on its way out of it. */
export function kept({ dir }: Pick<Writable, 'dir'>, folder: 'tmp' | 'old'): string[] {
  return readdirSync(join(dir, '.pagerelay', folder));
}

/** Waits until every file that has lost its name is gone. */
export async function untilOldIsGone(running: Pick<Writable, 'dir'>): Promise<void> {
  await until(
    () => kept(running, 'old').length === 0,
    'no old file is kept',
    () => kept(running, 'old'),
  );
}

/** Waits until so many writers wait for pages. */
export async function untilWaiting({ service }: { service: Service }, writers: number): Promise<void> {
  const counters = () => service.relay.counters();
  await until(() => counters().waitingWriters === writers, `${writers} writers wait`, counters);
}

/** The bytes of a region's file. */
export function fileIn({ dir }: Pick<Writable, 'dir'>, name: string): Buffer {
  return readFileSync(join(dir, name));
}

/** How often others have changed files of open regions, over all kinds. */
export function externalChangesIn({ service }: { service: Service }): number {
  return Object.values(service.catalog.externalChanges).reduce((sum, count) => sum + count, 0);
}
