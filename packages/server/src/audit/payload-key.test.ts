import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Hierarchy } from '../keys/index.ts';
import { StartupError } from '../platform/errors.ts';
import { payloadKey } from './operations.ts';
import type { TransparencyLog } from './transparency-log.ts';

const own = { own: true };
const log = { tenant: 'a tenant', payloadKey: own } as unknown as TransparencyLog;
const hierarchyWith = (shreddable: () => Promise<unknown>): Hierarchy =>
  ({ shreddable }) as unknown as Hierarchy;

test("a payload lies under its subject's key, and under the log's own where there is no subject of the tenant [URS-037]", async () => {
  const subjectKey = { subject: true };
  assert.equal(
    await payloadKey(
      hierarchyWith(async () => subjectKey),
      log,
      'alias',
    ),
    subjectKey,
  );
  assert.equal(
    await payloadKey(
      hierarchyWith(async () => undefined),
      log,
      'alias',
    ),
    own,
  );
  assert.equal(
    await payloadKey(
      hierarchyWith(() => assert.fail()),
      log,
      undefined,
    ),
    own,
  );
  const instanceLog = { ...log, tenant: null } as unknown as TransparencyLog;
  assert.equal(
    await payloadKey(
      hierarchyWith(() => assert.fail()),
      instanceLog,
      'alias',
    ),
    own,
  );
});

test('a refusal is recorded although the key of its subject was altered [URS-032]', async () => {
  const altered = () => Promise.reject(new StartupError('database.altered'));
  assert.equal(await payloadKey(hierarchyWith(altered), log, 'alias'), own);
  const broken = () => Promise.reject(new Error('broken'));
  await assert.rejects(payloadKey(hierarchyWith(broken), log, 'alias'), /broken/);
});
