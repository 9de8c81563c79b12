/** A tenant whose key is in a token of its own: what it does when somebody takes the token away. */
import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { approveAndRun, arrange, askFor, stateOf } from '../dual-control.fixture.test.ts';
import { makeServer, makeService } from '../fixture.test.ts';
import { makeToken, skip } from '../hsm-token.fixture.test.ts';

const plaintext = Buffer.from('a value').toString('base64');
const reason = 'The sponsor holds its own key.';

test(
  "a token that is taken away closes the tenant's keys, and opens them again when it is put back [URS-001] [URS-049]",
  { skip },
  async (t) => {
    const arranged = await arrange(await makeServer(t));
    const { server, tenant, custodian, system } = arranged;
    const { id: key } = await server.admit('keys.create', custodian, { system });
    const service = await makeService(server, custodian, system, [key]);
    const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext });
    const token = makeToken(t, {});
    const { folder } = server.instance.tenantRoots;
    const pinFile = join(token.folder, 'pin');
    const { id: root } = await folder.make(tenant, { ...token.settings, pinFile });
    const asked = { root, leaseSeconds: 0, reason };
    const approval = await askFor(arranged, 'tenant-root.move', asked);
    await approveAndRun(arranged, approval);
    assert.equal((await stateOf(arranged, approval)).state, 'executed');
    const decrypt = async () => (await server.admit('keys.decrypt', service, { key, ciphertext })).plaintext;
    assert.equal(await decrypt(), plaintext);

    renameSync(token.tokens, `${token.tokens}-away`);
    await assert.rejects(decrypt(), ({ code }) => /^tenant\.root_(?:refused|unreachable)$/.test(code));
    await assert.rejects(server.admit('keys.create', custodian, { system }), ({ code }) =>
      /^tenant\.root_(?:refused|unreachable)$/.test(code),
    );
    const { answer } = await server.admit('tenant-root.show', custodian, {});
    assert.ok(answer === 'refused' || answer === 'unreachable');

    renameSync(`${token.tokens}-away`, token.tokens);
    let again: string | undefined;
    while (again === undefined) again = await decrypt().catch(() => undefined);
    assert.equal(again, plaintext);

    // Without the folder on this node it is nobody's to ask.
    const back = await askFor(arranged, 'tenant-root.move', { root: null, reason });
    await approveAndRun(arranged, back);
    rmSync(join(folder.path, tenant), { recursive: true });
    assert.equal(await decrypt(), plaintext);
  },
);
