/** pagerelay as a library. @module */

export { type ProblemCode, type ProblemDocument, ProblemError } from './http/problem/problems.ts';
export type { RegionFields } from './http/read/region-headers.ts';
export type { Pagerelay } from './pagerelay.ts';
export { type PagerelayOptions, pagerelay } from './plugin.ts';
