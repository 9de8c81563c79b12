/**
 * A process that makes a version of a key in the HSM and is killed at one point of it: `node resident.fixture.ts DATA TENANT KEY POINT`.
 * What kills it stands here and not in what is tested.
 */
import { beginEffect, settleWith } from '../effects/index.ts';
import { openInstance } from '../instance/index.ts';
import { systemClock } from '../platform/clock.ts';
import { FactsCache } from '../platform/facts.ts';
import { newVersion } from './resident.ts';

const objectEffects = { begin: beginEffect, settle: settleWith };
const [, , data = '', tenant = '', key = '', point = ''] = process.argv;
const notes = { warn: () => undefined };
const { hierarchy, ledger, database } = await openInstance(data, { clock: systemClock, notes });
const { tokenKeys } = hierarchy;
const make = tokenKeys.make.bind(tokenKeys);
tokenKeys.make = async (version, kind) => {
  if (point === 'before the object') process.kill(process.pid, 'SIGKILL');
  return make(version, kind);
};
const kind = { algorithm: 'AES_256', purpose: 'encrypt', protection: 'hsm' } as const;
await newVersion({ hierarchy, ledger, facts: new FactsCache(database), objectEffects }, tenant, key, kind);
process.kill(process.pid, 'SIGKILL');
