/** What is compared: servers that answer ranges of one file. @module */
import type { Command, Server } from '../run/process.ts';
import type { RegionFile, Regions } from '../run/region-file.ts';
import type { RunScope } from '../run-scope.ts';
import type { Writer } from '../writer/writer.ts';

/** What a peer is started with. */
export type PeerContext = {
  readonly scope: RunScope;
  readonly regions: Regions;
  /** Range sizes that it will be asked for, in bytes. */
  readonly sizes: readonly number[];
  /** A folder for what it writes. */
  readonly folder: string;
  /** Puts what pins a server to its processor before its command. */
  readonly pin: (command: Command) => Command;
  /** Processors that it is to use, with a lane or a worker for each. Default: one. */
  readonly processors?: number;
  /** For Node, where it is one. */
  readonly nodeFlags?: readonly string[];
};

/** Where a peer answers. */
export type Endpoint = Server & { readonly path: string; readonly region: RegionFile };

/** A peer under way. It ends with the scope it was started in. */
export type RunningPeer = {
  readonly name: string;
  /** What it is, with versions and whatever decides its speed: one phrase. */
  readonly about: string;
  /** Where it answers ranges of this size. */
  readonly endpoint: (size: number) => Endpoint;
  /** Why its bodies can't be compared with the file. */
  readonly unverifiable?: string;
  /** Writes to it while it is under load. */
  readonly writer?: Writer;
};

/** A server that can be started. */
export type Peer = {
  readonly name: string;
  /** Why it can't run here; undefined when it can. */
  readonly missing: () => string | undefined;
  /** The largest range that it differs from other peers at. */
  readonly largest?: number;
  readonly start: (context: PeerContext) => Promise<RunningPeer>;
};
