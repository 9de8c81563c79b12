/** A time-stamping authority for tests (RFC 3161): real tokens by OpenSSL, with as many certificates as a test wants. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type AuthorityKey = 'RSA-2048' | 'RSA-3072' | 'RSA-4096' | 'P-256' | 'P-384' | 'RSA-1024';

export interface AuthorityOptions {
  readonly key?: AuthorityKey;
  /** Lines of the signer's extensions, where they are not the usual ones. */
  readonly extensions?: readonly string[];
  /** Lines of the extensions of the authority that stands between. */
  readonly between?: readonly string[];
  /** How long the signer's certificate is valid; negative: it has expired already. */
  readonly days?: number;
  readonly digest?: 'sha256' | 'sha384' | 'sha512';
  /** States no accuracy. */
  readonly inaccurate?: boolean;
}

/** The policy under which tokens are made, and another one that may be asked for. */
export const testPolicy = '1.3.6.1.4.1.99999.1';
export const otherTestPolicy = '1.3.6.1.4.1.99999.2';

const usualExtensions = [
  'extendedKeyUsage=critical,timeStamping',
  'keyUsage=critical,digitalSignature',
  'basicConstraints=critical,CA:FALSE',
];
const authorityExtensions = [
  'basicConstraints=critical,CA:TRUE,pathlen:0',
  'keyUsage=critical,keyCertSign,cRLSign',
];

const keyArguments: Record<AuthorityKey, string[]> = {
  'RSA-1024': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
  'RSA-2048': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  'RSA-3072': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072'],
  'RSA-4096': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:4096'],
  'P-256': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'P-384': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
};

/** A root, an authority under it, and a signer under that, in a folder of its own. */
export class TestAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), 'trialkeep-tsa-'));
  readonly rootPem: string;
  readonly #digest: string;

  constructor({
    key = 'P-256',
    extensions,
    between,
    days = 30,
    digest = 'sha256',
    inaccurate,
  }: AuthorityOptions = {}) {
    this.#digest = digest;
    this.#issue(
      'root',
      'P-256',
      undefined,
      ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'],
      30,
    );
    this.#issue('between', 'P-256', 'root', between ?? authorityExtensions, 30);
    this.#issue('signer', key, 'between', extensions ?? usualExtensions, days);
    this.rootPem = readFileSync(this.path('root.pem'), 'utf8');
    const accuracy = inaccurate === true ? '' : 'accuracy=secs:1,millisecs:500,microsecs:100';
    const lines = [
      '[tsa]\ndefault_tsa=t\n[t]',
      `serial=${this.path('serial')}`,
      `default_policy=${testPolicy}\nother_policies=${otherTestPolicy}`,
      `digests=sha256,sha384,sha512\nclock_precision_digits=3\nordering=no\ntsa_name=yes`,
      `ess_cert_id_chain=no\ness_cert_id_alg=sha256\nsigner_digest=${digest}`,
      `signer_cert=${this.path('signer.pem')}\nsigner_key=${this.path('signer.key')}`,
      `certs=${this.path('between.pem')}\n${accuracy}`,
    ];
    writeFileSync(this.path('ts.cnf'), lines.join('\n'));
    writeFileSync(this.path('serial'), '01');
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** The answer to a request, as `openssl ts` gives it. */
  reply(query: Uint8Array): Buffer {
    writeFileSync(this.path('query.tsq'), query);
    const files = ['-queryfile', this.path('query.tsq'), '-out', this.path('reply.tsr')];
    this.#openssl(['ts', '-config', this.path('ts.cnf'), '-reply', ...files]);
    return readFileSync(this.path('reply.tsr'));
  }

  /** A token around any content, signed rightly, as `openssl cms` makes it. */
  sign(content: Uint8Array, options: { pss?: boolean; arguments?: readonly string[] } = {}): Buffer {
    writeFileSync(this.path('content.der'), content);
    const padding =
      options.pss === true ? ['-keyopt', 'rsa_padding_mode:pss', '-keyopt', 'rsa_pss_saltlen:digest'] : [];
    this.#openssl([
      ...['cms', '-sign', '-binary', '-nodetach', '-outform', 'DER', '-md', this.#digest],
      ...['-econtent_type', '1.2.840.113549.1.9.16.1.4', ...(options.arguments ?? ['-cades'])],
      ...['-signer', this.path('signer.pem'), '-inkey', this.path('signer.key'), ...padding],
      ...[
        '-certfile',
        this.path('between.pem'),
        '-in',
        this.path('content.der'),
        '-out',
        this.path('token.der'),
      ],
    ]);
    return readFileSync(this.path('token.der'));
  }

  /** What OpenSSL says about a token of this data. */
  accepts(token: Uint8Array, data: Uint8Array): boolean {
    writeFileSync(this.path('token.tst'), token);
    writeFileSync(this.path('data'), data);
    const files = [
      '-data',
      this.path('data'),
      '-in',
      this.path('token.tst'),
      '-CAfile',
      this.path('root.pem'),
    ];
    return spawnSync('openssl', ['ts', '-verify', '-token_in', ...files]).status === 0;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #issue(
    name: string,
    key: AuthorityKey,
    issuer: string | undefined,
    extensions: readonly string[],
    days: number,
  ): void {
    mkdirSync(this.folder, { recursive: true });
    const file = (suffix: string): string => this.path(`${name}.${suffix}`);
    writeFileSync(file('ext'), extensions.join('\n'));
    this.#openssl(['genpkey', ...keyArguments[key], '-out', file('key')]);
    this.#openssl(['req', '-new', '-key', file('key'), '-subj', `/CN=Test ${name}`, '-out', file('csr')]);
    const by =
      issuer === undefined
        ? ['-signkey', file('key')]
        : ['-CA', this.path(`${issuer}.pem`), '-CAkey', this.path(`${issuer}.key`), '-CAcreateserial'];
    const request = ['x509', '-req', '-in', file('csr'), ...by, '-extfile', file('ext')];
    this.#openssl([...request, '-days', String(days), '-sha256', '-out', file('pem')]);
  }

  #openssl(args: readonly string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

