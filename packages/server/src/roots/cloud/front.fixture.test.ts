import { once } from 'node:events';
import { createServer, request as ask } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeSelfSigned } from '../../../../../tools/self-signed.ts';

/** How a service answers the requests to come, those that its `when` names. */
export type Fault =
  /** Never. */
  | 'hang'
  /** Closes the connection. */
  | 'reset'
  | 'error-500'
  | 'throttle'
  /** Longer than any answer is. */
  | 'huge'
  /** A byte now and then. */
  | 'drip'
  /** Not JSON. */
  | 'malformed'
  /** JSON, but nothing of what is expected. */
  | 'empty';

export interface Faults {
  fault: Fault | undefined;
  /** Only so many requests have the fault; those after it are answered. */
  times: number;
  /** What the service is to refuse, where an emulator would do it. */
  refusal: ((request: IncomingMessage) => Refusal | undefined) | undefined;
  /** Requests so far. */
  readonly requests: number;
}

export interface Refusal {
  readonly status: number;
  readonly body: string;
}

/** The errors of a service in its own words. */
export interface FaultWords {
  readonly mediaType: string;
  readonly error500: string;
  readonly throttle: Refusal;
}

/** Stands before a service and disturbs it. */
export function withFaults(
  words: FaultWords,
  inner: RequestListener,
): Faults & { listener: RequestListener } {
  const state: { -readonly [K in keyof Faults]: Faults[K] } = {
    fault: undefined,
    times: Infinity,
    refusal: undefined,
    requests: 0,
  };
  const listener: RequestListener = (incoming, outgoing) => {
    state.requests += 1;
    const refusal = state.refusal?.(incoming);
    if (refusal !== undefined) {
      incoming.resume();
      outgoing.writeHead(refusal.status, { 'content-type': words.mediaType }).end(refusal.body);
      return;
    }
    if (state.fault === undefined || state.times <= 0) {
      inner(incoming, outgoing);
      return;
    }
    state.times -= 1;
    incoming.resume();
    void disturb(words, state.fault, incoming, outgoing);
  };
  return Object.assign(state, { listener });
}

async function disturb(
  words: FaultWords,
  fault: Fault,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const answer = (status: number, body: string): void =>
    void outgoing.writeHead(status, { 'content-type': words.mediaType }).end(body);
  if (fault === 'hang') return;
  if (fault === 'reset') return void incoming.socket.destroy();
  if (fault === 'error-500') return answer(500, words.error500);
  if (fault === 'throttle') return answer(words.throttle.status, words.throttle.body);
  if (fault === 'malformed') return answer(200, '{"KeyId": "');
  if (fault === 'empty') return answer(200, '{}');
  outgoing.writeHead(200, { 'content-type': words.mediaType });
  const [piece, waitMs] = fault === 'huge' ? [Buffer.alloc(65_536, 0x20), 0] : [Buffer.from(' '), 50];
  while (!outgoing.destroyed) {
    outgoing.write(piece);
    await pause(waitMs);
  }
}

/** Passes requests on to another server of this machine. */
export function passOn(origin: string): RequestListener {
  return (incoming, outgoing) => {
    const { method = 'POST', url = '/', headers } = incoming;
    const onward = ask(new URL(url, origin), { method, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  };
}

export interface Served {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves over plain HTTP on this machine, on a free port. */
export async function serveHttp(listener: RequestListener): Promise<Served> {
  return serve(createServer(listener), 'http');
}

/** Serves over TLS. @returns the certificate, which the process must trust, too */
export async function serveHttps(listener: RequestListener): Promise<Served & { certificate: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-tls-'));
  const files = makeSelfSigned(folder, 'IP:127.0.0.1');
  const [key, certificate] = [readFileSync(files.key, 'utf8'), readFileSync(files.certificate, 'utf8')];
  rmSync(folder, { recursive: true });
  return { ...(await serve(createHttpsServer({ key, cert: certificate }, listener), 'https')), certificate };
}

async function serve(server: Server & { closeAllConnections(): void }, scheme: string): Promise<Served> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${scheme}://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
