import type { OperationId, Operations, Output } from '@trialkeep/contract';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import { currentIn, isWithheld } from './current.ts';
import type { Current, WitnessingParts } from './current.ts';
import { hashOf, readSetting } from './policy.ts';
import type { Cosigner, Setting } from './policy.ts';
import * as store from './store.ts';

export type WitnessingOperationId = Extract<OperationId, `witnessing.${string}`>;
type View = Output<Operations['witnessing.show']>;

/** Binds the operations of witnessing to their behaviour. */
export function witnessingImplementations(
  parts: WitnessingParts & { readonly onChanged: (log: number) => Promise<void> },
): Implementations<WitnessingOperationId> {
  return {
    'witnessing.show': (context) => show(parts, context),
    'witnessing.set-policy': (context) => setPolicy(parts, context),
  };
}

async function show(parts: WitnessingParts, { caller }: Context<'witnessing.show'>): Promise<View> {
  const log = await parts.ledger.open(caller.log.id);
  const rowKey = await parts.hierarchy.rowKey(log.tenant);
  return parts.database.read(async (snapshot) => {
    const current = await currentIn(snapshot, parts, log, rowKey);
    if (current !== undefined) return view(current);
    const { size } = await store.sizeAndTime(snapshot, parts.clock, log.id);
    return { ...noPolicy, size };
  });
}

const noPolicy: View = {
  policy: null,
  hash: null,
  version: 0,
  mode: 'background',
  boundSeconds: null,
  size: 0,
  witnessedSize: 0,
  withheld: false,
  withheldSince: null,
  witnesses: [],
  mirrors: [],
};

async function setPolicy(
  parts: WitnessingParts & { readonly onChanged: (log: number) => Promise<void> },
  context: Context<'witnessing.set-policy'>,
): Promise<Apply<'witnessing.set-policy'>> {
  const { caller, input, record, payload } = context;
  const { policy, mirrors = [], mode, boundSeconds } = input;
  const setting: Setting = { policy, mirrors, mode, boundSeconds };
  readSetting(setting, caller.log.origin);
  const hash = hashOf(setting);
  record.policy = hash;
  const log = await parts.ledger.open(caller.log.id);
  const rowKey = await parts.hierarchy.rowKey(log.tenant);
  return async (tx, time) => {
    const old = await store.findPolicy(tx, rowKey, log.id);
    const progress = await store.lockProgress(tx, rowKey, log.id);
    const version = (old?.version ?? 0) + 1;
    await store.putPolicy(tx, rowKey, {
      log: log.id,
      policy,
      mirrors: JSON.stringify(mirrors),
      mode,
      bound_ms: boundSeconds * 1000,
      version,
      hash,
      changed_at: time,
    });
    // What met the quorum before need not meet this one: all of it is asked for again.
    const start = { round_size: 0, round_at: 0, witnessed_size: 0 };
    await store.putProgress(tx, rowKey, {
      log: log.id,
      ...start,
      withheld_since: progress?.withheld_since ?? null,
    });
    await store.forgetWaits(tx, log.id);
    payload['old'] = old && { hash: old.hash, mode: old.mode, version: old.version };
    Object.assign(record, { state: mode, version });
    context.afterCommit.push(() => parts.onChanged(log.id));
    const current = await currentIn(tx, parts, log, rowKey, 1);
    if (current === undefined) throw new Error('The policy was not stored.');
    return view(current);
  };
}

function view(current: Current): View {
  const { setting, progress, size } = current;
  return {
    policy: setting.policy,
    hash: setting.hash,
    version: setting.version,
    mode: setting.mode,
    boundSeconds: setting.boundSeconds,
    size,
    witnessedSize: progress.witnessed_size,
    withheld: isWithheld(current),
    withheldSince: progress.withheld_since,
    witnesses: setting.witnesses.map((cosigner) => cosignerView(current, cosigner)),
    mirrors: setting.mirrorCosigners.map((cosigner) => cosignerView(current, cosigner)),
  };
}

function cosignerView({ cosigners }: Current, { name, id, url }: Cosigner): View['witnesses'][number] {
  const row = cosigners.get(id);
  return {
    name,
    key: id,
    url: url ?? null,
    size: row?.size ?? 0,
    cosignedAt: millisecondsOf(row?.cosigned_at ?? null),
    failure: row?.failure ?? null,
    failingSince: row?.failing_since ?? null,
  };
}

function millisecondsOf(seconds: number | null): number | null {
  return seconds === null ? null : seconds * 1000;
}
