/** pagerelay as a Fastify plugin. @module */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { addCors, corsOptions } from './http/cors.ts';
import { addPageRoutes } from './http/page-routes.ts';
import { answerError } from './http/problem/errors.ts';
import { ProblemError } from './http/problem/problems.ts';
import { answerRegion } from './http/read/get-region.ts';
import type { GivenFields, RegionFields } from './http/read/region-headers.ts';
import { addRoutes } from './http/routes.ts';
import { settleInPlugin } from './limits/limits.ts';
import { Clients } from './node/clients.ts';
import { boundSilence, hasBody } from './node/deadlines.ts';
import { reportMissing } from './node/feature-test.ts';
import { giveToLanes } from './node/lane-server.ts';
import { answerInTurn, hasTurn, itsTurn } from './node/turn.ts';
import { logOfLanes, watchRequest } from './observe/access-log.ts';
import { logEngines, logMeans, logRefused } from './observe/engine-log.ts';
import { openPagerelay, type Pagerelay } from './pagerelay.ts';
import { checkOptions, openOptions, type PagerelayOptions } from './plugin-options.ts';
import { NativeRelay } from './relay/native-relay.ts';

export type { PagerelayOptions } from './plugin-options.ts';

const http = process.getBuiltinModule('node:http');

declare module 'fastify' {
  interface FastifyInstance {
    /** What this scope's registration of pagerelay works with. */
    pagerelay: Pagerelay;
  }
  interface FastifyReply {
    /**
     * Answers with a region, or the part of it that the request asks for: 200, 206, 304. Fields that the reply has been
     * given stay, but for those that describe the body. The bytes go out without a copy where Fastify hands them
     * unchanged to a plain TCP connection, and as an ordinary stream through TLS, HTTP/2, `inject()` and hooks that
     * transform them.
     *
     * @param name a region name, not percent-encoded
     * @param fields in place of the plugin's
     * @throws ProblemError (with `code`, `statusCode`, `headers`): 403, 404, 412, 416, 503
     */
    sendRegion(name: string, fields?: RegionFields): Promise<FastifyReply>;
  }
}

async function register(app: FastifyInstance, options: PagerelayOptions): Promise<void> {
  checkOptions(options);
  const limits = settleInPlugin(options);
  const opened = openPagerelay({
    ...openOptions(options, (message, details) => app.log.warn(details, message)),
    limits,
  });
  const clients = new Clients(limits, (reason) => opened.metrics.countLimited(reason));
  app.server.on('connection', (socket: Socket) => clients.arrived(socket));
  await opened.ready();
  if (opened.relay instanceof NativeRelay) logRefused(app.log, opened.relay.refused);
  logEngines(app.log, await opened.engines());
  logMeans(app.log, opened.writer?.store.tree.means);
  reportMissing(app.log, ['sending']);
  let deadline = 0;
  app.addHook('preClose', async () => {
    deadline = performance.now() + (options.drain ?? 30) * 1000;
    opened.publisher?.close();
    opened.digests.close();
  });
  if (opened.publisher) {
    app.addHook('onListen', async () => {
      const { server } = app;
      const guarded = options.express !== undefined && 'tokens' in options.express;
      const isPlain = server instanceof http.Server && (options.unaskable ?? []).length === 0;
      if (isPlain && opened.relay instanceof NativeRelay)
        giveToLanes(server, opened.relay, { guarded, ...logOfLanes(undefined) });
    });
  }
  app.addHook('onClose', () => opened.close(deadline));
  decorate(app, opened, pick(options));
  if (options.routes === false && !options.page) return;
  await app.register(async (scope) => addRegionRoutes(scope, opened, clients, options), {
    prefix: options.prefix ?? '',
  });
}

/** Serves regions from a Fastify application. @see PagerelayOptions */
export const pagerelay = fastifyPlugin(register, { fastify: '5.x', name: 'pagerelay' });

/** Adds `app.pagerelay` and `reply.sendRegion` to a scope. */
export function decorate(app: FastifyInstance, opened: Pagerelay, fields: GivenFields): void {
  const usual = pick(fields);
  app.decorate('pagerelay', opened);
  app.decorateReply('regionBody', undefined);
  app.decorateReply('sendRegion', function (this: FastifyReply, name, given) {
    const answer = () => answerRegion(opened, this, name, given ? { ...usual, ...given } : usual);
    if (hasTurn(this.raw)) return answer();
    return itsTurn(this.raw).then((isHere) => (isHere ? answer() : this.hijack()));
  });
}

function addRegionRoutes(scope: FastifyInstance, opened: Pagerelay, clients: Clients, options: PagerelayOptions): void {
  scope.setErrorHandler(answerError);
  scope.addHook('onRequest', (request, reply, done) => {
    watchRequest(request, reply, opened.metrics, undefined);
    if (hasBody(request.raw)) boundSilence(request.raw, options.bodyTimeout ?? 60, () => request.raw.destroy());
    done(clients.mayAsk(request.raw) ? undefined : new ProblemError('too-many-requests'));
  });
  answerInTurn(scope);
  if (options.cors) addCors(scope, corsOptions(options.cors));
  if (options.routes !== false) addRoutes(scope, opened);
  if (options.page) addPageRoutes(scope, opened);
}

/** What is chosen once for all regions. */
function pick({ contentType, cacheControl, contentDisposition, others, shared }: GivenFields): GivenFields {
  return { contentType, cacheControl, contentDisposition, others, shared };
}
