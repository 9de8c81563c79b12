/** A collector of traces that speaks OTLP over HTTP with JSON, as far as it is needed to see what a server sends. */
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { undoAtEnd } from '../harness.ts';

/** A span as it came: OTLP's `Span`, of which more fields come than are named here. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly {
    readonly key: string;
    readonly value: { readonly stringValue?: string };
  }[];
  readonly status: { readonly code?: number };
}

interface Message {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
}

export interface Collector {
  readonly url: string;
  readonly spans: Span[];
  /** Everything that came, with paths and headers. */
  received(): string;
}

export async function startCollector(): Promise<Collector> {
  const spans: Span[] = [];
  const received: string[] = [];
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      received.push(JSON.stringify([request.method, request.url, request.headers]), body);
      const { resourceSpans } = JSON.parse(body) as Message;
      for (const { scopeSpans } of resourceSpans) spans.push(...scopeSpans.flatMap((scope) => scope.spans));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  return { url: await listening(server), spans, received: () => received.join('\n') };
}

/** What takes connections, and never answers. */
export async function startSilence(): Promise<{ readonly url: string }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
  });
  undoAtEnd(() => sockets.forEach((socket) => socket.destroy()));
  return { url: await listening(server) };
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  undoAtEnd(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

export function attributesOf({ attributes }: Span): Record<string, string | undefined> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));
}
