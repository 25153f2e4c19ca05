/** The methods that change regions. @module */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { deleteRoute, patchRoute, putRoute } from '../openapi/writing.ts';
import { ProblemError } from '../problem/problems.ts';
import { problemOfSystem } from '../problem/system-problems.ts';
import { deleteRegion } from './delete-region.ts';
import { addLeaseRoutes } from './lease-routes.ts';
import { mergePatch, patchRegion } from './patch-region.ts';
import { checkPut, putRegion } from './put-region.ts';
import { patienceOf } from './waiting.ts';
import { type Writer, writeOf } from './writer.ts';

/** Largest body of a request that says something about a region or a lease, in bytes. */
const bodyLimit = 16 * 1024;

/** Adds PUT, PATCH and DELETE of `/regions/NAME`, and `/leases`, to a scope. */
export function addWritingRoutes(scope: FastifyInstance, writer: Writer): void {
  void scope.register(async (regions) => {
    waitForStart(regions, writer);
    continueWhenAsked(regions);
    regions.removeAllContentTypeParsers();
    // Whatever a region is said to be, its bytes are taken as they come.
    regions.addContentTypeParser('*', (_, payload, done) => done(null, payload));
    regions.put('/regions/*', {
      config: { openapi: putRoute },
      onRequest: (request) => refuseEarly(writer, () => checkPut(writer, request)),
      handler: (request, reply) => putRegion(writer, request, reply),
    });
    regions.delete('/regions/*', {
      config: { openapi: deleteRoute },
      onRequest: (request) => refuseEarly(writer, async () => void writeOf(writer, request)),
      handler: (request, reply) => deleteRegion(writer, request, reply),
    });
  });
  void scope.register(async (patches) => {
    waitForStart(patches, writer);
    continueWhenAsked(patches);
    patches.removeAllContentTypeParsers();
    patches.addContentTypeParser(
      mergePatch,
      { parseAs: 'string', bodyLimit },
      patches.getDefaultJsonParser('error', 'error'),
    );
    patches.patch('/regions/*', {
      config: { openapi: patchRoute },
      onRequest: (request) => refuseEarly(writer, async () => checkPatch(writer, request)),
      handler: (request, reply) => patchRegion(writer, request, reply),
    });
  });
  void scope.register(async (leases) => {
    waitForStart(leases, writer, ['POST']);
    continueWhenAsked(leases);
    leases.removeAllContentTypeParsers();
    leases.addContentTypeParser(
      'application/json',
      { parseAs: 'string', bodyLimit },
      leases.getDefaultJsonParser('error', 'error'),
    );
    addLeaseRoutes(leases, writer);
  });
}

function checkPatch(writer: Writer, request: FastifyRequest): void {
  const { name, judge } = writeOf(writer, request);
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== mergePatch) {
    throw new ProblemError('unsupported-media-type', { headers: { 'accept-patch': mergePatch } });
  }
  const region = writer.store.catalog.findAny(name);
  judge(region);
  if (!region) throw new ProblemError('region-not-found');
}

// What is checked here of the tree, each change checks again.
async function refuseEarly({ store, successor }: Writer, check: () => Promise<void>): Promise<void> {
  if (await successor.isThere()) return; // It judges by what it knows.
  try {
    store.tree.check();
    await check();
  } catch (error) {
    throw problemOfSystem(error);
  }
}

// Nothing is judged, and no body is asked for, before all that a change depends on is known.
function waitForStart(scope: FastifyInstance, { start }: Writer, methods = ['PUT', 'PATCH', 'DELETE']): void {
  scope.addHook('onRequest', async (request, reply) => {
    if (start.isOver || !methods.includes(request.method)) return;
    const { deadline, signal } = patienceOf(request, reply);
    if (!(await start.isOverWithin(deadline - performance.now(), signal))) throw new ProblemError('starting');
  });
}

// Where somebody listens, Node leaves `Expect: 100-continue` to the service (RFC 9110 10.1.1): a body that will be refused
// is not asked for.
function continueWhenAsked(scope: FastifyInstance): void {
  scope.addHook('preParsing', async (request, reply) => {
    const isAsked = request.headers.expect?.toLowerCase() === '100-continue';
    if (isAsked && scope.server.listenerCount('checkContinue') > 0) reply.raw.writeContinue();
  });
}
