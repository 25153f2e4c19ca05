/** A service that somebody else has started. @module */
import { hash } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { join } from 'node:path';
import { request } from 'undici';
import { authorization } from '../model/request.ts';
import { needsOf, type Scenario } from '../model/scenario.ts';
import { type Target, UsageError } from '../options.ts';
import { Scraper } from '../scrape/scraper.ts';
import type { Contender } from './contender.ts';
import { baselineName, type FieldContext } from './field.ts';
import { goneFault } from './judge.ts';
import { memoryFolder } from './tree.ts';

/** What is missing where a server has no metrics: its name in `missing`. */
export const metricsMissing = 'comparison with metrics';

/** What only a server of this run can be set up for. */
const ownSetups = ['an access log', 'bearer tokens', 'unix sockets', 'several processors'];

/** Why a scenario can't be run on a service that somebody else has started; undefined when it can. */
export function whyNotOf(scenario: Scenario): string | undefined {
  if (scenario.writes !== undefined) return 'it would write to a service that is not of this run';
  if (scenario.idle !== undefined || typeof scenario.rate === 'object' || scenario.regions !== undefined) {
    return 'it needs servers of this run';
  }
  const need = needsOf(scenario, 'pagerelay').find((each) => ownSetups.includes(each));
  return need === undefined ? undefined : `it needs a server of this run: ${need}`;
}

/** A region that is larger is not fetched to compare with. */
const largestFetched = 2 ** 30;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether every address that a host name means is this machine's own. */
export async function isLoopback(hostname: string): Promise<boolean> {
  const host = hostname.replace(/^\[|\]$/g, '');
  const addresses = isIP(host) ? [{ address: host }] : await lookup(host, { all: true });
  return addresses.every(({ address }) => loopback.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'));
}

/** Looks at a service. @throws UsageError; Error when it does not answer as it must */
export async function openTarget(context: FieldContext, target: Target): Promise<Contender> {
  const url = new URL(target.url);
  if (url.protocol !== 'http:') throw new UsageError('--url must begin with http://');
  if (!target.allowRemote && !(await isLoopback(url.hostname))) {
    throw new UsageError(`${url.hostname} is not this machine: --allow-remote says that it may be put under load`);
  }
  const [gone] = await goneFault({ name: url.host, origin: url.origin });
  if (gone) throw new UsageError(`nobody listens on ${url.origin}`);
  const headers = authorization(target.token);
  const name = target.region ?? /^\/regions\/(.+)$/.exec(url.pathname)?.[1] ?? (await firstRegion(url.origin, headers));
  const path = `/regions/${name}`;
  const { size, etag } = await headOf(url.origin + path, headers);
  if (size === 0) throw new UsageError(`${path} is empty: there is nothing to ask for`);
  const reference = target.reference ?? (await fetchRegion(context, url.origin + path, headers, size));
  if (statSync(reference, { throwIfNoEntry: false })?.size !== size)
    throw new UsageError(`${reference} has not as many bytes as ${path}`);
  if (target.pid !== undefined && !existsSync(`/proc/${target.pid}`)) {
    throw new UsageError(`there is no process ${target.pid}`);
  }
  const scraper = await scraperOf(context, url.origin, headers);
  return {
    // Only what counts as the service does is taken for one.
    name: scraper ? baselineName : url.host,
    about: `${url.origin}${path}, ${size} bytes, ETag ${etag ?? 'none'}, as it was found`,
    ...{ origin: url.origin, path, regionBytes: size, pid: target.pid, scraper, writer: undefined },
    tokens: target.token === undefined ? [] : [target.token],
    reference: { kind: 'file', path: reference },
  };
}

/** Undefined where there are no metrics: another server may serve a region under the same address. */
async function scraperOf({ scope, clock }: FieldContext, origin: string, headers: Record<string, string>) {
  const { statusCode, body } = await request(`${origin}/metrics`, { headers });
  await body.dump();
  if (statusCode === 404) return undefined;
  const scraper = new Scraper({ origin }, headers, clock);
  scope.onEnd(() => scraper.end());
  return scraper;
}

async function firstRegion(origin: string, headers: Record<string, string>): Promise<string> {
  const { statusCode, body } = await request(`${origin}/regions`, { headers });
  const { regions = [] } = statusCode === 200 ? ((await body.json()) as { regions?: { name: string }[] }) : {};
  const [first] = regions;
  if (!first) throw new UsageError(`${origin} lists no region (status ${statusCode}): name one with --region`);
  return first.name;
}

async function headOf(url: string, headers: Record<string, string>) {
  const { statusCode, headers: fields } = await request(url, { method: 'HEAD', headers });
  const size = Number(fields['content-length']);
  if (statusCode !== 200 || !Number.isSafeInteger(size)) throw new Error(`HEAD ${url}: status ${statusCode}`);
  return { size, etag: [fields.etag].flat()[0] };
}

// Before any load: what is compared with it later are the same bytes in other ranges, on other connections.
async function fetchRegion({ scope }: FieldContext, url: string, fields: object, size: number) {
  if (size > largestFetched) {
    throw new UsageError(`the region has ${size} bytes, too many to fetch: name a copy of it with --reference`);
  }
  const path = join(scope.folder(memoryFolder), 'reference');
  const headers = { ...fields, 'want-repr-digest': 'sha-256=10' };
  const { statusCode, headers: answered, body } = await request(url, { headers, signal: scope.signal });
  if (statusCode !== 200) throw new Error(`GET ${url}: status ${statusCode}`);
  const bytes = Buffer.from(await body.arrayBuffer());
  writeFileSync(path, bytes);
  const told = /sha-256=:([^:]+):/.exec(String(answered['repr-digest'] ?? ''))?.[1];
  const is = hash('sha256', bytes, 'base64');
  if (told !== undefined && told !== is) throw new Error(`GET ${url}: Repr-Digest says ${told}, the body has ${is}`);
  return path;
}
