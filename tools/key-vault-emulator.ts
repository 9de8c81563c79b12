/**
 * The part of Azure Key Vault's REST interface (2025-07-01) that a root of trust needs, for tests, with RSA by node:crypto: get, wrapKey and
 * unwrapKey of keys with versions; the challenge for a token, and the identity endpoint of App Service that gives one. Strict where the
 * service is; made here, for the emulators that others publish are not to be had from a package registry.
 */
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

const resource = 'https://vault.azure.net';

interface Version {
  readonly id: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  enabled: boolean;
}

interface EmulatedKey {
  readonly versions: Version[];
  operations: string[];
  recoveryLevel: string;
}

/** The identity endpoint of App Service: `GET ?resource=…&api-version=2019-08-01`. Libraries keep its address for the whole process. */
export class IdentityEmulator {
  /** What it wants in X-IDENTITY-HEADER. */
  readonly secret = randomBytes(16).toString('hex');
  readonly token = randomBytes(24).toString('base64url');

  readonly listener: RequestListener = (incoming, outgoing) => {
    const query = new URL(incoming.url ?? '/', 'http://localhost').searchParams;
    const isMeant =
      incoming.headers['x-identity-header'] === this.secret && query.get('resource') === resource;
    if (!isMeant) return answer(outgoing, 400, { error: 'invalid_request' });
    const expires = Math.floor(Date.now() / 1000) + 3600;
    answer(outgoing, 200, {
      access_token: this.token,
      expires_on: String(expires),
      resource,
      token_type: 'Bearer',
    });
  };
}

/** Keys of one vault, and who may use them. */
export class KeyVaultEmulator {
  /** The token that it accepts. */
  token: string;
  /** Says no to everybody, as a vault does after the role was taken away. */
  forbids = false;
  readonly #keys = new Map<string, EmulatedKey>();

  constructor(identity: IdentityEmulator) {
    this.token = identity.token;
  }

  create(name: string, bits = 3072): void {
    this.#keys.set(name, {
      versions: [],
      operations: ['wrapKey', 'unwrapKey'],
      recoveryLevel: 'Recoverable',
    });
    this.rotate(name, bits);
  }

  rotate(name: string, bits = 3072): void {
    const id = randomBytes(16).toString('hex');
    this.key(name).versions.push({
      id,
      enabled: true,
      ...generateKeyPairSync('rsa', { modulusLength: bits }),
    });
  }

  key(name: string): EmulatedKey {
    const key = this.#keys.get(name);
    if (key === undefined) throw new Error(`No key ${name}.`);
    return key;
  }

  delete(name: string): void {
    this.#keys.delete(name);
  }

  readonly vault: RequestListener = (incoming, outgoing) => {
    void this.#serve(incoming, outgoing);
  };

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of incoming as AsyncIterable<Buffer>) pieces.push(piece);
    const origin = `https://${incoming.headers.host ?? ''}`;
    if (incoming.headers.authorization !== `Bearer ${this.token}`) {
      outgoing.setHeader(
        'www-authenticate',
        `Bearer authorization="${origin}/00000000-0000-0000-0000-000000000001", resource="${resource}"`,
      );
      return refuse(outgoing, 401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.');
    }
    if (this.forbids)
      return refuse(outgoing, 403, 'Forbidden', 'Caller is not authorized.', 'ForbiddenByRbac');
    const { pathname } = new URL(incoming.url ?? '/', origin);
    const [, kind, name = '', version = '', operation] = pathname.split('/');
    const key = kind === 'keys' ? this.#keys.get(name) : undefined;
    const found = version === '' ? key?.versions.at(-1) : key?.versions.find(({ id }) => id === version);
    if (key === undefined || found === undefined)
      return refuse(outgoing, 404, 'KeyNotFound', `A key with (name/id) ${name}/${version} was not found.`);
    if (incoming.method === 'GET' && operation === undefined)
      return answer(outgoing, 200, describe(origin, name, key, found));
    if (incoming.method !== 'POST') return refuse(outgoing, 405, 'BadParameter', 'Method not allowed.');
    if (!found.enabled)
      return refuse(
        outgoing,
        403,
        'Forbidden',
        `Operation ${operation} is not allowed on a disabled key.`,
        'KeyDisabled',
      );
    use(outgoing, `${origin}/keys/${name}/${found.id}`, found, operation, Buffer.concat(pieces));
  }
}

function use(
  outgoing: ServerResponse,
  kid: string,
  { publicKey, privateKey }: Version,
  operation: string | undefined,
  body: Buffer,
): void {
  const { alg, value } = JSON.parse(body.toString()) as { alg: string; value: string };
  if (alg !== 'RSA-OAEP-256')
    return refuse(outgoing, 400, 'BadParameter', `Algorithm ${alg} is not supported.`);
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  const bytes = Buffer.from(value, 'base64url');
  try {
    const result =
      operation === 'wrapkey'
        ? publicEncrypt({ key: publicKey, ...padding }, bytes)
        : privateDecrypt({ key: privateKey, ...padding }, bytes);
    answer(outgoing, 200, { kid, value: result.toString('base64url') });
  } catch {
    refuse(outgoing, 400, 'BadParameter', 'The parameter is incorrect.');
  }
}

function describe(
  origin: string,
  name: string,
  key: EmulatedKey,
  { id, publicKey, enabled }: Version,
): object {
  const kid = `${origin}/keys/${name}/${id}`;
  const created = 1_700_000_000;
  return {
    key: { kid, key_ops: key.operations, ...publicKey.export({ format: 'jwk' }) },
    attributes: { enabled, created, updated: created, recoveryLevel: key.recoveryLevel },
  };
}

function answer(outgoing: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  outgoing.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(text);
}

function refuse(
  outgoing: ServerResponse,
  status: number,
  code: string,
  message: string,
  inner?: string,
): void {
  answer(outgoing, status, {
    error: { code, message, ...(inner !== undefined && { innererror: { code: inner } }) },
  });
}
