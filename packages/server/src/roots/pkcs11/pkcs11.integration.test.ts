import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { generateKey } from '@trialkeep/crypto';
import { idBytes, newId } from '../../platform/ids.ts';
import { freshPlace, rootConformance } from '../conformance.fixture.test.ts';
import type { RootUnderTest } from '../conformance.fixture.test.ts';
import { createRoot, makeRoot, openRoot, openRootOnly } from '../open.ts';
import type { RootOfTrust } from '../root.ts';
import { ModuleProcess } from './module-process.ts';
import type { Reply } from './protocol.ts';
import { pinFileOf } from './settings.ts';
import { makeToken, skip } from '../../hsm-token.fixture.test.ts';

/** Closes a root after the test. */
function kept(t: TestContext, root: RootOfTrust): RootOfTrust {
  t.after(() => root.close());
  return root;
}

for (const mechanism of ['aes-gcm', 'aes-kwp'] as const) {
  rootConformance(
    `PKCS#11 (${mechanism})`,
    async (t): Promise<RootUnderTest> => {
      const { folder, pin, settings, tokens } = makeToken(t, { mechanism });
      return {
        create: async () => kept(t, await makeRoot(folder, settings)),
        open: async () => kept(t, await openRootOnly(folder)),
        breakIt: async () => renameSync(tokens, `${tokens}-away`),
        mendIt: async () => renameSync(`${tokens}-away`, tokens),
        secrets: [pin],
      };
    },
    { skip },
  );
}

test(
  'the key is made in the token, names its module, and cannot be taken out [URS-001] [URS-008]',
  { skip },
  async (t) => {
    const { folder, settings } = makeToken(t, { certificate: '4985' });
    const { root } = await createRoot(folder, settings);
    kept(t, root);
    assert.match(root.module?.manufacturer ?? '', /SoftHSM/);
    assert.match(root.module?.version ?? '', /^firmware \d+\.\d+, library \d+\.\d+$/);
    const described = JSON.parse(readFileSync(join(folder, 'root.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual([described['mechanism'], described['certificate']], ['aes-gcm', '4985']);
    await openRoot(folder).then(({ root: again }) => again.close());
  },
);

/** Has every login of this process, and of those that it starts, written down. @returns how many there were */
function countLogins(t: TestContext, folder: string): () => number {
  const file = join(folder, 'logins');
  const script = `
    import { appendFileSync } from 'node:fs';
    import { createRequire } from 'node:module';
    const { PKCS11 } = createRequire(${JSON.stringify(import.meta.url)})('pkcs11js');
    const login = PKCS11.prototype.C_Login;
    PKCS11.prototype.C_Login = function (...given) {
      appendFileSync(${JSON.stringify(file)}, '.');
      return login.apply(this, given);
    };`;
  const before = process.env['NODE_OPTIONS'];
  process.env['NODE_OPTIONS'] =
    `${before ?? ''} --import=data:text/javascript,${encodeURIComponent(script)}`.trim();
  t.after(() => {
    if (before === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = before;
  });
  return () => (existsSync(file) ? readFileSync(file).length : 0);
}

test(
  'a wrong PIN is tried once by everything that opens the token, and not again until the file changes [URS-008]',
  { skip },
  async (t) => {
    const { folder, pin, settings, environment } = makeToken(t);
    const made = await makeRoot(folder, settings);
    await made.close();
    const file = join(folder, 'pin');
    writeFileSync(file, 'nonsense\n');
    const parts = settings as unknown as { module: string; token: { label: string } };
    const address = { module: parts.module, token: parts.token, pinFile: file, keyId: idBytes(made.id) };
    const held = new ModuleProcess({ address, sessions: 8, timeoutMs: 60_000, environment });
    t.after(() => held.close());
    const check = { ask: 'check', mechanism: 'aes-gcm' } as const;
    const logins = countLogins(t, folder);
    const several = [0, 1, 2, 3].map(() => held.ask(check));
    const all = [...several, openRootOnly(folder), openRootOnly(folder)];
    await Promise.all(all.map((tried) => assert.rejects(tried, { code: 'root.refused' })));
    assert.equal(logins(), 1);
    await held.close();
    const later = new ModuleProcess({ address, sessions: 2, timeoutMs: 60_000, environment });
    t.after(() => later.close());
    await assert.rejects(later.ask(check), { code: 'root.refused' });
    assert.equal(later.processId, undefined);
    assert.equal(logins(), 1);
    rmSync(file);
    writeFileSync(file, `${pin} \n`, { mode: 0o600 });
    assert.equal(await later.ask(check), true);
    assert.equal(logins(), 2);
  },
);

test(
  'of what is asked at once in the process of a module, one alone has a wrong PIN tried [URS-008]',
  { skip },
  async (t) => {
    const { folder, settings, environment } = makeToken(t);
    const made = await makeRoot(folder, settings);
    await made.close();
    writeFileSync(join(folder, 'pin'), 'nonsense\n');
    const parts = settings as unknown as { module: string; token: { label: string } };
    const pinFile = join(folder, 'pin');
    const address = { module: parts.module, token: parts.token, pinFile, keyId: idBytes(made.id) };
    const logins = countLogins(t, folder);
    const worker = fork(new URL('./worker.ts', import.meta.url), [], {
      // Nothing of what the runner of tests was started with.
      execArgv: [],
      env: { ...process.env, ...environment },
      serialization: 'advanced',
    });
    t.after(() => worker.kill('SIGKILL'));
    await once(worker, 'message');
    const replies: Reply[] = [];
    const all = new Promise<void>((resolve) =>
      worker.on('message', (reply: Reply) => replies.push(reply) === 16 && resolve()),
    );
    for (let id = 0; id < 16; id += 1)
      worker.send({ id, address, question: { ask: 'check', mechanism: 'aes-gcm' } });
    await all;
    assert.ok(replies.every((reply) => 'error' in reply && reply.error.isPinRefused));
    assert.equal(logins(), 1);
  },
);

test('the environment names the PIN file where the settings do not, of the root that is started with [URS-008]', () => {
  process.env['TRIALKEEP_PIN_FILE'] = '/elsewhere/pin';
  try {
    const first = { secretsFolder: '/secrets', isFirst: true };
    assert.equal(pinFileOf({}, first), '/elsewhere/pin');
    assert.equal(pinFileOf({ pinFile: '/own/pin' }, first), '/own/pin');
    assert.equal(pinFileOf({}, { ...first, isFirst: false }), '/secrets/pin');
  } finally {
    delete process.env['TRIALKEEP_PIN_FILE'];
  }
});

test(
  'PIN files that are missing, empty or readable by others are refused by name [URS-008]',
  { skip },
  async (t) => {
    const { folder, pin, settings } = makeToken(t);
    await (await makeRoot(folder, settings)).close();
    const file = join(folder, 'pin');
    const cases = [
      ['root.pin_missing', '', 0o600],
      ['root.pin_exposed', pin, 0o644],
    ] as const;
    for (const [code, content, mode] of cases) {
      rmSync(file, { force: true });
      writeFileSync(file, content, { mode });
      await assert.rejects(openRootOnly(folder), { code });
    }
    rmSync(file);
    await assert.rejects(openRootOnly(folder), { code: 'root.pin_missing' });
  },
);

test(
  'a module that hangs is given up after its time, one that crashes at once, and both are replaced [URS-009]',
  { skip },
  async (t) => {
    const { folder, settings, environment } = makeToken(t);
    const made = await makeRoot(folder, settings);
    await made.close();
    const parts = settings as unknown as { module: string; token: { label: string } };
    const pinFile = join(folder, 'pin');
    const address = { module: parts.module, token: parts.token, pinFile, keyId: idBytes(made.id) };
    const held = new ModuleProcess({ address, sessions: 2, timeoutMs: 5_000, environment });
    t.after(() => held.close());
    const check = { ask: 'check', mechanism: 'aes-gcm' } as const;
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
      await answered(held, check);
      const first = held.processId ?? assert.fail();
      process.kill(first, signal);
      await assert.rejects(Promise.all([held.ask(check), held.ask(check)]), { code: 'root.unreachable' });
      await answered(held, check);
      assert.notEqual(held.processId, first);
    }
  },
);

async function answered(held: ModuleProcess, check: Parameters<ModuleProcess['ask']>[0]): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await held.ask(check);
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await pause(200);
    }
  }
}

