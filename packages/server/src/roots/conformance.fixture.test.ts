import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';
import { generateKey } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { StartupError } from '../platform/errors.ts';
import type { StartupErrorCode } from '../platform/errors.ts';
import { Epochs } from './epochs.ts';
import { copyEpochs } from './followed-epochs.ts';
import { createRoot } from './open.ts';
import type { RootOfTrust } from './root.ts';

/** One root of trust in a place of its own; whatever it leaves is removed after the test, its opened roots closed. */
export interface RootUnderTest {
  /** Makes it. Called once, before everything else. */
  create(): Promise<RootOfTrust>;
  /** Opens it as a new process would. */
  open(): Promise<RootOfTrust>;
  /** Makes the module stop to answer, or lose the key for a time; called while a root is open. */
  breakIt?(): Promise<void>;
  mendIt?(): Promise<void>;
  /** What no error may contain: passphrase, PIN, credentials. */
  readonly secrets: readonly string[];
}

export interface ConformanceOptions {
  /** The code with which a foreign or altered key is refused. */
  readonly wrong?: StartupErrorCode;
  /** Where the tests cannot run here, the reason. */
  readonly skip?: string | false;
  /** How many changes of a wrapped key are tried: fewer where each is a question to a service. */
  readonly samples?: number;
  /** Whether there is a module beside the process, which can go away while that runs; then `breakIt` and `mendIt` are there. */
  readonly hasModule?: boolean;
}

const gone: readonly StartupErrorCode[] = ['root.unreachable', 'root.key_gone', 'root.refused'];
/** A module that has come back is found within this time, also on a slow machine. */
const mendedWithinMs = 60_000;

/** A place like those that roots wrap for. */
export function freshPlace(kind: 'instance' | 'epoch' | 'backup' = 'instance'): KeyPlace {
  const purpose = kind === 'backup' ? 'encrypt' : 'wrap';
  return { kind, tenantId: new Uint8Array(16), keyId: randomBytes(16), versionId: randomBytes(16), purpose };
}

/** Registers the tests that every root of trust must pass (URS-009). `make` gives another root each time. */
export function rootConformance(
  name: string,
  make: (t: TestContext) => Promise<RootUnderTest>,
  options: ConformanceOptions = {},
): void {
  const { wrong = 'root.wrong', skip = false, samples = 24, hasModule = true } = options;
  const suite = { make, wrong, samples };
  const register = (title: string, body: (t: TestContext, suite: Suite) => Promise<void>): void => {
    test(`${name}: ${title}`, { skip }, (t) => body(t, suite));
  };
  register('a key opens at its place and nowhere else [URS-008] [URS-009] [URS-049]', opensAtItsPlace);
  register('what another root wrapped is refused [URS-008] [URS-009]', refusesAnother);
  register('a changed, cut or lengthened wrapped key is refused [URS-008] [URS-009]', refusesAltered);
  register('closed and opened again it is the same root [URS-009]', opensAgain);
  register('many at once get their own answers [URS-009]', answersMany);
  register(
    'as a stand-by it has the epoch keys of another root, and loses the retired ones [URS-008] [URS-009]',
    standsBy,
  );
  if (hasModule) {
    register('a module that is gone is named, and found again without restart [URS-009]', comesBack);
  }
}

interface Suite {
  readonly make: (t: TestContext) => Promise<RootUnderTest>;
  readonly wrong: StartupErrorCode;
  readonly samples: number;
}

async function opensAtItsPlace(t: TestContext, { make, wrong }: Suite): Promise<void> {
  const subject = await make(t);
  const root = await subject.create();
  await root.check();
  for (const kind of ['instance', 'epoch', 'backup'] as const) {
    const place = freshPlace(kind);
    const key = generateKey('AES_256');
    const wrapped = await root.wrap(place, key);
    assert.ok(key.equals(await root.unwrap(place, wrapped)), kind);
    assert.ok(!Buffer.from(wrapped).includes(key.export()), 'A wrapped key does not hold the key.');
    const elsewhere: Partial<KeyPlace>[] = [
      { kind: kind === 'epoch' ? 'instance' : 'epoch', purpose: 'wrap' },
      { tenantId: randomBytes(16) },
      { keyId: randomBytes(16) },
      { versionId: randomBytes(16) },
      { purpose: kind === 'backup' ? 'wrap' : 'encrypt' },
    ];
    for (const change of elsewhere)
      await refuses(subject, () => root.unwrap({ ...place, ...change }, wrapped), [wrong]);
  }
}

async function refusesAnother(t: TestContext, { make, wrong }: Suite): Promise<void> {
  const subject = await make(t);
  const [one, two] = [await subject.create(), await (await make(t)).create()];
  assert.notEqual(one.id, two.id);
  const place = freshPlace();
  const wrapped = await two.wrap(place, generateKey('AES_256'));
  await refuses(subject, () => one.unwrap(place, wrapped), [wrong]);
}

