/**
 * A process that erases a subject and is killed at one point of it: `node effects.fixture.ts DATA TENANT SUBJECT POINT`. With the
 * point `recover` it begins nothing, does what is open, and ends. What kills it stands here and not in what is tested.
 */
import { setTimeout } from 'node:timers/promises';
import { changeOwn, sealDraft } from '../audit/index.ts';
import { openInstance } from '../instance/index.ts';
import { systemClock } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import { FactsCache } from '../platform/facts.ts';
import { JobRunner } from '../platform/jobs/index.ts';
import { shredRemoval } from '../erasure/index.ts';
import { Effects, beginEffect } from './index.ts';
import type { ShredRemovalInput } from '../erasure/index.ts';
import type { EffectKind } from './index.ts';

const [, , data = '', tenant = '', subject = '', point = ''] = process.argv;
const kindName = 'shred.remove';
const operation = 'subjects.erase';
const notes = {
  warn: (details: object, message: string) => process.stderr.write(`${message} ${JSON.stringify(details)}\n`),
};

/** Ends this process at once, where it is the point that was asked for. */
async function reach(reached: string): Promise<void> {
  if (reached !== point) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => undefined);
}

/** What is being committed: the intent first, then the outcome. */
let step: 'intent' | 'outcome' = 'intent';

/** The same database, whose commits of changes can be the last thing that happens. */
function watched(database: Database): Database {
  return {
    ...database,
    write: async (work) => {
      const result = await database.write(async (tx) => {
        const done = await work(tx);
        await reach(`before the commit of the ${step}`);
        return done;
      });
      await reach(`after the commit of the ${step}`);
      return result;
    },
  };
}

function watchedKind(kind: EffectKind<ShredRemovalInput>): EffectKind<ShredRemovalInput> {
  return {
    ...kind,
    act: async (input) => {
      await reach('before the act');
      const outcome = await kind.act(input);
      step = 'outcome';
      await reach('after the act');
      return outcome;
    },
  };
}

const instance = await openInstance(data, { clock: systemClock, notes });
const { hierarchy, ledger, shred } = instance;
const log = await ledger.openOfTenant(tenant);
if (log === undefined) throw new Error('The tenant has no log.');
const facts = new FactsCache(instance.database);
// The ledger, too, commits through the watched database: it holds the object that is changed here.
const database = Object.assign(instance.database, watched({ ...instance.database }));
const rowKey = await hierarchy.rowKey(tenant);

if (point !== 'recover') {
  const recorded = { subject, state: 'erasing' };
  const draft = { operation, actor: 'a person', outcome: 'success', recorded } as const;
  await changeOwn(ledger, facts, log.id, async (tx, time) => {
    const input: ShredRemovalInput = { tenant, study: 'study', subject };
    await beginEffect(tx, { rowKey, log: log.id, kind: kindName, input, time });
    return { result: undefined, draft: sealDraft(draft, log.origin, {}, log.payloadKey) };
  });
}

const forget = (): void => hierarchy.releaseTenant(tenant);
const kinds = { [kindName]: watchedKind(shredRemoval({ shred, forget })) };
const effects = new Effects({ database, hierarchy, ledger, facts, kinds });
const timing = { leaseMs: 500, extendMs: 100, pollMs: 20, backoffMs: 20 };
const jobs = new JobRunner({ database, clock: systemClock, notes, timing });
await effects.recover();
await jobs.start(effects.handlers());
const isOpen = (): Promise<boolean> =>
  database.read(async (snapshot) => {
    const effect = snapshot.selectFrom('effect').select('id').where('state', '=', 'intended');
    return (await effect.executeTakeFirst()) !== undefined;
  });
while (await isOpen()) await setTimeout(20);
await jobs.stop();
await instance.close();
