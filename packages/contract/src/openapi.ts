import { errors } from './errors.ts';
import { errorsOf, inputPlaces } from './operation.ts';
import type { Operation } from './operation.ts';

const errorSchema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'fix', 'requestId'],
      properties: {
        code: { type: 'string', enum: Object.keys(errors) },
        message: { type: 'string' },
        fix: { type: 'string' },
        field: { type: 'string' },
        requestId: { type: 'string' },
        approval: { type: 'string' },
        signature: {
          type: 'object',
          properties: { meaning: { type: 'string' }, hash: { type: 'string' } },
        },
      },
    },
  },
};

function parameters(operation: Operation): unknown[] {
  const places = inputPlaces(operation);
  return (['path', 'query'] as const).flatMap((place) =>
    places[place].map((name) => ({
      name,
      in: place,
      required: operation.input.required?.includes(name) ?? false,
      schema: operation.input.properties[name],
    })),
  );
}

function requestBody(operation: Operation): object {
  const fields = inputPlaces(operation).body;
  if (fields.length === 0) return {};
  const properties = Object.fromEntries(fields.map((name) => [name, operation.input.properties[name]]));
  const required = fields.filter((name) => operation.input.required?.includes(name));
  const schema = { type: 'object', additionalProperties: false, properties, required };
  return { requestBody: { required: required.length > 0, content: { 'application/json': { schema } } } };
}

function responses(operation: Operation): object {
  const type = { json: 'application/json', text: 'text/plain', bytes: 'application/octet-stream' };
  const content = { [type[operation.produces ?? 'json']]: { schema: operation.output } };
  const codes = errorsOf(operation);
  const statuses = [...new Set(codes.map((code) => errors[code].status))].sort((a, b) => a - b);
  const problem = { content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } };
  const described = (status: number) => codes.filter((code) => errors[code].status === status).join(', ');
  return {
    200: { description: 'Done, and recorded.', content },
    ...Object.fromEntries(statuses.map((status) => [status, { description: described(status), ...problem }])),
    default: { description: 'Any other error.', ...problem },
  };
}

function needsCredential({ permission }: Operation): boolean {
  return permission !== 'public' && permission !== 'sign-in';
}

function description({ permission, approval, signature, requirements }: Operation): string {
  return [
    `Permission: ${permission}.`,
    approval && `Runs once ${approval.people} others have approved it within ${approval.withinDays} days.`,
    signature && `Needs an electronic signature with the meaning ${signature.meaning}.`,
    `Requirements: ${requirements.join(', ')}.`,
  ]
    .filter((sentence) => sentence !== undefined)
    .join(' ');
}

/** The OpenAPI 3.1 document of the operations; JSON Schema 2020-12 throughout. */
export function openApiDocument(operations: Iterable<Operation>, version: string): object {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    const path = operation.path.replace('*}', '}');
    (paths[path] ??= {})[operation.method.toLowerCase()] = {
      operationId: operation.id,
      summary: operation.summary,
      description: description(operation),
      security: needsCredential(operation) ? [{ credential: [] }] : [],
      parameters: parameters(operation),
      ...requestBody(operation),
      responses: responses(operation),
    };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Trialkeep', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths,
    components: {
      schemas: { Error: errorSchema },
      securitySchemes: { credential: { type: 'http', scheme: 'bearer' } },
    },
  };
}
