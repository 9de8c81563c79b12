import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { AddressInfo } from 'node:net';
import { StartupError } from '../errors.ts';

/** Where metrics are given: never where the API listens. */
export interface MetricsPlace {
  readonly host: string;
  readonly port: number;
}

/** Connections at a time, and how long one may take to ask, ms. */
const maxConnections = 16;
const requestTimeoutMs = 5000;
/** Longest head of a request: what Prometheus sends fits many times. */
const maxHeaderBytes = 4096;

/**
 * Where TRIALKEEP_METRICS_LISTEN says: an IP address and a port, `127.0.0.1:9464` or `[::1]:9464`. A name is refused: what it stands for
 * is decided elsewhere.
 *
 * @throws StartupError `metrics.listen_invalid`
 */
export function parseMetricsPlace(text: string): MetricsPlace {
  const [, six, four, portText] =
    /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):([0-9]{1,5})$/.exec(text) ?? [];
  const host = six ?? four;
  const port = Number(portText);
  const version = six === undefined ? 4 : 6;
  if (host === undefined || isIP(host) !== version || port > 65_535) {
    throw new StartupError('metrics.listen_invalid');
  }
  return { host, port };
}

/** Whether only this machine reaches the address. */
export function isLoopback(host: string): boolean {
  return host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** What gives the metrics. */
export interface MetricsText {
  text(): Promise<string>;
  readonly contentType: string;
}

/**
 * Answers `GET /metrics` and nothing else. Requests under the name of another host are refused, so that no web page reads the metrics
 * through a name that it has pointed here (DNS rebinding).
 *
 * @throws StartupError `server.port_in_use`, `server.address_refused`
 */
export async function listenForMetrics(
  { host, port }: MetricsPlace,
  metrics: MetricsText,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer(
    { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs, maxHeaderSize: maxHeaderBytes },
    (request, response) => void answer(request, response, metrics),
  );
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'EADDRINUSE' ? 'server.port_in_use' : 'server.address_refused';
      reject(new StartupError(code, `${host}:${port}, for metrics.`, error));
    });
    server.listen({ host, port }, resolve);
  });
  const address = server.address() as AddressInfo;
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${shown}:${address.port}/metrics`,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  metrics: MetricsText,
): Promise<void> {
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  if (!isOwnHost(request.headers.host)) return end(response, 421);
  if (request.url !== '/metrics') return end(response, 404);
  if (request.method !== 'GET') return end(response, 405);
  try {
    const text = await metrics.text();
    response.writeHead(200, { 'content-type': metrics.contentType });
    response.end(text);
  } catch {
    end(response, 503);
  }
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-length': 0 });
  response.end();
}

function isOwnHost(header: string | undefined): boolean {
  const host = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(header ?? '');
  const name = host?.[1] ?? host?.[2] ?? '';
  return name === 'localhost' || isIP(name) !== 0;
}
