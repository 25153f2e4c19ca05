/** `multipart/byteranges`, parsed as a receiver does that knows only the boundary (RFC 2046 5.1.1). @module */

/** One part: its fields by name in lower case, and its bytes. */
export type Part = { readonly fields: ReadonlyMap<string, string>; readonly body: Buffer };

/** Takes a body apart. @throws Error when it is not what its type says */
export function parseMultipart(contentType: string, body: Buffer): Part[] {
  const boundary = /^multipart\/byteranges; *boundary="?([^";]+)"?$/.exec(contentType)?.[1];
  if (boundary === undefined) throw new Error(`no multipart/byteranges: ${contentType}`);
  const delimiter = `\r\n--${boundary}`;
  const starts = startsOf(body, delimiter);
  if (starts[0] !== 0) throw new Error('the body does not begin with a line break and the boundary');
  const last = starts.at(-1) ?? 0;
  const close = body.subarray(last + delimiter.length).toString('latin1');
  if (!/^--[ \t]*(\r\n)?$/.test(close)) throw new Error(`no close delimiter: ${JSON.stringify(close.slice(0, 80))}`);
  return starts.slice(0, -1).map((at, index) => parsePart(body.subarray(at + delimiter.length, starts[index + 1])));
}

function startsOf(body: Buffer, delimiter: string): number[] {
  const starts: number[] = [];
  for (let at = body.indexOf(delimiter); at >= 0; at = body.indexOf(delimiter, at + 1)) starts.push(at);
  return starts;
}

function parsePart(bytes: Buffer): Part {
  const end = bytes.indexOf('\r\n\r\n');
  const [first, ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  if (end < 0 || first !== '') throw new Error(`no part: ${JSON.stringify(bytes.subarray(0, 80).toString('latin1'))}`);
  const fields = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return { fields: new Map(fields), body: bytes.subarray(end + 4) };
}
