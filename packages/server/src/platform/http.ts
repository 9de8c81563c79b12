import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { errors, inputPlaces, operations } from '@trialkeep/contract';
import type { ErrorBody, Operation, OperationId } from '@trialkeep/contract';
import Fastify, { LogController } from 'fastify';
import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { steadyMs } from './clock.ts';
import { OperationError, StartupError } from './errors.ts';
import { newId } from './ids.ts';
import { sourceOf } from './proxies.ts';
import type { Protocol } from './implementation.ts';
import type { Authorization } from './signed-request.ts';

/** The largest request but for operations that say otherwise: 64 KiB of plaintext in base64, its context, and room. */
const maxBodyBytes = 256 * 1024;
/** How long a client may take to send a request. */
const requestTimeoutMs = 30_000;
/** How long a port is left alone that is in use, where it is waited for. */
const retryMs = 100;

/** Who answers: the gate, behind which nothing of HTTP is known. */
export interface Admission {
  admit(request: {
    operation: OperationId;
    authorization: Authorization;
    input: unknown;
    source: string;
    requestId: string;
    /** Trialkeep's own where left out. */
    protocol?: Protocol;
    /** What the caller says of a trace, as it came (W3C Trace Context). */
    traceparent?: string | undefined;
  }): Promise<unknown>;
}

/** What the status page at `/` shows. */
export type StatusPage = () => Promise<string>;

/**
 * A server without routes: how bodies are carried, and how errors are answered.
 *
 * @param proxies whose word counts for where requests come from
 */
export function createBareServer(logger: FastifyBaseLogger, proxies: string[] = []): FastifyInstance {
  const server = Fastify({
    trustProxy: proxies.length > 0 && proxies,
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    clientErrorHandler,
    genReqId: newId,
    routerOptions: { maxParamLength: 200 },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
  });
  // Every operation checks its own input, behind authentication: Fastify only carries it.
  server.setValidatorCompiler(() => () => true);
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) =>
    done(null, body),
  );
  // Anything else is bad input, for the operation to refuse and record.
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  server.setErrorHandler(answerError);
  return server;
}

/** Builds the HTTP face of the operations: one route for each, nothing else but the status page. */
export function createHttpServer(
  gate: Admission,
  statusPage: StatusPage,
  logger: FastifyBaseLogger,
  proxies: string[] = [],
): FastifyInstance {
  const server = createBareServer(logger, proxies);
  server.setNotFoundHandler((request, reply) =>
    answerError(new OperationError('request.unknown_operation'), request, reply),
  );
  for (const operation of Object.values(operations)) addRoute(server, gate, operation);
  addPage(server, statusPage);
  return server;
}

/** The page at `/`. */
export function addPage(server: FastifyInstance, page: StatusPage): void {
  server.get('/', async (_request, reply) => {
    await reply
      .header(
        'content-security-policy',
        "default-src 'none'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
      )
      .header('cache-control', 'no-store')
      .type('text/html; charset=utf-8')
      .send(await page());
  });
}

/**
 * Listens, or says in our own words why that is not possible.
 *
 * @param patienceMs how long a port that is in use is tried again
 * @throws StartupError `server.port_in_use`, `server.address_refused`
 */
export async function listen(
  server: FastifyInstance,
  host: string,
  port: number,
  patienceMs = 0,
): Promise<string> {
  const until = steadyMs() + patienceMs;
  try {
    await server.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const left = until - steadyMs();
    if (code === 'EADDRINUSE' && left > 0) {
      await pause(retryMs);
      return listen(server, host, port, left);
    }
    if (code === 'EADDRINUSE') throw new StartupError('server.port_in_use', `${host}:${port}.`, error);
    throw new StartupError('server.address_refused', `${host}:${port}.`, error);
  }
  const address = server.server.address() as AddressInfo;
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

/** What is not HTTP is answered in one line, and none of it goes into the log: it may hold a credential. */
function clientErrorHandler(_error: Error, socket: Socket): void {
  if (socket.writable)
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}

function addRoute(server: FastifyInstance, gate: Admission, operation: Operation): void {
  const produces = operation.produces ?? 'json';
  const places = inputPlaces(operation);
  server.route({
    method: operation.method,
    ...(operation.maxBodyBytes !== undefined && { bodyLimit: operation.maxBodyBytes }),
    url: operation.path.replace(/\{\w+\*\}/, '*').replace(/\{(\w+)\}/g, ':$1'),
    ...(produces === 'json' ? { schema: { response: { 200: operation.output } } } : {}),
    handler: async (request, reply) => {
      const answer = await gate.admit({
        operation: operation.id as OperationId,
        authorization: request.headers.authorization,
        input: readInput(operation.method, places, request),
        source: sourceOf(request),
        requestId: request.id,
        traceparent: headerOf(request, 'traceparent'),
      });
      // What a ledger or a key answers belongs to this caller alone.
      void reply.header('cache-control', cacheControl(operation));
      if (produces === 'text') void reply.type('text/plain; charset=utf-8');
      if (produces === 'bytes') void reply.type('application/octet-stream');
      return answer instanceof Uint8Array ? Buffer.from(answer) : answer;
    },
  });
}

/** A header that was sent once. */
function headerOf({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

function cacheControl({ permission, immutable }: Operation): string {
  if (immutable === true) return 'private, max-age=31536000, immutable';
  return permission === 'public' ? 'no-store' : 'private, no-store';
}

/** All inputs by name. A body that is not a JSON object is handed on as it is, for the operation's check to refuse. */
function readInput(
  method: Operation['method'],
  places: ReturnType<typeof inputPlaces>,
  request: FastifyRequest,
): unknown {
  const params = request.params as Record<string, string>;
  const fromPath = Object.fromEntries(places.path.map((name) => [name, params[name] ?? params['*']]));
  const rest = method === 'GET' ? request.query : parseBody(request.body);
  if (typeof rest !== 'object' || rest === null || Array.isArray(rest)) return rest;
  const clash = places.path.find((name) => Object.hasOwn(rest, name));
  if (clash !== undefined) return { ...rest, [`${clash} (in the path already)`]: null };
  return { ...rest, ...fromPath };
}

/** A body as JSON; undefined where it is none. */
export function parseBody(body: unknown): unknown {
  if (body === undefined || body === '') return {};
  if (typeof body !== 'string') return undefined;
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

async function answerError(
  error: FastifyError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const known = operationError(error);
  const { status, fix } = errors[known.code];
  if (known.code === 'server.internal')
    request.log.error({ requestId: request.id, stack: error.stack }, 'A request failed.');
  const body: ErrorBody = {
    error: {
      code: known.code,
      message: known.message,
      fix,
      ...(known.field !== undefined && { field: known.field }),
      ...(known.approval !== undefined && { approval: known.approval }),
      ...(known.signature !== undefined && { signature: known.signature }),
      requestId: request.id,
    },
  };
  if (status === 401) void reply.header('www-authenticate', 'Bearer');
  if (status === 503) void reply.header('retry-after', '1');
  await reply
    .code(status)
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(body));
}

/** What goes wrong in Fastify itself, in the words of the API. */
function operationError(error: FastifyError | Error): OperationError {
  if (error instanceof OperationError) return error;
  const status = 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) return new OperationError('request.too_large');
  if (status !== undefined && status >= 400 && status < 500) {
    return new OperationError('request.invalid', { cause: error });
  }
  return new OperationError('server.internal', { cause: error });
}
