/**
 * What answering needs of the connection that a response goes out on. `src/node/` has it: nothing here touches a socket.
 *
 * @module
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { PeerKind, Sent, TransmissionId } from '../../relay/relay.ts';

/** A held transmission of `plan.length` bytes. */
export type HeldTransmission = {
  readonly transmission: TransmissionId;
  readonly plan: { readonly length: number };
  /** Is told when it is the body's turn. */
  readonly trace: { sending(): void } | undefined;
};

/** A connection on which held bytes can go out natively. */
export type WayOut = {
  readonly peerKind: PeerKind;
  /** Whether this is the connection that a response goes out on. */
  carries(response: ServerResponse): boolean;
  /**
   * Sends the response's head with `fields` added to those it has, then the held bytes, and ends the response. When
   * anything fails, the connection is broken off: it is never ended cleanly short of its Content-Length, and no byte of
   * another response can follow. Never rejects. No promise is made of what has ended at once, as most does.
   */
  answer(response: ServerResponse, held: HeldTransmission, fields?: OutgoingHttpHeaders): Sent | Promise<Sent>;
};

/** Finds the way out of a response. */
export type WaysOut = {
  /**
   * The connection that a response goes out on.
   *
   * @param response only HTTP/1 has a connection of its own per response
   * @param node NUMA node of the pages that it will be sent first; decides its lane
   * @returns undefined where there is no raw TCP socket: the portable engine serves
   * @throws SystemError when descriptors or memory are short
   */
  of(response: unknown, node: number): WayOut | undefined;
};
