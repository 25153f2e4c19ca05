/** Whether answers are what `/openapi.json` says of them. @module */
import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Answered } from './ask.ts';

type Field = { readonly required?: boolean; readonly schema: object };
type Answer = { readonly headers?: Record<string, Field>; readonly content?: Record<string, object> };
type Operation = { readonly operationId: string; readonly responses: Record<string, Answer> };

/** As much of the document as is looked at. */
export type Document = { readonly openapi: string; readonly paths: Record<string, Record<string, Operation>> };

/** Checks answers against a document, and remembers which of its statuses it has seen. */
export class Conformance {
  readonly #document: Document;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #seen = new Set<string>();

  constructor(document: Document) {
    this.#document = document;
    (formats as unknown as (ajv: Ajv2020) => void)(this.#ajv);
    this.#ajv.addSchema({ ...document, $id: 'document' });
  }

  /** @throws AssertionError that says what is otherwise than described */
  check(method: string, path: string, answered: Answered): void {
    const operation = this.#document.paths[path]?.[method.toLowerCase()];
    const where = `${method} ${path} ${answered.status}`;
    assert.ok(operation, `${where}: is not described`);
    const answer = operation.responses[answered.status];
    assert.ok(answer, `${where}: the status is not described: ${answered.body.toString().slice(0, 300)}`);
    this.#seen.add(where);
    this.#checkFields(
      ['paths', path, method.toLowerCase(), 'responses', String(answered.status)],
      answer,
      answered,
      where,
    );
    this.#checkBody(
      ['paths', path, method.toLowerCase(), 'responses', String(answered.status)],
      answer,
      answered,
      where,
    );
  }

  /** Whether a body is the described problem document, for what no operation is described of. */
  checkProblem({ fields, body }: Answered): void {
    assert.equal(fields['content-type'], 'application/problem+json');
    this.#validate(['components', 'schemas', 'Problem'], JSON.parse(body.toString()), 'a problem');
  }

  /** Statuses of these methods that are described and that no answer had, as `GET /regions 200`. */
  unseen(methods: readonly string[]): string[] {
    return this.#all(methods).filter((where) => !this.#seen.has(where));
  }

  #all(methods: readonly string[]): string[] {
    return Object.entries(this.#document.paths).flatMap(([path, item]) =>
      methods.flatMap((method) =>
        Object.keys(item[method.toLowerCase()]?.responses ?? {})
          .filter((status) => status !== 'default')
          .map((status) => `${method} ${path} ${status}`),
      ),
    );
  }

  #checkFields(at: readonly string[], answer: Answer, { fields }: Answered, where: string): void {
    for (const [name, { required }] of Object.entries(answer.headers ?? {})) {
      const value = fields[name.toLowerCase()];
      if (required) assert.notEqual(value, undefined, `${where}: ${name} is missing`);
      if (value !== undefined) this.#validate([...at, 'headers', name, 'schema'], value, `${where}: ${name}`);
    }
  }

  #checkBody(at: readonly string[], { content }: Answer, { fields, body }: Answered, where: string): void {
    if (!content) {
      assert.equal(body.length, 0, `${where}: no body is described`);
      return;
    }
    const type = fields['content-type']?.split(';', 1)[0] ?? '';
    const described = type in content ? type : '*/*';
    assert.ok(described in content, `${where}: ${type} is not described`);
    if (/json$/.test(type)) this.#validate([...at, 'content', described, 'schema'], JSON.parse(body.toString()), where);
  }

  #validate(at: readonly string[], value: unknown, where: string): void {
    const pointer = at.map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
    const validate = this.#ajv.compile({ $ref: `document#/${pointer}` });
    assert.ok(validate(value), `${where}: ${this.#ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`);
  }
}