async function refusesAltered(t: TestContext, { make, wrong, samples }: Suite): Promise<void> {
  const subject = await make(t);
  const root = await subject.create();
  const place = freshPlace();
  const wrapped = Buffer.from(await root.wrap(place, generateKey('AES_256')));
  const step = Math.max(1, (wrapped.length - 1) / (samples - 1));
  for (let at = 0; Math.round(at) < wrapped.length; at += step) {
    const altered = Buffer.from(wrapped);
    const offset = Math.round(at);
    altered[offset] = (altered[offset] ?? 0) ^ (1 << randomInt(8));
    await refuses(subject, () => root.unwrap(place, altered), [wrong]);
  }
  const forms = [
    new Uint8Array(0),
    wrapped.subarray(0, 1),
    wrapped.subarray(0, -1),
    wrapped.subarray(1),
    Buffer.concat([wrapped, Buffer.of(0)]),
    Buffer.alloc(wrapped.length),
    randomBytes(100_000),
  ];
  for (const form of forms) await refuses(subject, () => root.unwrap(place, form), [wrong]);
  await root.check();
}

async function opensAgain(t: TestContext, { make }: Suite): Promise<void> {
  const subject = await make(t);
  const first = await subject.create();
  const place = freshPlace();
  const key = generateKey('AES_256');
  const wrapped = await first.wrap(place, key);
  await first.close();
  await first.close();
  const again = await subject.open();
  assert.deepEqual([again.id, again.kind], [first.id, first.kind]);
  await again.check();
  assert.ok(key.equals(await again.unwrap(place, wrapped)));
  assert.ok(key.equals(await again.unwrap(place, await again.wrap(place, key))));
}

async function answersMany(t: TestContext, { make }: Suite): Promise<void> {
  const root = await (await make(t)).create();
  const items = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const [place, key] = [freshPlace(), generateKey('AES_256')];
      return { place, key, wrapped: await root.wrap(place, key) };
    }),
  );
  await Promise.all(
    items.map(async ({ place, key, wrapped }) => assert.ok(key.equals(await root.unwrap(place, wrapped)))),
  );
}

async function standsBy(t: TestContext, { make }: Suite): Promise<void> {
  const subject = await make(t);
  const root = await subject.create();
  const folders = ['active', 'standby'].map((name) => mkdtempSync(join(tmpdir(), `trialkeep-${name}-`)));
  t.after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));
  const [active = '', folder = ''] = folders;
  const { root: own, epochs } = await createRoot(active);
  t.after(() => own.close());
  const copy = () => copyEpochs(epochs, { folder, open: () => subject.open() });
  const same = async (number: number): Promise<void> => {
    const [wanted, copied] = [await epochs.open(number), await new Epochs(folder, root).open(number)];
    assert.equal(copied.id, wanted.id);
    assert.ok(copied.key.key.equals(wanted.key.key));
  };
  await copy();
  await same(1);
  await epochs.begin();
  await copy();
  await same(1);
  await same(2);
  await epochs.retire(1);
  await copy();
  assert.deepEqual(new Epochs(folder, root).numbers(), [2]);
  await same(2);
}

async function comesBack(t: TestContext, { make }: Suite): Promise<void> {
  const subject = await make(t);
  const root = await subject.create();
  assert.ok(subject.breakIt && subject.mendIt);
  const place = freshPlace();
  const key = generateKey('AES_256');
  const wrapped = await root.wrap(place, key);
  await subject.breakIt();
  await refuses(subject, () => root.check(), gone);
  await refuses(subject, () => root.wrap(place, key), gone);
  await refuses(subject, () => root.unwrap(place, wrapped), gone);
  await subject.mendIt();
  const until = performance.now() + mendedWithinMs;
  for (;;) {
    try {
      await root.check();
      break;
    } catch (error) {
      assert.ok(error instanceof StartupError && gone.includes(error.code), inspect(error));
      if (performance.now() > until) throw error;
      await pause(200);
    }
  }
  assert.ok(key.equals(await root.unwrap(place, wrapped)));
}

/** Refused with one of the codes; neither the error nor its causes hold a secret. */
async function refuses(
  subject: RootUnderTest,
  attempt: () => Promise<unknown>,
  codes: readonly StartupErrorCode[],
): Promise<void> {
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof StartupError, inspect(error));
    assert.ok(codes.includes(error.code), `${error.code} is none of ${codes.join(', ')}`);
    const text = inspect(error, { depth: 10, showHidden: true });
    for (const secret of subject.secrets) assert.ok(!text.includes(secret), 'The error holds a secret.');
    return true;
  });
}
