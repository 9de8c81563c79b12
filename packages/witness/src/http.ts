import type { AddressInfo, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import Fastify, { LogController } from 'fastify';
import type {
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
} from 'fastify';
import { Refusal } from './answer.ts';
import type { Clock } from './clock.ts';
import { WitnessError } from './errors.ts';
import type { Logger } from './logger.ts';
import { networkOf } from './network.ts';
import { RateLimit } from './rate.ts';
import { Slots } from './slots.ts';

/** Where a process listens, and for whom. */
export interface Listening {
  readonly host: string;
  readonly port: number;
  /** PEM: the certificate with its chain, and its private key. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  /** One proxy before this process terminates TLS, and says in X-Forwarded-For who asks. */
  readonly behindTlsProxy: boolean;
  /** From one address. */
  readonly requestsPerSecond: number;
}

/** How long a client may take to send its headers; a request; ms. */
const headersTimeoutMs = 10_000;
const bodyTimeoutMs = 15_000;
/** Above what an upload may take (`mirror/limits.ts`), which ends itself. */
const requestTimeoutMs = 900_000;
const maxConnections = 1024;
/** In all, and from one address: nobody alone can keep the others out by sending slowly. */
const requestsAtOnce = { all: 256, each: 64 };
/** How long a client that is still sending gets to read why it was refused, ms. */
const graceMs = 1000;

/** The HTTP face that witness and mirror have in common: limits, refusals in words, nothing of the content in the log. */
export function createHttpServer(listening: Listening, clock: Clock, logger: Logger): FastifyInstance {
  const { tls, behindTlsProxy } = listening;
  const options: FastifyServerOptions = {
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: requestTimeoutMs,
    clientErrorHandler,
    trustProxy: (_address, hop) => behindTlsProxy && hop === 0,
    routerOptions: { maxParamLength: 200 },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
  };
  // Of the forms that Fastify tells apart by type, one for each kind of socket.
  const socket: object =
    tls === undefined
      ? { http: { headersTimeout: headersTimeoutMs } }
      : { https: { ...tls, minVersion: 'TLSv1.2', headersTimeout: headersTimeoutMs } };
  const server = Fastify({ ...options, ...socket });
  server.server.maxConnections = maxConnections;
  server.removeAllContentTypeParsers();
  // Each route reads its own body, within its own bounds.
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  server.setErrorHandler(answerError);
  server.setNotFoundHandler((request, reply) =>
    answerError(new Refusal(404, 'There is nothing here.'), request, reply),
  );
  limitRequests(server, new RateLimit(listening.requestsPerSecond, clock));
  return server;
}

function limitRequests(server: FastifyInstance, rate: RateLimit): void {
  const slots = new Slots(requestsAtOnce);
  server.addHook('onRequest', async (request, { raw: response }) => {
    const network = networkOf(request.ip);
    const release = slots.take(network);
    // Node takes the socket off the request when that is over.
    const { socket } = request.raw;
    response.once('close', () => {
      release?.();
      if (request.raw.complete) return;
      // Whoever is refused while still sending gets to read the answer, and nothing more is read for long.
      setTimeout(() => socket.destroy(), graceMs).unref();
    });
    if (!rate.admit(network)) throw new Refusal(429, 'Too many requests from this address.');
    if (release === undefined) throw new Refusal(503, 'Too many requests at once.');
  });
}

/** Listens, or says in our own words why that is not possible. @returns the URL */
export async function listen(server: FastifyInstance, { host, port, tls }: Listening): Promise<string> {
  try {
    await server.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') throw new WitnessError('witness.port_in_use', `${host}:${port}`, error);
    throw new WitnessError('witness.address_refused', `${host}:${port}`, error);
  }
  const address = server.server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${tls === undefined ? 'http' : 'https'}://${name}:${address.port}`;
}

/**
 * All of a small body.
 *
 * @throws Refusal 413 for more than `maxBytes`, 408 where it takes too long, 400 where it breaks off
 */
export async function readBody(request: FastifyRequest, maxBytes: number): Promise<Buffer> {
  const body = request.body as Readable | undefined;
  if (body === undefined || body === null) return Buffer.alloc(0);
  const chunks: Buffer[] = [];
  let bytes = 0;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    body.destroy();
  }, bodyTimeoutMs);
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new Refusal(413, `The request is longer than ${maxBytes} bytes.`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(late ? 408 : 400, 'The request broke off.');
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}

/** What is not HTTP is answered in one line, and none of it goes into the log. */
function clientErrorHandler(_error: Error, socket: Socket): void {
  if (socket.writable)
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}

async function answerError(
  error: FastifyError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const { status, type, body } = refusalOf(error, request);
  if (!request.raw.complete) void reply.header('connection', 'close');
  if (status === 401) void reply.header('www-authenticate', 'Bearer');
  if (status === 429 || status === 503) void reply.header('retry-after', '1');
  await reply.code(status).header('cache-control', 'no-store').type(type).send(Buffer.from(body));
}

function refusalOf(error: FastifyError | Error, request: FastifyRequest): Refusal {
  if (error instanceof Refusal) return error;
  const status = 'statusCode' in error ? error.statusCode : undefined;
  if (status !== undefined && status >= 400 && status < 500) return new Refusal(status, 'A bad request.');
  request.log.error({ stack: error.stack }, 'A request failed.');
  if (isStorageFailure(error)) return new Refusal(503, 'Nothing can be stored at present.');
  return new Refusal(500, 'Something went wrong here.');
}

/** A disk that is full or fails: SQLITE_BUSY, SQLITE_IOERR, SQLITE_FULL, or the file system's own words. */
function isStorageFailure(error: Error): boolean {
  const { errcode, code } = error as { errcode?: number; code?: string };
  return [5, 10, 13].includes((errcode ?? 0) & 0xff) || ['ENOSPC', 'EDQUOT', 'EIO'].includes(code ?? '');
}
