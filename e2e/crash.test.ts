/**
 * `kill -9` of the server at random moments under load, over and over. TRIALKEEP_CRASH_KILLS says how often (200 unless it is
 * set), TRIALKEEP_CRASH_SEED repeats the choices of an earlier run (the moments depend on the machine as well).
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CrashLane } from './crash/lane.ts';

const kills = Number(process.env['TRIALKEEP_CRASH_KILLS'] ?? 200);
const seed = Number(process.env['TRIALKEEP_CRASH_SEED'] ?? randomInt(2 ** 31));
/** Two installations side by side: while one server starts, the other is under load. */
const lanes = 2;

test(`${kills} kills at random moments lose nothing that was acknowledged [URS-004] [URS-008] [URS-032] [URS-033]`, async (t) => {
  assert.ok(Number.isInteger(kills) && kills >= lanes, 'TRIALKEEP_CRASH_KILLS');
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-crash-'));
  const run = async (lane: number): Promise<void> => {
    const own = Math.floor((kills + lane) / lanes);
    const crashes = new CrashLane(join(folder, `lane-${lane}`), join(folder, 'compile-cache'), seed + lane);
    await crashes.run(own);
    t.diagnostic(`seed ${seed}, installation ${lane}: ${JSON.stringify(crashes.summary())}`);
  };
  const outcomes = await Promise.allSettled(Array.from({ length: lanes }, (_, lane) => run(lane)));
  const failed = outcomes.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') {
    console.error(`TRIALKEEP_CRASH_SEED=${seed} failed; everything is kept in ${folder}`);
    throw failed.reason;
  }
  rmSync(folder, { recursive: true });
});
