/** The media type of every error body (RFC 9457 3). */
export const problemContentType = 'application/problem+json';

/**
 * Every error that a client can get, by its stable code. `retryAfter` (seconds) is the Retry-After that is sent when
 * the place of the error knows no better one.
 */
export const problems = {
  'bad-request': { status: 400, title: 'The request could not be understood.' },
  'bad-name': { status: 400, title: 'No region can be called that.' },
  'bad-query': { status: 400, title: 'A parameter of the query is not what is taken here.' },
  'bad-range': { status: 400, title: 'Content-Range is not one range of bytes that fits the body.' },
  'digest-malformed': { status: 400, title: 'A digest field could not be understood.' },
  'digest-mismatch': { status: 400, title: 'The body is not what its digest says.' },
  unauthorized: { status: 401, title: 'This needs a bearer token.' },
  'region-forbidden': { status: 403, title: 'The service may not read the file behind this region.' },
  'route-not-found': { status: 404, title: 'Nothing is served at this address.' },
  'region-not-found': { status: 404, title: 'There is no region of this name.' },
  'method-not-allowed': { status: 405, title: 'This address does not answer that method.' },
  'request-timeout': { status: 408, title: 'The request did not arrive in time.' },
  'lease-not-found': { status: 404, title: 'There is no such lease.' },
  'name-conflict': { status: 409, title: 'Another region or a file system is in the way of this name.' },
  'range-busy': { status: 409, title: 'The range could not be had in time.', retryAfter: 1 },
  'precondition-failed': { status: 412, title: 'The region is not in the state that the request asks for.' },
  'payload-too-large': { status: 413, title: 'The request body is larger than is accepted here.' },
  'uri-too-long': { status: 414, title: 'The address is longer than is accepted here.' },
  'unsupported-media-type': { status: 415, title: 'The body is not of a type that is accepted here.' },
  'range-not-satisfiable': { status: 416, title: 'The region holds no byte of the range.' },
  'expectation-failed': { status: 417, title: 'The expectation can not be met.' },
  misdirected: { status: 421, title: 'This service is not known by that host.' },
  'too-many-requests': { status: 429, title: 'This client asks more often than it may.', retryAfter: 1 },
  'headers-too-large': { status: 431, title: 'The header fields are larger than is accepted here.' },
  internal: { status: 500, title: 'The service failed to answer.' },
  busy: { status: 503, title: 'The service is short of descriptors or memory.', retryAfter: 1 },
  overloaded: { status: 503, title: 'As many bodies are on their way as may be.', retryAfter: 1 },
  draining: { status: 503, title: 'The service is shutting down.', retryAfter: 5 },
  starting: { status: 503, title: 'The service has not looked at all regions yet.', retryAfter: 1 },
  'other-writer': { status: 503, title: 'Another service holds pages of this tree.', retryAfter: 1 },
  'region-leased': { status: 503, title: 'A writer has the range.', retryAfter: 1 },
  'tree-moved': { status: 503, title: 'The path of the tree leads to another one than is served.', retryAfter: 5 },
  'region-unstable': { status: 503, title: 'The region changed each time it was judged.', retryAfter: 1 },
  'http-version-not-supported': { status: 505, title: 'This version of HTTP is not spoken here.' },
  'no-space': { status: 507, title: 'There is no room for it.' },
} as const;

/** The stable name of an error: the `code` of a problem document. */
export type ProblemCode = keyof typeof problems;

/** What a `ProblemError` may say beyond its code. */
export type ProblemContext = {
  /** What went wrong this time, in words that a client may see. */
  readonly detail?: string | undefined;
  /** Response fields that go with the error, such as Allow or Content-Range. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** What led to it. Never shown to a client. */
  readonly cause?: unknown;
};

/** An error that is answered by its own status and problem document. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly code: ProblemCode;
  readonly status: number;
  /** The same, where frameworks look for it. */
  readonly statusCode: number;
  readonly detail: string | undefined;
  /** Response fields, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, context: ProblemContext = {}) {
    const { detail, headers = {}, cause } = context;
    super(detail ?? problems[code].title, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = problems[code].status;
    this.statusCode = this.status;
    this.detail = detail;
    this.headers = { ...defaultHeaders(code), ...lowerCaseNames(headers) };
  }
}

/** An error body (RFC 9457 3.1). */
export type ProblemDocument = {
  /** A URN that ends with the code (RFC 9457 3.1.1). */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail?: string;
  readonly instance?: string;
};

/**
 * Makes the body of an error response.
 *
 * @param detail what went wrong this time
 * @param instance a URI reference for this one occurrence (RFC 9457 3.1.5)
 */
export function problemDocument(code: ProblemCode, detail?: string, instance?: string): ProblemDocument {
  const { status, title } = problems[code];
  return {
    type: `urn:pagerelay:problem:${code}`,
    title,
    status,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(instance === undefined ? {} : { instance }),
  };
}

function defaultHeaders(code: ProblemCode): Record<string, string> {
  const problem = problems[code];
  return 'retryAfter' in problem ? { 'retry-after': String(problem.retryAfter) } : {};
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
