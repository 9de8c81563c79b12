import type { EntryKind } from '@trialkeep/contract';
import type { PlacedEntry } from './entry.ts';

/**
 * An entry as an OCSF event: API Activity (6003), and Authentication (3002) for the beginning and end of sessions. Attributes are those of
 * schema version 1.2.0, which later versions of 1 contain.
 */
export const ocsfVersion = '1.2.0';

const apiActivity = { category_uid: 6, class_uid: 6003 };
const authentication = { category_uid: 3, class_uid: 3002 };
/** API Activity: 1 create, 2 read, 3 update, 4 delete, 99 other. */
const activities: Readonly<Record<EntryKind, number>> = {
  'key-released': 2,
  'decryption-observed': 2,
  'decryption-attested': 2,
  'encryption-observed': 1,
  'encryption-attested': 1,
  'use-denied': 99,
  other: 99,
};
const verbs: readonly (readonly [pattern: RegExp, activity: number])[] = [
  [/\.(?:create|issue|invite|save|make)$/, 1],
  [/\.(?:list|show|query|answer|payload|checkpoint)$/, 2],
  [/\.(?:rotate|suspend|resume|revoke|set-roles|approve|deny|cancel|seal|unseal|reinvite|leave)$/, 3],
  [/\.(?:destroy|erase|remove|redact)$/, 4],
];
/** Severity: 1 informational, 3 medium for what was refused or could not be done. */
const severities = { success: 1, requested: 1, refused: 3, failed: 3 } as const;

/** @param origin the log's name, which is the product's instance */
export function ocsfEvent(placed: PlacedEntry, origin: string): object {
  const { entry, kind, index, text } = placed;
  const session = /^sessions\.(create|end)$/.exec(entry.operation)?.[1];
  const isSession = session !== undefined;
  const activity = isSession ? (session === 'create' ? 1 : 2) : activityOf(placed);
  const { category_uid, class_uid } = isSession ? authentication : apiActivity;
  // What nobody asked for the server did by itself.
  const actor = entry.actor ?? origin;
  const isSuccess = entry.outcome === 'success';
  return {
    activity_id: activity,
    ...(activity === 99 && { activity_name: entry.operation }),
    category_uid,
    class_uid,
    type_uid: class_uid * 100 + activity,
    severity_id: severities[entry.outcome],
    time: entry.time,
    message: `${entry.operation}: ${entry.outcome} (${kind})`,
    status_id: isSuccess ? 1 : entry.outcome === 'requested' ? 99 : 2,
    status: isSuccess ? 'Success' : entry.outcome === 'requested' ? 'Requested' : 'Failure',
    ...(entry.code !== undefined && { status_code: entry.code }),
    metadata: {
      version: ocsfVersion,
      product: { name: 'Trialkeep', vendor_name: 'Trialkeep' },
      log_name: origin,
      uid: entry.entry,
      sequence: index,
      event_code: entry.operation,
    },
    actor: {
      user: { uid: actor },
      ...(entry.session !== undefined && { session: { uid: entry.session } }),
      ...(entry.role !== undefined && {
        authorizations: [{ decision: entry.outcome, policy: { name: entry.role } }],
      }),
    },
    ...(isSession && { user: { uid: entry.person ?? actor }, service: { name: 'Trialkeep', uid: origin } }),
    ...(!isSession && {
      api: { operation: entry.operation, service: { name: 'Trialkeep', uid: origin } },
      resources: resourcesOf(placed),
    }),
    // The network address is in the entry's encrypted payload.
    src_endpoint: { uid: entry.system ?? actor },
    unmapped: { entry: text, kind },
  };
}

function activityOf({ entry, kind }: PlacedEntry): number {
  if (kind !== 'other') return activities[kind];
  return verbs.find(([pattern]) => pattern.test(entry.operation))?.[1] ?? 99;
}

function resourcesOf({ entry }: PlacedEntry): object[] {
  const resources = (
    ['subject', 'study', 'system', 'key', 'person', 'credential', 'approval'] as const
  ).flatMap((type) => {
    const uid = entry[type];
    return uid === undefined ? [] : [{ type, uid }];
  });
  return resources.length === 0 ? [{ type: 'entry', uid: entry.entry }] : resources;
}
