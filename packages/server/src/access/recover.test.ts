import assert from 'node:assert/strict';
import type { Entry } from '../audit/index.ts';
import { makeScene } from '../ledger.fixture.test.ts';
import { testOnStores } from '../platform/fixture.test.ts';
import { findPerson, insertPerson } from './people-store.ts';
import { recoverAccess } from './recover.ts';

/** A successful entry, as the ledger has it. */
const said = (operation: string, about: Partial<Entry>): Entry => ({
  ...about,
  operation,
  outcome: 'success',
  commitment: '',
  entry: '',
  payload: '',
  time: 1,
});

testOnStores(
  'the end of a session hides no earlier change of its person [URS-004] [URS-080]',
  async (t, under) => {
    const { database, hierarchy, ledger } = await (await makeScene(t, under)).start();
    const rowKey = await hierarchy.rowKey(null);
    const log = ledger.instanceLog.id;
    const known = { log, state: 'active', password: 'a', totp: 'b', created_at: 1 } as const;
    const access = { ...known, roles: ['auditor' as const], revision: 2, failures: 0, locked_until: 0 };
    const people = ['changed', 'unchanged'].map((id) => ({ ...access, id, name: id, login: id }));
    const ended = { session: 's', state: 'ended', reason: 'breach' };
    const entries = [
      said('people.change-roles', { person: 'changed', version: 3, state: 'active' }),
      said('people.change-roles', { person: 'unchanged', version: 2, state: 'active' }),
      said('revocations.revoke', { ...ended, person: 'changed' }),
      said('revocations.revoke', { ...ended, person: 'unchanged' }),
      said('revocations.revoke', { ...ended, person: 'left since and not in the backup' }),
    ];
    const { recovered, states } = await database.write(async (tx) => {
      for (const row of people) await insertPerson(tx, rowKey, row);
      const done = await recoverAccess(tx, { log, rowKey }, entries);
      const found = await Promise.all(people.map(({ id }) => findPerson(tx, rowKey, log, id)));
      return { recovered: done, states: found.map((row) => row?.state) };
    });
    assert.deepEqual(states, ['left', 'active']);
    assert.deepEqual(recovered.dropped, [{ person: 'changed', version: 4, state: 'left' }]);
    assert.equal(recovered.lost.length, 1);
  },
);
