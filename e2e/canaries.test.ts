import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { formsOf, placesIn, ProcessWatch, sightings } from './canaries.ts';
import type { Canary } from './canaries.ts';
import { makeFolder, trialkeep } from './harness.ts';

test('the search finds what is planted, in every form and place', async () => {
  const [secret, key] = [`control-${randomBytes(12).toString('hex')}`, randomBytes(32)];
  const controls: Canary[] = [
    { name: 'text', secret },
    { name: 'key', secret: key },
    { name: 'name', secret: 'Grażyna Wójcik' },
  ];
  const around = (form: Uint8Array): Buffer => Buffer.concat([randomBytes(1000), form, randomBytes(1000)]);
  for (const canary of controls) {
    for (const form of formsOf(canary.secret)) {
      assert.deepEqual(sightings(controls, [['here', around(form)]]), [`${canary.name} in here`]);
    }
    const bytes = Buffer.from(canary.secret as string);
    for (const offset of [0, 1, 2]) {
      const encoded = Buffer.from(
        Buffer.concat([randomBytes(9 + offset), bytes, randomBytes(9)]).toString('base64'),
      );
      assert.deepEqual(sightings(controls, [['base64', encoded]]), [`${canary.name} in base64`]);
    }
  }
  assert.deepEqual(sightings(controls, [['noise', randomBytes(1_000_000)]]), []);
  const code: Canary = { name: 'code', secret: '482913', alone: true };
  for (const text of ['{"code":"482913"}', 'totp=482913&', 'password\n482913\n', '482913']) {
    assert.deepEqual(sightings([code], [['here', Buffer.from(text)]]), ['code in here'], text);
  }
  for (const text of ['"time":1748291300', '0.482913', '482913e']) {
    assert.deepEqual(sightings([code], [['here', Buffer.from(text)]]), [], text);
  }
  assert.deepEqual(
    sightings([{ name: 'text', secret, allowedIn: ['file'] }], [['a/file', Buffer.from(secret)]]),
    [],
  );

  const folder = makeFolder();
  const database = new DatabaseSync(join(folder, 'control.db'));
  database.exec('pragma journal_mode = wal; create table control (value text)');
  database.prepare('insert into control values (?)').run(secret);
  mkdirSync(join(folder, secret));
  writeFileSync(join(folder, secret, 'empty'), '');
  const found = sightings(controls, placesIn(folder));
  database.close();
  assert.ok(
    found.some((line) => line.endsWith('control.db-wal')) &&
      found.some((line) => line.includes('the name of')),
  );

  const controlWatch = new ProcessWatch();
  await trialkeep(['key', 'list', '--profile', secret], {
    env: { TRIALKEEP_CREDENTIAL: key.toString('hex') },
    onStart: (processId) => controlWatch.follow(processId),
  });
  controlWatch.stop();
  assert.deepEqual(
    new Set(sightings(controls, controlWatch.places)),
    new Set(['text in cmdline of a process', 'key in environ of a process']),
  );
});
