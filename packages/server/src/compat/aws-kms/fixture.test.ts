/** What the tests of the protocol share: a server that listens, a tenant, clients that sign, and requests signed by hand. */
import { createHash, createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import { KMSClient } from '@aws-sdk/client-kms';
import { pino } from 'pino';
import { makeTenant } from '../../fixture.test.ts';
import type { TestServer } from '../../fixture.test.ts';
import { createHttpServer, listen } from '../../platform/http.ts';
import { addAwsKms, readAwsKmsHosts } from './index.ts';

export const region = 'eu-central-1';

/** What a client of the protocol signs with. */
export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Id of the credential. */
  readonly credential: string;
}

/** Lets a test's server listen, as the real one does; closed after the test. */
export async function serveHttp(t: TestContext, { rooms }: Pick<TestServer, 'rooms'>): Promise<string> {
  const quiet = pino(new Writable({ write: (_line, _encoding, done) => done() }));
  const http = createHttpServer(rooms.gate, async () => 'page', quiet);
  addAwsKms(http, { ...rooms, hosts: readAwsKmsHosts({}, '127.0.0.1') });
  t.after(() => http.close());
  return listen(http, '127.0.0.1', 0);
}

export async function issueAccessKey(
  { admit }: Pick<TestServer, 'admit'>,
  custodian: string,
  input: { role: 'service' | 'custodian' | 'auditor'; system?: string; keys?: string[]; expiresAt?: number },
): Promise<AccessKey> {
  const named = { name: 'access key', form: 'access-key', ...input } as const;
  const { credential, secret } = await admit('credentials.issue', custodian, named);
  return { accessKeyId: credential.accessKey ?? '', secretAccessKey: secret, credential: credential.id };
}

/** A tenant whose service and custodian speak the protocol. */
export async function arrange(t: TestContext, server: TestServer) {
  const url = await serveHttp(t, server);
  const made = await makeTenant(server);
  const { custodian, system, key } = made;
  const signing = {
    service: await issueAccessKey(server, custodian, { role: 'service', system, keys: [key] }),
    custodian: await issueAccessKey(server, custodian, { role: 'custodian' }),
  };
  const client = (credentials: AccessKey, more: object = {}): KMSClient => {
    const opened = new KMSClient({ region, endpoint: url, credentials, maxAttempts: 1, ...more });
    t.after(() => opened.destroy());
    return opened;
  };
  return { ...made, server, url, signing, client };
}

export interface Wire {
  readonly target?: string;
  readonly body?: string | Buffer;
  readonly time?: number;
  readonly region?: string;
  readonly service?: string;
  /** Further headers, or others in the place of the usual; undefined leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Names of signed headers, where not all that are sent. */
  readonly signedHeaders?: readonly string[];
  readonly path?: string;
}

/** A request as a client of the protocol would sign it: name, value, name, value …, and its body. */
export function signByHand(host: string, key: AccessKey, wire: Wire) {
  const date = new Date(wire.time ?? Date.now()).toISOString().replace(/[-:]|\.[0-9]{3}/g, '');
  const body = Buffer.from(wire.body ?? '{}');
  const given: Record<string, string | undefined> = {
    'content-type': 'application/x-amz-json-1.1',
    host,
    'x-amz-date': date,
    'x-amz-target': `TrentService.${wire.target ?? 'ListKeys'}`,
    ...wire.headers,
  };
  const headers = Object.entries(given).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const names = wire.signedHeaders ?? headers.map(([name]) => name).sort();
  const sha256 = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');
  const lines = names.map((name) => `${name}:${given[name] ?? ''}`);
  const canonical = ['POST', wire.path ?? '/', '', ...lines, '', names.join(';'), sha256(body)].join('\n');
  const scope = [date.slice(0, 8), wire.region ?? region, wire.service ?? 'kms', 'aws4_request'];
  const text = ['AWS4-HMAC-SHA256', date, scope.join('/'), sha256(canonical)].join('\n');
  const hmac = (by: string | Buffer, part: string): Buffer => createHmac('sha256', by).update(part).digest();
  const signing = scope.reduce<string | Buffer>(hmac, `AWS4${key.secretAccessKey}`);
  const authorization =
    `AWS4-HMAC-SHA256 Credential=${key.accessKeyId}/${scope.join('/')}, ` +
    `SignedHeaders=${names.join(';')}, Signature=${hmac(signing, text).toString('hex')}`;
  return { headers: [...headers.flat(), 'authorization', authorization], body };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Sends headers exactly as they are given, repeated ones too. */
export function send(
  url: string,
  { headers, body }: { readonly headers: readonly string[]; readonly body: Buffer },
  path = '/',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', path, headers: [...headers], setHost: false, agent: false };
    const request = httpRequest(url, options, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => {
        const parsed = JSON.parse(Buffer.concat(pieces).toString('utf8')) as Answer['body'];
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}
