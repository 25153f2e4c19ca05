/** What `@fastify/swagger` makes of the routes, made whole. @module */

type Json = Record<string, unknown>;
type Operation = Json & { operationId: string; tags?: unknown; parameters?: Json[]; responses: Record<string, Json> };
type PathItem = Record<string, Operation>;

/** An OpenAPI document, as far as it is looked at here. */
export type Document = Json & { paths: Record<string, PathItem>; components: Json & { schemas: Json } };

/**
 * Names the region in addresses, adds HEAD and OPTIONS, and has each component stand once. @returns a new document
 */
export function completeDocument(made: Document): Document {
  const paths = Object.entries(made.paths).map(([path, item]) => [path.replace('{*}', '{name}'), completeItem(item)]);
  const schemas: Json = {};
  const document = settle({ ...made, paths: Object.fromEntries(paths) }, schemas) as Document;
  return { ...document, components: { ...document.components, schemas } };
}

function completeItem(item: PathItem): PathItem {
  const { get, ...others } = item;
  const id = Object.values(item)[0]?.operationId ?? '';
  return { ...(get && { get, head: headOf(get) }), ...withoutHead(others), options: optionsOf(id, item) };
}

function withoutHead({ head: _, ...others }: PathItem): PathItem {
  return others;
}

// RFC 9110 9.3.2: as GET, without a body. Range means nothing on it (14.2).
function headOf(get: Operation): Operation {
  const { 206: _ranges, 416: _unsatisfiable, ...statuses } = get.responses;
  const responses = Object.entries(statuses).map(([status, { content: _, ...rest }]) => [status, rest]);
  const { summary } = get;
  return {
    ...get,
    operationId: `${get.operationId}Head`,
    summary: `${summary}: the head alone`,
    responses: Object.fromEntries(responses),
  };
}

function optionsOf(id: string, item: PathItem): Operation {
  const first = Object.values(item)[0];
  const inPath = (first?.parameters ?? []).filter((parameter) => parameter.in === 'path');
  return {
    operationId: `${id}Options`,
    summary: 'What the address answers',
    tags: first?.tags,
    ...(inPath.length > 0 && { parameters: inPath }),
    responses: {
      204: {
        description: 'The methods.',
        headers: { Allow: { required: true, schema: { type: 'string' }, description: 'RFC 9110 10.2.1' } },
      },
    },
  };
}

// The parts of descriptions carry two marks that no JSON Schema has: the name of a component, and that a field is
// always there, which stands beside its schema.
function settle(value: unknown, schemas: Json): unknown {
  if (Array.isArray(value)) return value.map((each) => settle(each, schemas));
  if (typeof value !== 'object' || value === null) return value;
  const { 'x-component': name, ...rest } = value as Json;
  const settled = Object.fromEntries(Object.entries(rest).map(([key, each]) => [key, settle(each, schemas)]));
  if (typeof name === 'string') {
    schemas[name] = settled;
    return { $ref: `#/components/schemas/${name}` };
  }
  return isMarkedField(settled) ? fieldOf(settled) : settled;
}

type MarkedField = Json & { schema: Json };

function isMarkedField(value: Json): value is MarkedField {
  const { schema } = value;
  return typeof schema === 'object' && schema !== null && 'x-required' in schema;
}

function fieldOf({ schema, ...rest }: MarkedField): Json {
  const { 'x-required': required, ...plain } = schema;
  return { ...rest, required, schema: plain };
}
