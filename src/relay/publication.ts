/** What lanes answer requests by, without Node (native-shim/core/http/published.h, responder.h). @module */
import type { Backing, Engine, FileIdentity } from './relay.ts';
import type { ShimLog } from './shim.ts';

/** A region that lanes answer for. */
export type Publication = Published & { readonly generation: number };

/** A region that lanes answer for as soon as they have opened its file, and found it to be as it was seen. */
export type PublicationAhead = Published & { readonly file: SeenFile };

/** A file that is not open, what holds its pages, and the engines that a witness has seen copy from there, by bit. */
export type SeenFile = FileIdentity & { readonly backing: Backing; readonly copying: number };

type Published = {
  /** As it stands in a request for it, percent-encoded: of characters that neither JSON nor HTTP minds. */
  readonly path: string;
  readonly epoch: number;
  readonly version: number;
  /** The id of the tree that `name` is in, or 0. */
  readonly tree: number;
  /** The path of its file: lanes look whether it still leads there. */
  readonly name: string;
  /** Values of fields; the second may be empty. */
  readonly etag: string;
  readonly lastModified: string;
  /** Whole lines of every answer, 304 too, behind those two. */
  readonly fields: string;
  /** The same, before and behind Content-Length and Content-Range. */
  readonly contentType: string;
  readonly others: string;
  /** Lines of answers that are problems, before the others. */
  readonly originFields: string;
  /** For bodies below `largeFrom` bytes, and for the others. */
  readonly engine: Engine;
  readonly large: Engine;
  readonly largeFrom: number;
  /** Bytes: shorter bodies are copied; and the same of what is the first that is sent on its connection. */
  readonly copyBelow: number;
  readonly copyFirstBelow: number;
  /** Whether the answer is the same to a request that names an origin. */
  readonly anyOrigin: boolean;
  /** Whether `path` names this version, and no other can be answered with there. Else answers link to the URL that does. */
  readonly oneVersion: boolean;
};

/** How lanes answer. */
export type Responding = {
  /** Whether only those may read whose Authorization was allowed. */
  readonly guarded: boolean;
  /** Seconds that a connection may be idle, and that the head of a request may take. */
  readonly keepAliveSeconds: number;
  readonly headSeconds: number;
  /** Where a line for each answer goes; undefined for none. */
  readonly log?: ShimLog | undefined;
  /** Whether lines are of the combined format; else they are JSON. */
  readonly combined: boolean;
  /**
   * What stands in a line of JSON before the time, in milliseconds since 1970, and between it and the number of the
   * answer.
   */
  readonly beforeTime: string;
  readonly behindTime: string;
  /** What a client is told that is not let in: for all connections, and for its own. */
  readonly refusal: string;
  readonly refusalOfOne: string;
};

/** What a listener is to those who come by it. */
export type DoorOptions = {
  /** What it is called when a connection of it is taken: a number below 16. */
  readonly number: number;
  /** Whether it may be asked by any Host, so that which are known to be right is another matter than elsewhere. */
  readonly anyHost: boolean;
  /** Whether trusted proxies begin with a header of the PROXY protocol there. */
  readonly takesProxy: boolean;
  /** The NUMA node whose lanes accept; undefined for all of them. */
  readonly node: number | undefined;
};

/**
 * What becomes of a connection that a lane has read: Node is `fed` the head of one request, or it is Node's for good
 * (`handed over`; `late`: its head took too long; `last`: its last response is sent, and the client still sends), or it
 * is `closed`.
 */
export const returns = ['fed', 'handed over', 'late', 'last', 'closed'] as const;
export type Return = (typeof returns)[number];