/** How a served authority answers. */
export type Behaviour =
  /** As it should. */
  | 'right'
  /** With an answer to another request of the same content. */
  | 'other-nonce'
  /** With a token of something else. */
  | 'other-imprint'
  /** With a refusal. */
  | 'refusing'
  /** Never. */
  | 'slow'
  /** Without an end. */
  | 'huge'
  | 'redirect'
  | 'status'
  | 'media-type'
  /** With a token whose last byte is altered. */
  | 'altered';

export interface ServedAuthority {
  readonly url: string;
  /** How the next requests are answered. */
  behaviour: Behaviour;
  /** Requests so far. */
  readonly requests: () => number;
  close(): Promise<void>;
}

const replyType = { 'content-type': 'application/timestamp-reply' };

/** Serves the authority on this machine over HTTP (RFC 3161 section 3.4), on a free port unless one is given. */
export async function serveAuthority(authority: TestAuthority, port = 0): Promise<ServedAuthority> {
  let requests = 0;
  const served = { behaviour: 'right' as Behaviour };
  const server = createServer((request, response) => {
    requests += 1;
    void answer(authority, served.behaviour, request, response);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const { port: bound } = server.address() as AddressInfo;
  return Object.assign(served, {
    url: `http://127.0.0.1:${bound}/`,
    requests: () => requests,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

async function answer(
  authority: TestAuthority,
  behaviour: Behaviour,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  const query = Buffer.concat(pieces);
  if (behaviour === 'slow') return;
  if (behaviour === 'redirect') return void response.writeHead(302, { location: '/elsewhere' }).end();
  if (behaviour === 'status') return void response.writeHead(500, replyType).end();
  if (behaviour === 'media-type')
    return void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>');
  response.writeHead(200, replyType);
  if (behaviour === 'huge') {
    const more = (): void => void response.write(Buffer.alloc(65_536), () => response.destroyed || more());
    return more();
  }
  response.end(replyOf(authority, behaviour, query));
}

/** The answer to what was asked, or to what was not. */
function replyOf(authority: TestAuthority, behaviour: Behaviour, query: Buffer): Buffer {
  const asked = Buffer.from(query);
  // The imprint of a request without a policy stands before its nonce, which stands before the last three bytes.
  if (behaviour === 'other-imprint') asked[40] = (asked[40] ?? 0) ^ 1;
  if (behaviour === 'other-nonce') asked[asked.length - 4] = (asked.at(-4) ?? 0) ^ 1;
  if (behaviour === 'refusing') asked.write('\x09', asked.indexOf('\x04\x02\x03') + 2, 'latin1');
  const reply = authority.reply(asked);
  if (behaviour === 'altered') reply[reply.length - 1] = (reply.at(-1) ?? 0) ^ 1;
  return reply;
}

if (import.meta.main) {
  const [folder = '.', port = '7490'] = process.argv.slice(2);
  const authority = new TestAuthority();
  writeFileSync(join(folder, 'tsa-roots.pem'), authority.rootPem);
  const { url } = await serveAuthority(authority, Number(port));
  console.log(`${url} gives timestamps; its root is ${join(folder, 'tsa-roots.pem')}`);
}
