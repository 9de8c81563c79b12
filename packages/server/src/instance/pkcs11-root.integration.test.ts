import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeToken, skip } from '../hsm-token.fixture.test.ts';
import { backupInstance } from './backup.ts';
import { createInstance } from './create.ts';
import { makeFolder, makeInstance, open, refusal } from './fixture.test.ts';
import { restoreInstance } from './restore.ts';
import { activateRoot, addStandby, checkRoots, showRoots } from './roots.ts';

test(
  'an installation is made, backed up and restored with its root in a token; the PIN is in no backup [URS-008] [URS-009] [URS-080]',
  { skip },
  async (t) => {
    const token = makeToken(t);
    const settings = { ...token.settings, pinFile: join(token.folder, 'pin'), certificate: '4985' };
    const folder = makeFolder(t);
    const [data, backup] = [join(folder, 'data'), join(folder, 'backup')];
    const made = await createInstance(data, 'evaluation', 'eu-central-1', undefined, settings);
    assert.deepEqual([made.rootOfTrust, made.passphraseFile], ['pkcs11', undefined]);
    assert.deepEqual(readdirSync(join(data, 'root')).toSorted(), ['epoch.json', 'root.json']);
    await backupInstance(data, backup);
    const names = readdirSync(backup, { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((each) => /\.(json|sealed)$/.test(each)))
      assert.ok(!readFileSync(join(backup, name)).includes(token.pin), name);
    rmSync(join(data, 'state'), { recursive: true });
    rmSync(join(data, 'root'), { recursive: true });
    await assert.rejects(restoreInstance(data, backup), refusal('restore.root_unconfirmed'));
    mkdirSync(join(data, 'root'), { mode: 0o700 });
    copyFileSync(join(backup, 'root', 'root.json'), join(data, 'root', 'root.json'));
    await restoreInstance(data, backup);
    const instance = await open(data);
    assert.deepEqual([instance.recovery, instance.root.kind], [[], 'pkcs11']);
    await instance.close();
    const [shown] = (await showRoots(data)).roots;
    assert.match(shown?.module?.manufacturer ?? '', /SoftHSM/);
    assert.equal(shown?.certificate, '4985');
  },
);

test(
  'without its token an installation does not start, and starts once it is back [URS-008]',
  { skip },
  async (t) => {
    const token = makeToken(t);
    const settings = { ...token.settings, pinFile: join(token.folder, 'pin') };
    const data = join(makeFolder(t), 'data');
    await createInstance(data, 'evaluation', 'eu-central-1', undefined, settings);
    renameSync(token.tokens, `${token.tokens}-away`);
    await assert.rejects(open(data), refusal('root.unreachable'));
    renameSync(`${token.tokens}-away`, token.tokens);
    await (await open(data)).close();
  },
);

test(
  'an installation moves from a passphrase to a token, and uses its keys on while the token is away [URS-008] [URS-009]',
  { skip },
  async (t) => {
    const data = await makeInstance(t);
    const token = makeToken(t);
    const added = await addStandby(data, token.folder, token.settings);
    assert.equal(added.kind, 'pkcs11');
    await activateRoot(data, token.folder);
    assert.ok((await checkRoots(data)).roots.every(({ opens }) => opens));
    const instance = await open(data);
    assert.equal(instance.root.kind, 'pkcs11');
    renameSync(token.tokens, `${token.tokens}-away`);
    // What the root has unwrapped at start is all that keys need.
    assert.ok(instance.hierarchy.newTenantKey('11111111-1111-4111-8111-111111111111').key);
    await assert.rejects(instance.root.check(), refusal('root.unreachable'));
    await instance.close();
    assert.ok(existsSync(join(data, 'root', 'root.json')));
  },
);
