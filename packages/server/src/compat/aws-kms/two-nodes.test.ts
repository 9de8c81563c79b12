import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  makeInstallation,
  makeTenant,
  openNode,
  openSecond,
  stores,
} from '../../installation.fixture.test.ts';
import { issueAccessKey, send, serveHttp, signByHand } from './fixture.test.ts';

for (const store of stores) {
  test(
    `an access key revoked on one node is refused by the next request on another, on ${store.name} [URS-004] [URS-012]`,
    { skip: store.skip },
    async (t) => {
      const installation = await makeInstallation(t, store);
      const first = await openNode(t, installation);
      const second = await openSecond(t, installation, first);
      const { system, createKey, admit } = await makeTenant(first, installation.administrator);
      const key = await createKey();
      const issuer = { admit: ((operation, _credential, input) => admit(operation, input)) as Issuer };
      const issue = () => issueAccessKey(issuer, '', { role: 'service', system, keys: [key] });
      const [revoked, other] = [await issue(), await issue()];
      const url = await serveHttp(t, second);
      const body = JSON.stringify({ KeyId: key, Plaintext: 'dGV4dA==' });
      const encrypt = (by: typeof revoked) =>
        send(url, signByHand(new URL(url).host, by, { target: 'Encrypt', body }));
      for (let round = 0; round < 3; round++) {
        assert.deepEqual([(await encrypt(revoked)).status, (await encrypt(other)).status], [200, 200]);
      }
      await admit('credentials.revoke', { credential: revoked.credential, reason: 'test' });
      const refused = await encrypt(revoked);
      assert.deepEqual([refused.status, refused.body['__type']], [400, 'UnrecognizedClientException']);
      assert.equal((await encrypt(other)).status, 200);
      await admit('revocations.revoke', { scope: { system }, cause: 'vendor-exit', reason: 'test' });
      assert.equal((await encrypt(other)).body['__type'], 'UnrecognizedClientException');
    },
  );
}

type Issuer = Parameters<typeof issueAccessKey>[0]['admit'];
