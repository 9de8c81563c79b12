import { comparedMembers } from '@trialkeep/contract';
import type { Conditions } from '@trialkeep/contract';
import type { PlacedEntry } from './entry.ts';

/** Whether an entry meets the conditions of a question (docs/formats/answer.md), `kinds` aside. */
export function meets({ entry }: PlacedEntry, conditions: Conditions): boolean {
  const { device, from, to } = conditions;
  if (from !== undefined && entry.time < from) return false;
  if (to !== undefined && entry.time >= to) return false;
  if (device !== undefined && ![entry.actor, entry.system, entry.key].includes(device)) return false;
  return comparedMembers.every((name) => conditions[name] === undefined || conditions[name] === entry[name]);
}
