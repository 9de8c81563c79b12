/**
 * A process that runs the jobs of one database, for a test that kills and pauses it: `node counting.fixture.ts LOCATION [empty]`.
 * The effect of a job is one more in its counter, which nothing but the end of the job keeps from happening twice. With `empty`
 * the process ends once no job is left.
 */
import { randomInt } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import { systemClock } from '../clock.ts';
import { openDatabase } from '../database.ts';
import type { Database, DatabaseLocation } from '../database.ts';
import { parsePostgresUrl } from '../postgres/location.ts';
import { JobRunner } from './index.ts';
import type { Job, JobTiming } from './index.ts';

const [, , place = '', untilEmpty] = process.argv;
/** A pause of a second is longer than a lease. */
const timing: Partial<JobTiming> = { leaseMs: 500, extendMs: 150, pollMs: 20, backoffMs: 20, concurrency: 4 };

const isUrl = place.startsWith('postgresql:');
const location: DatabaseLocation = isUrl ? parsePostgresUrl(place, 'LOCATION') : place;
const database: Database = await openDatabase(location, 'main');
const runner = new JobRunner({ database, clock: systemClock, notes: { warn: () => undefined }, timing });

async function count(job: Job): Promise<void> {
  await setTimeout(randomInt(20));
  await database.write(async (tx) => {
    await sql`insert into counter (name, count) values (${job.name}, 1)
      on conflict (name) do update set count = counter.count + 1`.execute(tx);
    await job.complete(tx);
  });
  await setTimeout(randomInt(10));
}

await runner.start({ count });
// Nothing else keeps the process going.
const alive = setInterval(() => undefined, 1000);
process.stdout.write('running\n');
if (untilEmpty === 'empty') {
  const left = () => database.read((tx) => tx.selectFrom('job').select('name').limit(1).execute());
  while ((await left()).length > 0) await setTimeout(20);
  await runner.stop();
  await database.close();
  clearInterval(alive);
}
