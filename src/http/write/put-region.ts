/** PUT: a region's whole content, or a range of it (RFC 9110 9.3.4, 14.5). @module */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ContentRange, parseContentRange } from '../../range/content-range.ts';
import { unsatisfiedContentRange } from '../../range/plan.ts';
import type { Judged } from '../../region/change/lease.ts';
import { overwriteRange } from '../../region/change/overwrite.ts';
import { refuseTaken, replaceRegion } from '../../region/change/replace.ts';
import { FileUpload, receive, type Upload, uploadOfPart } from '../../region/change/upload.ts';
import type { Region } from '../../region/region.ts';
import { ProblemError } from '../problem/problems.ts';
import { DigestCheck, givenDigests } from '../read/digest-fields.ts';
import { locationOf } from '../read/name-of-request.ts';
import { patienceOf, tellWait } from './waiting.ts';
import { answerChanged, carryOut, type Writer, writeOf } from './writer.ts';

// type "/" subtype, and whatever parameters follow (RFC 9110 8.3.1).
const mediaType = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,127}\/[!#$%&'*+.^_`|~0-9A-Za-z-]{1,127}[ \t]*(?:;[\x20-\x7e\t]*)?$/;

/**
 * Refuses what can be refused before the body comes.
 *
 * @throws ProblemError
 */
export async function checkPut(writer: Writer, request: FastifyRequest): Promise<void> {
  const { headers } = request;
  const { judge, name } = writeOf(writer, request);
  const region = writer.store.catalog.findAny(name);
  judge(region);
  givenDigests(headers);
  if (headers['content-encoding'] !== undefined) {
    throw new ProblemError('unsupported-media-type', { detail: 'A region is kept as it comes: no Content-Encoding.' });
  }
  contentTypeOf(request);
  const range = rangeOf(request);
  if (range) checkPart(writer, request, range, region);
  else await checkWhole(writer, request, name, region);
}

async function checkWhole({ store }: Writer, request: FastifyRequest, name: string, region: Region | undefined) {
  store.quota.check(lengthOf(request) ?? 0);
  if (!region) await refuseTaken(store, name);
}

function checkPart(writer: Writer, request: FastifyRequest, range: ContentRange, region: Region | undefined): void {
  const { maxPartial } = writer;
  if (request.headers['repr-digest'] !== undefined) {
    throw new ProblemError('bad-request', { detail: 'Repr-Digest is about the whole; use Content-Digest for a part.' });
  }
  if (range.last - range.first >= maxPartial) {
    throw new ProblemError('payload-too-large', { detail: `A part may have ${maxPartial} bytes.` });
  }
  if (!region) throw new ProblemError('region-not-found');
  checkInside(range, region);
  const length = lengthOf(request);
  if (length !== undefined && length !== range.last - range.first + 1) throw new ProblemError('bad-range');
}

/** Answers PUT. @throws ProblemError */
export function putRegion(writer: Writer, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const write = writeOf(writer, request);
  const range = rangeOf(request);
  return carryOut(writer, () =>
    range ? putPart(writer, write, range, request, reply) : putWhole(writer, write, request, reply),
  );
}

async function putWhole(writer: Writer, write: Judged, request: FastifyRequest, reply: FastifyReply) {
  const upload = await receiveBody(request, () => new FileUpload(writer.store));
  const replace = async () => {
    const { etag, created } = await replaceRegion(writer.store, write, upload, contentTypeOf(request));
    reply.header('etag', etag);
    if (!created) return reply.code(204).send();
    return reply.code(201).header('location', locationOf(request, write.name)).send();
  };
  return writer.successor.carryOut(request, reply, replace, upload);
}

async function putPart(
  writer: Writer,
  write: Judged,
  range: ContentRange,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { store } = writer;
  const length = range.last - range.first + 1;
  const upload = await receiveBody(request, () => uploadOfPart(store, length));
  if (upload.length !== length) {
    upload.discard();
    throw new ProblemError('bad-range', { detail: `The body has ${upload.length} bytes, the range ${length}.` });
  }
  const judge = (region: Region | undefined) => {
    write.judge(region);
    checkInside(range, region);
  };
  const patience = patienceOf(request, reply);
  tellWait(request, reply);
  const asked = { name: write.name, judge, patience };
  const overwritePart = async () => answerChanged(reply, await overwriteRange(store, asked, range, upload));
  return writer.successor.carryOut(request, reply, overwritePart, upload);
}

async function receiveBody<Into extends Upload>(request: FastifyRequest, make: () => Into): Promise<Into> {
  const check = new DigestCheck(givenDigests(request.headers));
  const body = (request.body ?? Readable.from([])) as Readable;
  try {
    const upload = await receive(make(), body, (chunk) => check.update(chunk));
    return checked(upload, check);
  } catch (error) {
    body.resume(); // Many clients read no answer before all that they send has been taken.
    throw error;
  }
}

function checked<Into extends Upload>(upload: Into, check: DigestCheck): Into {
  try {
    check.finish();
    return upload;
  } catch (error) {
    upload.discard();
    throw error;
  }
}

function rangeOf({ headers }: FastifyRequest): ContentRange | undefined {
  const field = headers['content-range'];
  if (field === undefined) return undefined;
  const range = parseContentRange(field);
  if (!range) throw new ProblemError('bad-range');
  return range;
}

function checkInside(range: ContentRange, region: Region | undefined): void {
  if (!region) return; // Is refused as what it is.
  const { size } = region.content.generation;
  if (range.last < size && (range.size === undefined || range.size === size)) return;
  throw new ProblemError('range-not-satisfiable', { headers: { 'content-range': unsatisfiedContentRange(size) } });
}

function contentTypeOf({ headers }: FastifyRequest): string | undefined {
  const type = headers['content-type'];
  if (type !== undefined && (type.length > 255 || !mediaType.test(type))) {
    throw new ProblemError('bad-request', { detail: 'Content-Type is no media type.' });
  }
  return type;
}

function lengthOf({ headers }: FastifyRequest): number | undefined {
  return headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
}
