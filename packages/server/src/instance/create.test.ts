import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { contentOf, create, makeFolder, open, refusal } from './fixture.test.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

test('of several installations made in one place at once there is one, and the others are refused', async (t) => {
  const folder = makeFolder(t);
  const data = join(folder, 'data');
  const results = await Promise.allSettled([create(data), create(data), create(data)]);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const result of results) {
    if (result.status === 'rejected')
      assert.ok(refusal('data.not_empty')(result.reason), String(result.reason));
  }
  assert.deepEqual(readdirSync(folder), ['data']);
  const instance = await open(data);
  assert.deepEqual(instance.recovery, []);
  await instance.close();
});

test('an installation is not made over a file', async (t) => {
  const folder = makeFolder(t);
  const data = join(folder, 'data');
  writeFileSync(data, 'something');
  await assert.rejects(create(data), refusal('data.not_empty'));
  assert.equal(readFileSync(data, 'utf8'), 'something');
  assert.deepEqual(readdirSync(folder), ['data']);
});

/** Makes an installation in a process of its own, with a folder of epoch keys that nodes share. */
function init(data: string, epochs: string, more: Record<string, string> = {}) {
  const env = { ...process.env, TRIALKEEP_EPOCH_FOLDER: epochs, ...more };
  const args = [main, 'init', '--data', data];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

test('an installation is not made over the epoch keys of another, and takes back only its own [URS-037] [URS-083]', (t) => {
  const folder = makeFolder(t);
  const epochs = join(folder, 'epochs');
  const missing = init(join(folder, 'none'), epochs);
  assert.ok(missing.status !== 0 && missing.said.includes('data.unreadable'), missing.said);
  mkdirSync(epochs);
  assert.equal(init(join(folder, 'first'), epochs).status, 0);
  const before = contentOf(epochs);
  assert.deepEqual(Object.keys(before), ['epoch.json']);
  const second = init(join(folder, 'second'), epochs);
  assert.ok(second.status !== 0 && second.said.includes('root.epochs_present'), second.said);
  assert.deepEqual(contentOf(epochs), before);
  assert.deepEqual(readdirSync(folder).toSorted(), ['epochs', 'first']);
  // Other epochs, and what cannot be read, count as well.
  renameSync(join(epochs, 'epoch.json'), join(epochs, 'epoch-7.json'));
  writeFileSync(join(epochs, 'epoch-7.json'), 'unreadable');
  assert.ok(init(join(folder, 'second'), epochs).said.includes('root.epochs_present'));
  assert.deepEqual(readdirSync(epochs), ['epoch-7.json']);
  // Refused after the key was made: by the place, which somebody took meanwhile.
  rmSync(join(epochs, 'epoch-7.json'));
  const third = join(folder, 'third');
  const taking = `data:text/javascript,import fs from 'node:fs';import { syncBuiltinESMExports } from 'node:module';
    const real = fs.linkSync;
    fs.linkSync = (from, to) => { real(from, to); fs.mkdirSync(${JSON.stringify(third)}); fs.writeFileSync(${JSON.stringify(join(third, 'x'))}, ''); };
    syncBuiltinESMExports();`;
  const refused = init(third, epochs, { NODE_OPTIONS: `--import=${JSON.stringify(encodeURI(taking))}` });
  assert.ok(refused.status !== 0 && refused.said.includes('data.not_empty'), refused.said);
  assert.deepEqual(readdirSync(epochs), []);
});
