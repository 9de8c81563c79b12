/** A sponsor's key in an account of its own: moto, behind a front that does what moto leaves out (a disabled key cannot be used). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { CreateKeyCommand, DisableKeyCommand, EnableKeyCommand } from '@aws-sdk/client-kms';
import type { KMSClient } from '@aws-sdk/client-kms';

export interface Account {
  readonly settings: { readonly kind: 'aws-kms'; readonly [setting: string]: unknown };
  /** Requests so far. */
  readonly requests: () => number;
  /** Whether nobody gets through to the service. */
  isAway: boolean;
  disable(): Promise<void>;
  enable(): Promise<void>;
}

/** What the service answers where a key is disabled (AWS KMS API reference, `Decrypt`, errors). */
const refused = JSON.stringify({ __type: 'DisabledException', message: 'It is disabled.' });
const mediaType = { 'content-type': 'application/x-amz-json-1.1' };

export async function makeAccount(t: TestContext, admin: KMSClient, emulator: string): Promise<Account> {
  const { KeyMetadata: key } = await admin.send(new CreateKeyCommand({ KeyUsage: 'ENCRYPT_DECRYPT' }));
  const keyArn = key?.Arn ?? assert.fail();
  const KeyId = keyArn.split('/')[1] ?? '';
  let requests = 0;
  let isDisabled = false;
  const front = createServer((incoming, outgoing) => {
    requests++;
    if (account.isAway) {
      incoming.socket.destroy();
      return;
    }
    const target = String(incoming.headers['x-amz-target']);
    if (isDisabled && /\.(?:Encrypt|Decrypt)$/.test(target)) {
      incoming.resume();
      outgoing.writeHead(400, mediaType).end(refused);
      return;
    }
    void passOn();
    async function passOn(): Promise<void> {
      const body = await buffer(incoming);
      const headers = { ...mediaType, 'x-amz-target': target };
      const authorization = incoming.headers.authorization ?? '';
      const answer = await fetch(emulator, { method: 'POST', headers: { ...headers, authorization }, body });
      outgoing.writeHead(answer.status, mediaType).end(Buffer.from(await answer.arrayBuffer()));
    }
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.after(() => {
    front.closeAllConnections();
    front.close();
  });
  const { port } = front.address() as AddressInfo;
  const endpoint = `http://127.0.0.1:${port}`;
  const account: Account = {
    settings: { kind: 'aws-kms', keyArn, endpoint, attempts: 1, timeoutMs: 5000 },
    requests: () => requests,
    isAway: false,
    disable: async () => {
      await admin.send(new DisableKeyCommand({ KeyId }));
      isDisabled = true;
    },
    enable: async () => {
      await admin.send(new EnableKeyCommand({ KeyId }));
      isDisabled = false;
    },
  };
  return account;
}
