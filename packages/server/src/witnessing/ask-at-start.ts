import type { TransparencyLog } from '../audit/index.ts';
import { OperationError } from '../platform/errors.ts';
import { inForce } from './current.ts';
import type { InForce, WitnessingParts } from './current.ts';
import { evidenceOf } from './evidence.ts';
import { CosignerFault } from './faults.ts';
import { meets, readSetting } from './policy.ts';
import type { Cosigner, ReadSetting } from './policy.ts';
import type { KeptPolicy, PolicyFolder } from './policy-file.ts';
import { signedCheckpoint } from './checkpoint.ts';
import { newestCheckpoint } from '../audit/index.ts';
import * as store from './store.ts';
import { sizeSeenBy } from './witness-client.ts';

/** What witnesses and mirrors had to say about the database before it is used. */
export interface AskedAtStart {
  /** Where the database is behind or beside what they know: it may not be used. */
  readonly contradictions: string[];
  /** Policies that the anchor folder has and the database does not: it is older, by at least that. */
  readonly forgotten: string[];
  /** Why it is not known whether it is, where the policy requires that it is. */
  readonly unknown: string[];
  /** Who could not be asked, where that keeps nothing from starting. */
  readonly unreached: string[];
}

/** What one log is asked about. */
interface Question {
  readonly log: TransparencyLog;
  /** Whoever the database or the anchor folder names. */
  readonly cosigners: readonly Cosigner[];
  /** Policies whose mode requires witnesses. */
  readonly required: readonly ReadSetting[];
}

/**
 * Compares the database with what the witnesses and mirrors of the policies know (design section 4, roll-back). They are asked by the
 * policy in the database and by the one that the anchor folder has, for an older database may have forgotten it. Where the policy
 * requires witnesses, enough of them have to answer: those that do not must not meet the quorum by themselves, or they could
 * all be the ones that know more.
 */
export async function askAtStart(parts: WitnessingParts, folder: PolicyFolder): Promise<AskedAtStart> {
  const { policies, unreadable } = folder.read();
  const result: AskedAtStart = { contradictions: [], forgotten: [], unknown: [], unreached: [] };
  for (const file of unreadable) result.unknown.push(`The file ${file} is no witnessing policy.`);
  for (const log of parts.ledger.logs) {
    const question = await questionOf(parts, log, policies, result.forgotten);
    const unreached = new Set<string>();
    await Promise.all(
      byPrefix(question.cosigners).map(async ([prefix, cosigners]) => {
        const fault = await askOne(parts, log, prefix, cosigners, result.contradictions);
        if (fault === undefined) return;
        cosigners.forEach(({ id }) => unreached.add(id));
        const names = cosigners.map(({ name }) => name).join(', ');
        result.unreached.push(`${names} of log ${log.origin}: ${fault.message}`);
      }),
    );
    if (question.required.some((setting) => meets(setting, unreached))) {
      result.unknown.push(
        `Too few witnesses of log ${log.origin} could be asked whether its database is the newest. --without-witnesses starts all the same.`,
      );
    }
  }
  return result;
}

/** Whom to ask about a log; a policy in the folder that is newer than the database's says by itself that the database is older. */
async function questionOf(
  parts: WitnessingParts,
  log: TransparencyLog,
  kept: readonly KeptPolicy[],
  forgotten: string[],
): Promise<Question> {
  const rowKey = await parts.hierarchy.rowKey(log.tenant);
  const row = await parts.database.read((snapshot) => store.findPolicy(snapshot, rowKey, log.id));
  const settings: (ReadSetting | InForce)[] = row === undefined ? [] : [inForce(row, log.origin)];
  const file = kept.find(({ origin }) => origin === log.origin);
  if (file !== undefined && file.version > (row?.version ?? 0)) {
    forgotten.push(`The database has forgotten the newest witnessing policy of log ${log.origin}.`);
    settings.push(...keptSetting(file));
  }
  const cosigners = settings.flatMap(({ witnesses, mirrorCosigners }) => [...witnesses, ...mirrorCosigners]);
  return { log, cosigners, required: settings.filter(({ mode }) => mode === 'required') };
}

/** Only what this server has accepted is kept; a file that somebody changed names nobody to ask. */
function keptSetting(file: KeptPolicy): ReadSetting[] {
  try {
    return [readSetting(file, file.origin)];
  } catch (error) {
    if (error instanceof OperationError) return [];
    throw error;
  }
}

function byPrefix(cosigners: readonly Cosigner[]): [string, Cosigner[]][] {
  const found = new Map<string, Cosigner[]>();
  for (const cosigner of cosigners) {
    if (cosigner.url !== undefined) found.set(cosigner.url, [...(found.get(cosigner.url) ?? []), cosigner]);
  }
  return [...found];
}

/** Gives why it could not be asked; what it knows against the database goes into `contradictions`. */
async function askOne(
  parts: WitnessingParts,
  log: TransparencyLog,
  prefix: string,
  cosigners: readonly Cosigner[],
  contradictions: string[],
): Promise<CosignerFault | undefined> {
  const name = cosigners.map((cosigner) => `${cosigner.kind} ${cosigner.name}`).join(', ');
  try {
    const shown = await evidenceOf(log, prefix);
    if (shown?.contradiction !== undefined) {
      contradictions.push(`What ${name} knows of it speaks against the database. ${shown.contradiction}`);
      return undefined;
    }
    // What it shows to everybody may be an hour old.
    const newest = await parts.database.read((snapshot) => newestCheckpoint(snapshot, log.id));
    if (newest === undefined) return undefined;
    const checkpoint = signedCheckpoint(Buffer.from(newest.note, 'utf8'));
    const size = await sizeSeenBy({ id: log.id, database: parts.database }, prefix, checkpoint);
    if (size > log.size) {
      contradictions.push(
        `The database knows ${log.size} entries of log ${log.origin}; ${name} says ${size}.`,
      );
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof CosignerFault)) throw error;
    if (error.code !== 'inconsistent') return error;
    contradictions.push(`${name} knows another history of log ${log.origin}.`);
    return undefined;
  }
}
