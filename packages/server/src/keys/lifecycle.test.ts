import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyState } from '@trialkeep/contract';
import fc from 'fast-check';
import { makeTenant, refusal, shareServer } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { OperationError } from '../platform/errors.ts';

const shared = shareServer();
const plaintext = Buffer.from('a value').toString('base64');
const hourMs = 3_600_000;

/** What a key is and may, written down from SP 800-57 part 1 apart from the server's tables. */
interface ModelKey {
  state: 'active' | 'suspended' | 'deactivated' | 'compromised';
  version: number;
  revoked: boolean;
  readonly activatesAt: number;
  readonly expiresAt: number;
}
interface Real {
  readonly server: TestServer;
  readonly custodian: string;
  readonly service: string;
  readonly recovery: string;
  readonly key: string;
  /** Under each version, made while the key was active. */
  readonly ciphertexts: string[];
}
type Command = fc.AsyncCommand<ModelKey, Real>;

function stateOf({ state, activatesAt, expiresAt }: ModelKey, now: number): KeyState {
  if (state !== 'active') return state;
  if (now < activatesAt) return 'pre-activation';
  return now < expiresAt ? 'active' : 'deactivated';
}

/**
 * The time by which changes are decided: a clock that was set back does not take the ledger with it. What is asked is authorised by
 * the clock, and decided by the ledger's time once more.
 */
let ledgerTime = 0;

/** A command that can always be tried. `act` gives the code of the refusal that is right, or undefined after changing the model. */
function command(
  name: string,
  act: (model: ModelKey, now: number, decided: number) => string | undefined,
  run: (real: Real) => Promise<unknown>,
): Command {
  return {
    check: () => true,
    run: async (model, real) => {
      const { server, custodian, key } = real;
      ledgerTime = Math.max(ledgerTime, server.clock.time);
      const code = act(model, server.clock.time, ledgerTime);
      if (code === undefined) await run(real);
      else await assert.rejects(run(real), refusal(code), name);
      const { key: shown } = await server.admit('keys.show', custodian, { key });
      assert.equal(shown.state, stateOf(model, server.clock.time), name);
      assert.deepEqual([shown.version, shown.revocation !== null], [model.version, model.revoked], name);
    },
    toString: () => name,
  };
}

const undefinedTransition = 'key.transition_undefined';

function change(name: 'suspend' | 'resume', from: KeyState, to: 'suspended' | 'active'): Command {
  return command(
    name,
    (model, _now, decided) => {
      if (stateOf(model, decided) !== from) return undefinedTransition;
      model.state = to;
      return undefined;
    },
    ({ server, custodian, key }) => server.admit(`keys.${name}`, custodian, { key, reason: 'model' }),
  );
}

const rotate = command(
  'rotate',
  (model, _now, decided) => {
    if (stateOf(model, decided) !== 'active') return undefinedTransition;
    model.version++;
    return undefined;
  },
  ({ server, custodian, key }) => server.admit('keys.rotate', custodian, { key }),
);

const revoke = (cause: 'breach' | 'cessation'): Command =>
  command(
    `revoke for ${cause}`,
    (model) => {
      if (model.state === 'compromised') return undefinedTransition;
      model.state = cause === 'breach' ? 'compromised' : 'deactivated';
      model.revoked = true;
      return undefined;
    },
    ({ server, custodian, key }) => server.admit('keys.revoke', custodian, { key, cause, reason: 'model' }),
  );

const encrypt = command(
  'encrypt',
  (model, now, decided) => {
    if (model.revoked) return 'key.revoked';
    const isActive = [now, decided].every((time) => stateOf(model, time) === 'active');
    return isActive ? undefined : 'key.unusable';
  },
  async ({ server, service, key, ciphertexts }) => {
    const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext });
    ciphertexts.push(ciphertext);
  },
);

/** Opens everything that the key ever protected, whatever its version. */
async function openAll({ server, key, ciphertexts }: Real, credential: string, reason?: string) {
  const open = async (ciphertext: string) =>
    server.admit('keys.decrypt', credential, { key, ciphertext, ...(reason !== undefined && { reason }) });
  for (const ciphertext of ciphertexts) assert.equal((await open(ciphertext)).plaintext, plaintext);
  if (ciphertexts.length > 0) return;
  // Where there is nothing to open, who may open is told that this is no ciphertext, and who may not is refused before.
  await open('AAAA').catch((error: unknown) => {
    if (!(error instanceof OperationError && error.code === 'ciphertext.invalid')) throw error;
  });
}

const decrypt = command(
  'decrypt',
  (model, now) => {
    if (model.revoked) return 'key.revoked';
    const state = stateOf(model, now);
    return state === 'active' || state === 'deactivated' ? undefined : 'key.unusable';
  },
  async (real) => openAll(real, real.service),
);

const recover = command(
  'decrypt as data recovery',
  (model, now) => {
    const state = stateOf(model, now);
    return state === 'deactivated' || state === 'compromised' ? undefined : 'key.unusable';
  },
  async (real) => openAll(real, real.recovery, 'model'),
);

/** Lets time pass, or sets the clock back. */
const wait = (hours: number): Command => ({
  check: () => true,
  run: async (_model, { server }) => void (server.clock.time += hours * hourMs),
  toString: () => `wait ${hours} h`,
});

const commands = fc.commands(
  [
    fc.constant(rotate),
    fc.constant(change('suspend', 'active', 'suspended')),
    fc.constant(change('resume', 'suspended', 'active')),
    fc.constantFrom(revoke('breach'), revoke('cessation')),
    fc.constant(encrypt),
    fc.constant(decrypt),
    fc.constant(recover),
    fc.integer({ min: 1, max: 6 }).map(wait),
    fc.integer({ min: -8, max: -1 }).map(wait),
  ],
  { maxCommands: 24 },
);

