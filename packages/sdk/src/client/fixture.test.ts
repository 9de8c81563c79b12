import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TrialkeepError } from '../errors.ts';

// What answers here is a small HTTP server of this test, not Trialkeep's: it stands for whatever may answer at a URL.

export const credential = 'tkc_canary-QmFzZTY0VGhhdElzTm90QVNlY3JldEF0QWxs';
export const key = '0b9d5b5e-5d1c-4c56-9ed0-6f6f6f6f6f6f';

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

export async function serving(
  answer: (response: ServerResponse, seen: Seen, count: number) => void,
  work: (url: string, seen: Seen[]) => Promise<void>,
): Promise<void> {
  const seen: Seen[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '' } = request;
      const { authorization } = request.headers;
      seen.push({ method, url, authorization, body: Buffer.concat(chunks).toString() });
      answer(response, seen.at(-1) as Seen, seen.length);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

export const json = (response: ServerResponse, status: number, body: unknown) => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

export async function rejection(promise: Promise<unknown>): Promise<TrialkeepError> {
  const error: unknown = await promise.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof TrialkeepError, String(error));
  const everything = `${error.message} ${error.fix} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
  assert.ok(!everything.includes(credential), 'the credential is in the error');
  return error;
}
