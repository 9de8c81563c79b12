import assert from 'node:assert/strict';
import { chmodSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { init } from './init.ts';
import { defaultPassphraseFile, openKeys, readIdentity } from './keys.ts';
import { TestLog } from './log.fixture.ts';
import { addLog, listLogs, removeLog } from './logs.ts';
import { readTokens } from './mirror/tokens.ts';
import { configure, make, makeFolder, post, running, start } from './process.fixture.ts';

test('the keys open with their passphrase, and with no other [URS-008] [URS-034]', async (t) => {
  const folder = makeFolder(t);
  const made = await make(folder, 'witness', 'example.org/w1');
  const file = defaultPassphraseFile(folder);
  const opened = await openKeys(folder, file);
  assert.deepEqual(
    opened.keys.map(({ verifierKey }) => verifierKey),
    made.verifierKeys,
  );
  assert.deepEqual(readIdentity(folder).verifierKeys, made.verifierKeys);
  assert.match(made.verifierKeys[0] ?? '', /^example\.org\/w1\+[0-9a-f]{8}\+B[A-Za-z0-9+/=]+$/);

  const passphrase = readFileSync(file, 'utf8');
  writeFileSync(file, 'another one\n');
  await assert.rejects(openKeys(folder, file), { code: 'witness.passphrase_wrong' });
  writeFileSync(file, '\n');
  await assert.rejects(openKeys(folder, file), { code: 'witness.passphrase_missing' });
  writeFileSync(file, passphrase);
  chmodSync(file, 0o640);
  await assert.rejects(openKeys(folder, file), { code: 'witness.secret_exposed' });
  await assert.rejects(openKeys(folder, join(folder, 'none')), { code: 'witness.passphrase_missing' });
});

test('a key file that was changed does not open [URS-008] [URS-034]', async (t) => {
  const folder = makeFolder(t);
  await make(folder, 'witness', 'example.org/w1');
  const path = join(folder, 'keys.json');
  const text = readFileSync(path, 'utf8');
  const swap = (from: RegExp, to: string): void => writeFileSync(path, text.replace(from, to));
  swap(/example\.org\/w1\+/, 'example.org/w2+');
  await assert.rejects(openKeys(folder, defaultPassphraseFile(folder)), { code: 'witness.file_malformed' });
  swap(/"id": "../, '"id": "00');
  await assert.rejects(openKeys(folder, defaultPassphraseFile(folder)), { code: 'witness.passphrase_wrong' });
  for (const [from, to] of [
    [/"format": 1/, '"format": 2'],
    [/"memoryKiB": \d+/, '"memoryKiB": 99999999'],
    [/"role": "witness"/, '"role": "server"'],
    [/^\{/, '['],
    [/"wrapped": "A/, '"wrapped": "!'],
  ] as const) {
    swap(from, to);
    await assert.rejects(openKeys(folder, defaultPassphraseFile(folder)), { code: 'witness.file_malformed' });
  }
});

test('nothing of a new directory is for others, and none is made twice [URS-008]', async (t) => {
  const folder = makeFolder(t);
  await make(folder, 'mirror');
  for (const file of readdirSync(folder)) {
    if (file.startsWith('state') || file.endsWith('.lock')) continue;
    assert.equal(statSync(join(folder, file)).mode & 0o077, 0, file);
  }
  await assert.rejects(make(folder, 'mirror'), { code: 'witness.data_not_empty' });
  const tokens = join(folder, 'monitoring-tokens');
  assert.equal(readTokens(tokens).length, 1);
  for (const text of ['', 'short\n', `${'a'.repeat(40)} b\n`]) {
    writeFileSync(tokens, text);
    assert.throws(() => readTokens(tokens), { code: 'witness.token_missing' });
  }
  for (const name of ['', 'a b', 'a+b', 'x'.repeat(256)]) {
    const options = {
      role: 'witness',
      name,
      passphraseFile: join(folder, 'p'),
      tokenFile: join(folder, 't'),
    };
    const refused = init(makeFolder(t), { ...options, role: 'witness' });
    await assert.rejects(refused, { code: 'witness.key_name' }, name);
  }
});

test('logs are configured while the process runs, with several keys under rotation [URS-034]', async (t) => {
  const log = new TestLog().append(3);
  const { url, folder } = await running(t, 'witness', []);
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(0))).status, 404);
  const [ed25519 = '', mlDsa44 = ''] = log.verifierKeys;
  addLog(folder, [mlDsa44]);
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(0))).status, 200);
  const successor = new TestLog(log.origin);
  assert.deepEqual(addLog(folder, [ed25519, ...successor.verifierKeys]).keys.length, 4);
  assert.equal((await post(url, 'add-checkpoint', await log.append(1).addCheckpoint(3))).status, 200);
  for (const key of [ed25519, mlDsa44]) removeLog(folder, log.origin, key);
  assert.equal((await post(url, 'add-checkpoint', await log.append(1).addCheckpoint(4))).status, 403);
  removeLog(folder, log.origin);
  assert.deepEqual(listLogs(folder), []);
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(4))).status, 404);
  configure(folder, log);
  const again = await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  assert.deepEqual([again.status, again.text], [409, '4\n'], 'it does not begin anew');
});

test('keys that no log signs with are refused, and a damaged list stops the process [URS-034]', async (t) => {
  const folder = makeFolder(t);
  const made = await make(folder, 'witness');
  const log = new TestLog();
  const [witnessKey = ''] = made.verifierKeys;
  const [logKey = ''] = log.verifierKeys;
  for (const key of [witnessKey, 'x', logKey.slice(0, -2), `${logKey} `]) {
    assert.throws(() => addLog(folder, [key]), { code: 'witness.log_key' });
  }
  assert.throws(() => addLog(folder, [logKey], 'a\nb'), { code: 'witness.log_key' });
  assert.throws(() => removeLog(folder, log.origin), { code: 'witness.log_unknown' });
  assert.deepEqual(addLog(folder, [logKey], 'example.org/other name').origin, 'example.org/other name');
  writeFileSync(join(folder, 'logs.json'), '{"logs":[{"origin":"a","keys":[]}]}');
  await assert.rejects(start(folder, 'witness'), { code: 'witness.file_malformed' });
});