test('whatever is done to a key in whatever order, it is and permits what SP 800-57 says [URS-002] [URS-003] [URS-004]', async () => {
  const server = await shared();
  const { custodian, system } = await makeTenant(server);
  const dates = fc.record({
    activates: fc.option(fc.nat(10)),
    expires: fc.option(fc.integer({ min: 11, max: 40 })),
  });
  await fc.assert(
    fc.asyncProperty(dates, commands, async ({ activates, expires }, sequence) => {
      const now = server.clock.time;
      const activatesAt = activates === null ? undefined : now + activates * hourMs;
      const expiresAt = expires === null ? undefined : now + expires * hourMs;
      const made = await server.admit('keys.create', custodian, {
        system,
        ...(activatesAt !== undefined && { activatesAt }),
        ...(expiresAt !== undefined && { expiresAt }),
      });
      const service = await issue(server, custodian, { role: 'service', system, keys: [made.id] });
      const recovery = await issue(server, custodian, {
        role: 'data-recovery',
        expiresAt: now + 1000 * hourMs,
      });
      await fc.asyncModelRun(
        () => ({
          model: {
            state: 'active' as const,
            version: 1,
            revoked: false,
            activatesAt: activatesAt ?? 0,
            expiresAt: expiresAt ?? Infinity,
          },
          real: { server, custodian, service, recovery, key: made.id, ciphertexts: [] },
        }),
        sequence,
      );
    }),
    { numRuns: 40 },
  );
});

async function issue(
  server: TestServer,
  custodian: string,
  input: { role: 'service' | 'data-recovery'; system?: string; keys?: string[]; expiresAt?: number },
): Promise<string> {
  return (await server.admit('credentials.issue', custodian, { name: 'model', ...input })).secret;
}

test('dates of a new key that make no sense are refused [URS-002]', async () => {
  const server = await shared();
  const { custodian, system } = await makeTenant(server);
  const now = server.clock.time;
  const refused: [object, string][] = [
    [{ activatesAt: now - 1 }, 'date.past'],
    [{ expiresAt: now }, 'date.past'],
    [{ activatesAt: now + 10, expiresAt: now + 10 }, 'date.order'],
    [{ activatesAt: now + 10, expiresAt: now + 9 }, 'date.order'],
    [{ expiresAt: 8_640_000_000_000_001 }, 'request.invalid'],
    [{ activatesAt: 1.5 }, 'request.invalid'],
    [{ rotationPeriodDays: 59 }, 'request.invalid'],
    [{ rotationPeriodDays: 181 }, 'request.invalid'],
  ];
  for (const [dates, code] of refused) {
    await assert.rejects(server.admit('keys.create', custodian, { system, ...dates }), refusal(code));
  }
  const { keys } = await server.admit('keys.list', custodian, {});
  assert.equal(keys.length, 1);
});

test('a version that was rotated out decrypts and encrypts nothing new [URS-003]', async () => {
  const server = await shared();
  const { custodian, key, service } = await makeTenant(server);
  const first = await server.admit('keys.encrypt', service, { key, plaintext });
  await server.admit('keys.rotate', custodian, { key });
  const second = await server.admit('keys.encrypt', service, { key, plaintext });
  for (const { ciphertext, version } of [first, second]) {
    const opened = await server.admit('keys.decrypt', service, { key, ciphertext });
    assert.deepEqual([opened.plaintext, opened.version], [plaintext, version]);
  }
  const { versions } = await server.admit('keys.show', custodian, { key });
  assert.deepEqual(
    versions.map(({ version, state }) => [version, state]),
    [
      [1, 'deactivated'],
      [2, 'active'],
    ],
  );
});

test('old versions process until their recipient usage period is over, and data recovery reads on [URS-002] [URS-003]', async () => {
  const server = await shared();
  // Other tests set the clock back, and periods begin by the ledger's time.
  server.clock.time = Math.max(server.clock.time, ledgerTime);
  const { custodian, system } = await makeTenant(server);
  const { id: key } = await server.admit('keys.create', custodian, { system, recipientPeriodDays: 30 });
  const service = await issue(server, custodian, { role: 'service', system, keys: [key] });
  const { ciphertext: old } = await server.admit('keys.encrypt', service, { key, plaintext });
  await server.admit('keys.rotate', custodian, { key });
  const rotatedAt = server.clock.time;
  const { ciphertext: current } = await server.admit('keys.encrypt', service, { key, plaintext });
  const open = (ciphertext: string) => server.admit('keys.decrypt', service, { key, ciphertext });

  server.clock.time = rotatedAt + 29 * 24 * hourMs;
  assert.equal((await open(old)).version, 1);
  server.clock.time = rotatedAt + 31 * 24 * hourMs;
  await assert.rejects(open(old), refusal('key.recipient_period_over'));
  assert.equal((await open(current)).version, 2);
  const reason = 'It is still needed.';
  await server.admit('keys.set-rotation', custodian, { key, recipientPeriodDays: null, reason });
  assert.equal((await open(old)).version, 1);
  await server.admit('keys.set-rotation', custodian, { key, recipientPeriodDays: 30, reason });
  await assert.rejects(open(old), refusal('key.recipient_period_over'));

  await server.admit('keys.revoke', custodian, { key, cause: 'cessation', reason });
  const expiresAt = server.clock.time + 1000 * hourMs;
  const recovery = await issue(server, custodian, { role: 'data-recovery', expiresAt });
  const read = await server.admit('keys.decrypt', recovery, { key, ciphertext: old, reason });
  assert.equal(read.plaintext, plaintext);
});
