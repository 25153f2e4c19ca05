import type { FastifyReply, FastifyRequest } from 'fastify';
import { removeRegion } from '../../region/change/replace.ts';
import { carryOut, type Writer, writeOf } from './writer.ts';

/** Answers DELETE: the name is gone at once, the pages when nobody sends them. @throws ProblemError */
export function deleteRegion(writer: Writer, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const asked = writeOf(writer, request);
  const remove = async () => {
    await removeRegion(writer.store, asked);
    return reply.code(204).send();
  };
  return carryOut(writer, () => writer.successor.carryOut(request, reply, remove));
}
