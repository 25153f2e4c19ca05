/** Loaded before a service (`--import`): prints each step of a transmission as a line of JSON. @module */
import { subscribe } from 'node:diagnostics_channel';

for (const step of ['held', 'sending', 'accepted', 'ended', 'done']) {
  subscribe(`pagerelay:transmission:${step}`, (message) =>
    console.log(JSON.stringify({ step, ...(message as object) })),
  );
}
