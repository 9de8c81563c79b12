import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCalls } from './calls.ts';
import { readSource } from './source.ts';

const product = 'packages/server/src/keys/service.ts';

async function messages(code: string, path = product): Promise<string[]> {
  return checkCalls(await readSource(path, code)).map((finding) => finding.message);
}

async function refuses(code: string, message: RegExp, path = product): Promise<void> {
  const found = await messages(code, path);
  assert.equal(found.length, 1, `${code} → ${JSON.stringify(found)}`);
  assert.match(found[0] ?? '', message);
}

async function allows(code: string, path = product): Promise<void> {
  assert.deepEqual(await messages(code, path), [], code);
}

test('the clock is read only where it may be', async () => {
  for (const code of ['Date.now()', 'new Date()', 'performance.now()', 'process.hrtime.bigint()']) {
    await refuses(code, /reads the clock/);
    for (const path of [
      'packages/server/src/platform/clock.ts',
      'packages/cli/src/main.ts',
      'bench/seal.ts',
    ]) {
      await allows(code, path);
    }
    await allows(code, 'packages/sdk/src/seal/seal.test.ts');
  }
  await allows('new Date(time); clock.now(); const text = "Date.now()"; // Date.now()');
});

test('Math.random is refused everywhere', async () => {
  await refuses('const id = Math.random();', /seeded/);
  await refuses('Math.random()', /seeded/, 'e2e/a.test.ts');
});

test('an authenticated cipher fixes the length of its tag', async () => {
  await refuses('createCipheriv(suite.cipher, key, iv)', /authTagLength/);
  await refuses("crypto.createDecipheriv('aes-256-gcm', key, iv, options)", /authTagLength/);
  await allows("createCipheriv('aes-256-gcm', key, iv, { authTagLength: 16 })");
  await allows('const options = { authTagLength: 16 }; createCipheriv(suite.cipher, key, iv, options)');
  await allows("createCipheriv('id-aes256-wrap-pad', key, iv)");
});

test('secrets are compared in constant time', async () => {
  for (const code of ['a.mac === b', 'wantedTag !== row.tag', 'this.#secret == given', 'tag.equals(other)']) {
    await refuses(code, /timingSafeEqual/);
  }
  await allows(
    'mac === undefined || tag.length === 16 || secret === null || stage === other || kind === "tag"',
  );
});

test('no test hides others or is skipped without a reason', async () => {
  const path = 'e2e/a.test.ts';
  await refuses("test.only('x', () => {})", /hides tests/, path);
  await refuses("describe.skip('x', () => {})", /hides tests/, path);
  await refuses("test.todo('x')", /hides tests/, path);
  await refuses("test('x', { only: true }, () => {})", /hides the other/, path);
  await refuses("test('x', { skip: true }, () => {})", /without a reason/, path);
  await refuses("test('x', { skip: !present }, () => {})", /without a reason/, path);
  await refuses("test('x', (t) => t.skip())", /without a reason/, path);
  await allows("test('x', { skip: present ? false : 'no data' }, (t) => t.skip('no browser here'))", path);
  await allows("test('x', { skip: reason }, () => {})", path);
  await allows('reader.skip()');
});
