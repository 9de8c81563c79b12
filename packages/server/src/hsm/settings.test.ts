import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readHsmSettings } from './settings.ts';

const settings = { format: 1, module: '/usr/lib/module.so', token: { label: 'trialkeep' } };

test('the settings of the HSM name the file of the PIN, and never a PIN [URS-014]', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-hsm-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'hsm.json');
  const write = (content: object): void => writeFileSync(file, JSON.stringify(content));
  assert.equal(readHsmSettings(folder, {}), undefined);
  assert.throws(() => readHsmSettings(folder, { TRIALKEEP_HSM: file }), { code: 'data.unreadable' });
  write(settings);
  assert.equal(readHsmSettings(folder, {})?.pinFile, join(folder, 'hsm-pin'));
  assert.equal(readHsmSettings('/elsewhere', { TRIALKEEP_HSM: file })?.pinFile, join(folder, 'hsm-pin'));
  assert.equal(readHsmSettings(folder, { TRIALKEEP_HSM_PIN_FILE: '/pin' })?.pinFile, '/pin');
  write({ ...settings, pinFile: '/own' });
  assert.equal(readHsmSettings(folder, { TRIALKEEP_HSM_PIN_FILE: '/pin' })?.pinFile, '/own');
  for (const wrong of [
    { pin: '1234' },
    { token: {} },
    { module: 'module.so' },
    { processes: 5 },
    { sessions: 17 },
    { sameAs: 'token other, serial 1' },
    { keyLabel: 'a' },
    { environment: { LD_PRELOAD: '/x.so' } },
  ]) {
    write({ ...settings, ...wrong });
    assert.throws(() => readHsmSettings(folder, {}), { code: 'config.invalid' }, JSON.stringify(wrong));
  }
});