test(
  'several roots of one token are open at once and keep apart; a key that was deleted is named [URS-009]',
  { skip },
  async (t) => {
    const token = makeToken(t);
    const other = join(token.folder, 'other');
    const one = kept(t, await makeRoot(token.folder, token.settings));
    mkdirSync(other);
    writeFileSync(join(other, 'pin'), token.pin, { mode: 0o600 });
    const two = kept(t, await makeRoot(other, token.settings));
    const place = freshPlace();
    const key = generateKey('AES_256');
    const wrapped = await one.wrap(place, key);
    await assert.rejects(two.unwrap(place, wrapped), { code: 'root.wrong' });
    assert.ok(key.equals(await one.unwrap(place, wrapped)));
    const file = join(other, 'root.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace(two.id, newId()));
    await assert.rejects(openRootOnly(other), { code: 'root.key_gone' });
  },
);

test(
  'settings that name no token, a relative library or a PIN are refused before anything is loaded [URS-008]',
  { skip },
  async (t) => {
    const { folder, settings } = makeToken(t);
    const wrong: [string, object][] = [
      ['config.invalid', { token: {} }],
      ['config.invalid', { module: 'libsofthsm2.so' }],
      ['config.invalid', { pin: '1234' }],
      ['config.invalid', { mechanism: 'aes-cbc-pad' }],
      ['config.invalid', { keyLabel: '' }],
      ...['LD_PRELOAD', 'NODE_OPTIONS', 'PATH', 'GCONV_PATH', 'softhsm2_conf', 'SOFTHSM2_CONF_X'].map(
        (name): [string, object] => ['config.invalid', { environment: { [name]: '/nowhere/library.so' } }],
      ),
      ['root.unreachable', { module: '/nowhere/library.so' }],
      ['root.unreachable', { token: { label: 'another' } }],
    ];
    for (const [code, change] of wrong)
      await assert.rejects(makeRoot(folder, { ...settings, ...change }), { code }, JSON.stringify(change));
    assert.deepEqual(readdirSync(folder), ['pin']);
  },
);
