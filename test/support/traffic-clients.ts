/**
 * Clients in a process of their own, so that the server's memory is the server's: what to play as JSON in the first
 * argument. Prints what was done, as JSON.
 *
 * @module
 */
import { readFileSync } from 'node:fs';
import { type Done, makeDice, playClients } from './traffic.ts';

/** `path` is asked for, `file` holds what is right. */
export type Played = {
  readonly targets: readonly { readonly port: number; readonly path: string; readonly file: string }[];
  readonly clientsEach: number;
  readonly seed: number;
  readonly milliseconds: number;
};

const { targets, clientsEach, seed, milliseconds } = JSON.parse(process.argv[2] ?? '{}') as Played;
const done: Done = {};
const deadline = performance.now() + milliseconds;
const playing = targets.flatMap(({ file, ...target }, place) => {
  const content = readFileSync(file);
  const play = (at: number) => playClients({ ...target, content }, makeDice(seed + place * 100 + at), deadline, done);
  return Array.from({ length: clientsEach }, (_, at) => play(at));
});
await Promise.all(playing);
console.log(JSON.stringify(done));
